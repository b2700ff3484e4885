//! Archives of many blocks, which are decoded side by side.

use std::ops::ControlFlow;

use crate::common::{bytes_of, file_of, from_file, from_stream, image, pack};
use arm_image_decompress::{Error, unpack};
use proptest::prelude::*;
use xz2::stream::{Action, Check, Stream};

/// An xz stream with a block for each piece of the data.
pub(crate) fn xz_blocks(pieces: &[&[u8]], check: Check) -> Vec<u8> {
    let mut encoder = Stream::new_easy_encoder(1, check).unwrap();
    let size: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut archive = Vec::with_capacity(size * 2 + 1024 * (pieces.len() + 1));
    for (number, piece) in pieces.iter().enumerate() {
        let action = if number + 1 == pieces.len() { Action::Finish } else { Action::FullFlush };
        let before = encoder.total_in();
        loop {
            let done = usize::try_from(encoder.total_in() - before).unwrap();
            let status = encoder.process_vec(&piece[done..], &mut archive, action).unwrap();
            if status == xz2::stream::Status::StreamEnd {
                break;
            }
        }
    }
    archive
}

fn cut(data: &[u8], size: usize) -> Vec<&[u8]> {
    data.chunks(size).collect()
}

#[test]
fn blocks_with_any_check_and_size_come_back() {
    let data = image(30_000_000, 30);
    for (check, size) in [
        (Check::None, 9_000_000),
        (Check::Crc32, 8_388_608),
        (Check::Crc64, 8_400_001),
        (Check::Sha256, 1_000_000),
    ] {
        let archive = xz_blocks(&cut(&data, size), check);
        let (unpacked, bytes) = from_file(&archive).unwrap();
        assert!(bytes == data, "{check:?} with blocks of {size}");
        assert_eq!((unpacked.format, unpacked.size), ("xz", data.len() as u64));
        assert!(from_stream(&archive, 100_000).unwrap().1 == data);
    }
}

#[test]
fn streams_of_blocks_with_padding_come_back() {
    let (first, second) = (image(20_000_000, 31), image(11_000_000, 32));
    let empty = pack("xz", b"");
    for zeros in [0, 4, 70_000] {
        let archive = [
            xz_blocks(&cut(&first, 9_000_000), Check::Crc64),
            vec![0; zeros],
            empty.clone(),
            xz_blocks(&cut(&second, 3_000_000), Check::Sha256),
            vec![0; zeros],
        ]
        .concat();
        assert!(from_file(&archive).unwrap().1 == [first.clone(), second.clone()].concat());
    }
}

#[test]
fn damage_in_any_block_is_found_where_it_is() {
    let data = image(27_000_000, 33);
    let archive = xz_blocks(&cut(&data, 9_000_000), Check::Crc64);
    for share in 1..10 {
        let place = archive.len() / 10 * share;
        let mut damaged = archive.clone();
        damaged[place] ^= 4;
        match from_file(&damaged) {
            Err(Error::Damaged { format: "xz", at, .. }) => {
                assert!(at + 4 >= place as u64 && at <= archive.len() as u64, "{at} for {place}");
            }
            other => panic!("{share}: {:?}", other.map(|(unpacked, _)| unpacked)),
        }
        let cut = &archive[..place];
        assert!(matches!(from_file(cut), Err(Error::Truncated { at, .. }) if at == place as u64));
    }
}

/// The index is told a lie about the first block's unpacked size, under checksums that are right.
#[test]
fn a_wrong_size_in_the_index_is_damage() {
    let data = image(27_000_000, 34);
    let mut archive = xz_blocks(&cut(&data, 9_000_000), Check::Crc64);
    let end = archive.len();
    let words = u32::from_le_bytes(archive[end - 8..end - 4].try_into().unwrap());
    let index = end - 12 - (words as usize + 1) * 4;
    // Indicator, count, then unpadded and unpacked size of the first block: their first bytes have seven bits of them.
    let mut at = index + 2;
    while archive[at] & 0x80 != 0 {
        at += 1;
    }
    archive[at + 1] ^= 1;
    let mut crc = flate2::Crc::new();
    crc.update(&archive[index..end - 16]);
    archive[end - 16..end - 12].copy_from_slice(&crc.sum().to_le_bytes());
    let result = from_file(&archive);
    assert!(matches!(result, Err(Error::Damaged { format: "xz", .. })), "{result:?}", result = result.err());
}

#[test]
fn something_before_or_behind_the_blocks_is_an_error() {
    let data = image(20_000_000, 35);
    let archive = xz_blocks(&cut(&data, 9_000_000), Check::Crc64);
    for garbage in [b"x".as_slice(), b"four", &[0; 6], &archive[4..]] {
        let result = from_file(&[&archive, garbage].concat());
        assert!(matches!(result, Err(Error::Trailing { at, .. }) if at == archive.len() as u64));
    }
}

#[test]
fn an_archive_in_blocks_is_no_image() {
    let mut inner = pack("gz", &image(100_000, 36));
    inner.extend(image(20_000_000, 37));
    let archive = xz_blocks(&cut(&inner, 9_000_000), Check::Crc64);
    assert!(matches!(from_file(&archive), Err(Error::Nested { format: "xz", found: "gz" })));
}

#[test]
fn a_break_stops_all_workers() {
    let data = image(40_000_000, 38);
    let archive = file_of(&xz_blocks(&cut(&data, 9_000_000), Check::Crc64));
    for after in [0, 1, 10] {
        let output = tempfile::tempfile().unwrap();
        let mut calls = 0;
        let result = unpack(&archive, &output, &mut |_, _| {
            calls += 1;
            if calls > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(output.metadata().unwrap().len(), 0);
    }
}

#[test]
fn progress_over_blocks_grows_to_the_size_of_the_input() {
    let data = image(30_000_000, 39);
    let archive = xz_blocks(&cut(&data, 5_000_000), Check::Crc64);
    let output = tempfile::tempfile().unwrap();
    let mut last = 0;
    unpack(&file_of(&archive), &output, &mut |done, total| {
        assert!(done >= last && total == Some(archive.len() as u64));
        last = done;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(last, archive.len() as u64);
    assert!(bytes_of(&output) == data);
}

/// A bzip2 stream with blocks of 100 kB.
fn bz2_blocks(data: &[u8]) -> Vec<u8> {
    pack("bz2", data)
}

#[test]
fn bz2_blocks_and_streams_come_back() {
    // Zeros and one repeated byte make blocks of megabytes, noise makes large archives.
    let mut data = image(2_000_000, 40);
    data.extend(vec![0; 20_000_000]);
    data.extend(vec![0xff; 12_000_000]);
    data.extend(image(1_500_000, 41));
    let archive = bz2_blocks(&data);
    let (unpacked, bytes) = from_file(&archive).unwrap();
    assert!(bytes == data);
    assert_eq!((unpacked.format, unpacked.size), ("bz2", data.len() as u64));
    let other = image(700_000, 42);
    let streams = [bz2_blocks(b""), archive, bz2_blocks(b""), bz2_blocks(&other), bz2_blocks(b"")].concat();
    assert!(from_file(&streams).unwrap().1 == [data, other].concat());
}

#[test]
fn a_bz2_magic_inside_a_block_is_no_block() {
    // Where a block's magic is put over its data the archive is damaged, and has to be judged as such, not as two blocks.
    let archive = bz2_blocks(&image(1_000_000, 43));
    for at in [5000, 50_000, archive.len() / 2] {
        let mut damaged = archive.clone();
        damaged[at..at + 6].copy_from_slice(b"1AY&SY");
        assert!(matches!(from_file(&damaged), Err(Error::Damaged { format: "bz2", .. })));
        damaged[at..at + 6].copy_from_slice(b"\x17rE8P\x90");
        assert!(matches!(from_file(&damaged), Err(Error::Damaged { format: "bz2", .. })));
    }
}

#[test]
fn a_wrong_checksum_over_a_bz2_stream_is_damage() {
    // Every block is sound, and so is the second stream.
    let (first, second) = (image(90_000, 44), image(90_000, 45));
    let (a, b) = (bz2_blocks(&first), bz2_blocks(&second));
    let mut archive = [a.as_slice(), &b].concat();
    let last = a.len() - 1;
    archive[last - 1] ^= 0x80; // in the first stream's own checksum
    assert!(matches!(from_file(&archive), Err(Error::Damaged { format: "bz2", .. })));
}

#[test]
fn a_break_stops_all_bz2_workers() {
    let archive = file_of(&bz2_blocks(&image(6_000_000, 46)));
    for after in [0, 1, 10] {
        let output = tempfile::tempfile().unwrap();
        let mut calls = 0;
        let result = unpack(&archive, &output, &mut |_, _| {
            calls += 1;
            if calls > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(output.metadata().unwrap().len(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn blocks_of_any_sizes_come_back(sizes in proptest::collection::vec(1..6_000_000_usize, 2..8), seed in 1..1000_u64) {
        let data = image(sizes.iter().sum(), seed);
        prop_assume!(data.len() > 1000);
        let mut rest = data.as_slice();
        let pieces: Vec<&[u8]> = sizes.iter().map(|size| rest.split_off(..*size).unwrap()).collect();
        let archive = xz_blocks(&pieces, Check::Crc32);
        prop_assert!(from_file(&archive).unwrap().1 == data);
    }
}
