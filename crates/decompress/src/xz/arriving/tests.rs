use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::super::XzStream;
use super::super::block::Block;
use super::super::index::{
    Flags, HEADER, Record, check_size, crc32, header, parse_block_header, parse_footer, parse_header,
    parse_index, push_integer, tail,
};
use crate::source::Source;
use crate::{Error, SparseFile, Tick, Unpacked, Unpacker, streams, unpack_stream};

const CHECKS: [u8; 4] = [0, 1, 4, 10];

/// A block as it stands in a file.
#[derive(Debug, Clone)]
struct Made {
    bytes: Vec<u8>,
    record: Record,
}

/// A block without sizes in its header, made by the library.
fn block(data: &[u8], check: u8) -> Made {
    use xz2::stream::{Check, Stream};
    let check = match check {
        0 => Check::None,
        1 => Check::Crc32,
        4 => Check::Crc64,
        _ => Check::Sha256,
    };
    let mut encoder =
        xz2::write::XzEncoder::new_stream(Vec::new(), Stream::new_easy_encoder(0, check).unwrap());
    encoder.write_all(data).unwrap();
    let stream = encoder.finish().unwrap();
    let (rest, footer) = stream.split_last_chunk::<HEADER>().unwrap();
    let index = rest.len() - usize::try_from(parse_footer(footer).unwrap().0).unwrap();
    match parse_index(&rest[index..]).unwrap().as_slice() {
        [record] => Made { bytes: rest[HEADER..index].to_vec(), record: *record },
        // The library makes no block of no data.
        _ => stored(&[], check as u8),
    }
}

/// A block of chunks that are not packed.
fn stored(data: &[u8], check: u8) -> Made {
    let mut bytes = vec![2, 0, 0x21, 1, 22, 0, 0, 0];
    bytes.extend(crc32(&bytes));
    for (number, chunk) in data.chunks(1 << 16).enumerate() {
        bytes.push(if number == 0 { 1 } else { 2 });
        bytes.extend(u16::try_from(chunk.len() - 1).unwrap().to_be_bytes());
        bytes.extend(chunk);
    }
    bytes.push(0);
    let unpadded = bytes.len() as u64;
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    match check {
        0 => {}
        1 => bytes.extend(crc32(data)),
        4 if data.is_empty() => bytes.extend([0; 8]),
        other => panic!("no check {other}"),
    }
    let record = Record { unpadded: unpadded + check_size([0, check]), unpacked: data.len() as u64 };
    Made { bytes, record }
}

/// The same block with sizes in its header, to which something is added.
fn sized(made: &Made, check: u8, packed_lie: u64, unpacked_lie: u64) -> Made {
    let old = parse_block_header(&made.bytes).unwrap().size;
    let packed = made.record.unpadded - old as u64 - check_size([0, check]);
    let mut header = vec![0, made.bytes[1] | 0xc0];
    push_integer(&mut header, packed.wrapping_add(packed_lie));
    push_integer(&mut header, made.record.unpacked.wrapping_add(unpacked_lie));
    header.extend(&made.bytes[2..5]); // LZMA2, a byte of properties
    header.resize(header.len().next_multiple_of(4), 0);
    header[0] = u8::try_from(header.len() / 4).unwrap();
    let crc = crc32(&header);
    header.extend(crc);
    let unpadded = made.record.unpadded - old as u64 + header.len() as u64;
    header.extend(&made.bytes[old..]);
    Made { bytes: header, record: Record { unpadded, ..made.record } }
}

fn stream(check: u8, blocks: &[Made]) -> Vec<u8> {
    let flags: Flags = [0, check];
    let records: Vec<Record> = blocks.iter().map(|block| block.record).collect();
    let mut bytes = header(flags);
    bytes.extend(blocks.iter().flat_map(|block| &block.bytes));
    bytes.extend(tail(flags, &records));
    bytes
}

/// A stream of sized blocks.
fn pack(data: &[u8], size: usize, check: u8) -> Vec<u8> {
    let blocks: Vec<Made> = data.chunks(size).map(|data| sized(&block(data, check), check, 0, 0)).collect();
    stream(check, &blocks)
}

/// Something like an image: noise, text and zeros in turns.
fn image(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[5]
    };
    let mut image = vec![0; size];
    for piece in image.chunks_mut(30_000) {
        match next() % 3 {
            0 => piece.fill_with(&mut next),
            1 => piece.iter_mut().zip(b"root file system ".iter().cycle()).for_each(|(to, from)| *to = *from),
            _ => {}
        }
    }
    image.iter_mut().zip(*b"\xeb\x3c").for_each(|(to, from)| *to = from);
    image
}

struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn bytes_of(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn into_file(work: impl FnOnce(&SparseFile<'_>, Tick<'_>) -> Result<u64, Error>) -> Result<Vec<u8>, Error> {
    let output = tempfile::tempfile().unwrap();
    let sparse = SparseFile::new(&output).unwrap();
    let mut last = 0;
    let size = work(&sparse, &mut |done, total| {
        assert!(done >= last && total.is_none());
        last = done;
        ControlFlow::Continue(())
    })?;
    sparse.finish(size).unwrap();
    Ok(bytes_of(&output))
}

/// By the way under test, even if the archive does not suit it.
fn arriving(archive: &[u8], step: usize) -> Result<Vec<u8>, Error> {
    let mut source = Source::new(Box::new(Trickle(archive, step)));
    into_file(|output, tick| super::unpack(3, &mut source, output, tick))
}

/// By the decoder for whole streams.
fn in_order(archive: &[u8]) -> Result<Vec<u8>, Error> {
    let mut source = Source::new(Box::new(archive));
    into_file(|output, tick| {
        streams::unpack_from::<XzStream>(&Unpacker::default(), &mut source, None, output, tick)
            .map(|unpacked| unpacked.size)
    })
}

#[track_caller]
fn assert_same_verdict(archive: &[u8], what: &str) {
    match (arriving(archive, 1 << 20), in_order(archive)) {
        (Ok(ours), Ok(theirs)) => assert!(ours == theirs, "{what}"),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("{what}: {:?}, in order {:?}", ours.map(|_| ()), theirs.map(|_| ())),
    }
}

#[test]
fn sound_blocks_come_back_with_any_check() {
    let data = image(3_000_000, 1);
    for check in CHECKS {
        for size in [100_000, 1_000_000, 5_000_000] {
            let archive = pack(&data, size, check);
            assert!(arriving(&archive, 1 << 20).unwrap() == data, "check {check}, blocks of {size}");
        }
    }
    let archive = pack(&data[..100_000], 40_000, 4);
    assert!(arriving(&archive, 1).unwrap() == data[..100_000]);
}

#[test]
fn parts_of_several_blocks_and_blocks_of_several_parts_come_back() {
    let data = image(20_000_000, 2);
    for size in [700_000, 9_000_000] {
        let archive = pack(&data, size, 4);
        assert!(arriving(&archive, 50_000).unwrap() == data, "blocks of {size}");
        let output = tempfile::tempfile().unwrap();
        let unpacked =
            unpack_stream(&mut archive.as_slice(), &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(unpacked, Unpacked::new("xz", data.len() as u64));
        assert!(bytes_of(&output) == data);
    }
}

#[test]
fn blocks_with_and_without_sizes_mix() {
    let data = image(13_000_000, 3);
    let blocks: Vec<Made> = data
        .chunks(3_000_000)
        .enumerate()
        .map(|(number, data)| match (number, block(data, 4)) {
            (0 | 3, made) => sized(&made, 4, 0, 0),
            (_, made) => made,
        })
        .collect();
    assert!(arriving(&stream(4, &blocks), 1 << 20).unwrap() == data);
}

#[test]
fn streams_with_padding_and_empty_ones_come_back() {
    let (first, second) = (image(10_000_000, 4), image(2_000_000, 5));
    let empty = stream(1, &[]);
    let empty_block = stream(4, &[sized(&stored(&[], 4), 4, 0, 0)]);
    for zeros in [0, 4, 400_000] {
        let archive = [
            pack(&first, 3_000_000, 4),
            vec![0; zeros],
            empty.clone(),
            empty_block.clone(),
            pack(&second, 500_000, 10),
            vec![0; zeros],
        ]
        .concat();
        assert!(arriving(&archive, 1 << 20).unwrap() == [first.clone(), second.clone()].concat());
    }
    let archive = [pack(&second, 500_000, 10), vec![0; 3]].concat();
    assert!(matches!(arriving(&archive, 99), Err(Error::Trailing { .. })));
    let archive = [pack(&second, 500_000, 10), b"more".to_vec()].concat();
    assert!(
        matches!(arriving(&archive, 1 << 20), Err(Error::Trailing { at, .. }) if at == archive.len() as u64 - 4)
    );
}

#[test]
fn more_than_may_wait_comes_back() {
    // Noise in blocks of 20 MiB, more than the buffers take; and dictionaries of which four are too many.
    let data = image(1 << 20, 6).repeat(90);
    let mut blocks: Vec<Made> = data.chunks(20 << 20).map(|data| stored(data, 0)).collect();
    assert!(arriving(&stream(0, &blocks), 1 << 20).unwrap() == data);
    for block in &mut blocks {
        block.bytes[4] = 28; // 64 MiB
        let crc = crc32(&block.bytes[..8]);
        block.bytes[8..12].copy_from_slice(&crc);
    }
    assert!(arriving(&stream(0, &blocks), 1 << 20).unwrap() == data);
}

#[test]
fn every_truncation_is_an_error() {
    let data = image(60_000, 7);
    let archive = pack(&data, 25_000, 4);
    for length in (0..archive.len()).filter(|length| length % 37 == 0 || archive.len() - length < 100) {
        let result = arriving(&archive[..length], 1 << 20);
        match result {
            Err(Error::Truncated { at, .. }) => assert_eq!(at, length as u64),
            other => panic!("cut to {length}: {:?}", other.map(|_| ())),
        }
    }
}

#[test]
fn a_truncation_behind_damage_does_not_hide_it() {
    let data = image(15_000_000, 8);
    let mut archive = pack(&data, 4_000_000, 4);
    let middle = archive.len() / 2;
    archive[middle] ^= 1;
    archive.truncate(archive.len() / 10 * 9);
    assert!(matches!(arriving(&archive, 1 << 20), Err(Error::Damaged { .. })));
}

#[test]
fn every_flipped_bit_is_judged_as_in_order() {
    let data = [image(3000, 9), vec![0; 3000], image(3000, 10)].concat();
    for check in [0, 4] {
        let archive = pack(&data, 3000, check);
        for bit in 0..archive.len() * 8 {
            // All bits of what is around the data, some of the data.
            if bit / 8 > 60 && archive.len() - bit / 8 > 80 && bit % 61 != 0 {
                continue;
            }
            let mut flipped = archive.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_same_verdict(&flipped, &format!("bit {bit}, check {check}"));
        }
    }
}

#[test]
fn damage_is_found_where_it_is() {
    let data = image(15_000_000, 11);
    let archive = pack(&data, 4_000_000, 4);
    for share in 1..8 {
        let place = archive.len() / 8 * share;
        let mut damaged = archive.clone();
        damaged[place] ^= 0x40;
        match arriving(&damaged, 1 << 20) {
            Err(Error::Damaged { at, .. }) => {
                assert!(at + 4 >= place as u64 && at <= archive.len() as u64, "{at} for {place}");
            }
            other => panic!("{share}: {:?}", other.map(|_| ())),
        }
    }
}

#[test]
fn a_wrong_size_in_a_header_is_damage() {
    let data = image(2_000_000, 12);
    for number in 0..3 {
        for (packed, unpacked) in
            [(1, 0), (4, 0), (0, 1), (u64::MAX, 0), (0, u64::MAX), (1 << 40, 0), (0, 1 << 40)]
        {
            let mut blocks: Vec<Made> =
                data.chunks(700_000).map(|data| sized(&block(data, 4), 4, 0, 0)).collect();
            let made = block(&data[number * 700_000..data.len().min((number + 1) * 700_000)], 4);
            blocks[number] = sized(&made, 4, packed, unpacked);
            let result = arriving(&stream(4, &blocks), 1 << 20);
            assert!(matches!(result, Err(Error::Damaged { .. })), "{number}: {packed}, {unpacked}");
        }
    }
}

#[test]
fn an_index_of_other_blocks_is_damage() {
    let data = image(50_000, 13);
    let blocks: Vec<Made> = data.chunks(20_000).map(|data| sized(&block(data, 1), 1, 0, 0)).collect();
    let records: Vec<Record> = blocks.iter().map(|block| block.record).collect();
    let with_index = |records: &[Record]| {
        let mut bytes = header([0, 1]);
        bytes.extend(blocks.iter().flat_map(|block| &block.bytes));
        bytes.extend(tail([0, 1], records));
        bytes
    };
    assert!(arriving(&with_index(&records), 1 << 20).unwrap() == data);
    let mut other = records.clone();
    other[1].unpacked += 1;
    let mut swapped = records.clone();
    swapped.swap(0, 2);
    for lie in [&records[..2], &[], &other, &swapped, &[records.clone(), records.clone()].concat()] {
        assert!(matches!(arriving(&with_index(lie), 1 << 20), Err(Error::Damaged { .. })), "{lie:?}");
    }
    // A footer with other flags than the header.
    let mut archive = with_index(&records);
    let end = archive.len();
    archive.truncate(end - HEADER);
    archive.extend(&tail([0, 4], &records)[end - HEADER - (end - tail([0, 1], &records).len())..]);
    assert!(matches!(arriving(&archive, 1 << 20), Err(Error::Damaged { .. })));
}

#[test]
fn a_break_ends_it_at_any_time() {
    let data = image(15_000_000, 14);
    let archive = pack(&data, 4_000_000, 4);
    for after in [0, 1, 10] {
        let output = tempfile::tempfile().unwrap();
        let mut calls = 0;
        let result = unpack_stream(&mut archive.as_slice(), &output, &mut |_, _| {
            calls += 1;
            if calls > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(Error::Cancelled)), "after {after}");
        assert_eq!(output.metadata().unwrap().len(), 0);
    }
}

#[test]
fn the_last_tick_shows_the_whole() {
    let archive = pack(&image(12_000_000, 15), 5_000_000, 4);
    let mut last = 0;
    let output = tempfile::tempfile().unwrap();
    unpack_stream(&mut archive.as_slice(), &output, &mut |done, _| {
        last = done;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(last, archive.len() as u64);
}

#[test]
fn an_input_that_cannot_be_read_is_told() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() { Err(std::io::Error::other("gone")) } else { self.0.read(buffer) }
        }
    }
    let archive = pack(&image(10_000_000, 16), 4_000_000, 4);
    let half = &archive[..archive.len() / 2];
    let output = tempfile::tempfile().unwrap();
    let result = unpack_stream(&mut Failing(half), &output, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(result, Err(Error::Read { at, .. }) if at == half.len() as u64));
    assert_eq!(output.metadata().unwrap().len(), 0);
}

#[test]
fn a_limit_holds() {
    let archive = pack(&image(10_000_000, 17), 3_000_000, 4);
    let output = tempfile::tempfile().unwrap();
    let unpacker = Unpacker { max_size: Some(8_000_000), ..Unpacker::default() };
    let result =
        unpacker.unpack_stream(&mut archive.as_slice(), &output, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(result, Err(Error::TooLarge { limit: 8_000_000 })));
}

#[test]
fn what_suits_is_told_by_its_first_block() {
    let suits = |archive: &[u8]| super::suits(&mut Source::new(Box::new(Trickle(archive, 7)))).unwrap();
    let data = image(100_000, 18);
    let is_parallel = crate::parallel::workers() > 1;
    assert_eq!(suits(&pack(&data, 40_000, 4)), is_parallel);
    assert_eq!(suits(&pack(&data, 100, 4)), is_parallel);
    assert!(!suits(&stream(4, &[block(&data, 4)])));
    assert!(!suits(&stream(4, &[])));
    assert!(!suits(&pack(&data[..511], 40_000, 4)));
    assert!(!suits(&pack(&[b"\x1f\x8b\x08".as_slice(), &data].concat(), 40_000, 4)));
    assert!(!suits(&pack(&data, 40_000, 4)[..50]));
}

/// Everything that changes an archive a little.
fn change(archive: &mut Vec<u8>, place: usize, kind: u8, bytes: &[u8]) {
    let place = place % archive.len();
    let end = archive.len().min(place + bytes.len());
    match kind {
        0 => drop(archive.splice(place..end, bytes.iter().copied())),
        1 => drop(archive.splice(place..place, bytes.iter().copied())),
        2 => drop(archive.drain(place..end)),
        _ => archive.truncate(place),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_end_where_the_index_says(
        pieces in proptest::collection::vec((0..70_000_usize, any::<bool>()), 0..4),
        check in proptest::sample::select(CHECKS.to_vec()),
        step in 1..9000_usize,
    ) {
        let data: Vec<u8> = pieces.iter().flat_map(|(size, is_text)| match is_text {
            true => vec![b'x'; *size],
            false => image(*size, *size as u64),
        }).collect();
        prop_assume!(!data.is_empty());
        let made = block(&data, check);
        let size = parse_block_header(&made.bytes).unwrap().size;
        let mut walk = Block::new(size, check_size([0, check]));
        let (mut at, behind) = (size, [made.bytes.as_slice(), b"\x01\x02\x03\x04 more"].concat());
        while !walk.is_over() {
            let passed = walk.pass(&behind[at..behind.len().min(at + step)]);
            prop_assert!(passed > 0 && !walk.is_broken());
            at += passed;
        }
        prop_assert_eq!(at, made.bytes.len());
        prop_assert_eq!(walk.record(), made.record);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), step in 1..20_usize) {
        let mut walk = Block::new(12, 8);
        for bytes in bytes.chunks(step) {
            let passed = walk.pass(bytes);
            prop_assert!(passed == bytes.len() || walk.is_over() || walk.is_broken());
        }
        for begin in [&[][..], &header([0, 4])] {
            prop_assert!(arriving(&[begin, &bytes].concat(), step).is_err() || bytes.is_empty());
        }
    }

    #[test]
    fn changed_archives_are_judged_as_in_order(
        place in any::<usize>(),
        kind in 0..4_u8,
        bytes in proptest::collection::vec(any::<u8>(), 1..40),
        check in proptest::sample::select(CHECKS.to_vec()),
    ) {
        let mut archive = pack(&image(5000, 19), 1700, check);
        change(&mut archive, place, kind, &bytes);
        assert_same_verdict(&archive, "changed");
    }
}

#[test]
fn headers_of_the_tests_are_those_of_the_format() {
    let archive = pack(&image(2000, 20), 2000, 4);
    assert_eq!(parse_header(archive.first_chunk().unwrap()), Some([0, 4]));
    assert_eq!(parse_block_header(&archive[HEADER..]).unwrap().unpacked, Some(2000));
    assert!(in_order(&archive).is_ok());
}
