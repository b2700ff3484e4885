//! Packer's templates, built by root on this kernel: the image is where this machine's programs see it.

use arm_image_tests::program::Place;
use arm_image_tests::program::image::{assert_sound, ext4_file};
use arm_image_tests::{images, in_guest};

#[test]
fn privileged_a_template_reaches_into_the_mounted_image_and_two_are_built_at_once() {
    // It is made before, as there is no network inside.
    let image = images::raspios_arm64_tiny();
    in_guest("privileged_a_template_reaches_into_the_mounted_image_and_two_are_built_at_once", || {
        let place = Place::new();
        let source = |name: &str| {
            format!(
                "source \"arm-image\" \"{name}\" {{\n iso_url = {image:?}\n iso_checksum = \"none\"\n output_filename = \"{name}.img\"\n}}\n"
            )
        };
        let build = r#"
build {
  sources = ["source.arm-image.one", "source.arm-image.two"]
  provisioner "shell" {
    inline = ["echo ${source.name} > /etc/name"]
  }
  provisioner "shell-local" {
    inline = ["test -e ${build.MountPath}/etc/name", "cp ${build.MountPath}/etc/name '${source.name}.seen'"]
  }
}
"#;
        place.write("t.pkr.hcl", [source("one"), source("two"), build.to_owned()].concat());
        let ended = place.run(["build", "t.pkr.hcl"]).expect(0);
        assert_eq!(ended.stdout(), "one.img\ntwo.img\n");
        for name in ["one", "two"] {
            let image = place.path(&format!("{name}.img"));
            assert_eq!(ext4_file(&image, 2, "/etc/name"), format!("{name}\n"));
            assert_sound(&image);
            let seen = std::fs::read_to_string(place.path(&format!("{name}.seen")));
            assert_eq!(seen.ok(), Some(format!("{name}\n")));
        }
        place.assert_clean();
    });
}
