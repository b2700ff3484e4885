//! Images that become larger or smaller, by an ordinary user and without a guest where that can be; and outputs that hold no
//! more than what is used.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_size, facts};
use arm_image_tests::program::{Ended, Place, names_in, sha256, stdout_of, tool};
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

/// A disk of 128 MiB whose only partition starts at 1 MiB and holds what `mkfs` makes.
fn disk(place: &Place, mkfs: &[&str]) -> PathBuf {
    let image = place.write("a.img", []);
    fs::File::options().write(true).open(&image).unwrap().set_len(128 * MIB).unwrap();
    let script = place.write("script", "label: dos\nstart=2048,type=83\n");
    let script = fs::File::open(script).unwrap();
    stdout_of(tool("sfdisk").args(["--quiet", "--no-tell-kernel"]).arg(&image).stdin(script));
    let part = place.write("part", []);
    fs::File::options().write(true).open(&part).unwrap().set_len(127 * MIB).unwrap();
    stdout_of(tool(mkfs[0]).args(&mkfs[1..]).arg(&part));
    patch(&image, MIB, &fs::read(&part).unwrap());
    fs::remove_file(part).unwrap();
    image
}

fn patch(image: &Path, offset: u64, bytes: &[u8]) {
    fs::File::options().write(true).open(image).unwrap().write_all_at(bytes, offset).unwrap();
}

fn in_ext4(image: &Path, request: &str) {
    let start = facts(image).1.last().unwrap().start;
    stdout_of(tool("debugfs").args(["-w", "-R", request]).arg(format!("{}?offset={start}", image.display())));
}

#[test]
fn a_table_that_cannot_shrink_is_told_before_the_file_system_changes() {
    let place = Place::of_user(NOBODY);
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    // The first partition runs into the second.
    patch(&image, 446 + 12, &0x0010_0000_u32.to_le_bytes());
    let before = sha256(&image);
    let _ = resize(&place, "min").expect(6);
    assert_eq!(sha256(&image), before);
}

#[test]
fn what_shrinks_holds_only_what_is_used() {
    let place = Place::of_user(NOBODY);
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let _ = resize(&place, "+100M").expect(0);
    let before = allocated(&image);
    let content = place.write("content", vec![7; 60 << 20]);
    in_ext4(&image, &format!("write {} big", content.display()));
    in_ext4(&image, "rm big");
    assert!(allocated(&image) > before + 50 * MIB);
    let _ = resize(&place, "min").expect(0);
    assert!(allocated(&image) < before + 8 * MIB, "{before} bytes became {}", allocated(&image));
    assert_sound(&image);
}

#[test]
fn what_did_not_grow_gets_its_table_and_length_back() {
    for source in [images::raspios_arm64_tiny(), images::gpt_arm64_tiny()] {
        let place = Place::of_user(NOBODY);
        let image = place.copy(&source, "a.img");
        in_ext4(&image, "set_inode_field <2> mode 0100644");
        for _ in 0..2 {
            let _ = resize(&place, "+64M").expect(6).says("e2fsck").says("are what they were");
            assert_eq!((length(&image), facts(&image)), (length(&source), facts(&source)));
        }
    }
}

#[test]
fn why_a_layer_does_not_grow_is_told() {
    let place = Place::new();
    let image = disk(&place, &["true"]);
    patch(&image, MIB, b"LUKS\xba\xbe\0\x01");
    let before = sha256(&image);
    let _ = resize(&place, "+64M").expect(6).says("crypto_LUKS").says("grow it from within");
    assert_eq!(sha256(&image), before);
}

#[test]
fn privileged_what_is_mounted_elsewhere_is_left_alone() {
    in_guest("privileged_what_is_mounted_elsewhere_is_left_alone", || {
        let place = Place::new();
        let image = disk(&place, &["mkfs.ext4", "-q"]);
        let folder = place.path("mounted");
        fs::create_dir(&folder).unwrap();
        let looped = stdout_of(tool("losetup").args(["-f", "--show", "-o", "1048576"]).arg(&image));
        let device = looped.trim();
        stdout_of(tool("mount").arg(device).arg(&folder));
        for command in
            [&["resize", "a.img", "+64M"][..], &["resize", "a.img", "min"], &["map", "a.img", "--", "true"]]
        {
            let _ = place.run(command).expect(3).says(device).says("losetup -d");
        }
        stdout_of(tool("umount").arg(&folder));
        place.run(["resize", "a.img", "+64M"]).expect(0);
        stdout_of(tool("losetup").args(["-d", device]));
        assert_sound(&image);
    });
}

#[test]
fn privileged_without_the_capability_to_grow_the_tools_are_asked_first() {
    in_guest("privileged_without_the_capability_to_grow_the_tools_are_asked_first", || {
        let place = Place::new();
        let image = disk(&place, &["mkfs.ext4", "-q", "-O", "^metadata_csum"]);
        let mut features = [0; 4];
        fs::File::open(&image).unwrap().read_exact_at(&mut features, MIB + 1024 + 0x5c).unwrap();
        // A feature that nobody knows, and that every kernel may ignore.
        patch(&image, MIB + 1024 + 0x5c, &(u32::from_le_bytes(features) | 1 << 29).to_le_bytes());
        let before = sha256(&image);
        let program = place.command(["resize", "-v", "a.img", "+64M"]);
        let mut command = tool("setpriv");
        command.args(["--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"]);
        command.arg(program.get_program()).args(program.get_args()).current_dir(place.work());
        let ended = Ended(command.output().unwrap());
        let ended = ended.says("nothing was changed");
        assert!(!ended.stderr().contains("growing"), "{ended:?}");
        assert_eq!(sha256(&image), before);
        // The kernel does without the tools.
        place.run(["resize", "a.img", "+64M"]).expect(0);
    });
}

#[test]
fn privileged_f2fs_grows_without_the_kernel_knowing_it() {
    in_guest("privileged_f2fs_grows_without_the_kernel_knowing_it", || {
        let place = Place::new();
        // The guest's kernel knows it, so that is hidden.
        let known = fs::read_to_string("/proc/filesystems").unwrap();
        let others = place.write("filesystems", known.replace("\tf2fs\n", "\n"));
        stdout_of(tool("mount").arg("--bind").arg(others).arg("/proc/filesystems"));
        let image = disk(&place, &["mkfs.f2fs", "-q"]);
        place.run(["resize", "a.img", "+64M"]).expect(0);
        let mut file = fs::File::open(image).unwrap();
        let found = arm_image_partition::filesystem::probe(&mut file, MIB..192 * MIB).unwrap().unwrap();
        assert_eq!(found.size, Some(191 * MIB));
        stdout_of(tool("umount").arg("/proc/filesystems"));
    });
}
