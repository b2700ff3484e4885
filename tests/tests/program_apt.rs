//! The main job on a whole system: Debian's own apt, run by the image, installs packages from Debian's mirror; with a
//! service that does not start, setuid programs, and a folder of this machine that keeps what was downloaded.

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_names, ext4_stat};
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
        ["--isolation", "guest", "--apt-cache", "packages"].as_slice(),
        &["--run", "echo kitchen > /etc/hostname"],
        &[
            "--run",
            &format!("apt-get update && apt-get install -y --no-install-recommends {PACKAGES}; {LOOK}"),
        ],
        &["--run", user, "--copy", "key.pub:/home/cook/.ssh/authorized_keys", "--run", owner],
        &["--run", "tree --version > /root/tree-version", "--run", RIGHTS],
        // As in Raspberry Pi OS for armhf: the board's own, which cannot be loaded here.
        &["--run", &format!("echo {LIBRARY} > /etc/ld.so.preload; ls /"), "--run", "echo end of the first"],
    ];
    let ended = place.run(build.iter().chain(&steps.concat())).expect(0);
    let said = format!("object '{LIBRARY}' from /etc/ld.so.preload cannot be preloaded");
    ended.says(&said).says("policy-rc.d denied execution of start").says("\nrunning:\n").prints("o.img");
    let image = place.path("o.img");
    let read = |path: &str| ext4_file(&image, 2, path);
    assert_eq!(read("/root/rights"), "nobody\n0\n0 root\nrenamed\n");
    let wanted = ext4_stat(&image, 2, "/etc/systemd/system/multi-user.target.wants/cron.service");
    assert!(wanted.contains("Type: symlink"), "the service starts with the board: {wanted}");
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
    assert_eq!(names_in(&place.work()), ["key.pub", "o.img", "packages"]);
    place.assert_clean();
    packages_are_used_again(&place);
}

/// One with a service, and one that is setuid, besides.
const PACKAGES: &str = "tree cron sudo";

/// What every program is to load first.
const LIBRARY: &str = "/usr/lib/aarch64-linux-gnu/libboard.so";

/// Whether the service runs while the step that installed it does, as its end would end the service, too.
const LOOK: &str = "echo running: $(cat /proc/[0-9]*/comm | grep -x cron)";

/// Whom a program runs as that takes other rights, and what it is called.
const RIGHTS: &str = "echo 'cook ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/cook
    exec > /root/rights
    sudo -u nobody id -un
    sudo id -u
    su cook -s /bin/sh -c 'echo $(sudo -n id -u) $(sudo -n id -un)'
    bash -c \"exec -a renamed sh -c 'echo \\$0'\"";

/// What the first build has downloaded the next one does not.
fn packages_are_used_again(place: &Place) {
    let kept = names_in(&place.path("packages"));
    for package in PACKAGES.split(' ') {
        assert!(kept.iter().any(|name| name.starts_with(&format!("{package}_"))), "{package}: {kept:?}");
    }
    assert!(kept.iter().all(|name| name.ends_with(".deb")), "{kept:?}");
    let archives = ext4_names(&place.path("o.img"), 2, "/var/cache/apt/archives");
    assert!(!archives.contains(".deb"), "none of them is in the image: {archives}");
    // Nobody listens there.
    let install =
        format!("apt-get -o Acquire::http::Proxy=http://127.0.0.1:1 install -y --reinstall {PACKAGES}");
    let again = ["build", "--source", "o.img", "--checksum", "none", "--output", "again.img"];
    let more = ["--isolation", "guest", "--apt-cache", "packages", "--run", &install];
    let ended = place.run(again.iter().chain(&more)).expect(0).says("Need to get 0 B/");
    assert!(!ended.stderr().contains("preloaded"), "{ended:?}");
    assert_eq!(ext4_file(&place.path("again.img"), 2, "/etc/ld.so.preload"), format!("{LIBRARY}\n"));
    assert_eq!(names_in(&place.path("packages")), kept);
    assert_sound(&place.path("again.img"));
}
