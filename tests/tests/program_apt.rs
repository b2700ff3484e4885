//! The main job on a whole system: Debian's own apt, run by the image, installs a package from Debian's mirror.

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_stat};
use arm_image_tests::program::{Place, names_in, program, sha256};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhY2gtdGVzdC1rZXktaXMtZmFrZS1hbmQtb25seS1oZXJl cook@kitchen\n";

#[test]
fn apt_of_the_image_installs_a_package_without_privilege() {
    let place = Place::new();
    let source = images::raspios_arm64(&program()).with_extension("img.xz");
    let digest = sha256(&source);
    let source = source.display().to_string();
    place.write("key.pub", KEY);
    let user =
        "useradd --create-home --shell /bin/bash cook && install -d -m 700 -o cook -g cook /home/cook/.ssh";
    let owner =
        "chown cook:cook /home/cook/.ssh/authorized_keys && chmod 600 /home/cook/.ssh/authorized_keys";
    let build = ["build", "--source", &source, "--checksum", &digest, "--output", "o.img", "--size", "+256M"];
    let steps = [
        ["--isolation", "guest", "--env", "DEBIAN_FRONTEND=noninteractive"].as_slice(),
        &["--run", "echo kitchen > /etc/hostname"],
        &["--run", "apt-get update && apt-get install -y --no-install-recommends tree"],
        &["--run", user, "--copy", "key.pub:/home/cook/.ssh/authorized_keys", "--run", owner],
        &["--run", "tree --version > /root/tree-version"],
    ];
    place.run(build.iter().chain(&steps.concat())).expect(0).prints("o.img");
    let image = place.path("o.img");
    let read = |path: &str| ext4_file(&image, 2, path);
    assert_eq!(read("/etc/hostname"), "kitchen\n");
    assert!(read("/root/tree-version").starts_with("tree v"));
    let status = read("/var/lib/dpkg/status");
    let package = status.split("\n\n").find(|package| package.starts_with("Package: tree\n"));
    let package = package.unwrap_or_else(|| panic!("dpkg does not know tree"));
    assert!(package.contains("Status: install ok installed\n") && package.contains("Architecture: arm64\n"));
    assert!(ext4_stat(&image, 2, "/usr/bin/tree").contains("Type: regular"));
    let passwd = read("/etc/passwd");
    let cook = passwd.lines().find(|line| line.starts_with("cook:")).unwrap_or_else(|| panic!("{passwd}"));
    let number = cook.split(':').nth(2).unwrap_or_default();
    assert_eq!(read("/home/cook/.ssh/authorized_keys"), KEY);
    let stat = ext4_stat(&image, 2, "/home/cook/.ssh/authorized_keys");
    assert!(stat.contains("Mode:  0600") && stat.contains(&format!("User:  {number:>4}")), "{stat}");
    assert_sound(&image);
    assert_eq!(sha256(source.as_ref()), digest);
    assert_eq!(names_in(&place.work()), ["key.pub", "o.img"]);
    place.assert_clean();
}
