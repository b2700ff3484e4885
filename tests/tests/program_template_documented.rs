//! Templates in `plans/` that use what the documentation of both plugins has, built in a guest kernel from real images.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::path::{Path, PathBuf};

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_size, ext4_stat, facts, fat_file};
use arm_image_tests::program::{Ended, Place, Server, names_in, sha256, stdout_of, tool};

const MIB: u64 = 1 << 20;
/// What the images hold.
const RESOLVER: &str = "# Written anew when the network comes up\n";

/// Builds the template from `image`, whose first address leads to nothing.
fn build(place: &Place, template: &str, image: &Path, arch: &str, more: &[String]) -> Ended {
    fs::create_dir(place.path("tree")).unwrap();
    place.write("tree/plain", "plain\n");
    place.write("motd", "Welcome\n");
    place.write("a.sh", "#!/bin/sh\necho \"$MODE $1\" > /etc/mode\nexit 3\n");
    let server = Server::new("there.img", Vec::new());
    let qemu = stdout_of(
        tool("sh").args(["-c", &format!("command -v qemu-{arch}-static || command -v qemu-{arch}")]),
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(template);
    let mut build = vec!["build".to_owned(), path.display().to_string()];
    let variables = [
        format!("gone={}", server.url("gone.img.xz")),
        format!("image={}", image.display()),
        format!("qemu={}", qemu.trim()),
    ];
    for variable in variables.iter().chain(more) {
        build.extend(["--var".to_owned(), variable.clone()]);
    }
    build.extend(["--isolation", "guest", "--parallel-builds", "2"].map(str::to_owned));
    let ended = place.run(&build);
    assert!(!server.requests().is_empty(), "the first address was asked");
    ended
}

fn sums(image: &Path) -> String {
    format!("sums={}", image.with_file_name("SHA256SUMS").display())
}

fn length(path: &PathBuf) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn the_documented_template_of_one_plugin_is_built_in_hcl2() {
    let place = Place::new();
    let image = images::raspios_arm64_tiny().with_extension("img.xz");
    let ended = build(&place, "documented_arm_image.pkr.hcl", &image, "aarch64", &[sums(&image)]).expect(0);
    assert_eq!(ended.stdout(), "o/delete.img\no/copy.img\no/bind.img\n");
    assert_eq!(
        names_in(&place.path("o")),
        ["bind.img", "bind.sha256", "copy.img", "copy.sha256", "delete.img", "delete.sha256"]
    );
    for name in ["delete", "copy", "bind"] {
        let made = place.path(&format!("o/{name}.img"));
        let read = |path: &str| ext4_file(&made, 2, path);
        // `-E` of qemu set the first of these.
        assert_eq!(read("/etc/told"), format!("warm hello & welcome {name}\n"));
        assert_eq!(read("/etc/firmware-seen"), "", "the first partition is not mounted");
        assert_eq!(length(&made), 192 * MIB);
        assert_eq!(ext4_size(&made, 2), 192 * MIB - facts(&made).1[1].start);
        assert_eq!(fs::read_to_string(place.path(&format!("tree/{name}"))).unwrap(), "cards\n");
        assert!(ext4_stat(&made, 2, "/srv/tree/plain").is_empty(), "what was shown is not in the image");
        let told = fs::read_to_string(place.path(&format!("o/{name}.sha256"))).unwrap();
        assert_eq!(told, format!("{}  {name}.img\n", sha256(&made)));
        assert_sound(&made);
        // The first provisioners are for all, the others not.
        assert_eq!(read("/etc/mode"), if name == "delete" { "quick once\n" } else { "" });
        assert_eq!(read("/etc/motd"), if name == "bind" { "" } else { "Welcome\n" });
    }
    let seen = |name: &str, path: &str| ext4_file(&place.path(&format!("o/{name}.img")), 2, path);
    assert_eq!(seen("delete", "/etc/resolver-seen"), "none\n");
    assert_eq!(seen("bind", "/etc/resolv.conf"), RESOLVER);
    let bound = seen("bind", "/etc/resolver-seen");
    assert!(bound.contains("nameserver "), "{bound}");
    assert_eq!(seen("copy", "/etc/resolver-seen"), seen("copy", "/etc/resolv.conf"));
    assert!(seen("copy", "/etc/resolv.conf").contains("nameserver "));
    let deleted = ext4_stat(&place.path("o/delete.img"), 2, "/etc/resolv.conf");
    assert!(deleted.is_empty(), "{deleted}");
    place.assert_clean();
}

#[test]
fn the_documented_template_of_one_plugin_is_built_in_json() {
    let place = Place::new();
    let image = images::raspios_armhf_tiny().with_extension("img.xz");
    let ended = build(&place, "documented_arm_image.json", &image, "arm", &[sums(&image)]).expect(0);
    assert_eq!(ended.stdout(), "card.img\n");
    let made = place.path("card.img");
    // A processor that the image's own programs would not ask for.
    assert_eq!(ext4_file(&made, 2, "/etc/machine"), "armv7l\n");
    assert_eq!(fs::read_to_string(place.path("machine")).unwrap(), "armv7l\n");
    assert_eq!(ext4_file(&made, 2, "/etc/told"), "hello & welcome\n");
    assert_eq!(ext4_file(&made, 2, "/etc/motd"), "Welcome\n");
    assert!(fat_file(&made, 1, "/config.txt").ends_with("dtoverlay=disable-bt\n"));
    assert!(ext4_stat(&made, 2, "/etc/resolv.conf").is_empty());
    assert_eq!(fs::read_to_string(place.path("tree/card")).unwrap(), "card\n");
    assert_eq!(length(&made), 128 * MIB);
    assert_sound(&made);
    let told = fs::read_to_string(place.path("card.sha256")).unwrap();
    assert_eq!(told, format!("{}  card.img\n", sha256(&made)));
    place.run(["unpack", "card.img.gz", "again.img"]).expect(0);
    assert_eq!(sha256(&place.path("again.img")), sha256(&made));
    place.assert_clean();
}

#[test]
fn the_documented_template_of_the_other_plugin_resizes_in_hcl2() {
    let place = Place::new();
    let image = images::raspios_arm64_tiny().with_extension("img.xz");
    let ended = build(&place, "documented_arm.pkr.hcl", &image, "aarch64", &[sums(&image)]).expect(0);
    let _ = ended.prints("larger.img");
    let made = place.path("larger.img");
    assert_eq!(length(&made), 160 * MIB);
    assert_eq!(ext4_size(&made, 2), 160 * MIB - facts(&made).1[1].start);
    assert_eq!(facts(&made).0, facts(&images::raspios_arm64_tiny()).0, "the disk id stays");
    assert_eq!(ext4_file(&made, 2, "/etc/told"), "warm\n");
    assert!(fat_file(&made, 1, "/config.txt").ends_with("dtoverlay=disable-bt\n"));
    assert_eq!(ext4_file(&made, 2, "/etc/resolv.conf"), RESOLVER);
    assert_eq!(fs::read_to_string(place.path("tree/larger")).unwrap(), "seen\n");
    assert_sound(&made);
    place.assert_clean();
}

#[test]
fn the_documented_template_of_the_other_plugin_reuses_in_json() {
    let place = Place::new();
    let image = images::gpt_arm64_tiny();
    let sum = format!("sum={}", sha256(&image));
    build(&place, "documented_arm.json", &image, "aarch64", &[sum]).expect(0).prints("same.img");
    let made = place.path("same.img");
    assert_eq!(length(&made), length(&image));
    assert_eq!(facts(&made), facts(&image));
    assert_eq!(ext4_file(&made, 3, "/etc/told"), "warm\n");
    assert_eq!(
        ext4_file(&made, 3, "/etc/config-seen"),
        "",
        "a partition without a mount point is not mounted"
    );
    assert_eq!(fat_file(&made, 2, "/seen"), "EFI\n");
    assert_sound(&made);
    place.assert_clean();
}
