//! `--apt-cache`: what comes to apt's folder in the image is kept in one of this machine's, and is there for the next image. What
//! Debian's own apt makes of it is in `program_apt.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use arm_image_tests::program::image::{assert_sound, ext4_stat};
use arm_image_tests::program::{Place, names_in};
use arm_image_tests::{images, in_guest};
use nix::sys::signal::Signal;

const NOBODY: u32 = 65534;

/// What apt does, without apt: a file is unfinished first, then whole, and gone once it is installed.
const DOWNLOAD: &str = "cd /var/cache/apt/archives; mkdir -p partial; echo a > partial/a_1.deb; \
    mv partial/a_1.deb a_1.deb; ln -s /etc/passwd link_1.deb; touch lock; echo half > partial/b_1.deb";

fn build<'a>(source: &'a str, isolation: &'a str, run: &'a str) -> Vec<&'a str> {
    let build = ["build", "--source", source, "--checksum", "none", "--output", "o.img"];
    [&build, ["--isolation", isolation, "--apt-cache", "kept", "--run", run].as_slice()].concat()
}

fn kept(place: &Place, source: &Path, isolation: &str) {
    let source = source.display().to_string();
    place.run(build(&source, isolation, DOWNLOAD)).expect(0);
    assert_eq!(names_in(&place.path("kept")), ["a_1.deb"]);
    let made = place.path("o.img");
    assert_sound(&made);
    assert_eq!(ext4_stat(&made, 2, "/var/cache/apt"), "", "nothing of it stays in the image");

    // The next one finds it, and no link that leads elsewhere; what it deletes stays for others.
    place.write("secret", "secret\n");
    symlink("../secret", place.path("kept/other_1.deb")).unwrap();
    let look = "cd /var/cache/apt/archives; ls; rm a_1.deb; exit 3";
    place.run(build(&source, isolation, look)).expect(8).says("\na_1.deb\n");
    let shell = ["shell", "o.img", "--isolation", isolation, "--apt-cache", "kept", "--"];
    let ended = place.run(shell.iter().chain(&["ls", "/var/cache/apt/archives"])).expect(0);
    ended.prints("a_1.deb");
    assert_eq!(names_in(&place.path("kept")), ["a_1.deb", "other_1.deb"]);
    assert_eq!(fs::read_to_string(place.path("kept/a_1.deb")).unwrap(), "a\n");
    place.assert_clean();
}

#[test]
fn packages_are_kept_by_any_user_in_a_guest() {
    let place = Place::of_user(NOBODY);
    let source = place.copy(&images::raspios_arm64_tiny(), "a.img");
    kept(&place, &source, "guest");
}

#[test]
fn privileged_packages_are_kept_here_and_belong_to_whom_the_folder_does() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_packages_are_kept_here_and_belong_to_whom_the_folder_does", || {
        let place = Place::new();
        // As behind sudo.
        chown(place.work(), Some(NOBODY), Some(NOBODY)).unwrap();
        kept(&place, &source, "host");
        for name in ["kept", "kept/a_1.deb"] {
            assert_eq!(fs::metadata(place.path(name)).unwrap().uid(), NOBODY, "{name}");
        }
    });
}

#[test]
fn a_folder_for_packages_that_cannot_be_is_told_before_anything_is_fetched() {
    let place = Place::new();
    place.write("kept", "");
    place.run(build("http://127.0.0.1:1/a.img", "guest", "true")).expect(3).says("`kept`: it is no folder");
}

#[test]
fn what_a_killed_build_left_among_packages_goes_with_the_next() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().display().to_string();
    let wait = format!("{DOWNLOAD}; echo begun; sleep 600");
    let mut running = place.start(build(&source, "guest", &wait));
    running.until("begun");
    running.send(Signal::SIGKILL);
    running.wait().expect_signal(Signal::SIGKILL);
    place.assert_processes_end();
    assert!(names_in(&place.path("kept")).iter().any(|name| name.starts_with("arm-image-")));
    place.run(build(&source, "guest", DOWNLOAD)).expect(0);
    assert_eq!(names_in(&place.path("kept")), ["a_1.deb"]);
}

#[test]
fn builds_at_the_same_time_share_packages_without_colliding() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().display().to_string();
    let wait = "cd /var/cache/apt/archives; test ! -e lock; touch lock; echo own > own_$$.deb; echo begun; sleep 600";
    let mut first = place.start(build(&source, "guest", wait));
    first.until("begun");
    let mut second =
        build(&source, "guest", "cd /var/cache/apt/archives; test ! -e lock; echo two > two.deb");
    second[6] = "second.img";
    place.run(second).expect(0);
    first.send(Signal::SIGINT);
    first.wait().expect(130);
    let kept = names_in(&place.path("kept"));
    assert!(
        kept.len() == 2 && kept[1] == "two.deb",
        "what a cancelled build has downloaded is kept: {kept:?}"
    );
    place.assert_clean();
}
