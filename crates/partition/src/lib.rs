//! A partition table says which bytes of a disk image belong to whom; this crate reads it and moves the end of
//! the last one.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let image = folder.path().join("card.img");
//! # let mut bytes = vec![0; 2 << 20];
//! # bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
//! # bytes[446 + 4] = 0x83;
//! # bytes[446 + 8..446 + 16].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
//! # std::fs::write(&image, bytes)?;
//! let root = arm_image_partition::grow(&image, 16 << 20)?;
//! assert_eq!(root.range, 1 << 20..16 << 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything works on [`Read`] + [`Seek`], so a table can be read from a file, a device or a slice of bytes, without
//! privilege. All positions are bytes from the start of the disk.
//!
//! An edit never rebuilds a table. The editors keep the sectors as they were read and patch the few fields that have to
//! change, so boot code, the disk id (and with it every PARTUUID), names and attributes survive by construction.
//!
//! [`grow`] and [`shrink`] move only the border. A file system is stretched after the partition has grown ([`filesystem`] does
//! that), and has to be made smaller before the partition shrinks.

mod boot_record;
mod check;
mod error;
pub mod filesystem;
mod gpt;
mod mbr;
mod patch;
mod resize;

use std::fmt;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;

use boot_record::{BootRecord, EXTENDED};
pub use error::Error;
pub use resize::{check_shrinking, grow, restore, shrink};

/// Where a table can be edited: an image file, a block device, a cursor over bytes.
pub trait Storage: Read + Write + Seek {}

impl<T: Read + Write + Seek + ?Sized> Storage for T {}

/// One used entry of a partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number as the kernel counts: 1 to 4 are the primary ones of an MBR, 5 and up the logical ones.
    pub number: u32,
    /// The bytes of the disk it covers. Empty where the entry is damaged.
    pub range: Range<u64>,
    /// Its type: two hexadecimal digits for an MBR (`0c`, `83`), a lower-case GUID for a GPT.
    pub kind: String,
    /// Its name in a GPT, where it has one.
    pub name: Option<String>,
    /// Its PARTUUID as `blkid` and `/dev/disk/by-partuuid` show it: `0bca6ba1-02`, or a lower-case GUID.
    pub partuuid: String,
}

impl Partition {
    /// Whether this is the extended partition of an MBR: a box for the logical ones, which has no content of its own.
    pub fn is_extended(&self) -> bool {
        u8::from_str_radix(&self.kind, 16).is_ok_and(|kind| EXTENDED.contains(&kind))
    }
}

/// The two kinds of table found on ARM images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A master boot record, also called a DOS label.
    Mbr,
    /// A GUID partition table (UEFI specification, chapter 5).
    Gpt,
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Mbr => "mbr",
            Self::Gpt => "gpt",
        })
    }
}

/// A partition table in memory: look at it, change it, then [`write`](Self::write) it back.
///
/// Each change is checked when it is made, against the whole table; a change that is refused leaves the table as it was.
pub trait PartitionEditor: fmt::Debug {
    /// Which kind of table this is.
    fn scheme(&self) -> Scheme;

    /// The disk's own id: eight hexadecimal digits for an MBR, a lower-case GUID for a GPT.
    fn disk_id(&self) -> String;

    /// The used entries, ordered by number.
    fn partitions(&self) -> Vec<Partition>;

    /// The bytes that partitions may cover. It shrinks and grows with the disk.
    fn usable(&self) -> Range<u64>;

    /// Bytes a logical sector: partitions start and end at multiples of it.
    fn sector_size(&self) -> u64;

    /// The size of the smallest disk that holds all partitions as they are, and the table itself.
    fn smallest_disk(&self) -> u64;

    /// Tells the table that the disk is `size` bytes long. In a GPT the backup moves to the new end.
    ///
    /// # Errors
    /// [`Error::PastEnd`] where a partition would no longer fit, [`Error::Hybrid`].
    fn set_disk_size(&mut self, size: u64) -> Result<(), Error>;

    /// Lets partition `number` end at byte `end`. A logical partition takes the extended one along when it has to.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Unaligned`] where `end` is no multiple of the sector, [`Error::TooLarge`] past what an
    /// MBR can say, and everything that is wrong with the resulting table: [`Error::Overlap`], [`Error::PastEnd`] and so on.
    fn set_end(&mut self, number: u32, end: u64) -> Result<(), Error>;

    /// Writes what has changed, flushes, and reads it back. The storage has to be at least as long as the table was told.
    /// Where something fails, what was overwritten is put back as far as possible.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Read`], [`Error::ReadBack`], and what makes the table unfit for writing.
    fn write(&self, storage: &mut dyn Storage) -> Result<(), Error>;
}

/// Reads the partition table of a disk or an image.
///
/// A damaged entry is shown as it is: whoever wants to change the table is told then. Where the primary GPT is damaged the
/// backup is taken, and the other way round; the next write mends both.
///
/// # Errors
/// [`Error::NoTable`], [`Error::WholeDisk`] where a file system starts at byte 0, [`Error::Gpt`], [`Error::ExtendedChain`],
/// [`Error::Read`].
pub fn read(storage: &mut (impl Read + Seek + ?Sized)) -> Result<Box<dyn PartitionEditor>, Error> {
    let size = storage.seek(SeekFrom::End(0)).map_err(|source| Error::Read { offset: 0, source })?;
    let head = if size < mbr::SECTOR { None } else { BootRecord::decode(&patch::read(storage, 0)?) };
    match head {
        Some(record) if record.is_protective() => {
            Ok(Box::new(gpt::Gpt::read(storage, size, record.is_hybrid())?))
        }
        Some(record) if record.has_partitions() => Ok(Box::new(mbr::Mbr::read(storage, size)?)),
        // A boot sector of a FAT ends in the same two bytes as an MBR, so the content decides.
        empty => match filesystem::probe(storage, 0..size)? {
            Some(found) => Err(Error::WholeDisk { kind: found.kind }),
            None if empty.is_some() => Ok(Box::new(mbr::Mbr::read(storage, size)?)),
            None => Err(Error::NoTable),
        },
    }
}

/// The partition that lies last on the disk: the one with the highest end, whatever its number.
///
/// An extended partition does not count, the logical ones inside it do.
pub fn last(partitions: &[Partition]) -> Option<&Partition> {
    partitions.iter().filter(|partition| !partition.is_extended()).max_by_key(|partition| partition.range.end)
}
