use proptest::prelude::*;

use super::{
    BlockHeader, HEADER, Record, check_size, header, integer, parse_block_header, parse_footer, parse_header,
    parse_index, push_integer, tail,
};

fn records() -> impl Strategy<Value = Vec<Record>> {
    let record =
        (5..1_u64 << 62, 0..1_u64 << 63).prop_map(|(unpadded, unpacked)| Record { unpadded, unpacked });
    proptest::collection::vec(record, 0..50)
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_index(&bytes);
        let _ = parse_block_header(&bytes);
        if let Some(bytes) = bytes.first_chunk() {
            let _ = parse_header(bytes);
            let _ = parse_footer(bytes);
        }
    }

    /// Random bytes hardly ever have the right checksum, which hides the parser behind it.
    #[test]
    fn random_contents_under_a_right_checksum_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        bytes.insert(0, 0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let crc = super::crc32(&bytes);
        bytes.extend(crc);
        if let Some(records) = parse_index(&bytes) {
            for record in records {
                prop_assert!(record.unpadded >= 5);
                let _ = record.padded();
            }
        }
    }

    #[test]
    fn what_is_written_is_read(records in records(), check in proptest::sample::select(vec![0_u8, 1, 4, 10])) {
        let tail = tail([0, check], &records);
        let (index, footer) = tail.split_last_chunk::<HEADER>().unwrap();
        prop_assert_eq!(parse_footer(footer), Some((index.len() as u64, [0, check])));
        prop_assert_eq!(parse_index(index), Some(records));
        prop_assert_eq!(parse_header(header([0, check]).first_chunk().unwrap()), Some([0, check]));
    }

    #[test]
    fn every_flipped_bit_is_seen(records in records(), bit in any::<proptest::sample::Index>()) {
        let mut tail = tail([0, 4], &records);
        let bit = bit.index(tail.len() * 8);
        tail[bit / 8] ^= 1 << (bit % 8);
        let (index, footer) = tail.split_last_chunk::<HEADER>().unwrap();
        prop_assert!(parse_footer(footer).is_none() || parse_index(index).is_none());
    }

    #[test]
    fn integers_come_back(value in 0..1_u64 << 63) {
        let mut bytes = Vec::new();
        push_integer(&mut bytes, value);
        prop_assert_eq!(integer(&mut bytes.as_slice()), Some(value));
        bytes.pop();
        prop_assert_eq!(integer(&mut bytes.as_slice()), None);
    }
}

#[test]
fn integers_have_one_form() {
    assert_eq!(integer(&mut [0x80, 0x00].as_slice()), None);
    assert_eq!(integer(&mut [0xff; 9].as_slice()), None);
    assert_eq!(
        integer(&mut [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f].as_slice()),
        Some((1 << 63) - 1)
    );
}

#[test]
fn dictionaries_have_the_sizes_of_the_format() {
    // Section 5.3.1: 0 is 4 KiB, 1 is 6 KiB, 2 is 8 KiB, 38 is 2 GiB, 40 is 4 GiB - 1.
    for (bits, size) in [(0, 4 << 10), (1, 6 << 10), (2, 8 << 10), (38, 2 << 30), (40, (4 << 30) - 1)] {
        let dictionary = size;
        assert_eq!(
            parse_block_header(&[2, 0, 0x21, 1, bits, 0, 0, 0, 0, 0, 0, 0]),
            Some(BlockHeader { size: 12, packed: None, unpacked: None, dictionary })
        );
        // Behind both sizes and another filter.
        let behind = [3, 0xc1, 0x80, 0x01, 0x05, 0x0a, 0, 0x21, 1, bits, 0, 0, 0, 0, 0, 0];
        let (packed, unpacked) = (Some(128), Some(5));
        assert_eq!(parse_block_header(&behind), Some(BlockHeader { size: 16, packed, unpacked, dictionary }));
    }
    assert_eq!(parse_block_header(&[2, 0, 0x21, 1, 41, 0, 0, 0, 0, 0, 0, 0]), None);
    assert_eq!(parse_block_header(&[0; 12]), None);
}

#[test]
fn checks_have_the_sizes_of_the_format() {
    let sizes: Vec<u64> = (0..16).map(|id| check_size([0, id])).collect();
    assert_eq!(sizes, [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]);
}
