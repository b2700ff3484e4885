//! Tables that are damaged or lie: each is refused with its reason, and nothing of the image is written.

#[expect(dead_code, reason = "each test program uses its own part of it")]
mod common;
mod seal;

use arm_image_partition::{Error, grow, read, shrink};
use common::*;
use seal::sealed;

/// Asserts that the image can be made neither longer nor shorter, and stays as it is; and gives the reason.
fn refused(image: &Image) -> Error {
    let before = image.bytes();
    let error = grow(&image.path(), before.len() as u64 + MIB).expect_err("an error");
    assert!(image.bytes() == before);
    // An end is asked for that is in any of them.
    let shorter = shrink(&image.path(), before.len() as u64 / 4 * 3).expect_err("an error");
    assert_eq!(
        std::mem::discriminant(&shorter),
        std::mem::discriminant(&error),
        "{shorter:?}, not {error:?}"
    );
    assert!(image.bytes() == before);
    error
}

fn mbr(start: u32, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4 << 20];
    bytes[446 + 4] = 0x83;
    bytes[446 + 8..446 + 12].copy_from_slice(&start.to_le_bytes());
    bytes[446 + 12..446 + 16].copy_from_slice(&length.to_le_bytes());
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    bytes
}

type Case = (&'static str, Vec<u8>, fn(&Error) -> bool);

#[test]
fn what_cannot_be_grown_is_left_alone() {
    let cases: [Case; 8] = [
        ("zeros", vec![0; 4 << 20], |error| matches!(error, Error::NoTable)),
        ("no partitions", [&[0; 510][..], &[0x55, 0xaa], &[0; 4096]].concat(), |error| {
            matches!(error, Error::NoPartitions)
        }),
        ("empty partition", mbr(2048, 0), |error| matches!(error, Error::Empty { number: 1 })),
        ("past the end", mbr(2048, 1 << 20), |error| matches!(error, Error::PastEnd { number: 1, .. })),
        ("overflow", mbr(u32::MAX, u32::MAX), |error| matches!(error, Error::PastEnd { number: 1, .. })),
        (
            "overlap",
            {
                let mut bytes = mbr(2048, 4096);
                bytes.copy_within(446..462, 462);
                bytes
            },
            |error| matches!(error, Error::Overlap { .. }),
        ),
        (
            "a chain that loops",
            {
                let mut bytes = mbr(1, 4096);
                bytes[446 + 4] = 5;
                bytes.copy_within(446..462, 512 + 462);
                bytes.copy_within(510..512, 1022);
                bytes.copy_within(512..1024, 1024);
                bytes
            },
            |error| matches!(error, Error::ExtendedChain { .. }),
        ),
        ("shorter than a sector", vec![0x55; 100], |error| matches!(error, Error::NoTable)),
    ];
    for (name, bytes, expected) in cases {
        let image = Image::empty(0);
        image.put(&bytes);
        let error = grow(&image.path(), 8 << 20).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        assert!(image.bytes() == bytes, "{name}");
    }
}

#[test]
fn a_gpt_without_either_copy_is_an_error() {
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    image.patch(512, &[0; 92]);
    image.patch(100 * MIB - 512, &[0; 92]);
    let before = image.bytes();
    assert!(matches!(grow(&image.path(), 200 * MIB), Err(Error::Gpt { .. })));
    assert!(image.bytes() == before);
}

#[test]
fn a_gpt_that_claims_billions_of_entries_is_not_believed() {
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    let mut header = image.bytes()[512..512 + 92].to_vec();
    header[80..84].copy_from_slice(&u32::MAX.to_le_bytes());
    header[16..20].fill(0);
    let checksum = crc32fast::hash(&header).to_le_bytes();
    header[16..20].copy_from_slice(&checksum);
    image.patch(512, &header);
    image.patch(100 * MIB - 512, &[0; 92]);
    let error = read(&mut image.open()).unwrap_err();
    assert!(error.to_string().contains("4294967295 entries of 128 bytes make no sense"), "{error}");
}

/// Where the boot records of [`LOGICAL`] lie, the first in the extended partition.
const RECORDS: [u64; 3] = [24576 * 512, 47104 * 512, 69632 * 512];

/// The image of [`LOGICAL`] with a field changed in the entry at `at`: 4 is the type, 8 the start, 12 the length.
fn chain_with(at: u64, field: u64, value: u32) -> Image {
    let image = Image::with_table(100 * MIB, LOGICAL);
    for record in RECORDS {
        assert_eq!(
            image.bytes()[usize::try_from(record).expect("a small number") + 510..][..2],
            [0x55, 0xaa]
        );
    }
    let bytes = value.to_le_bytes();
    image.patch(at + field, if field == 4 { &bytes[..1] } else { &bytes });
    image
}

#[test]
fn a_chain_that_is_broken() {
    let [first, second, third] = RECORDS.map(|record| record + 446);
    let next = |record| record + 16;
    let chain = |image: &Image| assert!(matches!(refused(image), Error::ExtendedChain { .. }));
    // Links to itself, back to the second, and behind the end of the disk.
    chain(&chain_with(next(first), 8, 0));
    chain(&chain_with(next(second), 8, 22528));
    chain(&chain_with(next(first), 8, u32::MAX));
    // A third record that links back.
    let image = chain_with(next(third), 4, 5);
    image.patch(next(third) + 8, &[22528_u32.to_le_bytes(), 1_u32.to_le_bytes()].concat());
    chain(&image);
    // A link to something that is no boot record.
    chain(&chain_with(next(first), 8, 22529));

    let overlap = refused(&chain_with(first, 12, 30000));
    assert!(matches!(overlap, Error::Overlap { first: 5, second: 6 }), "{overlap:?}");
    let own_record = refused(&chain_with(third, 8, 0));
    assert!(matches!(own_record, Error::BadStart { number: 7, .. }), "{own_record:?}");
    let outside = refused(&chain_with(446 + 16, 12, 60000));
    assert!(matches!(outside, Error::PastEnd { number: 7, .. }), "{outside:?}");
    let cut = refused(&chain_with(third, 12, 1 << 20));
    assert!(matches!(cut, Error::PastEnd { number: 7, .. }), "{cut:?}");
}

#[test]
fn a_chain_without_end_is_not_followed_for_ever() {
    let mut bytes = mbr(1, 2000);
    bytes[446 + 4] = 5;
    for record in 1..1000_u32 {
        let at = usize::try_from(record).unwrap() * 512;
        bytes[at + 446 + 16 + 4] = 5;
        bytes[at + 446 + 24..at + 446 + 32]
            .copy_from_slice(&[record.to_le_bytes(), 1_u32.to_le_bytes()].concat());
        bytes[at + 510..at + 512].copy_from_slice(&[0x55, 0xaa]);
    }
    let error = read(&mut std::io::Cursor::new(bytes)).unwrap_err();
    assert!(matches!(error, Error::ExtendedChain { offset: 131_584 }), "{error:?}");
}

#[test]
fn a_boot_record_without_a_partition_is_not_overwritten() {
    let third = RECORDS[2] + 446;
    let image = chain_with(third, 12, 0);
    let before = image.bytes();
    let error = grow(&image.path(), 200 * MIB).unwrap_err();
    assert!(matches!(error, Error::Overlap { first: 6, second: 2 }), "{error:?}");
    assert!(image.bytes() == before);
}

/// [`GPT_ROOT_3`] with a number changed in entry `number`, under right checksums.
fn gpt_with(number: u64, field: u64, value: u64) -> Image {
    let image = Image::with_table(100 * MIB, GPT_ROOT_3);
    image.patch(1024 + (number - 1) * 128 + field, &value.to_le_bytes());
    image.put(&sealed(image.bytes()));
    image
}

#[test]
fn a_gpt_with_right_checksums_and_wrong_entries() {
    let (first, last) = (32, 40);
    let error = refused(&gpt_with(1, last, 20000));
    assert!(matches!(error, Error::Overlap { first: 1, second: 2 }), "{error:?}");
    let error = refused(&gpt_with(2, last, 3));
    assert!(matches!(error, Error::Empty { number: 2 }), "{error:?}");
    let error = refused(&gpt_with(1, first, 33));
    assert!(matches!(error, Error::BadStart { number: 1, .. }), "{error:?}");
    for end in [204_800, u64::MAX - 1, u64::MAX] {
        let error = refused(&gpt_with(3, last, end));
        assert!(matches!(error, Error::PastEnd { number: 3, .. }), "{error:?}");
    }
}

#[test]
fn an_image_that_is_truncated_says_so() {
    for (script, length) in [(RASPBERRY_PI, 59), (LOGICAL, 40), (GPT_ROOT_3, 50)] {
        let image = Image::with_table(100 * MIB, script);
        std::fs::File::options().write(true).open(image.path()).unwrap().set_len(length * MIB).unwrap();
        let error = refused(&image);
        assert!(matches!(error, Error::PastEnd { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("truncated"));
    }
}
