//! Zip archives: their table of contents, the choice of the image among the members, and its unpacking. The input is either a
//! whole archive, or the names and contents of members of which a sound one is made.
#![no_main]

use std::os::unix::fs::FileExt;

use arm_image_decompress::{Error, Unpacker};
use libfuzzer_sys::fuzz_target;

/// The most that may be unpacked, in bytes.
const LIMIT: u64 = 4 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let members: Vec<(&[u8], &[u8])> = match kind & 1 {
        0 => Vec::new(),
        _ => bytes.split(|byte| *byte == b'\n').filter_map(|line| line.split_at_checked(line.len().min(12))).collect(),
    };
    let archive = if members.is_empty() { bytes.to_vec() } else { stored(&members) };
    let input = tempfile::tempfile().expect("a temporary file");
    input.write_all_at(&archive, 0).expect("room for the input");
    let output = tempfile::tempfile().expect("a temporary file");
    let member = (kind & 2 != 0).then(|| "*.img".to_owned());
    let unpacker = Unpacker { member, max_size: Some(LIMIT) };
    let unpacked = unpacker.unpack(&input, &output, &mut |_, _| std::ops::ControlFlow::Continue(()));
    let size = output.metadata().expect("its size").len();
    match unpacked {
        Ok(unpacked) => {
            assert_eq!(unpacked.size, size);
            if unpacked.format == "zip" && !members.is_empty() {
                let name = unpacked.member.expect("the member that was taken");
                assert!(unpacker.member.is_none() || name.ends_with(".img"));
            }
        }
        Err(Error::Choice { members: named, .. }) => assert!(named.len() <= archive.len()),
        Err(_) => assert_eq!(size, 0),
    }
});

/// An archive of members that are not packed, by APPNOTE.TXT 4.3.7, 4.3.12 and 4.3.16.
fn stored(members: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let size = u32::try_from(data.len()).expect("a short member").to_le_bytes();
        let length = u16::try_from(name.len()).expect("a short name").to_le_bytes();
        let crc = crc32(data).to_le_bytes();
        let offset = u32::try_from(archive.len()).expect("a short archive").to_le_bytes();
        // Version 2.0, no flags, stored, no date; then checksum and both sizes.
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], crc.as_slice(), &size, &size, &length, &[0, 0]].concat();
        archive.extend([b"PK\x03\x04".as_slice(), &common, name, data].concat());
        let rest = [0; 10]; // no comment, disk 0, no attributes
        directory.extend([b"PK\x01\x02\x14\0".as_slice(), &common, &rest, &offset, name].concat());
    }
    let count = u16::try_from(members.len()).unwrap_or(u16::MAX).to_le_bytes();
    let sizes = [directory.len(), archive.len()].map(|size| u32::try_from(size).expect("short").to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &sizes[0], &sizes[1], &[0, 0]].concat();
    [archive, directory, end].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}
