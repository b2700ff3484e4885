//! A disk of any bytes with a protective MBR, and with right checksums in the headers at either end, so that what they say
//! is looked at: read, and grown and shrunk if it lets that be done.
#![no_main]

mod table;

use libfuzzer_sys::fuzz_target;

/// Gives a header a signature and the checksums it needs, where its entries lie on the disk.
fn seal(disk: &mut [u8], at: usize, sector: usize) {
    disk[at..at + 16].copy_from_slice(b"EFI PART\0\0\x01\0\x5c\0\0\0");
    let own = at / sector;
    disk[at + 24..at + 32].copy_from_slice(&(own as u64).to_le_bytes());
    let number = |place: usize, length: usize| {
        let bytes = disk[at + place..at + place + length].iter().rev();
        bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let length = number(80, 4).saturating_mul(number(84, 4));
    let array = number(72, 8).saturating_mul(sector as u64);
    let entries = usize::try_from(array).ok().zip(usize::try_from(array.saturating_add(length)).ok());
    if let Some(entries) = entries.and_then(|(start, end)| disk.get(start..end)) {
        let checksum = crc32(entries).to_le_bytes();
        disk[at + 88..at + 92].copy_from_slice(&checksum);
    }
    disk[at + 16..at + 20].fill(0);
    let checksum = crc32(&disk[at..at + 92]).to_le_bytes();
    disk[at + 16..at + 20].copy_from_slice(&checksum);
}

/// Makes the numbers of a header and its entries small, so that many of them fit the disk.
fn tame(disk: &mut [u8], at: usize, sector: usize) {
    let sectors = disk.len() / sector;
    let byte = |disk: &[u8], place: usize| usize::from(disk[at + place]);
    let (size, count) = (128_usize << (byte(disk, 84) % 3), byte(disk, 80) % 20 + 1);
    let array_sectors = (size * count).div_ceil(sector);
    let array =
        if at == sector { 2 + byte(disk, 72) % 3 } else { (at / sector).saturating_sub(array_sectors) };
    let fields = [
        (32, if at == sector { sectors - 1 - byte(disk, 32) % 2 } else { 1 }),
        (40, 2 + array_sectors + byte(disk, 40) % 4),
        (48, (sectors - 1).saturating_sub(array_sectors + byte(disk, 48) % 4)),
        (72, array),
    ];
    for (place, value) in fields {
        disk[at + place..at + place + 8].copy_from_slice(&(value as u64).to_le_bytes());
    }
    disk[at + 80..at + 84].copy_from_slice(&(count as u32).to_le_bytes());
    disk[at + 84..at + 88].copy_from_slice(&(size as u32).to_le_bytes());
    let Some(entries) = disk.get_mut(array * sector..array * sector + size * count) else { return };
    let mut end = 2 + array_sectors as u64;
    for entry in entries.chunks_exact_mut(size) {
        if entry[0] % 4 != 1 {
            entry[..16].fill(0);
            continue;
        }
        let start = end + u64::from(entry[32] % 8);
        end = start + u64::from(entry[40] % 8);
        entry[32..40].copy_from_slice(&start.to_le_bytes());
        entry[40..48].copy_from_slice(&end.to_le_bytes());
        end += 1;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ 0xedb8_8320 * (sum & 1))
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let sector = if mode & 1 == 0 { 512 } else { 4096 };
    let mut disk = data.to_vec();
    disk.truncate(disk.len() / sector * sector);
    if mode & 16 == 0 {
        disk.resize(disk.len().clamp(20 * sector, 80 * sector), 0);
    }
    if disk.len() >= 3 * sector {
        disk[446] &= 0x80;
        disk[446 + 4] = 0xee;
        if mode & 8 == 0 {
            disk[462..510].fill(0);
        }
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let last = disk.len() - sector;
        if mode & 16 == 0 {
            tame(&mut disk, sector, sector);
            tame(&mut disk, last, sector);
        }
        if mode & 2 == 0 {
            seal(&mut disk, last, sector);
        }
        if mode & 4 == 0 {
            seal(&mut disk, sector, sector);
        }
    }
    table::exercise(disk);
});
