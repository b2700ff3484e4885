//! zstd files of several frames, which are decoded side by side.

use std::io::Write;
use std::ops::ControlFlow;

use crate::common::{bytes_of, file_of, from_file, from_stream, image};
use arm_image_decompress::{Error, Unpacker, unpack};
use proptest::prelude::*;

/// A frame that tells the size of its data.
fn sized(data: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.include_checksum(true).unwrap();
    compressor.compress(data).unwrap()
}

/// A frame that does not, as `pzstd` makes them.
fn unsized_frame(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn skippable(size: usize) -> Vec<u8> {
    let mut frame = b"\x5e\x2a\x4d\x18".to_vec();
    frame.extend(u32::try_from(size).unwrap().to_le_bytes());
    frame.resize(8 + size, 7);
    frame
}

/// How the frames of an archive are made.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Sized,
    Unsized,
    Mixed,
}

const KINDS: [Kind; 3] = [Kind::Sized, Kind::Unsized, Kind::Mixed];

fn pack(data: &[u8], size: usize, kind: Kind) -> Vec<u8> {
    let frame = |(number, piece): (usize, &[u8])| match kind {
        Kind::Unsized => unsized_frame(piece),
        Kind::Mixed if number % 3 == 1 => unsized_frame(piece),
        Kind::Mixed if number % 3 == 2 => [skippable(number), sized(piece), skippable(0)].concat(),
        _ => sized(piece),
    };
    data.chunks(size).enumerate().flat_map(frame).collect()
}

#[test]
fn frames_of_any_kind_and_size_come_back() {
    let data = image(25_000_000, 60);
    for kind in KINDS {
        for size in [100_000, 2_000_000, 12_000_000] {
            let archive = pack(&data, size, kind);
            let (unpacked, bytes) = from_file(&archive).unwrap();
            assert_eq!((unpacked.format, unpacked.size), ("zst", data.len() as u64));
            assert!(bytes == data, "{kind:?} of {size}");
        }
    }
}

#[test]
fn a_frame_of_more_than_is_kept_comes_back() {
    let data =
        [image(3_000_000, 61), image(1 << 20, 62).repeat(30), vec![0; 30_000_000], vec![7; 9]].concat();
    let archive: Vec<u8> = [&data[..1000], &data[1000..40_000_000], &data[40_000_000..]]
        .iter()
        .flat_map(|piece| unsized_frame(piece))
        .collect();
    assert!(from_file(&archive).unwrap().1 == data);
}

#[test]
fn damaged_frames_are_judged_as_in_a_stream() {
    let data = image(2_500_000, 63);
    for kind in KINDS {
        let archive = pack(&data, 400_000, kind);
        for share in 0..20 {
            let place = archive.len() / 20 * share + share;
            let mut flipped = archive.clone();
            flipped[place] ^= 0x10;
            for damaged in [&flipped, &archive[..place]] {
                match (from_file(damaged), from_stream(damaged, 1 << 20)) {
                    (Ok((ours, bytes)), Ok((theirs, other))) => assert!(ours == theirs && bytes == other),
                    (Err(ours), Err(theirs)) => {
                        // How far the decoder was is another matter.
                        let same = std::mem::discriminant(&ours) == std::mem::discriminant(&theirs);
                        assert!(same, "{kind:?} at {place}: {ours}, {theirs}");
                    }
                    (ours, theirs) => panic!("{kind:?} at {place}: {:?}, {:?}", ours.err(), theirs.err()),
                }
            }
        }
    }
}

#[test]
fn something_behind_the_frames_is_an_error() {
    for kind in KINDS {
        let archive = pack(&image(3_000_000, 64), 1_000_000, kind);
        for garbage in [b"x".as_slice(), &[0; 20], &archive[1..]] {
            let result = from_file(&[&archive, garbage].concat());
            assert!(matches!(result, Err(Error::Trailing { at, .. }) if at == archive.len() as u64));
        }
    }
}

#[test]
fn an_archive_in_frames_is_no_image() {
    let mut inner = b"\x1f\x8b\x08".to_vec();
    inner.extend(image(3_000_000, 65));
    for kind in KINDS {
        let archive = pack(&inner, 1_000_000, kind);
        assert!(matches!(from_file(&archive), Err(Error::Nested { format: "zst", found: "gz" })));
    }
}

#[test]
fn a_tar_in_frames_gives_its_image() {
    let data = image(4_000_000, 66);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(data.len() as u64);
    builder.append_data(&mut header, "disk.img", data.as_slice()).unwrap();
    let inner = builder.into_inner().unwrap();
    for kind in KINDS {
        let (unpacked, bytes) = from_file(&pack(&inner, 1_000_000, kind)).unwrap();
        assert_eq!(unpacked.member.as_deref(), Some("disk.img"));
        assert!(bytes == data, "{kind:?}");
    }
}

#[test]
fn progress_over_frames_grows_and_can_be_broken_off() {
    let data = image(20_000_000, 67);
    for kind in KINDS {
        let archive = pack(&data, 3_000_000, kind);
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
        for after in [0, 1, 9] {
            let mut calls = 0;
            let result = unpack(&file_of(&archive), &output, &mut |_, _| {
                calls += 1;
                if calls > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(matches!(result, Err(Error::Cancelled)));
            assert_eq!(output.metadata().unwrap().len(), 0);
        }
    }
}

#[test]
fn a_limit_holds_over_frames() {
    let unpacker = Unpacker { max_size: Some(5_000_000), ..Unpacker::default() };
    for kind in KINDS {
        let archive = pack(&image(6_000_000, 68), 1_000_000, kind);
        let output = tempfile::tempfile().unwrap();
        let result = unpacker.unpack(&file_of(&archive), &output, &mut |_, _| ControlFlow::Continue(()));
        assert!(matches!(result, Err(Error::TooLarge { limit: 5_000_000 })), "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn frames_of_any_sizes_come_back(
        frames in proptest::collection::vec((0..3_000_000_usize, any::<bool>()), 1..8),
        seed in 1..1000_u64,
    ) {
        let data = image(frames.iter().map(|(size, _)| size).sum::<usize>() + 1000, seed);
        let mut rest = data.as_slice();
        let mut archive = unsized_frame(rest.split_off(..1000).unwrap());
        for (size, is_sized) in frames {
            let piece = rest.split_off(..size).unwrap();
            archive.extend(if is_sized { sized(piece) } else { unsized_frame(piece) });
        }
        prop_assert!(from_file(&archive).unwrap().1 == data);
    }
}
