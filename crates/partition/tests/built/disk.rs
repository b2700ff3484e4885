//! Disks with a table made from numbers, without any tool.

use std::ops::Range;

use arm_image_partition::Partition;
use proptest::prelude::*;

/// What fills a disk, so that a byte written astray is noticed.
const FILL: u8 = 0xa5;

/// A disk that ends as soon behind its last partition as it can.
#[derive(Clone)]
pub(crate) struct Built {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sector: u64,
    pub(crate) partitions: Vec<Partition>,
}

impl std::fmt::Debug for Built {
    /// All but the fill.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = self.bytes.len();
        write!(formatter, "{length} bytes in sectors of {}, {:#?}", self.sector, self.partitions)
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn little(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("a small number").to_le_bytes()
}

/// An entry of a boot record.
fn entry(disk: &mut [u8], at: usize, kind: u8, start: usize, length: usize) {
    disk[at..at + 16].fill(0);
    disk[at + 4] = kind;
    put(disk, at + 8, &little(start));
    put(disk, at + 12, &little(length));
}

fn partition(
    number: usize,
    sectors: Range<usize>,
    sector: usize,
    kind: String,
    partuuid: String,
) -> Partition {
    let bytes = (sectors.start * sector) as u64..(sectors.end * sector) as u64;
    let number = u32::try_from(number).expect("a small number");
    Partition { number, range: bytes, kind, name: None, partuuid }
}

/// Sectors that stay free, and sectors of a partition.
type Piece = (usize, usize);

fn pieces(count: Range<usize>) -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec((0..9_usize, 1..30_usize), count)
}

/// An MBR with up to three primary partitions, and one with logical ones at any place among them.
pub(crate) fn mbr() -> impl Strategy<Value = Built> {
    let places = (0..4_usize, 0..4_usize, any::<bool>());
    let kinds = prop::sample::select(vec![0x05_u8, 0x0f, 0x85]);
    (pieces(0..4), pieces(0..8), places, kinds).prop_filter_map(
        "nothing in it",
        |(outer, inner, places, kind)| {
            (outer.len() + inner.len() > 0).then(|| build_mbr(&outer, &inner, places, kind))
        },
    )
}

fn build_mbr(
    outer: &[Piece],
    inner: &[Piece],
    (among, turn, backwards): (usize, usize, bool),
    kind: u8,
) -> Built {
    let mut disk = vec![FILL; 512];
    disk[446..510].fill(0);
    put(&mut disk, 510, &[0x55, 0xaa]);
    let (mut end, mut partitions, mut logical) = (1, Vec::new(), Vec::new());
    let uuid = |number| format!("a5a5a5a5-{number:02x}");
    let entries = outer.len() + usize::from(!inner.is_empty());
    for index in 0..entries {
        // The numbers go round, so that the last on the disk need not have the highest.
        let place = (index + turn) % entries;
        let is_extended = !inner.is_empty() && index == among.min(outer.len());
        let start;
        if is_extended {
            start = end;
            logical = chain(&mut disk, start, inner, backwards);
            end = disk.len() / 512;
        } else {
            let (gap, length) = outer[index - usize::from(!inner.is_empty() && index > among)];
            start = end + gap;
            end = start + length;
            disk.resize(end * 512, FILL);
        }
        let kind = if is_extended { kind } else { 0x83 };
        entry(&mut disk, 446 + 16 * place, kind, start, end - start);
        partitions.push(partition(place + 1, start..end, 512, format!("{kind:02x}"), uuid(place + 1)));
    }
    for (number, sectors) in (5..).zip(logical) {
        partitions.push(partition(number, sectors, 512, "83".to_owned(), uuid(number)));
    }
    partitions.sort_by_key(|partition| partition.number);
    Built { bytes: disk, sector: 512, partitions }
}

/// Logical partitions from sector `first` on, linked in the order of the disk or, but for the first, against it.
fn chain(disk: &mut Vec<u8>, first: usize, inner: &[Piece], backwards: bool) -> Vec<Range<usize>> {
    let mut links = Vec::new();
    for (gap, length) in inner {
        let record = disk.len() / 512;
        links.push((record, record + 1 + gap..record + 1 + gap + length));
        disk.resize((record + 1 + gap + length) * 512, FILL);
    }
    if backwards {
        links[1..].reverse();
    }
    for (index, (record, data)) in links.iter().enumerate() {
        let at = record * 512;
        disk[at + 446..at + 510].fill(0);
        put(disk, at + 510, &[0x55, 0xaa]);
        entry(disk, at + 446, 0x83, data.start - record, data.len());
        if let Some((next, its)) = links.get(index + 1) {
            entry(disk, at + 462, 0x05, next - first, its.end - next);
        }
    }
    links.into_iter().map(|(_, data)| data).collect()
}

/// A GPT with sectors of either size, and entries of any number and size.
pub(crate) fn gpt() -> impl Strategy<Value = Built> {
    let shape =
        (prop::sample::select(vec![512_usize, 4096]), 0..3_u32, 1..40_usize, 0..5_usize, any::<bool>());
    (shape, pieces(1..9)).prop_map(|(shape, pieces)| build_gpt(shape, &pieces))
}

fn build_gpt(
    (sector, doubled, spare, pad, backwards): (usize, u32, usize, usize, bool),
    pieces: &[Piece],
) -> Built {
    let (entry_size, count) = (128_usize << doubled, pieces.len() + spare);
    let array_sectors = (entry_size * count).div_ceil(sector);
    let first_usable = 2 + pad + array_sectors;
    let mut array = vec![0; entry_size * count];
    let (mut end, mut partitions) = (first_usable, Vec::new());
    for (index, (gap, length)) in pieces.iter().enumerate() {
        let start = end + gap;
        end = start + length;
        // Some entries stay free in front, and the rest may lie against the order of the disk.
        let place = spare / 2 + if backwards { pieces.len() - 1 - index } else { index };
        let own = &mut array[place * entry_size..(place + 1) * entry_size];
        // What is behind the fields of a larger entry has to stay as well.
        own.fill(0x5a);
        put(own, 32, &[start as u64, end as u64 - 1, 0x8000_0000_0000_0004].map(u64::to_le_bytes).concat());
        own[56..128].fill(0);
        let word = "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a";
        partitions.push(partition(place + 1, start..end, sector, word.to_owned(), word.to_owned()));
    }
    partitions.sort_by_key(|partition| partition.number);
    let sectors = end + array_sectors + 1;
    let header = |own: usize, other: usize, array_at: usize| {
        let mut header = vec![0; sector];
        put(&mut header, 0, b"EFI PART\0\0\x01\0\x5c\0\0\0");
        for (at, value) in [(24, own), (32, other), (40, first_usable), (48, end - 1), (72, array_at)] {
            put(&mut header, at, &(value as u64).to_le_bytes());
        }
        header[56..72].fill(FILL);
        put(&mut header, 80, &[little(count), little(entry_size)].concat());
        put(&mut header, 88, &crc32fast::hash(&array).to_le_bytes());
        let checksum = crc32fast::hash(&header[..92]).to_le_bytes();
        put(&mut header, 16, &checksum);
        header
    };
    let mut disk = vec![FILL; sectors * sector];
    disk[446..510].fill(0);
    put(&mut disk, 510, &[0x55, 0xaa]);
    entry(&mut disk, 446, 0xee, 1, sectors - 1);
    put(&mut disk, sector, &header(1, sectors - 1, 2 + pad));
    put(&mut disk, (2 + pad) * sector, &array);
    disk[end * sector..].fill(0);
    put(&mut disk, end * sector, &array);
    put(&mut disk, (sectors - 1) * sector, &header(sectors - 1, 1, end));
    Built { bytes: disk, sector: sector as u64, partitions }
}
