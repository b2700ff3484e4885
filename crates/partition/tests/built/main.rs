//! What must hold for any sound table, whatever its numbers: made at random, without the usual tools.

mod disk;

use std::io::Cursor;

use arm_image_partition::{Partition, grow, last, read, shrink};
use disk::{Built, gpt, mbr};
use proptest::prelude::*;

fn any_disk() -> impl Strategy<Value = Built> {
    prop_oneof![mbr().boxed(), gpt().boxed()]
}

fn assert_apart(partitions: &[Partition]) {
    let content = partitions.iter().filter(|partition| !partition.is_extended());
    let mut ranges: Vec<_> = content.map(|partition| partition.range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{ranges:?}");
}

/// The bytes in each of the partitions.
fn contents<'a>(disk: &'a [u8], partitions: &[Partition]) -> Vec<&'a [u8]> {
    let content = partitions.iter().filter(|partition| !partition.is_extended());
    let place = |at| usize::try_from(at).expect("a small disk");
    content.map(|partition| &disk[place(partition.range.start)..place(partition.range.end)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn reading_gives_what_was_built(built in any_disk()) {
        let table = read(&mut Cursor::new(&built.bytes)).unwrap();
        prop_assert_eq!(table.partitions(), built.partitions);
        prop_assert_eq!(table.sector_size(), built.sector);
        prop_assert_eq!(table.smallest_disk(), built.bytes.len() as u64);
    }

    #[test]
    fn writing_what_was_read_is_the_identity(built in any_disk()) {
        let mut disk = Cursor::new(built.bytes.clone());
        read(&mut disk).unwrap().write(&mut disk).unwrap();
        prop_assert!(disk.into_inner() == built.bytes);
    }

    #[test]
    fn growing_reaches_the_end_overlaps_nothing_and_keeps_all_content(
        built in any_disk(),
        more in 1..200_u64,
    ) {
        let mut disk = Cursor::new(built.bytes.clone());
        let mut table = read(&mut disk).unwrap();
        let number = last(&built.partitions).unwrap().number;
        let size = built.bytes.len() as u64 + more * built.sector;
        disk.get_mut().resize(usize::try_from(size).unwrap(), 0);
        table.set_disk_size(size).unwrap();
        table.set_end(number, table.usable().end).unwrap();
        table.write(&mut disk).unwrap();

        let mut written = read(&mut disk).unwrap();
        let partitions = written.partitions();
        assert_apart(&partitions);
        written.set_disk_size(size).expect("a table that is valid");
        prop_assert_eq!(written.disk_id(), table.disk_id());
        prop_assert_eq!(last(&partitions).unwrap().range.end, table.usable().end);
        for (before, after) in built.partitions.iter().zip(&partitions) {
            let mut expected = before.clone();
            if before.range.end == last(&built.partitions).unwrap().range.end {
                expected.range.end = table.usable().end;
            }
            prop_assert_eq!(&expected, after);
        }
        prop_assert!(contents(disk.get_ref(), &built.partitions) == contents(&built.bytes, &built.partitions));
    }

    #[test]
    fn shrinking_undoes_growing_to_the_byte(built in any_disk(), more in 1..100_000_u64) {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::write(&image, &built.bytes).unwrap();
        let end = last(&built.partitions).unwrap().range.end;
        grow(&image, built.bytes.len() as u64 + more).unwrap();
        shrink(&image, end).unwrap();
        prop_assert!(std::fs::read(&image).unwrap() == built.bytes);
    }

    #[test]
    fn shrinking_to_any_end_leaves_a_sound_table(built in any_disk(), part in 0.0..1.0_f64) {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::write(&image, &built.bytes).unwrap();
        let before = last(&built.partitions).unwrap();
        let length = before.range.end - before.range.start;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any number will do")]
        let kept = (length as f64 * part) as u64 + 1;
        let shrunk = shrink(&image, before.range.start + kept).unwrap();
        let sectors = kept.next_multiple_of(built.sector);
        prop_assert_eq!(shrunk.range.clone(), before.range.start..before.range.start + sectors);

        let disk = std::fs::read(&image).unwrap();
        let mut table = read(&mut Cursor::new(&disk)).unwrap();
        let partitions = table.partitions();
        assert_apart(&partitions);
        prop_assert_eq!(table.smallest_disk(), disk.len() as u64);
        table.set_disk_size(disk.len() as u64).expect("a table that is valid");
        prop_assert!(contents(&disk, &partitions) == contents(&built.bytes, &partitions));
    }
}
