//! Tables made by sfdisk and sgdisk, read and grown, and judged by them.

mod common;
mod judges;

use std::io::Cursor;

use arm_image_partition::{Error, grow, last, read};
use common::*;
use judges::*;

#[test]
fn reads_what_sfdisk_reads() {
    for (script, number) in LAYOUTS {
        let image = Image::with_table(100 * MIB, script);
        let table = ours(&image);
        assert_eq!(table, dumped(&image));
        assert_eq!(last(&table.2).unwrap().number, number, "{script}");
    }
}

#[test]
fn grows_the_last_and_nothing_else() {
    for (script, number) in LAYOUTS {
        for size in [100 * MIB, 100 * MIB + 512, 150 * MIB, 3000 * MIB + 12345] {
            let image = Image::with_table(100 * MIB, script);
            let before = dumped(&image);
            let grown = grow(&image.path(), size).unwrap();
            assert_eq!(std::fs::metadata(image.path()).unwrap().len(), size);
            assert_sound(&image);
            let after = dumped(&image);
            assert_eq!(after.2.iter().find(|partition| partition.number == number), Some(&grown), "{script}");
            let end = size / 512 * 512 - if after.0 == "gpt" { 33 * 512 } else { 0 };
            assert_eq!(grown.range.end, end);
            let others = |dump: &Table| {
                let mut others = dump.2.clone();
                others.retain(|partition| partition.number != number && !partition.is_extended());
                (dump.0.clone(), dump.1.clone(), others)
            };
            assert_eq!(others(&after), others(&before));
        }
    }
}

#[test]
fn growing_an_mbr_changes_the_length_and_the_last_cylinder_of_one_entry() {
    let image = Image::with_table(100 * MIB, RASPBERRY_PI);
    image.patch(0, &[0xeb; 440]);
    let before = image.bytes();
    grow(&image.path(), 200 * MIB).unwrap();
    let entry = 446 + 16;
    for range in differences(&before, &image.bytes()) {
        let inside = |field: std::ops::Range<usize>| field.start <= range.start && range.end <= field.end;
        assert!(inside(entry + 5..entry + 8) || inside(entry + 12..entry + 16), "{range:?}");
    }
}

#[test]
fn an_mbr_grown_by_sfdisk_is_the_same_to_the_byte() {
    for (script, number) in [(RASPBERRY_PI, "2"), (BEAGLEBONE, "3")] {
        for size in [200 * MIB, 3000 * MIB, 9000 * MIB] {
            let (ours, theirs) = (Image::with_table(100 * MIB, script), Image::empty(0));
            theirs.put(&ours.bytes());
            grow(&ours.path(), size).unwrap();
            std::fs::File::options().write(true).open(theirs.path()).unwrap().set_len(size).unwrap();
            tool("sfdisk", &["--quiet", "--no-tell-kernel", "-N", number, &theirs.name()], ",+\n");
            let head = |image: &Image| {
                let mut head = vec![0; 512];
                std::io::Read::read_exact(&mut image.open(), &mut head).unwrap();
                head
            };
            assert_eq!(head(&ours), head(&theirs));
        }
    }
}

#[test]
fn growing_a_logical_partition_grows_its_container_and_its_link() {
    let script = "label: dos\nstart=2048,size=65536,type=5\nstart=4096,size=20480,type=83\nstart=26624,size=20480,type=83\n";
    let image = Image::with_table(100 * MIB, script);
    let before = image.bytes();
    grow(&image.path(), 200 * MIB).unwrap();
    assert_sound(&image);
    let partitions = dumped(&image).2;
    assert_eq!(partitions[0].range, 2048 * 512..200 * MIB);
    assert_eq!(partitions[1].range, 4096 * 512..24576 * 512);
    assert_eq!(partitions[2].range, 26624 * 512..200 * MIB);
    let second = 24576 * 512;
    let after = image.bytes();
    let link = 2048 * 512 + 446 + 16;
    let length = u32::try_from(200 * MIB / 512 - 24576).unwrap();
    assert_eq!(after[link + 12..link + 16], length.to_le_bytes());
    for range in differences(&before, &after) {
        let entries = [446, link, second + 446];
        assert!(entries.iter().any(|entry| entry + 5 <= range.start && range.end <= entry + 16), "{range:?}");
    }
}

#[test]
fn growing_a_gpt_changes_what_has_to_change() {
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    image.patch(0, &[0xeb; 440]);
    let before = image.bytes();
    grow(&image.path(), 200 * MIB).unwrap();
    let (old, new) = (100 << 20, 200 << 20);
    let allowed = [
        446 + 12..446 + 16,                       // the length of the protective entry
        512 + 16..512 + 20,                       // the header's checksum
        512 + 32..512 + 40,                       // the place of the backup
        512 + 48..512 + 56,                       // the last usable sector
        512 + 88..512 + 92,                       // the checksum of the entries
        1024 + 2 * 128 + 40..1024 + 2 * 128 + 48, // where partition 3 ends
        old - 33 * 512..old,                      // the former backup, wiped
        new - 33 * 512..new,                      // the backup
    ];
    let after = image.bytes();
    for range in differences(&before, &after) {
        let inside = allowed.iter().any(|field| field.start <= range.start && range.end <= field.end);
        assert!(inside, "{range:?}");
    }
    assert!(after[old - 33 * 512..old].iter().all(|byte| *byte == 0));
    let protective = u32::try_from(new / 512 - 1).unwrap();
    assert_eq!(after[446 + 12..446 + 16], protective.to_le_bytes());
}

#[test]
fn reading_and_writing_leaves_every_byte() {
    for (script, _) in LAYOUTS {
        let before = Image::with_table(100 * MIB, script).bytes();
        let mut disk = Cursor::new(before.clone());
        let table = read(&mut disk).unwrap();
        table.write(&mut disk).unwrap();
        assert!(disk.into_inner() == before, "{script}");
    }
}

#[test]
fn a_gpt_survives_the_loss_of_either_copy() {
    for lost in [512, 100 * MIB - 512] {
        let image = Image::with_table(100 * MIB, GPT_ROOT_3);
        let before = dumped(&image);
        image.patch(lost, &[0; 92]);
        assert_eq!(read(&mut image.open()).unwrap().partitions(), before.2);
        grow(&image.path(), 120 * MIB).unwrap();
        assert_sound(&image);
        assert_eq!(dumped(&image).1, before.1);
        assert_eq!(image.bytes()[(100 << 20) - 512..100 << 20], [0; 512]);
    }
}

#[test]
fn a_gpt_in_a_file_that_was_made_longer_or_cut_behind_its_partitions() {
    for length in [140 * MIB, 90 * MIB] {
        let image = Image::with_table(100 * MIB, GPT_ROOT_3);
        std::fs::File::options().write(true).open(image.path()).unwrap().set_len(length).unwrap();
        grow(&image.path(), 150 * MIB).unwrap();
        assert_sound(&image);
    }
}

#[test]
fn a_main_table_that_was_moved_stays_where_it_is() {
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    tool("sgdisk", &["--move-main-table=40", &image.name()], "");
    let spl = [0xab; 24 * 512];
    image.patch(8192, &spl);
    grow(&image.path(), 200 * MIB).unwrap();
    assert_sound(&image);
    assert_eq!(image.bytes()[8192..8192 + spl.len()], spl);
}

#[test]
fn a_gpt_with_more_entries_than_usual() {
    let image =
        Image::with_table(100 * MIB, &GPT_ROOT_3.replace("label: gpt", "label: gpt\ntable-length: 256"));
    assert_eq!(read(&mut image.open()).unwrap().partitions(), dumped(&image).2);
    grow(&image.path(), 200 * MIB).unwrap();
    assert_sound(&image);
}

#[test]
fn sectors_of_4096_bytes() {
    let image = Image::empty(100 * MIB);
    let fdisk = ["--sector-size", "4096", &image.name()];
    tool("fdisk", &fdisk, "g\nn\n1\n256\n511\nn\n2\n1024\n3071\nw\n");
    let grown = grow(&image.path(), 200 * MIB).unwrap();
    assert_eq!(grown.range, 4 * MIB..200 * MIB - 5 * 4096);
    // "v" verifies, "q" quits without writing.
    let verdict = tool("fdisk", &fdisk, "v\nq\n");
    assert!(verdict.contains("No errors detected"), "{verdict}");
}

#[test]
fn a_hybrid_is_read_and_not_grown() {
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    tool("sgdisk", &["--hybrid=2", &image.name()], "");
    let before = image.bytes();
    assert_eq!(read(&mut image.open()).unwrap().partitions().len(), 3);
    let error = grow(&image.path(), 200 * MIB).unwrap_err();
    assert!(matches!(error, Error::Hybrid) && error.hint().is_some());
    assert!(image.bytes() == before);
}

#[test]
fn a_file_system_without_a_table_is_named() {
    for (program, arguments) in
        [("mkfs.vfat", &["--mbr=n"][..]), ("mkfs.vfat", &["--mbr=y"]), ("mkfs.ext4", &["-q"])]
    {
        let image = Image::empty(40 * MIB);
        tool(program, &[arguments, &[&image.name()]].concat(), "");
        let error = grow(&image.path(), 80 * MIB).unwrap_err();
        assert!(matches!(error, Error::WholeDisk { .. }), "{program} {arguments:?}: {error:?}");
    }
}

#[test]
fn an_mbr_ends_at_two_tebibytes() {
    let image = Image::with_table(100 * MIB, RASPBERRY_PI);
    assert!(matches!(grow(&image.path(), 3 << 40), Err(Error::TooLarge { .. })));
    assert_eq!(std::fs::metadata(image.path()).unwrap().len(), 100 * MIB);
    assert_eq!(grow(&image.path(), 2 << 40).unwrap().range.end, 2 << 40);
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    assert_eq!(grow(&image.path(), 3 << 40).unwrap().range.end, (3 << 40) - 33 * 512);
}

#[test]
fn shrinking_is_refused_and_the_same_size_is_fine() {
    let image = Image::with_table(100 * MIB, RASPBERRY_PI);
    assert!(matches!(grow(&image.path(), 99 * MIB), Err(Error::Shrink { .. })));
    assert_eq!(grow(&image.path(), 100 * MIB).unwrap().range.end, 100 * MIB);
    let once = image.bytes();
    grow(&image.path(), 100 * MIB).unwrap();
    assert!(image.bytes() == once);
}

#[test]
fn an_editor_refuses_and_stays_as_it_was() {
    for (script, number) in LAYOUTS {
        let image = Image::with_table(100 * MIB, script);
        let mut table = read(&mut image.open()).unwrap();
        let before = format!("{table:?}");
        assert!(matches!(table.set_end(99, MIB), Err(Error::Unknown { number: 99 })));
        assert!(matches!(table.set_end(number, 50 * MIB + 1), Err(Error::Unaligned { .. })));
        assert!(matches!(table.set_end(number, 0), Err(Error::Empty { .. })));
        assert!(matches!(table.set_end(number, 101 * MIB), Err(Error::PastEnd { .. })));
        assert!(matches!(table.set_disk_size(5 * MIB), Err(Error::PastEnd { .. })));
        assert_eq!(format!("{table:?}"), before);
    }
    let mut table = read(&mut Image::with_table(100 * MIB, RASPBERRY_PI).open()).unwrap();
    assert!(matches!(table.set_end(1, 50 * MIB), Err(Error::Overlap { first: 1, second: 2 })));
}
