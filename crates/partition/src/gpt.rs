//! The GUID partition table: a header and an array of entries at the start of the disk, and a copy of both at its end.
//!
//! Format: UEFI specification 2.10, chapter 5. [`gptman`] decodes and verifies headers and decodes entries; it is not used to
//! write, because it moves entry arrays and the first usable sector to where it would have put them itself.

mod copy;

use std::io::{self, Read, Seek};
use std::ops::Range;

use gptman::GPTPartitionEntry;

use self::copy::{Copy, ENTRY, field, seal};
use crate::boot_record::set_protective_length;
use crate::check::{Claim, check};
use crate::patch::{self, Patch};
use crate::{Error, Partition, PartitionEditor, Scheme, Storage};

/// A GPT, as its primary copy has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gpt {
    size: u64,
    hybrid: bool,
    boot_record: [u8; 512],
    /// The sector with the primary header.
    header: Vec<u8>,
    entries: Vec<u8>,
    entry_size: usize,
    disk_id: [u8; 16],
    first_usable: u64,
    /// The bytes that the backup took up when the table was read, if it was whole.
    former_backup: Vec<Range<u64>>,
}

impl Gpt {
    pub(crate) fn read(
        storage: &mut (impl Read + Seek + ?Sized),
        size: u64,
        hybrid: bool,
    ) -> Result<Self, Error> {
        let boot_record = patch::read(storage, 0)?;
        let mut failure = None;
        for sector_size in [512, 4096] {
            let last = (size / sector_size as u64).saturating_sub(1);
            let primary = Copy::read(storage, sector_size, 1);
            // A file that was made longer still has its backup where it was.
            let backup_sector = primary.as_ref().map_or(last, |primary| primary.header.backup_lba);
            let backup = Copy::read(storage, sector_size, backup_sector);
            let (copy, former_backup) = match (primary, backup) {
                (Ok(primary), Ok(backup)) if backup.header.disk_guid == primary.header.disk_guid => {
                    (primary, backup.place())
                }
                (Ok(primary), _) => (primary, Vec::new()),
                (Err(primary), Ok(backup)) => {
                    let place = backup.place();
                    (backup.into_primary().map_err(|backup| Error::Gpt { primary, backup })?, place)
                }
                // A damaged table of the usual sector size is told, rather than that there is none of the other size.
                (Err(primary), Err(backup)) => {
                    failure.get_or_insert(Error::Gpt { primary, backup });
                    continue;
                }
            };
            return Ok(Self {
                size,
                hybrid,
                boot_record,
                entry_size: copy.header.size_of_partition_entry as usize,
                disk_id: copy.header.disk_guid,
                first_usable: copy.header.first_usable_lba,
                header: copy.sector,
                entries: copy.entries,
                former_backup,
            });
        }
        Err(failure.unwrap_or(Error::NoTable))
    }

    fn field(&self, at: usize) -> u64 {
        u64_at(&self.header, at)
    }

    fn set_field(&mut self, at: usize, value: u64) {
        self.header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn last_usable(&self) -> u64 {
        self.field(field::LAST_USABLE)
    }

    fn array_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(self.sector_size())
    }

    fn partition(&self, number: u32, entry: &[u8]) -> Option<Partition> {
        // `gptman` asks for more bytes than an entry has, and does not look at them.
        let mut padded = Read::chain(&entry[..ENTRY], io::repeat(0));
        let decoded = GPTPartitionEntry::read_from(&mut padded).ok().filter(GPTPartitionEntry::is_used)?;
        let start = decoded.starting_lba.saturating_mul(self.sector_size());
        let end = decoded.ending_lba.saturating_add(1).saturating_mul(self.sector_size());
        Some(Partition {
            number,
            range: start..end.max(start),
            kind: guid(&decoded.partition_type_guid),
            name: Some(decoded.partition_name.as_str().to_owned()).filter(|name| !name.is_empty()),
            partuuid: guid(&decoded.unique_partition_guid),
        })
    }

    fn check(&self) -> Result<(), Error> {
        if self.hybrid {
            return Err(Error::Hybrid);
        }
        let claim = |partition: Partition| Claim { number: partition.number, range: partition.range };
        check(self.partitions().into_iter().map(claim).collect(), &self.usable())
    }

    /// The sectors of the backup, the entries first, where they fit between the last usable sector and the end of the disk.
    fn backup_sectors(&self) -> Result<Range<u64>, Error> {
        let header = self.field(field::OTHER_SECTOR);
        let array = header.checked_sub(self.array_sectors()).filter(|array| *array > self.last_usable());
        let fits = array.filter(|_| header < self.size / self.sector_size());
        fits.map(|array| array..header + 1).ok_or(Error::NoRoomForBackup { size: self.size })
    }

    fn backup_header(&self, array: u64) -> Vec<u8> {
        let mut backup = self.header.clone();
        backup[field::END..].fill(0);
        for (at, value) in [
            (field::OWN_SECTOR, self.field(field::OTHER_SECTOR)),
            (field::OTHER_SECTOR, self.field(field::OWN_SECTOR)),
            (field::ENTRIES_SECTOR, array),
        ] {
            backup[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        seal(&mut backup);
        backup
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

/// A GUID as it is written out: its first three groups are little-endian on the disk.
fn guid(bytes: &[u8; 16]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (position, index) in order.into_iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes[index]));
    }
    text
}

impl PartitionEditor for Gpt {
    fn scheme(&self) -> Scheme {
        Scheme::Gpt
    }

    fn disk_id(&self) -> String {
        guid(&self.disk_id)
    }

    fn partitions(&self) -> Vec<Partition> {
        let entries = self.entries.chunks_exact(self.entry_size);
        (1..).zip(entries).filter_map(|(number, entry)| self.partition(number, entry)).collect()
    }

    fn usable(&self) -> Range<u64> {
        let bytes = |sectors: u64| sectors.saturating_mul(self.sector_size());
        bytes(self.first_usable)..bytes(self.last_usable().saturating_add(1))
    }

    fn sector_size(&self) -> u64 {
        self.header.len() as u64
    }

    fn smallest_disk(&self) -> u64 {
        let end = self.partitions().iter().map(|partition| partition.range.end).max().unwrap_or(0);
        let end = (end / self.sector_size()).max(self.first_usable);
        end.saturating_add(self.array_sectors() + 1).saturating_mul(self.sector_size())
    }

    fn set_disk_size(&mut self, size: u64) -> Result<(), Error> {
        let mut changed = Self { size, ..self.clone() };
        let sectors = size / self.sector_size();
        let usable_end = sectors.checked_sub(1 + self.array_sectors()).filter(|end| *end > self.first_usable);
        let usable_end = usable_end.ok_or(Error::NoRoomForBackup { size })?;
        changed.set_field(field::LAST_USABLE, usable_end - 1);
        changed.set_field(field::OTHER_SECTOR, sectors - 1);
        seal(&mut changed.header);
        set_protective_length(&mut changed.boot_record, sectors);
        changed.check()?;
        *self = changed;
        Ok(())
    }

    fn set_end(&mut self, number: u32, end: u64) -> Result<(), Error> {
        if !end.is_multiple_of(self.sector_size()) {
            return Err(Error::Unaligned { end, sector: self.sector_size() });
        }
        if !self.partitions().iter().any(|partition| partition.number == number) {
            return Err(Error::Unknown { number });
        }
        let mut changed = self.clone();
        let at = (number as usize - 1) * self.entry_size + 40;
        let last = (end / self.sector_size()).checked_sub(1).ok_or(Error::Empty { number })?;
        changed.entries[at..at + 8].copy_from_slice(&last.to_le_bytes());
        let checksum = crc32fast::hash(&changed.entries).to_le_bytes();
        changed.header[field::ENTRIES_CHECKSUM..field::END].copy_from_slice(&checksum);
        seal(&mut changed.header);
        changed.check()?;
        *self = changed;
        Ok(())
    }

    fn write(&self, storage: &mut dyn Storage) -> Result<(), Error> {
        self.check()?;
        let sector = self.sector_size();
        let backup = self.backup_sectors()?;
        let patch = |position: u64, bytes: &[u8]| Patch { offset: position * sector, bytes: bytes.to_vec() };
        // A backup in a new place lies on what was something else, so it takes its last sector whole.
        let mut moved = self.entries.clone();
        if self.former_backup.first().is_none_or(|former| former.start != backup.start * sector) {
            moved.resize(moved.len().next_multiple_of(self.header.len()), 0);
        }
        // At every moment one of the copies is whole: the new backup comes first, and the former one goes last.
        let mut patches = vec![
            patch(backup.start, &moved),
            patch(backup.end - 1, &self.backup_header(backup.start)),
            patch(self.field(field::ENTRIES_SECTOR), &self.entries),
            patch(1, &self.header),
            patch(0, &self.boot_record),
        ];
        // The former backup would come to lie inside the partition that grows. It is wiped, where it was found whole, so that
        // nobody who cuts the image again takes it for the present one.
        for former in &self.former_backup {
            let length = former.end.min(backup.start * sector).saturating_sub(former.start);
            let bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            patches.push(Patch { offset: former.start, bytes });
        }
        patch::apply(storage, &patches)
    }
}
