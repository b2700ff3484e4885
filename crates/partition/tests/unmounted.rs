//! File systems inside plain image files, resized and trimmed without any privilege.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[expect(dead_code, reason = "each test program uses its own part of it")]
mod common;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

use arm_image_partition::Error;
use arm_image_partition::filesystem::{
    Kind, check_tools, grow_unmounted, probe, shrink_unmounted, trim_unmounted,
};
use common::*;

/// Where the file system lies, in an image with other things in front and behind.
const START: u64 = 5 * MIB;
const BEFORE: u64 = START + 64 * MIB;
const AFTER: u64 = START + 120 * MIB;
const END: u64 = AFTER + 3 * MIB;

/// An image with a file system of 64 MiB that has a file in it, with 56 MiB of holes and then bytes of somebody else's.
fn image(program: &str, arguments: &[&str]) -> Image {
    let image = Image::empty(END);
    let offset = format!("offset={START}");
    tool(program, &[arguments, &["-q", "-E", &offset, &image.name(), "64M"]].concat(), "");
    let content = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(content.path(), noise(9 * MIB)).unwrap();
    let write = format!("write {} content", content.path().display());
    tool("debugfs", &["-w", "-R", &write, &piece(&image)], "");
    image.patch(0, &noise(START));
    image.patch(AFTER, &noise(END - AFTER));
    image
}

/// Bytes that are no zeros, the same each time, in a pattern that no power of two divides.
fn noise(length: u64) -> Vec<u8> {
    let length = usize::try_from(length).unwrap();
    let mut bytes = (1..=251).collect::<Vec<u8>>().repeat(length / 251 + 1);
    bytes.truncate(length);
    bytes
}

fn piece(image: &Image) -> String {
    format!("{}?offset={START}", image.name())
}

/// The file system is sound and has its file, the bytes around it are what they were, and the image is as long.
fn assert_unharmed(image: &Image) {
    tool("e2fsck", &["-f", "-n", &piece(image)], "");
    let bytes = image.bytes();
    assert_eq!(bytes.len() as u64, END);
    let range = |range: Range<u64>| {
        &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    };
    assert!(range(0..START) == noise(START), "the bytes in front have changed");
    assert!(range(AFTER..END) == noise(END - AFTER), "the bytes behind have changed");
    let copy = tempfile::NamedTempFile::new().unwrap();
    tool("debugfs", &["-R", &format!("dump content {}", copy.path().display()), &piece(image)], "");
    assert!(std::fs::read(copy.path()).unwrap() == noise(9 * MIB), "the content has changed");
}

fn size(image: &Image) -> u64 {
    probe(&mut image.open(), START..END).unwrap().unwrap().size.unwrap()
}

#[test]
fn ext_grows_inside_an_image() {
    for program in ["mkfs.ext2", "mkfs.ext3", "mkfs.ext4"] {
        let image = image(program, &[]);
        assert_eq!(grow_unmounted(&image.path(), START..AFTER).unwrap(), AFTER - START);
        assert_unharmed(&image);
        assert_eq!(size(&image), AFTER - START);
    }
}

#[test]
fn ext_that_is_as_large_already_grows_to_the_same() {
    let image = image("mkfs.ext4", &[]);
    assert_eq!(grow_unmounted(&image.path(), START..BEFORE).unwrap(), BEFORE - START);
    assert_unharmed(&image);
}

#[test]
fn ext_shrinks_inside_an_image() {
    for (program, arguments) in [("mkfs.ext2", &[][..]), ("mkfs.ext4", &[]), ("mkfs.ext4", &["-b", "4096"])] {
        let image = image(program, arguments);
        grow_unmounted(&image.path(), START..AFTER).unwrap();
        let least = shrink_unmounted(&image.path(), START..AFTER, 0).unwrap();
        assert!((9 * MIB..40 * MIB).contains(&least), "{least}");
        assert_eq!(size(&image), least);
        assert_unharmed(&image);
        // It is as small already.
        assert_eq!(shrink_unmounted(&image.path(), START..AFTER, 0).unwrap(), least);
        // And large enough already.
        assert_eq!(shrink_unmounted(&image.path(), START..AFTER, 500 * MIB).unwrap(), least);
        grow_unmounted(&image.path(), START..AFTER).unwrap();
        assert_unharmed(&image);
    }
}

#[test]
fn an_orphan_file_that_was_moved_is_mended() {
    let image = Image::empty(200 * MIB);
    tool("mkfs.ext4", &["-q", "-O", "orphan_file", &image.name()], "");
    File::options().write(true).open(image.path()).unwrap().set_len(3272 * MIB).unwrap();
    grow_unmounted(&image.path(), 0..u64::MAX).unwrap();
    shrink_unmounted(&image.path(), 0..u64::MAX, 64 * MIB).unwrap();
    tool("e2fsck", &["-f", "-n", &image.name()], "");
}

#[test]
fn the_margin_is_free_space() {
    let image = image("mkfs.ext4", &["-b", "4096"]);
    let with_margin = shrink_unmounted(&image.path(), START..AFTER, 10 * MIB).unwrap();
    assert_unharmed(&image);
    let least = shrink_unmounted(&image.path(), START..AFTER, 0).unwrap();
    assert_eq!(with_margin, least + 10 * MIB);
}

#[test]
fn an_image_is_shrunk_to_its_minimum() {
    let image = Image::with_table(END, "label: dos\nstart=10240,type=83\n");
    tool("mkfs.ext4", &["-q", "-E", &format!("offset={START}"), &image.name(), "118M"], "");
    let size = shrink_unmounted(&image.path(), START..END, 4 * MIB).unwrap();
    let root = arm_image_partition::shrink(&image.path(), START + size).unwrap();
    assert_eq!(root.range, START..START + size);
    assert_eq!(image.open().metadata().unwrap().len(), START + size);
    tool("e2fsck", &["-f", "-n", &piece(&image)], "");
}

#[test]
fn a_path_with_a_question_mark_and_spaces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("what is this?offset=1 .img");
    let made = image("mkfs.ext4", &[]);
    std::fs::rename(made.path(), &path).unwrap();
    assert_eq!(grow_unmounted(&path, START..AFTER).unwrap(), AFTER - START);
    std::fs::rename(&path, made.path()).unwrap();
    assert_unharmed(&made);
}

#[test]
fn free_blocks_become_holes() {
    let image = image("mkfs.ext4", &[]);
    image.patch(BEFORE - 20 * MIB, &noise(15 * MIB));
    let blocks = || image.open().metadata().unwrap().blocks() * 512;
    image.open().sync_all().unwrap();
    let before = blocks();
    let freed = trim_unmounted(&image.path(), START..BEFORE).unwrap();
    assert!(freed >= 14 * MIB, "only {freed} bytes were freed");
    assert_eq!(blocks(), before - freed);
    assert_unharmed(&image);
}

#[test]
fn a_file_system_mended_by_e2fsck_is_no_failure() {
    let image = image("mkfs.ext4", &[]);
    // A count of free blocks that is wrong is mended by `-p`, and the exit code is 1.
    tool("debugfs", &["-w", "-R", "set_super_value free_blocks_count 7", &piece(&image)], "");
    grow_unmounted(&image.path(), START..AFTER).unwrap();
    assert_unharmed(&image);
}

#[test]
fn a_journal_is_replayed_first() {
    let image = image("mkfs.ext4", &[]);
    // A transaction that puts zeros into a free block near the end, and was not written there yet.
    let journal = "journal_open\njournal_write -b 60000 /dev/zero\njournal_close\n";
    tool("debugfs", &["-w", "-f", "-", &piece(&image)], journal);
    let names = || probe(&mut image.open(), START..END).unwrap().unwrap().features.unwrap().names();
    assert!(names().iter().any(|name| name == "needs_recovery"));
    assert_eq!(grow_unmounted(&image.path(), START..AFTER).unwrap(), AFTER - START);
    assert!(!names().iter().any(|name| name == "needs_recovery"));
    assert_unharmed(&image);
}

#[test]
fn damage_that_e2fsck_leaves_is_told_in_its_words() {
    let image = image("mkfs.ext4", &[]);
    // An inode whose content is nonsense: nothing that `-p` would decide.
    tool("debugfs", &["-w", "-R", "set_inode_field <2> mode 0100644", &piece(&image)], "");
    for outcome in
        [grow_unmounted(&image.path(), START..AFTER), shrink_unmounted(&image.path(), START..AFTER, 0)]
    {
        let error = outcome.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("e2fsck -f -p {}", piece(&image))), "{text}");
        assert!(text.contains("exit status: 4 (errors were left uncorrected)"), "{text}");
        assert!(text.contains("RUN fsck MANUALLY") && !text.contains("/proc/self"), "{text}");
        assert!(error.hint().unwrap().contains("e2fsck -f -y"));
    }
    assert_eq!(size(&image), 64 * MIB);
}

#[test]
fn features_that_the_tools_do_not_know_are_told_before_anything_changes() {
    let image = image("mkfs.ext4", &["-O", "^metadata_csum"]);
    assert!(check_tools(&image.path(), START..AFTER).is_ok());
    let at = START + 1024 + 0x5c;
    let known = u32::from_le_bytes(image.bytes()[usize::try_from(at).unwrap()..][..4].try_into().unwrap());
    image.patch(at, &(known | 1 << 20 | 1 << 29).to_le_bytes());
    let before = image.bytes();
    let errors = [
        check_tools(&image.path(), START..AFTER).unwrap_err(),
        grow_unmounted(&image.path(), START..AFTER).unwrap_err(),
        shrink_unmounted(&image.path(), START..AFTER, 0).unwrap_err(),
        trim_unmounted(&image.path(), START..AFTER).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, Error::UnknownToTools { features, version }
            if *features == ["FEATURE_C20", "FEATURE_C29"] && version.starts_with("1.")));
        assert!(error.to_string().ends_with("do not know `FEATURE_C20`, `FEATURE_C29` of this file system"));
        assert!(error.hint().unwrap().contains("a newer release"));
    }
    assert!(image.bytes() == before, "the image was changed");
}

#[test]
fn the_release_that_knows_a_feature_is_told() {
    let features = vec!["orphan_file".to_owned()];
    let error = Error::UnknownToTools { features, version: "1.46.5".to_owned() };
    assert_eq!(error.to_string(), "e2fsprogs 1.46.5 do not know `orphan_file` of this file system");
    assert_eq!(error.hint().unwrap(), "nothing was changed; install e2fsprogs 1.47.0 or newer");
}

#[test]
fn a_truncated_file_system_is_left_alone() {
    let image = image("mkfs.ext4", &[]);
    let before = image.bytes();
    let room = 60 * MIB;
    let size = 64 * MIB;
    let errors = [
        grow_unmounted(&image.path(), START..START + room).unwrap_err(),
        shrink_unmounted(&image.path(), START..START + room, 0).unwrap_err(),
    ];
    assert!(errors.iter().all(
        |error| matches!(error, Error::Truncated { size: found, room: there } if (*found, *there) == (size, room))
    ));
    assert!(image.bytes() == before, "the image was changed");
    // The end of the file counts like the end of the range.
    File::options().write(true).open(image.path()).unwrap().set_len(START + room).unwrap();
    assert!(matches!(grow_unmounted(&image.path(), START..AFTER), Err(Error::Truncated { .. })));
}

#[test]
fn f2fs_grows_where_it_has_the_disk_to_itself() {
    let disk = Image::empty(64 * MIB);
    tool("mkfs.f2fs", &["-q", &disk.name()], "");
    File::options().write(true).open(disk.path()).unwrap().set_len(128 * MIB).unwrap();
    assert_eq!(grow_unmounted(&disk.path(), 0..u64::MAX).unwrap(), 128 * MIB);
    tool("fsck.f2fs", &["--dry-run", &disk.name()], "");
    let bytes = disk.bytes();
    let larger = Image::empty(200 * MIB);
    larger.patch(START, &bytes);
    let error = grow_unmounted(&larger.path(), START..AFTER).unwrap_err();
    assert!(matches!(error, Error::NeedsDevice { kind: Kind::F2fs }));
}

#[test]
fn others_are_refused() {
    let xfs = Image::empty(320 * MIB);
    tool("mkfs.xfs", &["-q", &xfs.name()], "");
    let path = xfs.path();
    assert!(matches!(grow_unmounted(&path, 0..u64::MAX), Err(Error::CannotGrow { kind: Kind::Xfs })));
    assert!(matches!(shrink_unmounted(&path, 0..u64::MAX, 0), Err(Error::CannotShrink { kind: Kind::Xfs })));
    assert!(matches!(trim_unmounted(&path, 0..u64::MAX), Err(Error::CannotTrim { kind: Kind::Xfs })));
    assert!(check_tools(&path, 0..u64::MAX).is_ok());
    assert!(matches!(
        shrink_unmounted(&path, MIB..2 * MIB, 0),
        Err(Error::NoFileSystem { start: MIB, end }) if end == 2 * MIB
    ));
}
