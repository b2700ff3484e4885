//! exFAT: a boot sector, and a root directory with the label in it. Format: Microsoft's exFAT specification.

use super::clusters::{self, Clusters};
use super::superblock::{bare, power_of_two};
use super::{FileSystem, Kind};

/// The parts of the boot sector that matter here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exfat {
    sector_size: u64,
    size: u64,
    clusters: Clusters,
    root: u32,
    serial: u32,
}

impl Exfat {
    /// Decodes a boot sector; `None` where it is none of exFAT.
    pub(super) fn decode(head: &[u8]) -> Option<Self> {
        let sector = head.first_chunk::<512>()?;
        if sector[3..11] != *b"EXFAT   " || sector[510..] != [0x55, 0xaa] {
            return None;
        }
        let word =
            |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
        let [sector_shift, cluster_shift] = [108, 109].map(|at: usize| u32::from(sector[at]));
        // 512 to 4096 bytes a sector, and at most 32 MiB a cluster.
        if !(9..=12).contains(&sector_shift) || sector_shift + cluster_shift > 25 {
            return None;
        }
        let sector_size = power_of_two(sector_shift)?;
        let sectors = u64::from(word(72)) | u64::from(word(76)) << 32;
        Some(Self {
            sector_size,
            size: sectors.checked_mul(sector_size)?,
            clusters: Clusters {
                table: u64::from(word(80)) * sector_size,
                data: u64::from(word(88)) * sector_size,
                size: power_of_two(sector_shift + cluster_shift)?,
                mask: u32::MAX,
            },
            root: word(96),
            serial: word(100),
        })
    }

    /// What it says about itself; `read` fills a buffer from a byte offset and says whether it could.
    pub(super) fn describe(&self, read: impl FnMut(u64, &mut [u8]) -> bool) -> FileSystem {
        FileSystem {
            label: self.clusters.search(self.root, read, find_label),
            uuid: Some(clusters::serial(self.serial)),
            size: Some(self.size),
            block_size: Some(self.sector_size),
            ..bare(Kind::Exfat)
        }
    }
}

/// Looks for the label in a piece of a directory: `None` where the search goes on in the next, `Some` where it is over.
fn find_label(directory: &[u8]) -> Option<Option<String>> {
    const LABEL: u8 = 0x83;
    /// Letters that fit in.
    const LONGEST: usize = 11;
    for entry in directory.as_chunks::<32>().0 {
        match entry[0] {
            0 => return Some(None),
            LABEL => {
                let units = entry[2..].as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit));
                let letters = char::decode_utf16(units.take(usize::from(entry[1]).min(LONGEST)));
                let label: String =
                    letters.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
                return Some(Some(label).filter(|label| !label.is_empty()));
            }
            _ => {}
        }
    }
    None
}
