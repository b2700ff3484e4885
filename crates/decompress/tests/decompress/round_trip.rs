//! What is packed comes back, from files and from streams.

use std::ops::ControlFlow;

use crate::common::{COMPRESSED, STREAMED, bytes_of, file_of, from_file, from_stream, image, pack};
use arm_image_decompress::{Error, unpack, unpack_stream};
use proptest::prelude::*;

/// Stretches of zeros, of one other byte, and of noise, in lengths around the sizes that matter.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let length =
        prop_oneof![1..200_usize, 65_000..66_000_usize, 131_000..132_000_usize, 900_000..1_200_000_usize];
    let piece = prop_oneof![
        3 => length.clone().prop_map(|length| vec![0; length]),
        1 => (1..=255_u8, length).prop_map(|(byte, length)| vec![byte; length]),
        2 => proptest::collection::vec(any::<u8>(), 1..5000),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| {
        // A head that is no magic number, whatever follows.
        let mut data = vec![0xeb; 512];
        data.extend(pieces.concat());
        data
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_packed_comes_back(data in pieces(), step in prop_oneof![Just(1_usize << 20), 1000..70_000_usize]) {
        for format in ["raw", "xz", "gz", "bz2", "zst", "zip", "stored"] {
            let archive = pack(format, &data);
            let (unpacked, bytes) = from_file(&archive).unwrap();
            prop_assert_eq!(unpacked.format, if format == "stored" { "zip" } else { format });
            prop_assert!(bytes == data, "{} from a file", format);
            if unpacked.format != "zip" {
                let (_, bytes) = from_stream(&archive, step).unwrap();
                prop_assert!(bytes == data, "{} from a stream", format);
            }
        }
    }
}

#[test]
fn byte_by_byte_streams_are_read() {
    let data = image(3000, 1);
    for format in STREAMED.into_iter().chain(["raw"]) {
        assert_eq!(from_stream(&pack(format, &data), 1).unwrap().1, data, "{format}");
    }
}

#[test]
fn several_streams_are_one_image() {
    let (first, second) = (image(300_000, 2), image(120_000, 3));
    for format in STREAMED {
        let archive = [pack(format, &first), pack(format, &second)].concat();
        let whole = [first.clone(), second.clone()].concat();
        assert_eq!(from_file(&archive).unwrap().1, whole, "{format}");
        assert_eq!(from_stream(&archive, 777).unwrap().1, whole, "{format}");
    }
}

#[test]
fn an_empty_stream_among_others_is_accepted() {
    let data = image(70_000, 4);
    for format in STREAMED {
        let archive = [pack(format, b""), pack(format, &data), pack(format, b"")].concat();
        assert_eq!(from_file(&archive).unwrap().1, data, "{format}");
    }
}

#[test]
fn xz_padding_counts_by_four() {
    let data = image(10_000, 5);
    let stream = pack("xz", &data);
    for zeros in [4, 8, 1 << 19] {
        let archive = [stream.clone(), vec![0; zeros], stream.clone(), vec![0; zeros]].concat();
        assert_eq!(from_file(&archive).unwrap().1, [data.clone(), data.clone()].concat());
    }
    for zeros in [1, 2, 3, 5, (1 << 19) + 2] {
        let archive = [stream.clone(), vec![0; zeros]].concat();
        assert!(matches!(from_file(&archive), Err(Error::Trailing { format: "xz", .. })), "{zeros}");
        let archive = [archive, stream.clone()].concat();
        assert!(matches!(from_file(&archive), Err(Error::Trailing { format: "xz", .. })), "{zeros}");
    }
}

#[test]
fn skippable_zstd_frames_are_skipped() {
    let data = image(100_000, 6);
    let skippable = [b"\x5a\x2a\x4d\x18\x05\0\0\0".as_slice(), b"notes"].concat();
    let frame = pack("zst", &data);
    let archive = [skippable.clone(), frame.clone(), skippable.clone(), frame, skippable].concat();
    assert_eq!(from_file(&archive).unwrap().1, [data.clone(), data].concat());
}

#[test]
fn the_input_is_read_from_its_start() {
    use std::io::Seek;
    let data = image(200_000, 7);
    for format in ["raw", "xz", "zip"] {
        let mut input = file_of(&pack(format, &data));
        input.seek(std::io::SeekFrom::Start(1000)).unwrap();
        let output = tempfile::tempfile().unwrap();
        unpack(&input, &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(bytes_of(&output), data, "{format}");
    }
}

#[test]
fn a_pipe_behind_a_file_is_a_stream() {
    use std::io::Write;
    let data = image(500_000, 8);
    let archive = pack("gz", &data);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let thread = std::thread::spawn(move || writer.write_all(&archive));
    let output = tempfile::tempfile().unwrap();
    let reader = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
    unpack(&reader, &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(bytes_of(&output), data);
}

#[test]
fn ticks_grow_to_the_size_of_the_input() {
    let data = image(5_000_000, 9);
    for format in COMPRESSED.into_iter().chain(["raw", "stored"]) {
        let archive = pack(format, &data);
        let input = file_of(&archive);
        let output = tempfile::tempfile().unwrap();
        let mut ticks = Vec::new();
        let mut tick = |done, total: Option<u64>| {
            ticks.push((done, total.unwrap()));
            ControlFlow::Continue(())
        };
        unpack(&input, &output, &mut tick).unwrap();
        assert!(ticks.is_sorted(), "{format}");
        assert!(ticks.iter().all(|(done, total)| done <= total), "{format}");
        let (done, total) = *ticks.last().unwrap();
        assert_eq!(done, total, "{format}");
        if !matches!(format, "zip" | "stored") {
            assert_eq!(total, archive.len() as u64, "{format}");
        }
        assert!(ticks.len() > 1 || format == "raw", "{format}");
    }
}

#[test]
fn a_break_cancels_and_leaves_nothing() {
    let data = image(5_000_000, 10);
    for format in COMPRESSED.into_iter().chain(["raw", "stored"]) {
        let archive = pack(format, &data);
        let output = tempfile::tempfile().unwrap();
        let result = unpack(&file_of(&archive), &output, &mut |_, _| ControlFlow::Break(()));
        assert!(matches!(result, Err(Error::Cancelled)), "{format}");
        assert_eq!(output.metadata().unwrap().len(), 0, "{format}");
        if !matches!(format, "zip" | "stored") {
            let result = unpack_stream(&mut archive.as_slice(), &output, &mut |_, _| ControlFlow::Break(()));
            assert!(matches!(result, Err(Error::Cancelled)), "{format}");
        }
    }
}
