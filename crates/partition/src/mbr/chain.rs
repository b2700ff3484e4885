//! The chain of boot records inside an extended partition.

use std::collections::HashSet;
use std::io::{Read, Seek};

use super::{Entry, Inside, Mbr, SECTOR, Sector, Slot, Vacant};
use crate::boot_record::{BootRecord, EXTENDED};
use crate::check::{Claim, check};
use crate::{Error, patch};

/// More boot records than this are not followed: the kernel has minor numbers for 255 partitions a disk.
const RECORDS: usize = 256;

impl Mbr {
    /// Follows the chain of an extended partition. Every link counts from the start of that partition.
    pub(super) fn follow(
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
            let position = record * self.sector_size;
            let broken = Error::ExtendedChain { offset: position };
            if !seen.insert(record) || seen.len() > RECORDS || position + SECTOR > self.size {
                return Err(broken);
            }
            let bytes = patch::read(storage, position)?;
            let Some(decoded) = BootRecord::decode(&bytes) else {
                // An extended partition without logical ones need not hold a boot record.
                return if link.is_none() { Ok(()) } else { Err(broken) };
            };
            let sector = self.sectors.len();
            self.sectors.push(Sector { position, bytes });
            // Usually the partition comes first and the link second, but it is the type that tells them apart.
            let entry = |is_link: bool| {
                let mut entries = (0..).zip(decoded.entries());
                entries.find(|(_, entry)| entry.sectors > 0 && EXTENDED.contains(&entry.sys) == is_link)
            };
            if let Some((place, data)) = entry(false) {
                let start = record + u64::from(data.starting_lba);
                let inside = Some(Inside { extended, record, link });
                self.entries.push(Entry { number: *number, slot: Slot { sector, place }, start, inside });
                *number += 1;
            } else {
                self.vacant.push(Vacant { extended, record });
            }
            let Some((place, next)) = entry(true) else { return Ok(()) };
            link = Some(Slot { sector, place });
            record = first + u64::from(next.starting_lba);
        }
    }

    /// Checks that the logical partitions and all boot records lie apart, each inside its extended partition.
    pub(super) fn check_chain(&self) -> Result<(), Error> {
        let record = |number, record: u64| Claim {
            number,
            range: record * self.sector_size..(record + 1) * self.sector_size,
        };
        for (index, extended) in self.entries.iter().enumerate() {
            let mut claims = Vec::new();
            for entry in &self.entries {
                let Some(inside) = entry.inside.as_ref().filter(|inside| inside.extended == index) else {
                    continue;
                };
                if entry.start == inside.record {
                    let start = entry.start * self.sector_size;
                    return Err(Error::BadStart { number: entry.number, start });
                }
                claims.extend([self.claim(entry), record(entry.number, inside.record)]);
            }
            let vacant = self.vacant.iter().filter(|vacant| vacant.extended == index);
            claims.extend(vacant.map(|vacant| record(extended.number, vacant.record)));
            check(claims, &self.partition(extended).range)?;
        }
        Ok(())
    }
}
