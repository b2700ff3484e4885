//! The xz format around its blocks: headers, index, footers, and where a block ends. A stream cut into blocks as it arrives has
//! to be judged as the same stream decoded in order, and the same file by its index.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;

use arm_image_decompress::fuzzing::{xz_arriving, xz_in_order, xz_structures};
use arm_image_decompress::{Error, Unpacker};
use libfuzzer_sys::fuzz_target;

/// The most that may be unpacked, in bytes.
const LIMIT: u64 = 16 << 20;

fuzz_target!(|bytes: &[u8]| {
    xz_structures(bytes);
    let outputs: [File; 3] = std::array::from_fn(|_| tempfile::tempfile().expect("a temporary file"));
    let theirs = xz_in_order(bytes, &outputs[0], LIMIT);
    let ours = xz_arriving(bytes, &outputs[1], LIMIT);
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours, theirs);
            assert!(read(&outputs[0]) == read(&outputs[1]));
        }
        (Err(_), Err(_)) => {}
        // What the image's first bytes say of it (a tar is taken in order only) depends on how many there are at once.
        (_, Err(Error::Nested { .. })) | (Err(Error::Nested { .. }), _) => {}
        _ => panic!("{ours:?}, in order {theirs:?}"),
    }
    // By its index, or in order where it has no use.
    let input = tempfile::tempfile().expect("a temporary file");
    input.write_all_at(bytes, 0).expect("room for the input");
    let unpacker = Unpacker { max_size: Some(LIMIT), ..Unpacker::default() };
    let _ = unpacker.unpack(&input, &outputs[2], &mut |_, _| std::ops::ControlFlow::Continue(()));
});

fn read(file: &File) -> Vec<u8> {
    let size = file.metadata().expect("its size").len();
    let mut bytes = vec![0; usize::try_from(size).expect("at most the limit")];
    file.read_exact_at(&mut bytes, 0).expect("the bytes that were written");
    bytes
}
