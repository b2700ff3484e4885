//! Stages without privilege: what ends them leaves no process, no temporary file and no image.

use arm_image_tests::images;
use arm_image_tests::program::{Place, Running, Server, names_in, sha256};
use nix::sys::signal::Signal;

use crate::traced;

const SIGNALS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL];

/// Ends a build of `o.img` by `signal`: no process, no temporary file and no image is left of it.
fn end(place: &Place, running: Running, signal: Signal, row: &str) {
    running.send(signal);
    let ended = running.wait();
    let killed = signal == Signal::SIGKILL;
    match killed {
        true => drop(ended.expect_signal(signal)),
        false => drop(ended.expect(128 + signal as i32)),
    }
    place.assert_processes_end();
    let left: &[&str] = if killed { &["o.img.partial"] } else { &[] };
    assert_eq!(names_in(&place.work()), left, "{row}, {signal}");
    place.run(["cleanup"]).expect(0);
    place.assert_clean();
}

/// Ends a build from a server that sends only a part of the archive: while it waits for the first byte, and while it
/// unpacks what came.
fn while_it_arrives(sent: usize, shown: Option<&str>) {
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let content = std::fs::read(&archive).unwrap();
    let length = content.len();
    assert!(sent < length);
    let digest = sha256(&archive);
    for signal in SIGNALS {
        let place = Place::new();
        let server = Server::holding("a.img.xz", content.clone(), sent);
        let (url, checksum) = (server.url("a.img.xz"), format!("sha256:{digest}"));
        let build = ["build", "--source", &url, "--checksum", &checksum, "--output", "o.img"];
        let mut running = place.start(build.iter().chain(&["--isolation", "guest", "--run", "true"]));
        server.wait_until_held();
        shown.into_iter().for_each(|line| running.until(line));
        end(&place, running, signal, "while it arrives");
        // What has come is where the next build goes on, and is believed only once it is whole.
        let whole = Server::new("a.img.xz", content.clone());
        let url = whole.url("a.img.xz");
        let again = ["build", "--source", &url, "--checksum", &checksum, "--output", "o.img"];
        place.run(again).expect(0).prints("o.img");
        assert_eq!(names_in(&place.work()), ["o.img"], "{signal}");
        place.assert_clean();
    }
}

#[test]
fn what_ends_a_download_leaves_nothing() {
    while_it_arrives(0, None);
}

#[test]
fn what_ends_unpacking_leaves_nothing() {
    let length = std::fs::metadata(images::raspios_arm64_tiny().with_extension("img.xz")).unwrap().len();
    // What has come is being unpacked while more is waited for. A little more than is told, which is the last that is told.
    while_it_arrives(usize::try_from(length * 51 / 100).unwrap(), Some("  50 %"));
}

#[test]
fn what_ends_a_build_in_a_guest_leaves_nothing_at_any_stage() {
    let image = images::raspios_arm64_tiny();
    let (digest, source) = (sha256(&image), image.display().to_string());
    for line in [
        "guest: starting a guest kernel",
        "mount: mounting the image's partitions",
        "provision: true",
        "finish: taking everything down",
    ] {
        for signal in SIGNALS {
            let place = Place::new();
            let build = ["build", "--source", &source, "--checksum", "none", "--output", "o.img"];
            let mut running = place.start(build.iter().chain(&["--isolation", "guest", "--run", "true"]));
            running.until(line);
            end(&place, running, signal, line);
        }
    }
    assert_eq!(sha256(&image), digest);
}

#[test]
fn what_fails_in_a_guests_teardown_is_told_once() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().display().to_string();
    let build = ["build", "--source", &source, "--checksum", "none", "--output", "o.img"];
    let step = ["--isolation", "guest", "--run", "mount -o remount,ro /"];
    let ended = place.run(build.iter().chain(&step)).expect(9);
    let ended = ended.says("failed to restore `/etc/resolv.conf` in the image").says("Read-only file system");
    assert_eq!(ended.stderr().matches("failed to take down").count(), 1, "{ended:?}");
    // It is not the disk's fault.
    assert!(!ended.stderr().contains("space"), "{ended:?}");
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
    place.assert_clean();
}

#[test]
fn no_space_leaves_nothing_of_a_guest() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().display().to_string();
    std::fs::File::create(place.path("large")).unwrap().set_len(200 << 20).unwrap();
    let build =
        ["build", "--source", &source, "--checksum", "none", "--output", "o.img", "--isolation", "guest"];
    let build = build.iter().chain(&["--copy", "large:/etc/large"]).map(|&word| word.to_owned());
    let build: Vec<_> = build.collect();
    // In the image.
    let ended = place.run(&build).expect(8).says("failed to create `/etc/large` in the image");
    let _ = ended.says("No space left on device").says("hint: that file system of the image is full");
    assert_eq!(names_in(&place.work()), ["large"]);
    place.assert_clean();
    // Among the temporary files.
    let folder = [(traced::Call::First("mkdir", None, 1), "error=ENOSPC")];
    let ended = traced::run(&place, &build, folder).expect(1).says(place.temporary().to_str().unwrap());
    let _ = ended.says("No space left on device").says("hint: make room on the disk of");
    assert_eq!(names_in(&place.work()), ["large"]);
    place.assert_clean();
}
