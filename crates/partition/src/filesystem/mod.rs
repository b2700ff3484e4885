//! The file systems inside partitions: telling which one it is, and resizing it together with its partition.
//!
//! ```no_run
//! use arm_image_partition::filesystem;
//!
//! let mut image = std::fs::File::open("raspios.img")?;
//! let table = arm_image_partition::read(&mut image)?;
//! for partition in table.partitions() {
//!     if let Some(found) = filesystem::probe(&mut image, partition.range)? {
//!         println!("{}: {} {:?}", partition.number, found.kind, found.label);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Who can be resized depends on where the file system is:
//!
//! | | in a plain file, by anybody | on a device, as root | mounted, as root |
//! | --- | --- | --- | --- |
//! | grow | [`grow_unmounted`]: ext | [`grow_device`]: ext, btrfs, xfs, f2fs | [`grow_mounted`]: ext, btrfs, xfs |
//! | shrink | [`shrink_unmounted`]: ext | [`shrink_device`]: ext, btrfs | [`shrink_mounted`]: btrfs |
//! | give free space back | [`trim_unmounted`]: ext | | [`trim`]: what the kernel can |
//!
//! "ext" are ext2, ext3 and ext4. FAT cannot grow with what is in it, and xfs cannot shrink: nothing does that. Unmounted file
//! systems need the tools of e2fsprogs, and f2fs those of f2fs-tools.

mod clusters;
mod device;
mod exfat;
mod fat;
mod features;
mod guard;
mod kind;
mod mounted;
mod superblock;
mod tools;
mod unmounted;

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use crate::{Error, patch};

pub use device::{grow_device, shrink_device};
pub use features::Features;
pub(crate) use features::tools_that_know;
pub use kind::Kind;
pub use mounted::{grow_mounted, shrink_mounted, trim};
pub use unmounted::{check_tools, grow_unmounted, shrink_unmounted, trim_unmounted};

/// What a superblock says about its file system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSystem {
    /// Which one it is.
    pub kind: Kind,
    /// Its label, where it has one: `LABEL=` in fstab.
    pub label: Option<String>,
    /// Its id as `blkid` shows it, `5885-8F0E` for a FAT: `UUID=` in fstab.
    pub uuid: Option<String>,
    /// The bytes it covers, which may be less than the partition has. Unknown for LUKS.
    pub size: Option<u64>,
    /// Bytes of the unit that it counts its size in: a block, for FAT and exFAT a sector, for swap a page. Unknown for layers
    /// and for SquashFS, which counts in bytes.
    pub block_size: Option<u64>,
    /// The features of an ext2, ext3 or ext4; nothing for others.
    pub features: Option<Features>,
}

/// Finds out what the bytes `range` of a disk hold; `None` where that is nothing known.
///
/// Only signatures and superblocks are read: a file system that is found need not be sound.
///
/// # Errors
/// [`Error::Read`]. A range that reaches past the end of the disk is none.
pub fn probe(
    storage: &mut (impl Read + Seek + ?Sized),
    range: Range<u64>,
) -> Result<Option<FileSystem>, Error> {
    let length = range.end.saturating_sub(range.start).min(superblock::REACH);
    let mut head = Vec::new();
    let read = storage
        .seek(SeekFrom::Start(range.start))
        .and_then(|_| Read::take(&mut *storage, length).read_to_end(&mut head));
    read.map_err(|source| Error::Read { offset: range.start, source })?;
    if let Some(found) = superblock::decode(&head) {
        return Ok(Some(found));
    }
    let read = |offset: u64, buffer: &mut [u8]| {
        let inside = range.end.saturating_sub(range.start) >= offset.saturating_add(buffer.len() as u64);
        inside && patch::fill(storage, range.start.saturating_add(offset), buffer).is_ok()
    };
    if let Some(exfat) = exfat::Exfat::decode(&head) {
        return Ok(Some(exfat.describe(read)));
    }
    Ok(fat::Fat::decode(&head).map(|fat| fat.describe(read)))
}
