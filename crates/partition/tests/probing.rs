//! Whatever the bytes are, probing neither panics nor depends on what lies around them.

use std::io::Cursor;

use arm_image_partition::filesystem::{Features, probe};
use proptest::prelude::*;

/// Signatures with their offsets, and fields whose extremes are where arithmetic goes wrong.
const PLANTED: [(usize, &[u8]); 22] = [
    (0, b"LUKS\xba\xbe\0\x02"),
    (0, b"XFSB"),
    (0, b"hsqs"),
    (28, b"\x04\0"),
    (512, b"LABELONE"),
    (536, b"LVM2 001"),
    (3, b"EXFAT   "),
    (108, b"\x09\x10"),
    (96, b"\x02\0\0\0"),
    (510, b"\x55\xaa"),
    (11, b"\x00\x02\x01\x01\x00\x01"),
    (11, b"\x00\x10\x80\xff\xff\x02"),
    (21, b"\xf8\0\0"),
    (44, b"\x02\0\0\0"),
    (1024 + 0x38, b"\x53\xef"),
    (1024 + 0x18, b"\x02\0\0\0"),
    (1024 + 0x60, b"\x80\0\0\0"),
    (1024, b"\x10\x20\xf5\xf2"),
    (1024, b"\xe2\xe1\xf5\xe0"),
    (65536 + 64, b"_BHRfS_M"),
    (4086, b"SWAPSPACE2"),
    (32768, b"\x01CD001"),
];

/// The first bytes of a partition: all the same, with some noise and some signatures.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec((0_usize..4096, any::<u8>()), 0..200);
    let planted = prop::collection::vec(0..PLANTED.len(), 0..6);
    (prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0_usize..80_000, noise, planted).prop_map(
        |(fill, length, noise, planted)| {
            let mut bytes = vec![fill; length];
            for (at, byte) in noise {
                bytes.get_mut(at).into_iter().for_each(|place| *place = byte);
            }
            for (at, signature) in planted.into_iter().map(|index| PLANTED[index]) {
                if let Some(place) = bytes.get_mut(at..at + signature.len()) {
                    place.copy_from_slice(signature);
                }
            }
            bytes
        },
    )
}

proptest! {
    #[test]
    fn a_file_system_is_found_the_same_at_any_offset(bytes in head(), offset in 0_usize..5000, around in any::<u8>()) {
        let length = bytes.len() as u64;
        let alone = probe(&mut Cursor::new(&bytes), 0..length).unwrap();
        let [front, behind] = [offset, 9000].map(|length| vec![around; length]);
        let disk = [front, bytes, behind].concat();
        let start = offset as u64;
        let inside = probe(&mut Cursor::new(disk), start..start + length).unwrap();
        prop_assert_eq!(inside, alone);
    }

    #[test]
    fn no_range_is_too_odd(bytes in head(), start in any::<u64>(), end in any::<u64>()) {
        // Seeking may refuse offsets above `i64::MAX`, which is an error and no panic.
        let _ = probe(&mut Cursor::new(&bytes), start..end);
        let _ = probe(&mut Cursor::new(&bytes), start % 80_000..end);
    }

    #[test]
    fn every_set_bit_has_one_name(compatible in any::<u32>(), incompatible in any::<u32>(), read_only in any::<u32>()) {
        let features = Features { compatible, incompatible, read_only };
        let mut names = features.names();
        let bits = compatible.count_ones() + incompatible.count_ones() + read_only.count_ones();
        prop_assert_eq!(names.len(), usize::try_from(bits).unwrap());
        prop_assert!(features.unknown_to_linux((6, 1)).iter().all(|name| names.contains(name)));
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), usize::try_from(bits).unwrap());
    }
}
