//! What FAT32 and exFAT share: directories in chains of clusters, with an allocation table of 32 bits an entry.

/// Clusters of a directory that are looked at. The label is among the first entries of any file system in use.
const LONGEST: usize = 64;

/// Bytes of a cluster that are looked at, as exFAT has clusters of up to 32 MiB.
const MOST: u64 = 64 * 1024;

/// Where the clusters are, in bytes from the start of the file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clusters {
    /// The first allocation table.
    pub(super) table: u64,
    /// The cluster with number 2.
    pub(super) data: u64,
    /// Bytes a cluster.
    pub(super) size: u64,
    /// The bits of a table's entry that are a number of a cluster.
    pub(super) mask: u32,
}

impl Clusters {
    /// Shows the clusters of a directory to `look` until that returns something; `read` fills a buffer from an offset.
    pub(super) fn search(
        &self,
        first: u32,
        mut read: impl FnMut(u64, &mut [u8]) -> bool,
        look: impl Fn(&[u8]) -> Option<Option<String>>,
    ) -> Option<String> {
        let mut cluster = first;
        let mut directory = vec![0; usize::try_from(self.size.min(MOST)).ok()?];
        for _ in 0..LONGEST {
            let index = u64::from(cluster & self.mask).checked_sub(2)?;
            if !read(self.data.checked_add(index.checked_mul(self.size)?)?, &mut directory) {
                return None;
            }
            if let Some(end) = look(&directory) {
                return end;
            }
            let mut next = [0; 4];
            if !read(self.table.checked_add((index + 2) * 4)?, &mut next) {
                return None;
            }
            cluster = u32::from_le_bytes(next);
        }
        None
    }
}

/// A serial number as `blkid` writes it.
pub(super) fn serial(number: u32) -> String {
    format!("{:04X}-{:04X}", number >> 16, number & 0xffff)
}
