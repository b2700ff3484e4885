//! Superblocks of every kind, from bytes that nobody has checked.
#![no_main]

use std::io::Cursor;

use arm_image_partition::filesystem::probe;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let length = data.len() as u64;
    let Some(found) = probe(&mut Cursor::new(data), 0..length).expect("bytes in memory can be read") else { return };
    if let Some(features) = found.features {
        assert!(features.unknown_to_linux((6, 1)).len() <= features.names().len());
    }
    // Where it lies must not matter.
    let disk = [&[0xa5; 1536][..], data].concat();
    let inside = probe(&mut Cursor::new(disk), 1536..1536 + length).expect("bytes in memory can be read");
    assert_eq!(inside.as_ref(), Some(&found));
});
