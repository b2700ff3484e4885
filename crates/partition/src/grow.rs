//! Making an image longer, and its last partition with it.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::filesystem::{self, Kind};
use crate::{Error, Partition, PartitionEditor, last, read};

/// Makes the image file `size` bytes long and lets its last partition on the disk reach the new end.
///
/// The file grows by a hole, which takes no space. In a GPT the partition ends at the last usable sector, in front of the
/// backup. The whole table is checked before anything is changed, and compared after it was written; when something fails
/// the file gets its former length back. The present size is fine too: then only free space behind the partition is taken in.
///
/// # Errors
/// [`Error::Shrink`] for a smaller size, [`Error::NoPartitions`], [`Error::Hybrid`], [`Error::Layered`] for LVM and LUKS,
/// [`Error::PastEnd`] for an image that is truncated or a table that needs more room, [`Error::TooLarge`] above 2 TiB on an
/// MBR, and what [`read`] and [`PartitionEditor::write`] fail with.
pub fn grow(image: &Path, size: u64) -> Result<Partition, Error> {
    let path = image.to_owned();
    let opened = OpenOptions::new().read(true).write(true).open(image);
    let mut file = opened.map_err(|source| Error::Open { path: path.clone(), source })?;
    let metadata = file.metadata().map_err(|source| Error::Open { path: path.clone(), source })?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path });
    }
    let length = metadata.len();
    if size < length {
        return Err(Error::Shrink { path, length, size });
    }
    let mut table = read(&mut file)?;
    let number = plan(table.as_mut(), &mut file, length, size)?;

    commit(image, &mut file, table.as_ref(), length, size)?;
    let found = table.partitions().into_iter().find(|partition| partition.number == number);
    found.ok_or(Error::Unknown { number })
}

/// Brings file and table to the new size, or leaves the file as long as it was.
fn commit(
    image: &Path,
    file: &mut File,
    table: &dyn PartitionEditor,
    length: u64,
    size: u64,
) -> Result<(), Error> {
    let path = image.to_owned();
    file.set_len(size).map_err(|source| Error::Length { path: path.clone(), size, source })?;
    let outcome = table.write(file).and_then(|()| {
        let written = read(file)?;
        let same = written.disk_id() == table.disk_id() && written.partitions() == table.partitions();
        if same { Ok(()) } else { Err(Error::Verify { path: path.clone() }) }
    });
    outcome.map_err(|error| match file.set_len(length) {
        Ok(()) => error,
        Err(restore) => Error::Restore { path, restore, source: Box::new(error) },
    })
}

/// Changes the table in memory; the number of the partition that grew.
fn plan(table: &mut dyn PartitionEditor, file: &mut File, length: u64, size: u64) -> Result<u32, Error> {
    let partitions = table.partitions();
    if let Some(cut) = partitions.iter().find(|partition| partition.range.end > length) {
        return Err(Error::PastEnd { number: cut.number, end: cut.range.end, limit: length });
    }
    let last = last(&partitions).ok_or(Error::NoPartitions)?;
    let number = last.number;
    let found = filesystem::probe(file, last.range.clone())?.map(|found| found.kind);
    if let Some(kind @ (Kind::Luks | Kind::Lvm)) = found.or(Kind::of_partition_type(&last.kind)) {
        return Err(Error::Layered { number, kind });
    }
    table.set_disk_size(size)?;
    table.set_end(number, table.usable().end)?;
    Ok(number)
}

#[cfg(test)]
mod tests;
