//! The master boot record: four entries in sector 0, and a chain of sectors with one logical partition each.
//!
//! Format: <https://en.wikipedia.org/wiki/Master_boot_record>, <https://en.wikipedia.org/wiki/Extended_boot_record>, and what
//! the kernel makes of it (`block/partitions/msdos.c`).

mod chain;

use std::io::{Read, Seek};
use std::ops::Range;

use crate::boot_record::{BootRecord, ENTRIES, ENTRY, u32_at};
use crate::check::{Claim, check};
use crate::patch::{self, Patch};
use crate::{Error, Partition, PartitionEditor, Scheme, Storage, filesystem};

/// Bytes of a boot record, and of a sector on nearly every disk.
pub(crate) const SECTOR: u64 = 512;

/// The other size of sectors. The boot records take the first 512 bytes of theirs.
const LARGE_SECTOR: u64 = 4096;

/// A sector of the table: the boot record, or that of a logical partition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sector {
    position: u64,
    bytes: [u8; 512],
}

/// Where an entry lies: the index of its sector in [`Mbr::sectors`] and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    sector: usize,
    place: usize,
}

impl Slot {
    fn offset(self) -> usize {
        ENTRIES + self.place * ENTRY
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    number: u32,
    slot: Slot,
    /// The first sector, counted from the start of the disk.
    start: u64,
    inside: Option<Inside>,
}

/// What ties a logical partition to the rest of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Inside {
    /// The extended partition: its index in [`Mbr::entries`].
    extended: usize,
    /// The sector with its own boot record.
    record: u64,
    /// The entry that points to that sector; the first in the chain is pointed to by the extended partition.
    link: Option<Slot>,
}

/// A boot record of the chain that holds no partition, only a link or not even that.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Vacant {
    /// The extended partition: its index in [`Mbr::entries`].
    extended: usize,
    /// The sector of the boot record.
    record: u64,
}

/// An MBR with its logical partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mbr {
    size: u64,
    sector_size: u64,
    sectors: Vec<Sector>,
    entries: Vec<Entry>,
    vacant: Vec<Vacant>,
}

impl Mbr {
    /// Reads the table of a disk of `size` bytes.
    ///
    /// Nothing in an MBR tells the size of its sectors. They are taken for large ones only where that is beyond doubt: the
    /// content of a partition is recognised then and all partitions fit the disk, while with the usual sectors nothing is
    /// recognised anywhere.
    pub(crate) fn read(storage: &mut (impl Read + Seek + ?Sized), size: u64) -> Result<Self, Error> {
        let usual = Self::with_sectors(storage, size, SECTOR);
        if let Ok(large) = Self::with_sectors(storage, size, LARGE_SECTOR)
            && large.check().is_ok()
            && large.holds_something_known(storage)?
            && !usual.as_ref().is_ok_and(|usual| usual.holds_something_known(storage).unwrap_or(true))
        {
            return Ok(large);
        }
        usual
    }

    fn with_sectors(
        storage: &mut (impl Read + Seek + ?Sized),
        size: u64,
        sector_size: u64,
    ) -> Result<Self, Error> {
        let bytes = patch::read(storage, 0)?;
        let record = BootRecord::decode(&bytes).ok_or(Error::NoTable)?;
        let sectors = vec![Sector { position: 0, bytes }];
        let mut table = Self { size, sector_size, sectors, entries: Vec::new(), vacant: Vec::new() };
        for (number, place, entry) in (1..).zip(0..).zip(record.entries()).map(|((n, p), e)| (n, p, e)) {
            // To the kernel and to sfdisk, one of type 0 is a partition too if it has a length.
            if entry.is_used() || entry.sectors > 0 {
                let slot = Slot { sector: 0, place };
                let start = u64::from(entry.starting_lba);
                table.entries.push(Entry { number, slot, start, inside: None });
            }
        }
        let mut number = 5;
        for index in 0..table.entries.len() {
            if table.partition(&table.entries[index]).is_extended() {
                table.follow(storage, index, &mut number)?;
            }
        }
        Ok(table)
    }

    fn holds_something_known(&self, storage: &mut (impl Read + Seek + ?Sized)) -> Result<bool, Error> {
        for partition in self.partitions().into_iter().filter(|partition| !partition.is_extended()) {
            if filesystem::probe(storage, partition.range)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn length(&self, slot: Slot) -> u64 {
        u64::from(u32_at(&self.sectors[slot.sector].bytes, slot.offset() + 12))
    }

    fn end(&self, entry: &Entry) -> u64 {
        entry.start + self.length(entry.slot)
    }

    fn partition(&self, entry: &Entry) -> Partition {
        let kind = self.sectors[entry.slot.sector].bytes[entry.slot.offset() + 4];
        Partition {
            number: entry.number,
            range: entry.start * self.sector_size..self.end(entry) * self.sector_size,
            kind: format!("{kind:02x}"),
            name: None,
            partuuid: format!("{}-{:02x}", self.disk_id(), entry.number),
        }
    }

    /// Sets the length of an entry whose first sector, from the start of the disk, is `start`, so that it ends at `end`.
    fn stretch(&mut self, slot: Slot, start: u64, end: u64) -> Result<(), Error> {
        // Starts and lengths are 32 bits each. Their sum could be more, but not every system adds them up in 64 bits.
        let length = match u32::try_from(end.saturating_sub(start)) {
            Ok(length) if end <= 1 << 32 => length,
            _ => return Err(Error::TooLarge { end: end.saturating_mul(self.sector_size) }),
        };
        let at = slot.offset();
        let entry = &mut self.sectors[slot.sector].bytes[at..at + ENTRY];
        entry[12..16].copy_from_slice(&length.to_le_bytes());
        // Tools that know nothing of cylinders leave zeros; who started with them goes on with them.
        if entry[5..8] != [0; 3] {
            entry[5..8].copy_from_slice(&cylinder_head_sector(end.saturating_sub(1)));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        let outer = self.entries.iter().filter(|entry| entry.inside.is_none());
        check(outer.map(|entry| self.claim(entry)).collect(), &self.usable())?;
        self.check_chain()
    }

    fn claim(&self, entry: &Entry) -> Claim {
        Claim { number: entry.number, range: self.partition(entry).range }
    }
}

/// The last sector in the form that BIOSes used, for the geometry that Linux tools assume: 255 heads of 63 sectors.
fn cylinder_head_sector(sector: u64) -> [u8; 3] {
    let (cylinder, rest) = (sector / (255 * 63), sector % (255 * 63));
    match (u16::try_from(cylinder), u8::try_from(rest / 63), u8::try_from(rest % 63 + 1)) {
        (Ok(cylinder @ 0..=1023), Ok(head), Ok(sector)) => {
            let [low, high] = cylinder.to_le_bytes();
            [head, sector | high << 6, low]
        }
        // What lies behind the last cylinder that fits is all marked alike.
        _ => [0xfe, 0xff, 0xff],
    }
}

impl PartitionEditor for Mbr {
    fn scheme(&self) -> Scheme {
        Scheme::Mbr
    }

    fn disk_id(&self) -> String {
        format!("{:08x}", u32_at(&self.sectors[0].bytes, 440))
    }

    fn partitions(&self) -> Vec<Partition> {
        self.entries.iter().map(|entry| self.partition(entry)).collect()
    }

    fn sector_size(&self) -> u64 {
        self.sector_size
    }

    fn smallest_disk(&self) -> u64 {
        self.partitions().iter().map(|partition| partition.range.end).max().unwrap_or(0).max(self.sector_size)
    }

    fn usable(&self) -> Range<u64> {
        self.sector_size..self.size / self.sector_size * self.sector_size
    }

    fn set_disk_size(&mut self, size: u64) -> Result<(), Error> {
        let changed = Self { size, ..self.clone() };
        changed.check()?;
        *self = changed;
        Ok(())
    }

    fn set_end(&mut self, number: u32, end: u64) -> Result<(), Error> {
        let sector = self.sector_size;
        if !end.is_multiple_of(sector) {
            return Err(Error::Unaligned { end, sector });
        }
        let end = end / sector;
        let mut changed = self.clone();
        let entry =
            self.entries.iter().find(|entry| entry.number == number).ok_or(Error::Unknown { number })?;
        changed.stretch(entry.slot, entry.start, end)?;
        if let Some(inside) = &entry.inside {
            if let Some(link) = inside.link {
                changed.stretch(link, inside.record, end)?;
            }
            let extended = &self.entries[inside.extended];
            if self.end(extended) < end {
                changed.stretch(extended.slot, extended.start, end)?;
            }
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    fn write(&self, storage: &mut dyn Storage) -> Result<(), Error> {
        self.check()?;
        // The extended partition first: whoever looks in between sees a logical one that is still too short, not too long.
        let patches =
            self.sectors.iter().map(|sector| Patch { offset: sector.position, bytes: sector.bytes.to_vec() });
        patch::apply(storage, &patches.collect::<Vec<_>>())
    }
}
