//! Every layout of the corpus, read, grown and shrunk, with the usual tools as judges.

#[expect(dead_code, reason = "each test program uses its own part of it")]
#[path = "../common/mod.rs"]
mod common;
#[path = "../judges/mod.rs"]
mod judges;
mod layouts;
mod pieces;

use std::ops::Range;

use arm_image_partition::{grow, last, shrink};
use common::*;
use judges::*;
use layouts::{LAYOUTS, Layout, Outcome, Step};
use pieces::Pieces;
use serde_json::Value;

fn made(layout: &Layout) -> Image {
    let image = Image::empty(layout.mebibytes * MIB);
    let name = image.name();
    for step in layout.steps {
        let run = |program: &str, options: &[&str], words: &str, input: &str| {
            let mut arguments = options.to_vec();
            arguments.extend(words.split(' ').map(|word| if word == "IMAGE" { &name } else { word }));
            tool(program, &arguments, input);
        };
        match step {
            Step::Sfdisk(script) => run("sfdisk", &["--quiet", "--no-tell-kernel"], "IMAGE", script),
            Step::SfdiskWith(words) => run("sfdisk", &["--quiet", "--no-tell-kernel"], words, ""),
            Step::Parted(words) => run("parted", &["--script", "--align=none", &name], words, ""),
            Step::Sgdisk(words) => run("sgdisk", &[], &format!("{words} IMAGE"), ""),
            Step::Bytes(offset, bytes) => image.patch(*offset, bytes),
        }
    }
    image
}

fn length(image: &Image) -> u64 {
    std::fs::metadata(image.path()).expect("no metadata").len()
}

/// What sfdisk says, but for the sizes that a change of partition `number` changes.
fn unchanged(image: &Image, number: u32) -> Value {
    let mut table = json(image);
    // Both follow from the length of the disk.
    for derived in ["lastlba", "grain"] {
        table.as_object_mut().expect("an object").remove(derived);
    }
    for entry in table["partitions"].as_array_mut().expect("partitions") {
        let own = judges::number(image, entry);
        let around = number > 4 && matches!(entry["type"].as_str(), Some("5" | "f" | "85"));
        if own == number || around {
            entry.as_object_mut().expect("an object").remove("size");
        }
    }
    table
}

/// The bytes that may change when partition `number` gets another end.
fn changeable(image: &Image, number: u32, lengths: [u64; 2]) -> Vec<Range<u64>> {
    let (scheme, _, partitions) = dumped(image);
    let pieces = Pieces::of(image);
    // Of an entry in a boot record: the last cylinder, and the length.
    let entry = |at: u64| [at + 5..at + 8, at + 12..at + 16];
    let sector = 512;
    if scheme == "gpt" {
        let size = pieces.number(sector + 84..sector + 88);
        let array = pieces.number(sector + 72..sector + 80) * sector;
        let own = array + u64::from(number - 1) * size;
        let backup = sector + (pieces.number(sector + 80..sector + 84) * size).next_multiple_of(sector);
        let mut ranges = vec![
            446 + 12..446 + 16,       // the length of the protective entry
            sector + 16..sector + 20, // the header's checksum
            sector + 32..sector + 40, // the place of the backup
            sector + 48..sector + 56, // the last usable sector
            sector + 88..sector + 92, // the checksum of the entries
            own + 40..own + 48,       // the partition's last sector
        ];
        ranges.extend(lengths.map(|length| length / sector * sector).map(|length| length - backup..length));
        return ranges;
    }
    if number < 5 {
        return entry(446 + u64::from(number - 1) * 16).into();
    }
    let own = partitions.iter().find(|partition| partition.number == number).expect("the partition");
    let around = partitions.iter().find(|one| one.is_extended() && one.range.contains(&own.range.start));
    let around = around.expect("an extended partition");
    let mut ranges = Vec::from(entry(446 + u64::from(around.number - 1) * 16));
    let (mut record, mut link) = (around.range.start, None);
    loop {
        let first = record + 446;
        if record + pieces.number(first + 8..first + 12) * sector == own.range.start {
            ranges.extend(entry(first));
            ranges.extend(link.into_iter().flat_map(entry));
            return ranges;
        }
        link = Some(first + 16);
        record = around.range.start + pieces.number(first + 24..first + 28) * sector;
    }
}

/// Asserts that only the bytes in these ranges have changed.
fn assert_confined(before: &Pieces, after: &Pieces, changeable: &[Range<u64>], limit: u64) {
    let differences = before.differences(after);
    let stray =
        differences.iter().find(|at| **at < limit && !changeable.iter().any(|range| range.contains(at)));
    assert_eq!(stray, None, "of {changeable:?}");
}

#[test]
fn there_are_enough_of_them() {
    assert!(LAYOUTS.len() >= 40);
    let mut names: Vec<_> = LAYOUTS.iter().map(|layout| layout.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), LAYOUTS.len());
}

#[test]
fn each_is_read_as_sfdisk_reads_it() {
    for layout in LAYOUTS {
        let image = made(layout);
        assert_eq!(ours(&image), dumped(&image), "{}", layout.name);
    }
}

#[test]
fn each_grows_its_last_partition_and_changes_nothing_else() {
    for (layout, number) in growing() {
        let name = layout.name;
        let image = made(layout);
        let size = layout.mebibytes * MIB + 777 * MIB + 12345;
        let (before, told) = (Pieces::of(&image), unchanged(&image, number));
        let changeable = changeable(&image, number, [length(&image), size]);
        let grown = grow(&image.path(), size).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((grown.number, length(&image)), (number, size), "{name}");
        assert_sound(&image);
        assert_eq!(ours(&image), dumped(&image), "{name}");
        assert_eq!(unchanged(&image, number), told, "{name}");
        let (scheme, _, partitions) = ours(&image);
        assert_eq!(last(&partitions), Some(&grown), "{name}");
        let behind = size - grown.range.end;
        assert!(behind < if scheme == "mbr" { 512 } else { 512 * 130 }, "{name}: {behind}");
        assert_confined(&before, &Pieces::of(&image), &changeable, size);
    }
}

#[test]
fn each_shrinks_back_and_the_second_time_is_a_success_too() {
    for (layout, number) in growing() {
        let name = layout.name;
        let image = made(layout);
        let size = layout.mebibytes * MIB + 777 * MIB + 12345;
        let (before, told) = (ours(&image), unchanged(&image, number));
        grow(&image.path(), size).expect("tested above");
        let grown = Pieces::of(&image);
        let end = last(&before.2).expect("a partition").range.end;
        let changeable = |short| changeable(&image, number, [size, short]);

        let shrunk = shrink(&image.path(), end).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((shrunk.number, shrunk.range.end), (number, end), "{name}");
        assert_sound(&image);
        assert_eq!(ours(&image), dumped(&image), "{name}");
        assert_eq!(unchanged(&image, number), told, "{name}");
        let short = length(&image);
        let table = if before.0 == "mbr" { 0..1 } else { 512..512 * 130 };
        assert!(table.contains(&(short - end)), "{name}: {short} for {end}");
        let after = Pieces::of(&image);
        assert_confined(&grown, &after, &changeable(short), short);

        for end in [end, end + MIB, u64::MAX] {
            assert_eq!(shrink(&image.path(), end).expect("nothing to do"), shrunk, "{name}");
            assert!(Pieces::of(&image) == after && length(&image) == short, "{name}");
        }
    }
}

#[test]
fn those_that_cannot_grow_say_why_and_stay_as_they_are() {
    for layout in LAYOUTS {
        let Outcome::Refused(reason) = layout.outcome else { continue };
        let image = made(layout);
        let before = Pieces::of(&image);
        let error = grow(&image.path(), 2 * layout.mebibytes * MIB).expect_err(layout.name);
        assert!(error.to_string().contains(reason), "{}: {error}", layout.name);
        assert!(Pieces::of(&image) == before && length(&image) == layout.mebibytes * MIB, "{}", layout.name);
    }
}

fn growing() -> impl Iterator<Item = (&'static Layout, u32)> {
    LAYOUTS.iter().filter_map(|layout| match layout.outcome {
        Outcome::Grows(number) => Some((layout, number)),
        Outcome::Refused(_) => None,
    })
}
