//! One of the two copies of a GPT, read and verified.

use std::io::{Cursor, Read, Seek};
use std::ops::Range;

use gptman::GPTHeader;

use crate::patch;

/// The smallest entry. Larger ones start alike; what follows is kept as it is.
pub(super) const ENTRY: usize = 128;

/// An array larger than this is not believed: it is 256 times the usual 16 KiB.
const ARRAY_LIMIT: u64 = 4 << 20;

/// Offsets of the header's fields that an edit changes.
pub(super) mod field {
    pub(in crate::gpt) const CHECKSUM: usize = 16;
    pub(in crate::gpt) const OWN_SECTOR: usize = 24;
    pub(in crate::gpt) const OTHER_SECTOR: usize = 32;
    pub(in crate::gpt) const LAST_USABLE: usize = 48;
    pub(in crate::gpt) const ENTRIES_SECTOR: usize = 72;
    pub(in crate::gpt) const ENTRIES_CHECKSUM: usize = 88;
    /// Behind the last field: what the header's checksum covers.
    pub(in crate::gpt) const END: usize = 92;
}

/// A header with its entries, verified, as they lie on the disk.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) header: GPTHeader,
    /// The whole sector of the header.
    pub(super) sector: Vec<u8>,
    /// The array, without what its last sector has behind it.
    pub(super) entries: Vec<u8>,
}

impl Copy {
    /// Reads the copy whose header is in sector `own`; or says what is wrong with it.
    pub(super) fn read(
        storage: &mut (impl Read + Seek + ?Sized),
        sector_size: usize,
        own: u64,
    ) -> Result<Self, String> {
        let bytes = |count: u64| count.checked_mul(sector_size as u64).ok_or("it points behind any disk");
        let mut sector = vec![0; sector_size];
        patch::fill(storage, bytes(own)?, &mut sector).map_err(|error| error.to_string())?;
        let header = GPTHeader::read_from(&mut Cursor::new(&sector)).map_err(|error| error.to_string())?;
        let entry = u64::from(header.size_of_partition_entry);
        let length = u64::from(header.number_of_partition_entries).saturating_mul(entry);
        if header.primary_lba != own {
            return Err("the header says that it belongs elsewhere".to_owned());
        }
        if entry < ENTRY as u64 || !entry.is_multiple_of(8) || length > ARRAY_LIMIT {
            return Err(format!(
                "{} entries of {entry} bytes make no sense",
                header.number_of_partition_entries
            ));
        }
        let array = header.partition_entry_lba;
        let behind_array = array.saturating_add(length.div_ceil(sector_size as u64));
        let is_apart = behind_array <= header.first_usable_lba || array > header.last_usable_lba;
        if header.first_usable_lba < 2 || !is_apart {
            return Err("the table lies among the partitions".to_owned());
        }
        if array < 2 || (array..behind_array).contains(&own) {
            return Err("the entries lie over a header".to_owned());
        }
        let mut entries = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        patch::fill(storage, bytes(header.partition_entry_lba)?, &mut entries)
            .map_err(|error| error.to_string())?;
        if crc32fast::hash(&entries) != header.partition_entry_array_crc32 {
            return Err("corrupted checksum of the entries".to_owned());
        }
        Ok(Self { header, sector, entries })
    }

    /// The sectors that the entries take.
    pub(super) fn array_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(self.sector_size())
    }

    /// Bytes a sector.
    pub(super) fn sector_size(&self) -> u64 {
        self.sector.len() as u64
    }

    /// The bytes of the disk that this copy takes up, if it lies behind the partitions as a backup does.
    pub(super) fn place(&self) -> Vec<Range<u64>> {
        let (own, array) = (self.header.primary_lba, self.header.partition_entry_lba);
        if own.min(array) <= self.header.last_usable_lba {
            return Vec::new();
        }
        let bytes =
            |sectors: Range<u64>| sectors.start * self.sector_size()..sectors.end * self.sector_size();
        vec![bytes(array..array + self.array_sectors()), bytes(own..own + 1)]
    }

    /// Makes the primary that this backup is a copy of. A backup does not say where the primary has its entries, so they go
    /// where they usually are, in sector 2; or it says why that cannot be.
    pub(super) fn into_primary(mut self) -> Result<Self, String> {
        if self.header.first_usable_lba < 2 + self.array_sectors() {
            return Err("there is no room for the entries in front of the partitions".to_owned());
        }
        let own = self.header.primary_lba;
        for (at, value) in [(field::OWN_SECTOR, 1), (field::OTHER_SECTOR, own), (field::ENTRIES_SECTOR, 2)] {
            self.sector[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        }
        seal(&mut self.sector);
        Ok(self)
    }
}

/// Writes the header's checksum, which is computed with its own field as zero.
pub(super) fn seal(header: &mut [u8]) {
    header[field::CHECKSUM..field::CHECKSUM + 4].fill(0);
    let checksum = crc32fast::hash(&header[..field::END]);
    header[field::CHECKSUM..field::CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
}
