//! Giving an image another length, and its last partition with it.

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
    let mut file = open(image)?;
    let length = length(image, &file)?;
    if size < length {
        return Err(Error::Shrink { path: image.to_owned(), length, size });
    }
    let mut table = read(&mut file)?;
    let number = plan_growing(table.as_mut(), &mut file, length, size)?;
    commit(image, &mut file, table.as_ref(), length, size)?;
    numbered(table.as_ref(), number)
}

/// Lets the last partition on the disk end at byte `end`, and cuts the image file behind it, as short as its table allows.
///
/// Whoever calls this has made the file system inside smaller before; `end` is rounded up to a whole sector. An extended
/// partition around the last one ends with it, and a GPT gets its backup behind it. An `end` behind the present one leaves the
/// partition as it is, and a file that is as short as can be stays untouched: both are a success.
///
/// The table is checked, written and compared before the file is cut; when something fails it is put back.
///
/// # Errors
/// [`Error::CutsContent`] where the file system still reaches further, or where there is LVM or LUKS, [`Error::Empty`] for an
/// `end` in front of the partition, [`Error::NoPartitions`], [`Error::Hybrid`], [`Error::PastEnd`] for an image that is
/// truncated, and what [`read`] and [`PartitionEditor::write`] fail with.
pub fn shrink(image: &Path, end: u64) -> Result<Partition, Error> {
    let mut file = open(image)?;
    let length = length(image, &file)?;
    let mut table = read(&mut file)?;
    let before = table.partitions();
    let number = plan_shrinking(table.as_mut(), &mut file, length, end)?;
    let size = table.smallest_disk().min(length);
    if size < length || table.partitions() != before {
        table.set_disk_size(size)?;
        commit(image, &mut file, table.as_ref(), length, size)?;
    }
    numbered(table.as_ref(), number)
}

/// Whether [`shrink`] could change the table of `image`, as far as that can be known before the file system is smaller; returns
/// the partition it would change. Nothing is changed.
///
/// # Errors
/// [`Error::NotAFile`], [`Error::NoPartitions`], [`Error::Hybrid`], [`Error::PastEnd`], [`Error::Overlap`] and whatever else is
/// wrong with the table, and what [`read`] fails with.
pub fn check_shrinking(image: &Path) -> Result<Partition, Error> {
    let mut file = open(image)?;
    let length = length(image, &file)?;
    let mut table = read(&mut file)?;
    let last = last_of_whole(table.as_ref(), length)?;
    // The table checks itself as a whole with each change, and these change nothing.
    table.set_disk_size(length)?;
    table.set_end(last.number, last.range.end)?;
    Ok(last)
}

/// Gives an image the `table` and the `length` back that it had before [`grow`].
///
/// # Errors
/// [`Error::CutsContent`] where the file system in the last partition has grown already; [`Error::NotAFile`], and what [`read`]
/// and [`PartitionEditor::write`] fail with. The image is left as it is then.
pub fn restore(image: &Path, table: &dyn PartitionEditor, length: u64) -> Result<(), Error> {
    let mut file = open(image)?;
    let present = self::length(image, &file)?;
    let last = last_of_whole(table, length)?;
    if let Some(found) = filesystem::probe(&mut file, last.range.start..present)? {
        let end = last.range.end;
        if found.size.is_some_and(|size| size > end - last.range.start) {
            return Err(Error::CutsContent { number: last.number, end, kind: found.kind });
        }
    }
    commit(image, &mut file, table, present, length)
}

fn open(image: &Path) -> Result<File, Error> {
    let opened = OpenOptions::new().read(true).write(true).open(image);
    opened.map_err(|source| Error::Open { path: image.to_owned(), source })
}

fn length(image: &Path, file: &File) -> Result<u64, Error> {
    let metadata = file.metadata().map_err(|source| Error::Open { path: image.to_owned(), source })?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(Error::NotAFile { path: image.to_owned() }) }
}

fn numbered(table: &dyn PartitionEditor, number: u32) -> Result<Partition, Error> {
    let found = table.partitions().into_iter().find(|partition| partition.number == number);
    found.ok_or(Error::Unknown { number })
}

/// The last partition of an image that has all of its partitions.
fn last_of_whole(table: &dyn PartitionEditor, length: u64) -> Result<Partition, Error> {
    let partitions = table.partitions();
    if let Some(cut) = partitions.iter().find(|partition| partition.range.end > length) {
        return Err(Error::PastEnd { number: cut.number, end: cut.range.end, limit: length });
    }
    last(&partitions).cloned().ok_or(Error::NoPartitions)
}

/// Changes the table in memory; the number of the partition that grew.
fn plan_growing(
    table: &mut dyn PartitionEditor,
    file: &mut File,
    length: u64,
    size: u64,
) -> Result<u32, Error> {
    let last = last_of_whole(table, length)?;
    let number = last.number;
    let found = filesystem::probe(file, last.range)?.map(|found| found.kind);
    if let Some(kind @ (Kind::Luks | Kind::Lvm)) = found.or(Kind::of_partition_type(&last.kind)) {
        return Err(Error::Layered { number, kind });
    }
    table.set_disk_size(size)?;
    table.set_end(number, table.usable().end)?;
    Ok(number)
}

/// Changes the table in memory, all but the size of its disk; the number of the partition that shrank.
fn plan_shrinking(
    table: &mut dyn PartitionEditor,
    file: &mut File,
    length: u64,
    end: u64,
) -> Result<u32, Error> {
    let last = last_of_whole(table, length)?;
    let number = last.number;
    let sector = table.sector_size();
    let end = end.checked_next_multiple_of(sector).unwrap_or(u64::MAX).min(last.range.end);
    if end < last.range.end {
        if end <= last.range.start {
            return Err(Error::Empty { number });
        }
        let found = filesystem::probe(file, last.range.clone())?;
        let covers = found.as_ref().and_then(|found| found.size).unwrap_or(0);
        let kind = found.map(|found| found.kind).or(Kind::of_partition_type(&last.kind));
        match kind {
            Some(kind @ (Kind::Luks | Kind::Lvm)) => return Err(Error::CutsContent { number, end, kind }),
            Some(kind) if covers > end - last.range.start => {
                return Err(Error::CutsContent { number, end, kind });
            }
            _ => table.set_end(number, end)?,
        }
    }
    let around = table.partitions().into_iter().find(|partition| {
        partition.is_extended() && partition.range.contains(&last.range.start) && partition.range.end > end
    });
    if let Some(extended) = around {
        table.set_end(extended.number, end)?;
    }
    Ok(number)
}

/// Brings table and file to the new size, or leaves both as they were.
///
/// A file grows before its table and is cut after it, so that the table never speaks of bytes that are not there.
fn commit(
    image: &Path,
    file: &mut File,
    table: &dyn PartitionEditor,
    length: u64,
    size: u64,
) -> Result<(), Error> {
    let former = read(file)?;
    let set_length = |file: &File| {
        let path = image.to_owned();
        file.set_len(size).map_err(|source| Error::Length { path, size, source })
    };
    if size > length {
        set_length(file)?;
    }
    let mut outcome = table.write(file).and_then(|()| {
        let written = read(file)?;
        let same = written.disk_id() == table.disk_id() && written.partitions() == table.partitions();
        if same { Ok(()) } else { Err(Error::Verify { path: image.to_owned() }) }
    });
    if outcome.is_ok() && size < length {
        outcome = set_length(file);
    }
    outcome.map_err(|error| {
        if matches!(error, Error::Verify { .. } | Error::Length { .. }) {
            // Other failures have put the table back themselves. The first failure is what the caller has to know.
            let _ = former.write(file);
        }
        match file.set_len(length) {
            Ok(()) => error,
            Err(restore) => Error::Restore { path: image.to_owned(), restore, source: Box::new(error) },
        }
    })
}

#[cfg(test)]
mod tests;
