//! The master boot record: four entries in sector 0, and a chain of sectors with one logical partition each.
//!
//! Format: <https://en.wikipedia.org/wiki/Master_boot_record>, <https://en.wikipedia.org/wiki/Extended_boot_record>, and what
//! the kernel makes of it (`block/partitions/msdos.c`).

use std::collections::HashSet;
use std::io::{Read, Seek};
use std::ops::Range;

use crate::boot_record::{BootRecord, ENTRIES, ENTRY, u32_at};
use crate::check::{Claim, check};
use crate::patch::{self, Patch};
use crate::{Error, Partition, PartitionEditor, Scheme, Storage};

/// Bytes a sector. Nothing in an MBR says so; for disk images it is what everyone takes.
pub(crate) const SECTOR: u64 = 512;

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

/// An MBR with its logical partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mbr {
    size: u64,
    sectors: Vec<Sector>,
    entries: Vec<Entry>,
}

impl Mbr {
    pub(crate) fn read(storage: &mut (impl Read + Seek + ?Sized), size: u64) -> Result<Self, Error> {
        let bytes = patch::read(storage, 0)?;
        let record = BootRecord::decode(&bytes).ok_or(Error::NoTable)?;
        let mut table = Self { size, sectors: vec![Sector { position: 0, bytes }], entries: Vec::new() };
        for (number, place, entry) in (1..).zip(0..).zip(record.entries()).map(|((n, p), e)| (n, p, e)) {
            if entry.is_used() {
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

    /// Follows the chain of an extended partition. Every link counts from the start of that partition.
    fn follow(
        &mut self,
        storage: &mut (impl Read + Seek + ?Sized),
        extended: usize,
        number: &mut u32,
    ) -> Result<(), Error> {
        let first = self.entries[extended].start;
        let mut seen = HashSet::new();
        let mut link = None;
        let mut record = first;
        loop {
            let position = record * SECTOR;
            let broken = Error::ExtendedChain { offset: position };
            if !seen.insert(record) || position + SECTOR > self.size {
                return Err(broken);
            }
            let bytes = patch::read(storage, position)?;
            let Some(decoded) = BootRecord::decode(&bytes) else {
                // An extended partition without logical ones need not hold a boot record.
                return if link.is_none() { Ok(()) } else { Err(broken) };
            };
            let sector = self.sectors.len();
            self.sectors.push(Sector { position, bytes });
            let [data, next, ..] = decoded.entries();
            if data.is_used() {
                let start = record + u64::from(data.starting_lba);
                let inside = Some(Inside { extended, record, link });
                self.entries.push(Entry { number: *number, slot: Slot { sector, place: 0 }, start, inside });
                *number += 1;
            }
            if next.is_unused() || next.starting_lba == 0 {
                return Ok(());
            }
            link = Some(Slot { sector, place: 1 });
            record = first + u64::from(next.starting_lba);
        }
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
            range: entry.start * SECTOR..self.end(entry) * SECTOR,
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
            _ => return Err(Error::TooLarge { end: end.saturating_mul(SECTOR) }),
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
        let claims = |inside: Option<usize>| {
            let of = move |entry: &&Entry| entry.inside.as_ref().map(|inside| inside.extended) == inside;
            let claim = |entry: &Entry| {
                let partition = self.partition(entry);
                let start =
                    entry.inside.as_ref().map_or(partition.range.start, |inside| inside.record * SECTOR);
                // An empty logical partition must stay empty here, for all that its boot record takes a sector.
                let start = if partition.range.is_empty() { partition.range.start } else { start };
                Claim { number: entry.number, range: start..partition.range.end }
            };
            self.entries.iter().filter(of).map(claim).collect::<Vec<_>>()
        };
        check(claims(None), &self.usable())?;
        for (index, entry) in self.entries.iter().enumerate() {
            check(claims(Some(index)), &self.partition(entry).range)?;
        }
        Ok(())
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

    fn usable(&self) -> Range<u64> {
        SECTOR..self.size / SECTOR * SECTOR
    }

    fn set_disk_size(&mut self, size: u64) -> Result<(), Error> {
        let changed = Self { size, ..self.clone() };
        changed.check()?;
        *self = changed;
        Ok(())
    }

    fn set_end(&mut self, number: u32, end: u64) -> Result<(), Error> {
        if !end.is_multiple_of(SECTOR) {
            return Err(Error::Unaligned { end, sector: SECTOR });
        }
        let end = end / SECTOR;
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
