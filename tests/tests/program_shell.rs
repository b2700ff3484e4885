//! `arm-image shell`: a command or a person in the image.

use std::fs;

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_file};
use arm_image_tests::program::{Place, Terminal, names_in, sha256};

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
fn a_compressed_image_cannot_be_entered_and_stays_as_it_is() {
    let place = Place::new();
    let archive = place.copy(&images::raspios_arm64_tiny().with_extension("img.xz"), "a.img.xz");
    let digest = sha256(&archive);
    place.run(["shell", "a.img.xz", "--", "true"]).expect(6).says("a.img.xz");
    assert_eq!(sha256(&archive), digest);
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
    terminal.type_keys("echo be''gun; sleep 600\r");
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
