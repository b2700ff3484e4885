//! What must hold for the table of any disk.

use std::io::Cursor;

use arm_image_partition::{Partition, PartitionEditor, last, read};

/// Reads a disk, writes its table back, lets the last partition grow and shrink, and asserts what must hold after each.
pub fn exercise(bytes: Vec<u8>) {
    let mut disk = Cursor::new(bytes);
    let Ok(mut table) = read(&mut disk) else { return };
    let partitions = table.partitions();
    let Some(number) = last(&partitions).map(|last| last.number) else { return };
    let size = disk.get_ref().len() as u64;

    let more = size + (1 << 20);
    disk.get_mut().resize(more as usize, 0);
    if table.set_disk_size(more).is_err() || table.set_end(number, table.usable().end).is_err() {
        return;
    }
    settle(table.as_ref(), &mut disk);
    let grown = find(table.as_ref(), number);
    assert_eq!(grown.range.end, table.usable().end);

    let half = (grown.range.end - grown.range.start) / 2 / table.sector_size() * table.sector_size();
    if table.set_end(number, grown.range.start + half).is_err() {
        return;
    }
    let least = table.smallest_disk();
    assert!(least <= more);
    table.set_disk_size(least).expect("a disk that is as large as the table asked for");
    settle(table.as_ref(), &mut disk);
    disk.get_mut().truncate(least as usize);
    assert_eq!(read(&mut disk).expect("a table that was written").partitions(), table.partitions());
}

/// Writes a table that is sound, and asserts that it is read again as it was.
fn settle(table: &dyn PartitionEditor, disk: &mut Cursor<Vec<u8>>) {
    let mut ranges: Vec<_> =
        table.partitions().into_iter().filter(|one| !one.is_extended()).map(|one| one.range).collect();
    ranges.sort_by_key(|range| range.start);
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start), "{ranges:?}");
    assert!(ranges.iter().all(|range| !range.is_empty()), "{ranges:?}");
    // A GPT may leave no room for its backup; then nothing is written.
    let before = disk.get_ref().clone();
    if table.write(disk).is_err() {
        assert!(*disk.get_ref() == before);
        return;
    }
    let again = read(disk).expect("a table that was written");
    assert_eq!((again.disk_id(), again.partitions()), (table.disk_id(), table.partitions()));
    let written = disk.get_ref().clone();
    again.write(disk).expect("a table that was written before");
    assert!(*disk.get_ref() == written);
}

fn find(table: &dyn PartitionEditor, number: u32) -> Partition {
    let mut partitions = table.partitions().into_iter();
    partitions.find(|partition| partition.number == number).expect("the last partition")
}
