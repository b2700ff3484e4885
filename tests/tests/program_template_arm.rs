//! A template of packer-plugin-builder-arm, built by root on this kernel, whose own commands see the image.

use arm_image_tests::program::Place;
use arm_image_tests::program::image::{assert_sound, ext4_file};
use arm_image_tests::{images, in_guest};

#[test]
fn privileged_commands_of_this_machine_are_given_the_mounted_image_and_its_file() {
    // It is made before, as there is no network inside.
    let image = images::raspios_arm64_tiny();
    in_guest("privileged_commands_of_this_machine_are_given_the_mounted_image_and_its_file", || {
        let place = Place::new();
        let template = r#"
source "arm" "pi" {
  file_urls               = [SOURCE]
  file_checksum_type      = "none"
  image_build_method      = "reuse"
  image_path              = "o/pi.img"
  image_size              = "2G"
  qemu_binary_source_path = "/nowhere/qemu-aarch64-static"
  image_setup_extra = [
    ["cp", "it's a file", "$MOUNTPOINT/etc/motd"],
    ["cp", "--sparse=always", "$IMAGE_PATH", "copy"],
  ]
  image_partitions {
    name       = "boot"
    type       = "c"
    size       = "256M"
    mountpoint = "/boot/firmware"
  }
  image_partitions {
    name       = "root"
    type       = "83"
    size       = "0"
    mountpoint = "/"
  }
}
build {
  sources = ["source.arm.pi"]
  provisioner "shell" {
    inline = ["cp /etc/motd /etc/seen"]
  }
  provisioner "shell-local" {
    execute_command  = ["/bin/sh", "-eu", "{{.Script}}"]
    environment_vars = ["SEEN=${build.MountPath}/etc/seen"]
    inline           = ["cp \"$SEEN\" \"seen by $PACKER_BUILD_NAME\""]
  }
  provisioner "shell" {
    inline = ["exit FAILS"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["cp ${build.MountPath}/etc/seen cleaned"]
  }
}
"#;
        place.write("it's a file", "from this machine\n");
        let template = template.replace("SOURCE", &format!("{image:?}"));
        place.write("t.pkr.hcl", template.replace("FAILS", "0"));
        place
            .run(["build", "t.pkr.hcl"])
            .expect(0)
            .says("there is no program `/nowhere/qemu-aarch64-static`");
        let output = place.path("o/pi.img");
        assert_eq!(ext4_file(&output, 2, "/etc/seen"), "from this machine\n");
        assert_sound(&output);
        let read = |name: &str| std::fs::read_to_string(place.path(name)).ok();
        assert_eq!(read("seen by pi").as_deref(), Some("from this machine\n"));
        let length = |name: &str| std::fs::metadata(place.path(name)).ok().map(|metadata| metadata.len());
        assert_eq!(length("copy"), length("o/pi.img"));
        assert_eq!(read("cleaned"), None);
        place.write("t.pkr.hcl", template.replace("FAILS", "7"));
        place.run(["build", "t.pkr.hcl"]).expect(8);
        assert_eq!(read("cleaned").as_deref(), Some("from this machine\n"));
        place.assert_clean();
    });
}
