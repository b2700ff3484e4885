//! What is looked at before a file system shrinks, and what is undone where one does not grow.

#[expect(dead_code, reason = "each test program uses its own part of it")]
mod common;

use arm_image_partition::{Error, check_shrinking, filesystem::Kind, grow, read, restore};
use common::*;

#[test]
fn what_cannot_shrink_is_told_beforehand() {
    let hybrid = Image::with_table(16 * MIB, "label: gpt\nsize=2048\nsize=8192\n");
    tool("sgdisk", &["--hybrid=1", &hybrid.name()], "");
    assert!(matches!(check_shrinking(&hybrid.path()), Err(Error::Hybrid)));

    let script = "label: dos\nstart=2048,size=6144,type=c\nstart=8192,type=83\n";
    let overlapping = Image::with_table(16 * MIB, script);
    overlapping.patch(446 + 12, &8192u32.to_le_bytes());
    assert!(matches!(check_shrinking(&overlapping.path()), Err(Error::Overlap { first: 1, second: 2 })));

    let cut = Image::with_table(16 * MIB, script);
    std::fs::File::options().write(true).open(cut.path()).unwrap().set_len(8 * MIB).unwrap();
    assert!(matches!(check_shrinking(&cut.path()), Err(Error::PastEnd { number: 2, .. })));

    let empty = Image::with_table(16 * MIB, "label: dos\n");
    assert!(matches!(check_shrinking(&empty.path()), Err(Error::NoPartitions)));
    assert!(matches!(check_shrinking("/dev/null".as_ref()), Err(Error::NotAFile { .. })));

    let sound = Image::with_table(16 * MIB, script);
    let before = sound.bytes();
    assert_eq!(check_shrinking(&sound.path()).unwrap().range, 4 * MIB..16 * MIB);
    assert!(sound.bytes() == before, "the image was changed");
}

#[test]
fn a_table_and_a_length_are_put_back() {
    let tables = ["label: dos\nstart=2048,size=20480,type=83\n", "label: gpt\nstart=2048,size=20480\n"];
    for image in tables.map(|script| Image::with_table(16 * MIB, script)) {
        // Between the partition and the end of the disk.
        image.patch(13 * MIB, b"somebody else's");
        let before = image.bytes();
        let former = read(&mut image.open()).unwrap();
        grow(&image.path(), 40 * MIB).unwrap();
        restore(&image.path(), former.as_ref(), 16 * MIB).unwrap();
        assert!(image.bytes() == before, "not all was put back");
    }
}

#[test]
fn a_file_system_that_has_grown_keeps_its_room() {
    let image = Image::with_table(16 * MIB, "label: dos\nstart=2048,type=83\n");
    let former = read(&mut image.open()).unwrap();
    grow(&image.path(), 40 * MIB).unwrap();
    tool("mkfs.ext4", &["-q", "-E", "offset=1048576", &image.name(), "39M"], "");
    let before = image.bytes();
    let error = restore(&image.path(), former.as_ref(), 16 * MIB).unwrap_err();
    assert!(matches!(error, Error::CutsContent { number: 1, kind: Kind::Ext4, .. }), "{error:?}");
    assert!(image.bytes() == before, "the image was changed");
}
