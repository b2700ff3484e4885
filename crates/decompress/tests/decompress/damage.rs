//! Input that is not whole and sound is an error, never a wrong or short image.

use std::io::Read;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use crate::common::{COMPRESSED, STREAMED, bytes_of, file_of, from_file, from_stream, image, pack, zip_of};
use arm_image_decompress::{Error, SparseFile, formats, unpack, unpack_stream};
use proptest::prelude::*;
use zip::CompressionMethod::{Deflated, Stored};

/// A small image whose archive has many structures to be cut: noise, text and zeros.
fn small() -> Vec<u8> {
    let mut data = b"\xeb\x3c boot ".to_vec();
    data.extend(image(400, 11));
    data.extend(vec![0; 70_000]);
    data.extend(b"end");
    data
}

#[test]
fn every_truncation_is_an_error() {
    let data = small();
    for format in COMPRESSED.into_iter().chain(["stored"]) {
        // The stored archive is large because of its zeros: its last bytes and some others are cut there.
        let archive = if format == "stored" { pack(format, &data[..600]) } else { pack(format, &data) };
        for length in 0..archive.len() {
            let cut = &archive[..length];
            match from_file(cut) {
                Ok((unpacked, _)) => panic!("{format} cut to {length} of {}: {unpacked:?}", archive.len()),
                Err(Error::Empty) => assert_eq!(length, 0),
                Err(Error::Truncated { at, .. }) => assert_eq!(at, length as u64),
                Err(Error::ZipDirectory { .. }) => assert!(matches!(format, "zip" | "stored")),
                Err(error) => panic!("{format} cut to {length}: {error}"),
            }
            assert!(from_stream(cut, 1 << 20).is_err(), "{format} cut to {length}");
        }
    }
}

#[test]
fn a_truncation_in_the_second_stream_is_an_error() {
    let stream = |format| pack(format, &small());
    for format in STREAMED {
        let archive = [stream(format), stream(format)].concat();
        for length in archive.len() / 2 + 1..archive.len() {
            let result = from_file(&archive[..length]);
            assert!(matches!(result, Err(Error::Truncated { .. })), "{format} cut to {length}: {result:?}");
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_harmless() {
    let data = small();
    for format in COMPRESSED.into_iter().chain(["stored"]) {
        let data = if format == "stored" { &data[..600] } else { &data };
        let archive = pack(format, data);
        let mut seen = 0;
        for bit in 0..archive.len() * 8 {
            let mut flipped = archive.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match from_file(&flipped) {
                Ok((unpacked, bytes)) if unpacked.format != "raw" => {
                    assert!(bytes == *data, "bit {bit} of {format} changed the image");
                }
                // Without its magic number it is a raw image to everyone.
                Ok(_) => assert!(bit / 8 < 10, "bit {bit} of {format}"),
                Err(_) => seen += 1,
            }
        }
        assert!(seen > archive.len() * 4, "{format}: only {seen} of {} flips were seen", archive.len() * 8);
    }
}

#[test]
fn trailing_garbage_is_an_error() {
    let data = small();
    for format in COMPRESSED.into_iter().chain(["stored"]) {
        let archive = pack(format, &data);
        for garbage in
            [b"x".as_slice(), b"\n", b"garbage that is longer", &[0], &[0; 3], &[0xff; 600], &archive[1..]]
        {
            let result = from_file(&[&archive, garbage].concat());
            let expected = match (&result, format) {
                (Err(Error::ZipDirectory { .. } | Error::ZipMember { .. }), "zip" | "stored") => true,
                (Err(Error::Trailing { at, .. }), _) => *at == archive.len() as u64,
                _ => false,
            };
            assert!(expected, "{format} and {garbage:?}: {result:?}");
        }
    }
}

#[test]
fn a_wrong_checksum_is_named_as_damage() {
    let data = small();
    for format in ["xz", "gz", "bz2", "zst"] {
        let mut archive = pack(format, &data);
        let at = match format {
            "gz" => archive.len() - 6, // the CRC of the member
            "bz2" => 10,               // the CRC of the first block
            "zst" => archive.len() - 1,
            _ => archive.len() - 12 - 9, // the index of the stream
        };
        archive[at] ^= 1;
        let error = from_file(&archive).unwrap_err();
        assert!(
            matches!(&error, Error::Damaged { format: found, .. } if *found == format),
            "{format}: {error}"
        );
        assert!(error.hint().unwrap().contains("again"));
    }
    for format in ["zip", "stored"] {
        let mut archive = pack(format, &data);
        let at = 30 + "disk.img".len() + 5; // in the data of the member
        archive[at] ^= 1;
        let error = from_file(&archive).unwrap_err();
        assert!(matches!(&error, Error::ZipMember { name, .. } if name == "disk.img"), "{format}: {error}");
    }
}

#[test]
fn an_empty_input_and_an_empty_image_are_errors() {
    assert!(matches!(from_file(b""), Err(Error::Empty)));
    assert!(matches!(from_stream(b"", 1), Err(Error::Empty)));
    for format in COMPRESSED {
        let result = from_file(&pack(format, b""));
        assert!(matches!(result, Err(Error::NothingInside { format: found }) if found == format), "{format}");
    }
}

#[test]
fn known_formats_that_are_no_image_are_named() {
    let qcow2 = [b"QFI\xfb\0\0\0\x03".as_slice(), &[0; 1000]].concat();
    let samples: [(&[u8], &str); 7] = [
        (b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\0", "a rar archive"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "an lz4 file"),
        (b"\x3a\xff\x26\xed\x01\0\0\0", "an Android sparse image"),
        (b"QFI\xfb\0\0\0\x03", "a qcow2 disk"),
        (b"KDMV\x01\0\0\0", "a VMware disk"),
        (b"\n<!DOCTYPE HTML><html>", "a web page"),
    ];
    for (bytes, expected) in samples {
        let error = from_file(bytes).unwrap_err();
        assert!(
            matches!(error, Error::Unsupported { found, .. } if found == expected),
            "{expected}: {error}"
        );
        assert!(error.hint().is_some());
    }
    // Inside another archive they are no image either.
    for format in COMPRESSED {
        let error = from_file(&pack(format, &qcow2)).unwrap_err();
        assert!(matches!(error, Error::Nested { found: "qcow2", .. }), "{format}: {error}");
        let error = from_file(&pack(format, &pack("gz", &image(100_000, 12)))).unwrap_err();
        assert!(matches!(error, Error::Nested { found: "gz", .. }), "{format}: {error}");
    }
}

fn disk(size: usize) -> Vec<u8> {
    let mut disk = image(size, 13);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

#[test]
fn the_image_of_a_zip_is_chosen() {
    let (small, large, text) = (disk(5000), disk(9000), vec![b't'; 20_000]);
    let choices: [&[(&str, &[u8])]; 4] = [
        &[("any name", &large)],
        &[("README", &text), ("a/Pi.IMG", &large), ("b.wic", &small)],
        &[("README", &text), ("small.wic", &small), ("large.raw", &large)],
        &[("disk.img", &large), ("__MACOSX/._disk.img", &small)],
    ];
    for members in choices {
        for method in [Stored, Deflated] {
            assert!(from_file(&zip_of(members, method)).unwrap().1 == large);
        }
    }
}

#[test]
fn a_zip_without_a_clear_image_lists_its_files() {
    let (first, text) = (disk(5000), vec![b't'; 20_000]);
    let none: [&[(&str, &[u8])]; 4] = [
        &[("boot.img", &first), ("root.img", &first)],
        &[("README", &text), ("LICENSE", &text)],
        &[("a.wic", &first), ("b.wic", &first)],
        &[],
    ];
    for members in none {
        let error = from_file(&zip_of(members, Deflated)).unwrap_err();
        let Error::Choice { members: found, .. } = &error else { panic!("{error}") };
        assert!(found.iter().eq(members.iter().map(|(name, _)| *name)));
        assert!(members.iter().all(|(name, _)| error.to_string().contains(name)));
    }
}

#[test]
fn a_zip_needs_a_file() {
    let result = from_stream(&pack("zip", &small()), 1000);
    assert!(matches!(result, Err(Error::NeedsFile { format: "zip" })));
}

#[test]
fn bytes_before_a_zip_are_an_error() {
    let archive = pack("zip", &small());
    let result = from_file(&[archive.as_slice(), &archive].concat());
    assert!(matches!(result, Err(Error::ZipDirectory { .. })), "{result:?}");
}

#[test]
fn a_read_error_is_told_apart_from_an_early_end() {
    struct Broken<'a>(&'a [u8]);
    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::ErrorKind::ConnectionReset.into()),
                read => Ok(read),
            }
        }
    }
    for format in STREAMED.into_iter().chain(["raw"]) {
        let archive = pack(format, &small());
        let cut = archive.len() / 2;
        let output = tempfile::tempfile().unwrap();
        let result =
            unpack_stream(&mut Broken(&archive[..cut]), &output, &mut |_, _| ControlFlow::Continue(()));
        assert!(matches!(result, Err(Error::Read { at, .. }) if at == cut as u64), "{format}: {result:?}");
    }
}

#[test]
fn the_input_is_not_its_own_output() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all_at(&pack("gz", &small()), 0).unwrap();
    let before = bytes_of(file.as_file());
    let again = file.reopen().unwrap();
    let result = unpack(&again, file.as_file(), &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(result, Err(Error::SameFile)));
    assert_eq!(bytes_of(file.as_file()), before);
}

#[test]
fn an_output_that_keeps_old_bytes_is_refused() {
    let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
    let result = unpack(&file_of(&small()), &null, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(result, Err(Error::NotRegular)));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let input = file_of(&bytes);
        for format in formats() {
            for head in [bytes.as_slice(), &bytes[..bytes.len().min(5)]] {
                let _ = format.matches(head);
            }
            let output = tempfile::tempfile().unwrap();
            let sparse = SparseFile::new(&output).unwrap();
            let tick = &mut |_, _| ControlFlow::Continue(());
            let options = arm_image_decompress::Unpacker::default();
            let _ = format.unpack(&options, arm_image_decompress::Input::File(&input), &sparse, tick);
        }
    }

    #[test]
    fn random_changes_never_panic_nor_change_the_image(
        format in proptest::sample::select(COMPRESSED.to_vec()),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let data = image(150_000, 14);
        let mut archive = pack(format, &data);
        for (at, byte) in changes {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        match from_file(&archive) {
            Ok((unpacked, bytes)) if unpacked.format != "raw" => prop_assert!(bytes == data),
            _ => {}
        }
    }
}

#[test]
fn an_xz_check_that_cannot_be_verified_is_an_error() {
    // CRC32 is check 1; check 2 has the same size but is not assigned. Both ends of the stream name it, under a CRC of their own.
    let stream = xz2::stream::Stream::new_easy_encoder(1, xz2::stream::Check::Crc32).unwrap();
    let mut archive = Vec::new();
    xz2::bufread::XzEncoder::new_stream(small().as_slice(), stream).read_to_end(&mut archive).unwrap();
    let crc = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    archive[7] = 2;
    let header = crc(&archive[6..8]);
    archive[8..12].copy_from_slice(&header);
    let end = archive.len();
    archive[end - 3] = 2;
    let footer = crc(&archive[end - 8..end - 2]);
    archive[end - 12..end - 8].copy_from_slice(&footer);
    let error = from_file(&archive).unwrap_err();
    assert!(matches!(&error, Error::Damaged { reason, .. } if reason.contains("check")), "{error}");
}
