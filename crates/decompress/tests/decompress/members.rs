//! Images in tar archives, the choice among several, limits, and what may follow an archive.

use std::io::Read;
use std::ops::ControlFlow;

use crate::common::{COMPRESSED, bytes_of, file_of, from_file, from_stream, image, pack, zip_of};
use arm_image_decompress::{Error, Unpacked, Unpacker};
use xz2::stream::{LzmaOptions, Stream};

pub(crate) fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn disk(size: usize, seed: u64) -> Vec<u8> {
    let mut disk = image(size, seed);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

fn with(unpacker: &Unpacker, archive: &[u8]) -> Result<(Unpacked, Vec<u8>), Error> {
    let output = file_of(b"old");
    let result = unpacker.unpack(&file_of(archive), &output, &mut |_, _| ControlFlow::Continue(()));
    assert!(result.is_ok() || output.metadata().unwrap().len() == 0);
    result.map(|unpacked| (unpacked, bytes_of(&output)))
}

fn member(glob: &str) -> Unpacker {
    Unpacker { member: Some(glob.to_owned()), ..Unpacker::default() }
}

#[test]
fn the_image_in_a_tar_is_taken_wherever_it_is() {
    let (data, text) = (disk(30_000_000, 50), vec![b't'; 3000]);
    let long = format!("{}/disk.IMG", "folder".repeat(30));
    let archives: [(&str, Vec<u8>); 5] = [
        ("any name", tar_of(&[("any name", &data)])),
        ("b.img", tar_of(&[("README", &text), ("b.img", &data), ("c.wic", &disk(5000, 51))])),
        ("large.wic", tar_of(&[("small.wic", &disk(5000, 52)), ("large.wic", &data), ("README", &text)])),
        ("b.img", tar_of(&[("a.wic", &disk(50_000, 53)), ("b.img", &data)])),
        (&long, tar_of(&[("README", &text), (&long, &data)])),
    ];
    for (name, archive) in archives {
        let (unpacked, bytes) = from_file(&archive).unwrap();
        assert!(bytes == data, "{name}");
        assert_eq!((unpacked.format, unpacked.member.as_deref()), ("tar", Some(name)));
        assert!(from_stream(&archive, 70_001).unwrap().1 == data);
        for format in ["xz", "gz", "bz2", "zst"] {
            let (unpacked, bytes) = from_file(&pack(format, &archive)).unwrap();
            assert!(bytes == data, "{name} in {format}");
            assert_eq!((unpacked.format, unpacked.member.as_deref()), (format, Some(name)));
        }
    }
}

#[test]
fn a_tar_without_a_clear_image_lists_its_files() {
    let (first, text) = (disk(5000, 54), vec![b't'; 20_000]);
    let none: [&[(&str, &[u8])]; 3] = [
        &[("boot.img", &first), ("root.img", &first)],
        &[("etc/passwd", &text), ("etc/group", &text)],
        &[("a.wic", &first), ("b.wic", &first)],
    ];
    for members in none {
        for archive in [tar_of(members), pack("gz", &tar_of(members))] {
            let error = from_file(&archive).unwrap_err();
            let Error::Choice { format: "tar", members: found } = &error else { panic!("{error}") };
            assert!(found.iter().eq(members.iter().map(|(name, _)| *name)));
        }
    }
}

#[test]
fn a_damaged_tar_is_an_error() {
    let archive = tar_of(&[("disk.img", &disk(100_000, 55))]);
    for length in [513, 1000, 1024, 50_000] {
        let result = from_file(&archive[..length]);
        assert!(
            matches!(result, Err(Error::Truncated { format: "tar", .. })),
            "{length}: {result:?}",
            result = result.err()
        );
    }
    let mut damaged = archive.clone();
    damaged[3] ^= 1;
    assert!(matches!(from_file(&damaged), Err(Error::Damaged { format: "tar", .. })));
    // The wrapping's own checksum counts, too.
    let mut packed = pack("gz", &archive);
    let at = packed.len() - 6;
    packed[at] ^= 1;
    assert!(matches!(from_file(&packed), Err(Error::Damaged { format: "gz", .. })));
    let inner = tar_of(&[("disk.img.gz", &pack("gz", &disk(100_000, 56)))]);
    assert!(matches!(from_file(&inner), Err(Error::Nested { format: "tar", found: "gz" })));
}

#[test]
fn a_break_cancels_a_tar() {
    let output = tempfile::tempfile().unwrap();
    let archive = file_of(&tar_of(&[("disk.img", &disk(3_000_000, 57))]));
    let result = arm_image_decompress::unpack(&archive, &output, &mut |_, _| ControlFlow::Break(()));
    assert!(matches!(result, Err(Error::Cancelled)));
}

#[test]
fn members_are_chosen_by_a_pattern() {
    let (boot, root) = (disk(5000, 58), disk(9000, 59));
    let members: [(&str, &[u8]); 3] = [("a/boot.img", &boot), ("a/root.img", &root), ("README", b"text")];
    let zip = zip_of(&members, zip::CompressionMethod::Deflated);
    for archive in [zip, tar_of(&members), pack("zst", &tar_of(&members))] {
        assert!(with(&Unpacker::default(), &archive).is_err());
        for glob in ["*root*", "a/root.img", "?/r*.img"] {
            let (unpacked, bytes) = with(&member(glob), &archive).unwrap();
            assert!(bytes == root);
            assert_eq!(unpacked.member.as_deref(), Some("a/root.img"));
        }
        let result = with(&member("*.wic"), &archive);
        assert!(matches!(&result, Err(Error::Choice { members, .. }) if members.is_empty()));
        assert!(matches!(with(&member("[a"), &archive), Err(Error::Glob { .. })));
    }
}

#[test]
fn an_image_larger_than_allowed_is_an_error() {
    let data = [image(3_000_000, 60), vec![0; 3_000_000]].concat();
    let mut archives: Vec<Vec<u8>> = COMPRESSED.iter().map(|format| pack(format, &data)).collect();
    archives.push(data.clone());
    archives.push(tar_of(&[("disk.img", &data)]));
    for archive in archives {
        let exact = Unpacker { max_size: Some(data.len() as u64), ..Unpacker::default() };
        assert!(with(&exact, &archive).unwrap().1 == data);
        for limit in [0, 1000, 2_999_999, data.len() as u64 - 1] {
            let unpacker = Unpacker { max_size: Some(limit), ..Unpacker::default() };
            assert!(
                matches!(with(&unpacker, &archive), Err(Error::TooLarge { limit: found }) if found == limit)
            );
        }
    }
}

fn lzma(data: &[u8]) -> Vec<u8> {
    let stream = Stream::new_lzma_encoder(&LzmaOptions::new_preset(1).unwrap()).unwrap();
    let mut archive = Vec::new();
    xz2::bufread::XzEncoder::new_stream(data, stream).read_to_end(&mut archive).unwrap();
    archive
}

#[test]
fn lzma_files_are_unpacked() {
    let data = image(5_000_000, 61);
    let archive = lzma(&data);
    let (unpacked, bytes) = from_file(&archive).unwrap();
    assert!(bytes == data);
    assert_eq!(unpacked.format, "lzma");
    assert!(from_stream(&archive, 999).unwrap().1 == data);
    for length in [20, 1000, archive.len() - 1] {
        assert!(matches!(from_file(&archive[..length]), Err(Error::Truncated { format: "lzma", .. })));
    }
    assert!(matches!(from_file(&[&archive, b"x".as_slice()].concat()), Err(Error::Trailing { .. })));
}

#[test]
fn openwrt_metadata_behind_a_gz_is_told_of() {
    let data = image(300_000, 62);
    let json = br#"{ "metadata_version": "1.1", "supported_devices": [ "rpi" ] }"#;
    let size = u32::try_from(json.len() + 16).unwrap().to_be_bytes();
    let metadata = [json.as_slice(), b"FWx0\x12\x34\x56\x78\x01\0\0\0", &size].concat();
    let archive = [pack("gz", &data), metadata.clone(), metadata.clone()].concat();
    for result in [from_file(&archive), from_stream(&archive, 10)] {
        let (unpacked, bytes) = result.unwrap();
        assert!(bytes == data);
        let note = unpacked.note.unwrap();
        assert!(note.contains("OpenWrt") && note.contains(&(2 * metadata.len()).to_string()), "{note}");
    }
    for wrong in [&archive[..archive.len() - 1], &[&archive, b"x".as_slice()].concat()] {
        assert!(matches!(from_file(wrong), Err(Error::Trailing { format: "gz", .. })));
    }
    let other = [pack("zst", &data), metadata].concat();
    assert!(matches!(from_file(&other), Err(Error::Trailing { format: "zst", .. })));
}
