//! Superblocks as pure functions from the first bytes of a partition. Offsets come from the headers named at each.

use super::{Features, FileSystem, Kind};

/// How many bytes from the start of a partition are looked at: the last superblock looked for is that of btrfs.
pub(super) const REACH: u64 = 68 * 1024;

/// Tells what starts with these bytes, FAT apart: its boot sector is the weakest sign and is asked last.
pub(super) fn decode(head: &[u8]) -> Option<FileSystem> {
    let decoders = [luks, lvm, xfs, squashfs, btrfs, f2fs, erofs, ext, swap, iso9660];
    decoders.iter().find_map(|decoder| decoder(Bytes(head)))
}

/// Bytes with fields at offsets; `None` where they end too early.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn at(self, offset: usize) -> Option<Self> {
        self.0.get(offset..).map(Self)
    }

    fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }

    fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn u64(self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    fn has(self, offset: usize, magic: &[u8]) -> Option<()> {
        self.0.get(offset..)?.starts_with(magic).then_some(())
    }

    /// Text that ends at the first zero, or fills its field.
    fn text(self, offset: usize, length: usize) -> Option<String> {
        let field = self.0.get(offset..)?.get(..length)?;
        let text = String::from_utf8_lossy(field.split(|byte| *byte == 0).next()?).into_owned();
        Some(text).filter(|text| !text.is_empty())
    }

    /// A UUID; all zeros mean that there is none.
    fn uuid(self, offset: usize) -> Option<String> {
        let bytes = self.array::<16>(offset).filter(|bytes| *bytes != [0; 16])?;
        let mut text = String::with_capacity(36);
        for (position, byte) in bytes.into_iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        Some(text)
    }
}

/// A file system without label, id, size and so on.
pub(super) fn bare(kind: Kind) -> FileSystem {
    FileSystem { kind, label: None, uuid: None, size: None, block_size: None, features: None }
}

/// Bytes a block from its logarithm; `None` for what no file system has.
pub(super) fn power_of_two(log_size: u32) -> Option<u64> {
    1_u64.checked_shl(log_size).filter(|size| *size <= 1 << 30)
}

/// Linux, `fs/ext4/ext4.h`, `struct ext4_super_block`. The three differ in features only, and blkid draws the same lines.
fn ext(head: Bytes<'_>) -> Option<FileSystem> {
    const HAS_JOURNAL: u32 = 0x4;
    const JOURNAL_DEVICE: u32 = 0x8;
    const SIXTY_FOUR_BIT: u32 = 0x80;
    /// filetype, needs_recovery, meta_bg: what ext3 knows.
    const INCOMPATIBLE_OF_EXT3: u32 = 0x2 | 0x4 | 0x10;
    /// sparse_super, large_file, btree_dir: what ext2 and ext3 know.
    const READ_ONLY_OF_EXT3: u32 = 0x1 | 0x2 | 0x4;

    let block = head.at(1024)?;
    block.has(0x38, &[0x53, 0xef])?;
    let (compatible, incompatible, read_only) = (block.u32(0x5c)?, block.u32(0x60)?, block.u32(0x64)?);
    if incompatible & JOURNAL_DEVICE != 0 {
        return None;
    }
    let old = incompatible & !INCOMPATIBLE_OF_EXT3 == 0 && read_only & !READ_ONLY_OF_EXT3 == 0;
    let kind = match (old, compatible & HAS_JOURNAL != 0) {
        (true, true) => Kind::Ext3,
        (true, false) => Kind::Ext2,
        (false, _) => Kind::Ext4,
    };
    let high = if incompatible & SIXTY_FOUR_BIT == 0 { 0 } else { block.u32(0x150)? };
    let count = u64::from(block.u32(0x4)?) | u64::from(high) << 32;
    let block_size = block.u32(0x18)?.checked_add(10).and_then(power_of_two);
    Some(FileSystem {
        label: block.text(0x78, 16),
        uuid: block.uuid(0x68),
        size: block_size.and_then(|size| size.checked_mul(count)),
        block_size,
        features: Some(Features { compatible, incompatible, read_only }),
        ..bare(kind)
    })
}

/// Linux, `fs/xfs/libxfs/xfs_format.h`, `struct xfs_dsb`. Big-endian.
fn xfs(head: Bytes<'_>) -> Option<FileSystem> {
    head.has(0, b"XFSB")?;
    let block_size = u64::from(u32::from_be_bytes(head.array(4)?));
    let count = u64::from_be_bytes(head.array(8)?);
    Some(FileSystem {
        label: head.text(108, 12),
        uuid: head.uuid(32),
        size: count.checked_mul(block_size),
        block_size: Some(block_size),
        ..bare(Kind::Xfs)
    })
}

/// Linux, `include/uapi/linux/btrfs_tree.h`, `struct btrfs_super_block`. The size is that of the device, which is one of
/// several perhaps.
fn btrfs(head: Bytes<'_>) -> Option<FileSystem> {
    let block = head.at(64 * 1024)?;
    block.has(64, b"_BHRfS_M")?;
    Some(FileSystem {
        label: block.text(299, 256),
        uuid: block.uuid(32),
        size: block.u64(201 + 8),
        block_size: block.u32(144).map(u64::from),
        ..bare(Kind::Btrfs)
    })
}

/// Linux, `include/linux/f2fs_fs.h`, `struct f2fs_super_block`. The label is UTF-16.
fn f2fs(head: Bytes<'_>) -> Option<FileSystem> {
    let block = head.at(1024)?;
    block.has(0, &0xf2f5_2010_u32.to_le_bytes())?;
    let units = block.array::<1024>(124)?;
    let units = units.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let label = char::decode_utf16(units.take_while(|unit| *unit != 0));
    let label: String = label.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    let block_size = power_of_two(block.u32(16)?);
    let count = block.u64(36)?;
    Some(FileSystem {
        label: Some(label).filter(|label| !label.is_empty()),
        uuid: block.uuid(108),
        size: block_size.and_then(|size| size.checked_mul(count)),
        block_size,
        ..bare(Kind::F2fs)
    })
}

/// Linux, `Documentation/filesystems/squashfs.rst` and `fs/squashfs/squashfs_fs.h`. It has neither label nor id.
fn squashfs(head: Bytes<'_>) -> Option<FileSystem> {
    head.has(0, b"hsqs")?;
    // Major version 4, the only one that Linux has read since 2.6.29.
    head.has(28, &4_u16.to_le_bytes())?;
    Some(FileSystem { size: head.u64(40), ..bare(Kind::Squashfs) })
}

/// Linux, `fs/erofs/erofs_fs.h`, `struct erofs_super_block`.
fn erofs(head: Bytes<'_>) -> Option<FileSystem> {
    let block = head.at(1024)?;
    block.has(0, &0xe0f5_e1e2_u32.to_le_bytes())?;
    let [log_size] = block.array(12)?;
    let block_size = power_of_two(u32::from(log_size));
    let count = u64::from(block.u32(36)?);
    Some(FileSystem {
        label: block.text(64, 16),
        uuid: block.uuid(48),
        size: block_size.and_then(|size| size.checked_mul(count)),
        block_size,
        ..bare(Kind::Erofs)
    })
}

/// Linux, `include/linux/swap.h`, `union swap_header`. The signature ends the first page, which has no fixed size.
fn swap(head: Bytes<'_>) -> Option<FileSystem> {
    let pages = [4096, 8192, 16384, 32768, 65536];
    let page = pages.into_iter().find(|page| head.has(page - 10, b"SWAPSPACE2").is_some())?;
    let count = u64::from(head.u32(1028)?) + 1;
    let page = page as u64;
    Some(FileSystem {
        label: head.text(1052, 16),
        uuid: head.uuid(1036),
        size: count.checked_mul(page),
        block_size: Some(page),
        ..bare(Kind::Swap)
    })
}

/// The LUKS1 and LUKS2 on-disk format specifications. The label came with LUKS2.
fn luks(head: Bytes<'_>) -> Option<FileSystem> {
    head.has(0, b"LUKS\xba\xbe")?;
    let version = u16::from_be_bytes(head.array(6)?);
    let label = if version < 2 { None } else { head.text(24, 48) };
    Some(FileSystem { label, uuid: head.text(168, 40), ..bare(Kind::Luks) })
}

/// LVM2, `lib/format_text/layout.h`: a label in one of the first four sectors, which says where the header of the volume is.
fn lvm(head: Bytes<'_>) -> Option<FileSystem> {
    let label = (0..4).find_map(|sector| {
        let label = head.at(sector * 512)?;
        label.has(0, b"LABELONE")?;
        label.has(24, b"LVM2 001")?;
        Some(label)
    })?;
    let header = label.at(usize::try_from(label.u32(20)?).ok()?)?;
    let id = header.text(0, 32).filter(|id| id.len() == 32 && id.is_ascii())?;
    // LVM groups the letters of its ids in its own way.
    let groups = [0..6, 6..10, 10..14, 14..18, 18..22, 22..26, 26..32];
    let uuid = groups.map(|group| id[group].to_owned()).join("-");
    Some(FileSystem { uuid: Some(uuid), size: header.u64(32), ..bare(Kind::Lvm) })
}

/// ECMA-119, 8.4: the primary volume descriptor in sector 16. The id is the time of the last change, as blkid has it.
fn iso9660(head: Bytes<'_>) -> Option<FileSystem> {
    let descriptor = head.at(16 * 2048)?;
    descriptor.has(0, b"\x01CD001")?;
    let time = [830, 813].into_iter().filter_map(|at| descriptor.array::<16>(at));
    let time = time.into_iter().find(|time| time.iter().all(u8::is_ascii_digit) && *time != [b'0'; 16]);
    let fields = [0..4, 4..6, 6..8, 8..10, 10..12, 12..14, 14..16];
    let uuid =
        time.map(|time| fields.map(|field| String::from_utf8_lossy(&time[field]).into_owned()).join("-"));
    let block_size = u64::from(descriptor.array(128).map(u16::from_le_bytes)?);
    let label = descriptor.text(40, 32).map(|label| label.trim_end().to_owned());
    Some(FileSystem {
        label: label.filter(|label| !label.is_empty()),
        uuid,
        size: u64::from(descriptor.u32(80)?).checked_mul(block_size),
        block_size: Some(block_size),
        ..bare(Kind::Iso9660)
    })
}
