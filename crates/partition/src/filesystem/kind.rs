//! The names of what a partition can hold.

use std::fmt;

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
    /// exFAT.
    Exfat,
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
    /// ISO 9660, which is read-only: an installer rather than an installed system.
    Iso9660,
    /// Space to swap to.
    Swap,
    /// An encrypted layer, LUKS1 or LUKS2.
    Luks,
    /// A physical volume of LVM.
    Lvm,
}

/// Every kind with the name that mount(8) and fstab(5) use; for layers, the one that `blkid` shows.
const NAMES: [(Kind, &str); 14] = [
    (Kind::Ext2, "ext2"),
    (Kind::Ext3, "ext3"),
    (Kind::Ext4, "ext4"),
    (Kind::Vfat, "vfat"),
    (Kind::Exfat, "exfat"),
    (Kind::Btrfs, "btrfs"),
    (Kind::Xfs, "xfs"),
    (Kind::F2fs, "f2fs"),
    (Kind::Squashfs, "squashfs"),
    (Kind::Erofs, "erofs"),
    (Kind::Iso9660, "iso9660"),
    (Kind::Swap, "swap"),
    (Kind::Luks, "crypto_LUKS"),
    (Kind::Lvm, "LVM2_member"),
];

impl Kind {
    /// The kind with this name, as [`Display`](fmt::Display) gives it; none for others.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMES.into_iter().find_map(|(kind, known)| (known == name).then_some(kind))
    }

    /// Whether [`grow_device`](super::grow_device) knows a way.
    #[must_use]
    pub fn can_grow(self) -> bool {
        self.is_ext() || matches!(self, Self::Btrfs | Self::Xfs | Self::F2fs)
    }

    /// Whether [`shrink_device`](super::shrink_device) knows a way.
    #[must_use]
    pub fn can_shrink(self) -> bool {
        self.is_ext() || self == Self::Btrfs
    }

    /// Whether it is of the ext family, which [`grow_unmounted`](super::grow_unmounted) and
    /// [`shrink_unmounted`](super::shrink_unmounted) can resize inside an image, without privilege.
    #[must_use]
    pub fn is_ext(self) -> bool {
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
        let name = NAMES.into_iter().find_map(|(kind, name)| (kind == *self).then_some(name));
        formatter.pad(name.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_is_found_by_it() {
        for (kind, name) in NAMES {
            assert_eq!((kind.to_string().as_str(), Kind::named(name)), (name, Some(kind)));
        }
        assert_eq!(Kind::named("reiserfs"), None);
    }

    #[test]
    fn whatever_shrinks_can_grow() {
        assert!(NAMES.into_iter().all(|(kind, _)| kind.can_grow() || !kind.can_shrink()));
    }
}
