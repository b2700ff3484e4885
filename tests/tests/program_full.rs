//! A disk that is too small for what the steps put into the image: the kernel that writes the image back finds that out, when
//! all programs have ended well.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::path::Path;

use arm_image_tests::program::{Place, names_in, stdout_of, tool};
use arm_image_tests::{images, in_guest};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// The image has room for this, and its programs are told nothing: it waits in memory.
const STEP: &str = "dd if=/dev/urandom of=/large bs=1M count=8 2> /dev/null; echo written";

/// A build to a disk of so many bytes more than the image needs; it runs out of them.
fn too_small(source: &Path, isolation: &str) -> Place {
    let place = Place::new();
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    let used = stdout_of(tool("du").args(["-B1", source.to_str().unwrap()]));
    let used: u64 = used.split_whitespace().next().unwrap().parse().unwrap();
    let size = format!("size={}", used + (4 << 20));
    mount(Some("none"), &disk, Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).unwrap();
    let source = source.to_str().unwrap();
    let build = ["build", "--source", source, "--checksum", "none", "--output", "disk/o.img"];
    let ended = place.run([&build, ["--isolation", isolation, "--run", STEP].as_slice()].concat()).expect(1);
    let ended = ended.says("\nwritten\n").says("error: no space is left for `disk/o.img.partial`");
    assert_eq!(ended.says("hint: make room").stdout(), "");
    assert_eq!(names_in(&disk), Vec::<String>::new());
    umount2(&disk, MntFlags::empty()).unwrap();
    place.assert_clean();
    place
}

#[test]
fn privileged_a_full_disk_is_told_and_leaves_no_image() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_a_full_disk_is_told_and_leaves_no_image", || {
        too_small(&source, "host");
        assert_eq!(stdout_of(tool("losetup").arg("-a")), "", "the next build finds a clean machine");
    });
}
