//! A disk of any bytes whose first sector is signed like an MBR: read, and grown and shrunk if it lets that be done.
#![no_main]

mod table;

use libfuzzer_sys::fuzz_target;

const SECTOR: usize = 512;

/// Signs a sector as a boot record, and makes the numbers in it small, so that many of them fit the disk.
fn tame(sector: &mut [u8]) {
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    for entry in sector[446..510].chunks_exact_mut(16) {
        // Other flags make it no boot record.
        entry[0] &= 0x80;
        match entry[4] % 4 {
            0 => entry.fill(0),
            1 => entry[4] = [0x05, 0x0f, 0x85][usize::from(entry[4] / 4 % 3)],
            _ => entry[4] |= 0x80,
        }
        for number in [8, 12] {
            entry[number] %= 32;
            entry[number + 1..number + 4].fill(0);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let mut disk = data.to_vec();
    if mode & 1 == 0 {
        disk.resize(disk.len().clamp(16 * SECTOR, 64 * SECTOR), 0);
        for (index, sector) in disk.chunks_exact_mut(SECTOR).enumerate() {
            if index == 0 || sector[511] != 0 {
                tame(sector);
            }
        }
    } else if disk.len() >= SECTOR {
        for entry in 0..4 {
            disk[446 + 16 * entry] &= 0x80;
        }
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    }
    table::exercise(disk);
});
