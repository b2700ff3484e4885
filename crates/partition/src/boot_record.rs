//! The sector that an MBR, each logical partition and a GPT have in common.
//!
//! [`mbrman`] decodes it. The chain of logical partitions is not read by it, because it adds up positions without checking
//! them; and nothing is written by it, because it recomputes fields that nobody asked it to.

use std::io::Cursor;

use mbrman::{MBRHeader, MBRPartitionEntry};

/// The offset of the first of the four entries.
pub(crate) const ENTRIES: usize = 446;
/// Bytes an entry.
pub(crate) const ENTRY: usize = 16;

/// The types of an extended partition, and of the links inside it. The kernel follows these and no others
/// (`block/partitions/msdos.c`).
pub(crate) const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

const PROTECTIVE: u8 = 0xee;

/// A boot record as it lies in a sector.
pub(crate) struct BootRecord(MBRHeader);

impl BootRecord {
    /// Decodes a sector; `None` where it lacks the signature or holds something else, such as the code of a FAT boot sector.
    pub(crate) fn decode(sector: &[u8; 512]) -> Option<Self> {
        MBRHeader::read_from(&mut Cursor::new(sector)).ok().map(Self)
    }

    /// The four entries.
    pub(crate) fn entries(&self) -> [&MBRPartitionEntry; 4] {
        let record = &self.0;
        [&record.partition_1, &record.partition_2, &record.partition_3, &record.partition_4]
    }

    /// Whether an entry announces a GPT.
    pub(crate) fn is_protective(&self) -> bool {
        self.entries().iter().any(|entry| entry.sys == PROTECTIVE)
    }

    /// Whether there are partitions beside the one that announces a GPT.
    pub(crate) fn is_hybrid(&self) -> bool {
        self.is_protective() && self.entries().iter().any(|entry| entry.is_used() && entry.sys != PROTECTIVE)
    }

    /// Whether there is a partition. One that starts in sector 0 is what mkfs.fat pretends on a disk without a table.
    pub(crate) fn has_partitions(&self) -> bool {
        self.entries().iter().any(|entry| entry.is_used() && entry.starting_lba > 0)
    }
}

/// Writes the length of the entry that announces a GPT, for a disk of so many sectors. `u32::MAX` means "all" and stays.
pub(crate) fn set_protective_length(sector: &mut [u8; 512], disk_sectors: u64) {
    for slot in 0..4 {
        let at = ENTRIES + slot * ENTRY;
        let length = u32_at(sector, at + 12);
        if sector[at + 4] == PROTECTIVE && length != u32::MAX {
            let length = u32::try_from(disk_sectors.saturating_sub(1)).unwrap_or(u32::MAX);
            sector[at + 12..at + 16].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// The little-endian number at an offset.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
