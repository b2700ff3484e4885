//! Images that become larger or smaller, by an ordinary user and without a guest where that can be; and outputs that hold no
//! more than what is used.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_size, facts};
use arm_image_tests::program::{Ended, Place, names_in};
use arm_image_tests::{images, in_guest};

const MIB: u64 = 1 << 20;
/// No user of most machines: what kernels show for users they do not know.
const NOBODY: u32 = 65534;

fn length(image: &Path) -> u64 {
    fs::metadata(image).unwrap().len()
}

fn allocated(image: &Path) -> u64 {
    fs::metadata(image).unwrap().blocks() * 512
}

/// Resizes as an ordinary user, where no guest and no qemu is to be found.
fn resize(place: &Place, size: &str) -> Ended {
    let mut command = place.command(["resize", "-v", "a.img", size]);
    // Where e2fsprogs are, and the guest's kernel is not.
    Ended(command.env("PATH", "/usr/sbin:/sbin").output().unwrap())
}

/// Nothing may have changed but the size of the last partition and of what is in it.
#[track_caller]
fn resized(place: &Place, image: &Path, last: usize, sizes: &[&str]) {
    let copy = place.copy(image, "a.img");
    let (id, before) = facts(&copy);
    for size in sizes {
        let ended = resize(place, size).expect(0).prints("a.img");
        assert!(!ended.stderr().contains("guest"), "{ended:?}");
        assert_sound(&copy);
        let (id_after, after) = facts(&copy);
        assert_eq!((&id_after, &after[..last - 1]), (&id, &before[..last - 1]));
        let (old, new) = (&before[last - 1], &after[last - 1]);
        assert_eq!(
            (new.start, &new.partuuid, &new.uuid, &new.label),
            (old.start, &old.partuuid, &old.uuid, &old.label)
        );
        assert!(new.size - ext4_size(&copy, new.number) < 4096, "the file system fills the partition");
    }
    assert_eq!(names_in(&place.work()), ["a.img"]);
    place.assert_clean();
}

#[test]
fn an_ordinary_user_grows_and_shrinks_an_mbr_without_a_guest() {
    let place = Place::of_user(NOBODY);
    let image = images::raspios_arm64_tiny();
    resized(&place, &image, 2, &["+64M"]);
    assert_eq!(length(&place.path("a.img")), length(&image) + 64 * MIB);
    resized(&place, &image, 2, &["+1G", "min"]);
    // What is in it, and 64 MiB for the first boot.
    let shrunk = length(&place.path("a.img"));
    assert!(shrunk > facts(&image).1[1].start + 64 * MIB, "{shrunk}");
    assert!(shrunk < length(&image) + 80 * MIB, "{shrunk}");
    let _ = resize(&place, "min").expect(0).says("as small as can be");
    assert_eq!(length(&place.path("a.img")), shrunk);
    assert_sound(&place.path("a.img"));
}

#[test]
fn an_ordinary_user_grows_and_shrinks_a_gpt_without_a_guest() {
    let place = Place::of_user(NOBODY);
    let image = images::gpt_arm64_tiny();
    resized(&place, &image, 3, &["+64M"]);
    assert_eq!(length(&place.path("a.img")), length(&image) + 64 * MIB);
    resized(&place, &image, 3, &["+1G", "min"]);
    assert!(length(&place.path("a.img")) < length(&image) + 80 * MIB);
}

#[test]
fn the_smallest_image_is_left_as_it_is() {
    let place = Place::of_user(NOBODY);
    let image = images::raspios_arm64_tiny();
    resized(&place, &image, 2, &["min"]);
    assert_eq!(length(&place.path("a.img")), length(&image));
}

fn build<'a>(source: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["build", "--source", source, "--checksum", "none", "--output", "o.img"], more].concat()
}

#[test]
fn a_build_shrinks_what_it_made() {
    let place = Place::of_user(NOBODY);
    let source = images::raspios_arm64_tiny().display().to_string();
    place.copy(source.as_ref(), "a.img");
    let steps = ["--size", "+600M", "--run", "echo there > /etc/there", "--shrink"];
    place.run(build("a.img", &steps)).expect(0).prints("o.img");
    let output = place.path("o.img");
    assert_sound(&output);
    assert_eq!(ext4_file(&output, 2, "/etc/there"), "there\n");
    let (size, before) = (length(&output), length(source.as_ref()));
    assert!((before..before + 100 * MIB).contains(&size), "{size}");
    assert!(facts(&output).1[1].size - ext4_size(&output, 2) < 4096);
    place.assert_clean();
}

/// What was written and removed again may not take room in the output: it is about as large as that of a build that did not.
fn holds_what_is_used(place: &Place, source: &str, more: &[&str]) {
    let size_after = |step| {
        place.run(build(source, &[more, &["--size", "+100M", "--run", step]].concat())).expect(0);
        let output = place.path("o.img");
        assert_sound(&output);
        allocated(&output)
    };
    let quiet = size_after("true");
    let busy =
        size_after("dd if=/dev/urandom of=/big bs=1M count=60 && sync && test -s /big && rm /big && sync");
    assert!(busy < quiet + 8 * MIB, "{quiet} bytes became {busy}");
}

#[test]
fn the_output_of_a_guest_holds_only_what_is_used() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().display().to_string();
    holds_what_is_used(&place, &source, &["--isolation", "guest"]);
    place.assert_clean();
}

#[test]
fn privileged_the_output_of_the_host_holds_only_what_is_used() {
    let image = images::raspios_arm64_tiny().display().to_string();
    in_guest("privileged_the_output_of_the_host_holds_only_what_is_used", || {
        for mapper in ["dm", "loop"] {
            holds_what_is_used(&Place::new(), &image, &["--isolation", "host", "--mapper", mapper]);
        }
    });
}
