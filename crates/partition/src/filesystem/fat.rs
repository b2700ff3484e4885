//! FAT: a boot sector that describes the rest. Format: Microsoft's FAT specification, and `linux/msdos_fs.h`.

use super::clusters::{self, Clusters};
use super::superblock::bare;
use super::{FileSystem, Kind};

/// The parts of the boot sector that matter here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fat {
    sector_size: u64,
    cluster_size: u64,
    /// Byte offset of the first allocation table.
    table: u64,
    /// Byte offset of the cluster with number 2.
    data: u64,
    root: Root,
    total: u64,
    serial: u32,
}

#[derive(Debug, Clone, Copy)]
enum Root {
    /// FAT12 and FAT16: so many bytes at an offset.
    Fixed(u64, u64),
    /// FAT32: a chain of clusters that starts here.
    Chain(u32),
}

impl Fat {
    /// Decodes a boot sector; `None` where its numbers do not go together.
    pub(super) fn decode(head: &[u8]) -> Option<Self> {
        let sector = head.first_chunk::<512>()?;
        let byte = |at: usize| u64::from(sector[at]);
        let half = |at: usize| u64::from(u16::from_le_bytes([sector[at], sector[at + 1]]));
        let word =
            |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);

        let (sector_size, cluster, reserved, tables) = (half(11), byte(13), half(14), byte(16));
        let media_is_known = byte(21) == 0xf0 || byte(21) >= 0xf8;
        let shape_is_sound = matches!(sector_size, 512 | 1024 | 2048 | 4096) && cluster.is_power_of_two();
        if sector[510..] != [0x55, 0xaa] || !media_is_known || !shape_is_sound || reserved == 0 {
            return None;
        }
        if !matches!(tables, 1 | 2) {
            return None;
        }
        let small_table = half(22);
        let table_sectors = if small_table == 0 { u64::from(word(36)) } else { small_table };
        let total = if half(19) == 0 { u64::from(word(32)) } else { half(19) };
        let root_bytes = half(17) * 32;
        let root_at = (reserved + tables * table_sectors) * sector_size;
        let data = root_at + root_bytes.next_multiple_of(sector_size);
        if table_sectors == 0 || data >= total * sector_size {
            return None;
        }
        let is_32 = small_table == 0;
        // FAT32 alone has its root in the data area, and no other may.
        if is_32 != (root_bytes == 0) {
            return None;
        }
        Some(Self {
            sector_size,
            cluster_size: cluster * sector_size,
            table: reserved * sector_size,
            data,
            root: if is_32 { Root::Chain(word(44)) } else { Root::Fixed(root_at, root_bytes) },
            total,
            serial: word(if is_32 { 67 } else { 39 }),
        })
    }

    /// What it says about itself; `read` fills a buffer from a byte offset and says whether it could.
    pub(super) fn describe(&self, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> FileSystem {
        FileSystem {
            label: self.label(&mut read),
            uuid: Some(clusters::serial(self.serial)),
            size: Some(self.total * self.sector_size),
            block_size: Some(self.sector_size),
            ..bare(Kind::Vfat)
        }
    }

    /// The label, from the root directory: the copy in the boot sector is what mkfs left there, and nobody reads it.
    fn label(&self, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> Option<String> {
        match self.root {
            Root::Fixed(at, length) => {
                let mut directory = vec![0; usize::try_from(length).ok()?];
                read(at, &mut directory).then(|| find_label(&directory)).flatten().flatten()
            }
            Root::Chain(first) => {
                let clusters = Clusters {
                    table: self.table,
                    data: self.data,
                    size: self.cluster_size,
                    mask: 0x0fff_ffff,
                };
                clusters.search(first, read, find_label)
            }
        }
    }
}

/// Looks for the label in a piece of a directory: `None` where the search goes on in the next, `Some` where it is over.
fn find_label(directory: &[u8]) -> Option<Option<String>> {
    const VOLUME: u8 = 0x08;
    const DIRECTORY: u8 = 0x10;
    const LONG_NAME: u8 = 0x0f;
    const DELETED: u8 = 0xe5;
    for entry in directory.as_chunks::<32>().0 {
        let attributes = entry[11];
        if entry[0] == 0 {
            return Some(None);
        }
        let is_long_name = attributes & 0x3f == LONG_NAME;
        if entry[0] != DELETED && !is_long_name && attributes & (VOLUME | DIRECTORY) == VOLUME {
            let label = String::from_utf8_lossy(&entry[..11]).trim_end().to_owned();
            return Some(Some(label).filter(|label| !label.is_empty() && label != "NO NAME"));
        }
    }
    None
}
