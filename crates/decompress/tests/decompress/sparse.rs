//! Runs of zeros take no space, and nothing is lost by it.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::common::{bytes_of, file_of, image, pack};
use arm_image_decompress::{SparseFile, unpack, unpack_stream};
use proptest::prelude::*;

fn allocated(file: &File) -> u64 {
    file.metadata().unwrap().blocks() * 512
}

/// Where they can, a raw image is as dense as its source, and costs nothing all the same.
fn blocks_can_be_shared() -> bool {
    rustix::fs::ioctl_ficlone(tempfile::tempfile().unwrap(), file_of(b"data")).is_ok()
}

/// 32 MiB with three islands of data, the last 8 MiB zeros.
fn islands() -> Vec<u8> {
    let mut data = vec![0; 32 << 20];
    for at in [0, 10 << 20, 24 << 20] {
        data[at..at + 50_000].copy_from_slice(&image(50_000, at as u64 + 99));
    }
    data
}

#[test]
fn zeros_take_no_space_in_any_format() {
    let data = islands();
    for format in ["raw", "xz", "gz", "bz2", "zst", "zip", "stored"] {
        let output = tempfile::tempfile().unwrap();
        unpack(&file_of(&pack(format, &data)), &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(output.metadata().unwrap().len(), data.len() as u64, "{format}");
        assert!(bytes_of(&output) == data, "{format}");
        assert!(
            allocated(&output) < 1 << 20 || format == "raw" && blocks_can_be_shared(),
            "{format}: {}",
            allocated(&output)
        );
    }
}

#[test]
fn a_raw_stream_becomes_sparse() {
    let data = islands();
    let output = tempfile::tempfile().unwrap();
    unpack_stream(&mut data.as_slice(), &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert!(bytes_of(&output) == data);
    assert!(allocated(&output) < 1 << 20);
}

#[test]
fn a_sparse_raw_source_stays_sparse() {
    let source = tempfile::tempfile().unwrap();
    source.set_len((1 << 30) + 12_345).unwrap();
    let piece = image(100_000, 15);
    for at in [0, 300 << 20, (512 << 20) + 77] {
        source.write_all_at(&piece, at).unwrap();
    }
    let output = tempfile::tempfile().unwrap();
    let unpacked = unpack(&source, &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!(unpacked.size, (1 << 30) + 12_345);
    assert_eq!(output.metadata().unwrap().len(), (1 << 30) + 12_345);
    assert!(allocated(&output) < 2 << 20, "{}", allocated(&output));
    let mut back = vec![0; piece.len()];
    for at in [0, 300 << 20, (512 << 20) + 77] {
        output.read_exact_at(&mut back, at).unwrap();
        assert!(back == piece);
    }
    let mut gap = vec![1; 1 << 20];
    output.read_exact_at(&mut gap, 100 << 20).unwrap();
    assert!(gap.iter().all(|byte| *byte == 0));
}

#[test]
fn a_raw_source_that_is_one_hole_keeps_its_size() {
    let source = tempfile::tempfile().unwrap();
    source.set_len(64 << 20).unwrap();
    let output = file_of(b"old");
    unpack(&source, &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!((output.metadata().unwrap().len(), allocated(&output)), (64 << 20, 0));
}

#[test]
fn zeros_at_the_end_keep_the_length() {
    for zeros in [1, 511, 65_536, 3 << 20] {
        let data = [b"\xeb\x3cdata".to_vec(), vec![0; zeros]].concat();
        for format in ["raw", "xz", "gz", "bz2", "zst", "zip"] {
            let output = tempfile::tempfile().unwrap();
            unpack(&file_of(&pack(format, &data)), &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
            assert!(bytes_of(&output) == data, "{format} with {zeros} zeros");
        }
    }
}

#[test]
fn old_contents_do_not_show_through() {
    let output = file_of(&vec![0xee; 4 << 20]);
    let sparse = SparseFile::new(&output).unwrap();
    sparse.write_all_at(&vec![0; 2 << 20], 0).unwrap();
    sparse.finish(4 << 20).unwrap();
    assert!(bytes_of(&output).iter().all(|byte| *byte == 0));
}

#[test]
fn threads_write_side_by_side() {
    let data = image(8 << 20, 16);
    let output = tempfile::tempfile().unwrap();
    let sparse = SparseFile::new(&output).unwrap();
    let (even, odd): (Vec<_>, Vec<_>) =
        data.chunks(100_001).enumerate().partition(|(number, _)| number % 2 == 0);
    std::thread::scope(|scope| {
        for half in [even, odd] {
            let sparse = &sparse;
            scope.spawn(move || {
                for (number, chunk) in half.into_iter().rev() {
                    sparse.write_all_at(chunk, number as u64 * 100_001).unwrap();
                }
            });
        }
    });
    sparse.finish(data.len() as u64).unwrap();
    assert!(bytes_of(&output) == data);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_cut_of_the_data_gives_the_same_file(
        islands in proptest::collection::vec((0..1_000_000_usize, 1..100_000_usize), 0..6),
        chunk in 1..300_000_usize,
    ) {
        let mut data = vec![0; 1_100_000];
        for (start, length) in islands {
            data[start..start + length].fill(7);
        }
        let output = tempfile::tempfile().unwrap();
        let sparse = SparseFile::new(&output).unwrap();
        for (number, bytes) in data.chunks(chunk.max(1000)).enumerate() {
            sparse.write_all_at(bytes, (number * chunk.max(1000)) as u64).unwrap();
        }
        sparse.finish(data.len() as u64).unwrap();
        prop_assert!(bytes_of(&output) == data);
    }
}
