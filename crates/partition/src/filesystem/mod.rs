//! The file systems inside partitions: telling which one it is, and stretching it over a partition that has grown.
//!
//! ```no_run
//! use arm_image_partition::filesystem::{self, Kind};
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

mod device;
mod fat;
mod online;
mod superblock;
mod tools;

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use crate::{Error, patch};

pub use device::grow_device;
pub use online::grow_mounted;
pub use tools::grow_unmounted;

/// What a partition can hold: file systems, and the layers below them that are worth a clear word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// ext2: the family without a journal.
    Ext2,
    /// ext3: with a journal, and nothing that came later.
    Ext3,
    /// ext4, or any other of the family with features that only it has.
    Ext4,
    /// FAT with 12, 16 or 32 bits.
    Vfat,
    /// Btrfs.
    Btrfs,
    /// XFS.
    Xfs,
    /// F2FS.
    F2fs,
    /// SquashFS, which is read-only.
    Squashfs,
    /// EROFS, which is read-only.
    Erofs,
    /// Space to swap to.
    Swap,
    /// An encrypted layer.
    Luks,
    /// A physical volume of LVM.
    Lvm,
}

impl Kind {
    /// The kind with this name, as [`Display`](fmt::Display) gives it; none for others.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Ext2,
            Self::Ext3,
            Self::Ext4,
            Self::Vfat,
            Self::Btrfs,
            Self::Xfs,
            Self::F2fs,
            Self::Squashfs,
            Self::Erofs,
            Self::Swap,
            Self::Luks,
            Self::Lvm,
        ];
        all.into_iter().find(|kind| kind.to_string() == name)
    }

    /// Whether [`grow_device`] knows a way.
    #[must_use]
    pub fn can_grow(self) -> bool {
        self.is_ext() || matches!(self, Self::Btrfs | Self::Xfs)
    }

    /// Whether it is of the ext family.
    pub(crate) fn is_ext(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4)
    }

    /// The layer that a partition's type announces, even where its content does not show it yet.
    pub(crate) fn of_partition_type(kind: &str) -> Option<Self> {
        match kind {
            "8e" | "e6d6d379-f507-44c2-a23c-238f2a3df928" => Some(Self::Lvm),
            "e8" | "ca7d7ccb-63ed-4c53-861c-1742536059cc" => Some(Self::Luks),
            _ => None,
        }
    }
}

/// The name that mount(8) and fstab(5) use; for layers, the one that `blkid` shows.
impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Vfat => "vfat",
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
            Self::F2fs => "f2fs",
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
            Self::Swap => "swap",
            Self::Luks => "crypto_LUKS",
            Self::Lvm => "LVM2_member",
        })
    }
}

/// What a superblock says about its file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Which one it is.
    pub kind: Kind,
    /// Its label, where it has one: `LABEL=` in fstab.
    pub label: Option<String>,
    /// Its id as `blkid` shows it, `5885-8F0E` for a FAT: `UUID=` in fstab.
    pub uuid: Option<String>,
    /// The bytes it covers, which may be less than the partition has. Unknown for LUKS.
    pub size: Option<u64>,
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
    let Some(fat) = fat::Fat::decode(&head) else { return Ok(None) };
    let label = fat.label(|offset, buffer| {
        let inside = range.end.saturating_sub(range.start) >= offset.saturating_add(buffer.len() as u64);
        inside && patch::fill(storage, range.start.saturating_add(offset), buffer).is_ok()
    });
    Ok(Some(FileSystem { kind: Kind::Vfat, label, uuid: Some(fat.uuid()), size: Some(fat.size()) }))
}
