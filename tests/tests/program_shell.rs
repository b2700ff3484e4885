//! `arm-image shell`: a command or a person in the image.

use std::fs;
use std::path::Path;

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_names, facts};
use arm_image_tests::program::{Place, Terminal, names_in, sha256, stdout_of, tool};
use nix::sys::signal::Signal;

#[test]
fn a_command_in_the_image_gives_its_code_and_its_changes() {
    let place = Place::new();
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let length = fs::metadata(&image).unwrap().len();
    let command = "uname -m > /etc/machine; echo boot > /boot/firmware/new.txt; exit 7";
    let arguments = ["shell", "a.img", "--isolation", "guest", "--", "sh", "-c", command];
    place.run(arguments).expect(7);
    assert_eq!(ext4_file(&image, 2, "/etc/machine"), "aarch64\n");
    assert_eq!(arm_image_tests::program::image::fat_file(&image, 1, "/new.txt"), "boot\n");
    assert_sound(&image);
    assert_eq!(fs::metadata(&image).unwrap().len(), length);
    assert_eq!(names_in(&place.work()), ["a.img"]);
    place.assert_clean();
}

#[test]
fn a_command_in_the_image_says_what_it_says_here() {
    let place = Place::new();
    place.copy(&images::raspios_armhf_tiny(), "a.img");
    let command = "echo to-stdout; echo to-stderr >&2; uname -m";
    let ended = place.run(["shell", "a.img", "--isolation", "guest", "-q", "--", "sh", "-c", command]);
    let ended = ended.expect(0);
    assert_eq!((ended.stdout().as_str(), ended.stderr().as_str()), ("to-stdout\narmv7l\n", "to-stderr\n"));
    // What it says is a result, which progress stays out of.
    let ended = place.run(["shell", "a.img", "--isolation", "guest", "--", "cat", "/etc/hostname"]);
    ended.expect(0).prints("raspberrypi");
}

#[test]
fn a_command_that_a_signal_ends_gives_128_and_its_number() {
    let place = Place::new();
    place.copy(&images::raspios_arm64_tiny(), "a.img");
    place.run(["shell", "a.img", "--isolation", "guest", "--", "sh", "-c", "kill -TERM $$"]).expect(143);
    place.assert_clean();
}

#[test]
fn a_command_that_is_not_in_the_image_gives_127() {
    let place = Place::new();
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let ended = place.run(["shell", "a.img", "--isolation", "guest", "--", "no-such-program"]);
    let _ = ended.expect(127).says("no-such-program: not found");
    assert_sound(&image);
    place.assert_clean();
}

#[test]
fn what_a_killed_shell_left_in_the_image_the_next_one_mends() {
    let place = Place::new();
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    fn shell<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["shell", "a.img", "--isolation", "guest"], more].concat()
    }
    let make = "rm -f /etc/resolv.conf; echo own > /etc/resolv.conf; echo /own.so > /etc/ld.so.preload; \
        touch /usr/sbin/invoke-rc.d; chmod +x /usr/sbin/invoke-rc.d";
    place.run(shell(&["--resolv-conf", "off", "--", "sh", "-c", make])).expect(0);
    let files =
        |image: &Path| ["/etc/resolv.conf", "/etc/ld.so.preload"].map(|path| ext4_file(image, 2, path));
    let names = |image: &Path| ["/etc", "/usr/sbin"].map(|path| ext4_names(image, 2, path));
    let before = (files(&image), names(&image));
    assert_eq!(before.0, ["own\n", "/own.so\n"]);
    let mut running = place.start(shell(&["--", "sh", "-c", "sync; echo begun >&2; sleep 600"]));
    running.until("begun");
    running.send(Signal::SIGKILL);
    running.wait().expect_signal(Signal::SIGKILL);
    place.assert_processes_end();
    // The journal may have to be replayed, which the next mount does, too.
    place.run(shell(&["--", "true"])).expect(0);
    assert_eq!((files(&image), names(&image)), before);
    // FAT keeps the mark that it was not unmounted; the root is whole.
    let root = format!("{}?offset={}", image.display(), facts(&image).1[1].start);
    stdout_of(tool("e2fsck").args(["-fn", &root]));
}

#[test]
fn a_compressed_image_cannot_be_entered_and_stays_as_it_is() {
    let place = Place::new();
    let archive = place.copy(&images::raspios_arm64_tiny().with_extension("img.xz"), "a.img.xz");
    let digest = sha256(&archive);
    place.run(["shell", "a.img.xz", "--", "true"]).expect(6).says("a.img.xz");
    assert_eq!(sha256(&archive), digest);
}

#[test]
fn keys_that_nobody_reads_yet_are_read_later_in_a_guest() {
    let place = Place::new();
    let _ = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let mut terminal = Terminal::start(place.command(["shell", "a.img", "--isolation", "guest"]));
    terminal.wait_for("# ");
    terminal.type_keys("sleep 2; echo aw''ake\r");
    for number in 0..200 {
        terminal.type_keys(&format!("# line {number:040}\r"));
    }
    terminal.wait_for("awake\r\n");
    terminal.type_keys("echo all''-read\r");
    terminal.wait_for("all-read\r\n");
    terminal.type_keys("exit 3\r");
    assert_eq!(terminal.finish().code(), Some(3));
    place.assert_clean();
}

#[test]
fn a_person_at_a_terminal_gets_a_shell_in_the_image() {
    let place = Place::new();
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let mut terminal = Terminal::start(place.command(["shell", "a.img", "--isolation", "guest"]));
    terminal.wait_for("# ");
    assert!(terminal.is_raw(), "keys are to go through as they are");
    terminal.type_keys("uname -m\r");
    terminal.wait_for("aarch64\r\n");
    terminal.type_keys("stty size; test -t 2 && echo is-a-ter''minal\r");
    let shown = terminal.wait_for("is-a-terminal\r\n");
    assert!(shown.contains("31 97\r\n"), "{shown}");
    terminal.type_keys("echo 'only-in'-'the-file' > /etc/typed\r");
    // Control-C ends what runs inside, and neither the shell nor the program.
    // It says so itself: by then it is what the terminal's keys are for.
    terminal.type_keys("sh -c 'echo be\"\"gun; exec sleep 600'\r");
    terminal.wait_for("begun\r\n");
    terminal.type_keys("\u{3}");
    terminal.wait_for("# ");
    terminal.type_keys("echo stat''us $?\r");
    terminal.wait_for("status 130\r\n");
    terminal.type_keys("exit 3\r");
    assert_eq!(terminal.finish().code(), Some(3));
    assert_eq!(ext4_file(&image, 2, "/etc/typed"), "only-in-the-file\n");
    assert_sound(&image);
    place.assert_clean();
}
