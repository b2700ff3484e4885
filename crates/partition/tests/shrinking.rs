//! Shrinking at the table: what has to be refused, and what it does to boxes around the last partition.

#[expect(dead_code, reason = "each test program uses its own part of it")]
mod common;
mod judges;

use arm_image_partition::{Error, filesystem::Kind, grow, read, shrink};
use common::*;
use judges::*;

fn length(image: &Image) -> u64 {
    std::fs::metadata(image.path()).expect("no metadata").len()
}

/// Asserts that shrinking fails, and changes nothing.
fn refused(image: &Image, end: u64) -> Error {
    let before = image.bytes();
    let error = shrink(&image.path(), end).expect_err("an error");
    assert!(image.bytes() == before);
    error
}

#[test]
fn a_file_system_that_reaches_further_is_not_cut() {
    for (script, offset) in [
        ("label: dos\nstart=2048,type=83\n", "offset=1048576"),
        ("label: gpt\nstart=2048\n", "offset=1048576"),
    ] {
        let image = Image::with_table(64 * MIB, script);
        tool("mkfs.ext4", &["-q", "-E", offset, &image.name(), "32M"], "");
        let error = refused(&image, 33 * MIB - 512);
        assert!(matches!(error, Error::CutsContent { number: 1, kind: Kind::Ext4, .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("file system smaller"));
        assert_eq!(shrink(&image.path(), 33 * MIB).unwrap().range, MIB..33 * MIB);
        assert_sound(&image);
        tool("e2fsck", &["-fn", &format!("{}?{offset}", image.name())], "");
    }
}

#[test]
fn a_layer_is_not_cut() {
    for (script, kind) in [
        ("label: dos\nstart=2048,type=8e\n", Kind::Lvm),
        ("label: dos\nstart=2048,type=e8\n", Kind::Luks),
        ("label: gpt\nstart=2048,type=E6D6D379-F507-44C2-A23C-238F2A3DF928\n", Kind::Lvm),
        ("label: gpt\nstart=2048,type=CA7D7CCB-63ED-4C53-861C-1742536059CC\n", Kind::Luks),
    ] {
        let image = Image::with_table(16 * MIB, script);
        let error = refused(&image, 8 * MIB);
        assert!(matches!(&error, Error::CutsContent { kind: found, .. } if *found == kind), "{error:?}");
    }
    // By its content, whatever the type says.
    let image = Image::with_table(16 * MIB, "label: dos\nstart=2048,type=83\n");
    image.patch(MIB, b"LUKS\xba\xbe\0\x01");
    assert!(matches!(refused(&image, 8 * MIB), Error::CutsContent { kind: Kind::Luks, .. }));
}

#[test]
fn what_is_not_sound_is_refused() {
    let image = Image::with_table(16 * MIB, RASPBERRY_PI_SMALL);
    assert!(matches!(refused(&image, 4 * MIB), Error::Empty { number: 2 }));
    assert!(matches!(refused(&image, 0), Error::Empty { number: 2 }));
    image.patch(446 + 12, &u32::MAX.to_le_bytes());
    assert!(matches!(refused(&image, 8 * MIB), Error::PastEnd { number: 1, .. }));

    let empty = Image::with_table(16 * MIB, "label: dos\n");
    assert!(matches!(refused(&empty, 8 * MIB), Error::NoPartitions));

    let hybrid = Image::with_table(16 * MIB, "label: gpt\nsize=2048\nsize=8192\n");
    tool("sgdisk", &["--hybrid=1", &hybrid.name()], "");
    assert!(matches!(refused(&hybrid, 4 * MIB), Error::Hybrid));
    assert!(matches!(shrink("/dev/null".as_ref(), MIB), Err(Error::NotAFile { .. })));
}

const RASPBERRY_PI_SMALL: &str = "label: dos\nstart=2048,size=6144,type=c\nstart=8192,type=83\n";

#[test]
fn the_end_is_rounded_up_to_a_sector() {
    let image = Image::with_table(16 * MIB, RASPBERRY_PI_SMALL);
    assert_eq!(shrink(&image.path(), 8 * MIB + 1).unwrap().range.end, 8 * MIB + 512);
    assert_eq!(length(&image), 8 * MIB + 512);
}

#[test]
fn free_space_behind_the_last_partition_is_cut_off() {
    let image = Image::with_table(64 * MIB, "label: dos\nstart=2048,size=2048,type=83\n");
    let before = dumped(&image);
    assert_eq!(shrink(&image.path(), u64::MAX).unwrap(), before.2[0]);
    assert_eq!((dumped(&image), length(&image)), (before, 2 * MIB));
}

#[test]
fn an_extended_partition_ends_with_its_last_logical_one() {
    let image = Image::with_table(100 * MIB, LOGICAL);
    let shrunk = shrink(&image.path(), 40 * MIB).unwrap();
    assert_sound(&image);
    assert_eq!((shrunk.number, shrunk.range), (7, 71680 * 512..40 * MIB));
    assert_eq!(ours(&image).2[1].range, 24576 * 512..40 * MIB);
    assert_eq!(length(&image), 40 * MIB);
}

#[test]
fn an_empty_extended_partition_behind_the_last_stays() {
    let image = Image::with_table(
        100 * MIB,
        "label: dos\nstart=2048,size=40960,type=83\nstart=63488,size=2048,type=5\n",
    );
    let shrunk = shrink(&image.path(), 10 * MIB).unwrap();
    assert_sound(&image);
    assert_eq!(shrunk.range, MIB..10 * MIB);
    assert_eq!(ours(&image), dumped(&image));
    assert_eq!(length(&image), 32 * MIB);
    // The partition has become smaller, though not the file.
    shrink(&image.path(), 5 * MIB).unwrap();
    assert_eq!(ours(&image).2[0].range, MIB..5 * MIB);
    assert_eq!(length(&image), 32 * MIB);
}

#[test]
fn a_backup_that_was_lost_or_left_behind_is_made_anew() {
    let cut = Image::with_table(100 * MIB, GPT_ROOT_3);
    cut.patch(100 * MIB - 512, &[0; 512]);
    let longer = Image::with_table(100 * MIB, GPT_ROOT_3);
    std::fs::File::options().write(true).open(longer.path()).unwrap().set_len(150 * MIB).unwrap();
    let primary = Image::with_table(100 * MIB, GPT_ROOT_3);
    primary.patch(512, &[0; 512]);
    for image in [cut, longer, primary] {
        let shrunk = shrink(&image.path(), 30 * MIB).unwrap();
        assert_sound(&image);
        assert_eq!((shrunk.number, length(&image)), (3, 30 * MIB + 33 * 512));
    }
}

#[test]
fn grown_past_two_tebibytes_and_shrunk_again() {
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    let before = ours(&image);
    grow(&image.path(), 3 << 40).unwrap();
    assert_sound(&image);
    let mut head = [0; 512];
    std::io::Read::read_exact(&mut image.open(), &mut head).unwrap();
    assert_eq!(head[446 + 12..446 + 16], [0xff; 4]);
    shrink(&image.path(), before.2[2].range.end).unwrap();
    assert_sound(&image);
    assert_eq!(ours(&image), before);
}

/// An MBR for sectors of 4096 bytes, by fdisk, with a file system in its last partition.
fn large_sectors(commands: &str, offset: u64) -> Image {
    let image = Image::empty(200 * MIB);
    tool("fdisk", &["--sector-size", "4096", &image.name()], commands);
    let place = format!("offset={offset}");
    tool("mkfs.ext4", &["-q", "-E", &place, &image.name(), "32M"], "");
    image
}

/// What fdisk says with sectors of 4096 bytes: number, start and end.
fn listed(image: &Image) -> Vec<(u32, std::ops::Range<u64>)> {
    let arguments = ["--sector-size", "4096", "-l", "-o", "Device,Start,End", &image.name()];
    let listing = tool("fdisk", &arguments, "");
    let entries = listing.lines().filter_map(|line| line.strip_prefix(&image.name()));
    let entries = entries.filter_map(|entry| {
        let mut words = entry.split_whitespace();
        let mut number = || words.next()?.parse::<u64>().ok();
        let (own, start, end) = (number()?, number()?, number()?);
        Some((u32::try_from(own).expect("a number"), start * 4096..(end + 1) * 4096))
    });
    entries.collect()
}

#[test]
fn an_mbr_with_sectors_of_4096_bytes_is_told_by_what_is_in_its_partitions() {
    let primary = ("o\nn\np\n1\n256\n511\nn\np\n2\n1024\n20479\nw\n", 4 * MIB, 2);
    let logical = ("o\nn\np\n1\n256\n511\nn\ne\n2\n1024\n40959\nn\nl\n1280\n20479\nw\n", 5 * MIB, 5);
    for (commands, offset, number) in [primary, logical] {
        let image = large_sectors(commands, offset);
        let ranges = || {
            let partitions = ours(&image).2.into_iter();
            partitions.map(|partition| (partition.number, partition.range)).collect::<Vec<_>>()
        };
        assert_eq!(read(&mut image.open()).unwrap().sector_size(), 4096);
        assert_eq!(ranges(), listed(&image));
        let grown = grow(&image.path(), 300 * MIB + 512).unwrap();
        assert_eq!((grown.number, grown.range), (number, offset..300 * MIB));
        assert_eq!(ranges(), listed(&image));
        let shrunk = shrink(&image.path(), offset + 32 * MIB).unwrap();
        assert_eq!(
            (shrunk.number, shrunk.range, length(&image)),
            (number, offset..offset + 32 * MIB, offset + 32 * MIB)
        );
        assert_eq!(ranges(), listed(&image));
        // "v" verifies, "q" quits without writing.
        let verdict = tool("fdisk", &["--sector-size", "4096", &image.name()], "v\nq\n");
        assert!(verdict.contains("No errors detected"), "{verdict}");
    }
}

#[test]
fn an_mbr_without_known_content_has_sectors_of_512_bytes() {
    let image = Image::with_table(200 * MIB, "label: dos\nstart=2048,size=2048,type=83\n");
    assert_eq!(read(&mut image.open()).unwrap().sector_size(), 512);
    // A file system where large sectors would put it, and one where small sectors do.
    for offset in [8 * MIB, MIB] {
        tool("mkfs.ext4", &["-q", "-E", &format!("offset={offset}"), &image.name(), "1M"], "");
    }
    assert_eq!(ours(&image), dumped(&image));
}
