//! Looks into archives that are not unpacked as a whole.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::blocks::xz_blocks;
use crate::common::{file_of, image, pack};
use crate::members::tar_of;
use arm_image_decompress::{Error, ImageReader, Unpacker};
use lzma_rust2::{LzmaOptions, LzmaWriter};
use proptest::prelude::*;
use xz2::stream::Check;

/// What was seen beside the result of a look.
#[derive(Debug)]
struct Seen {
    /// How much of the archive was consumed, and how much there is, in bytes.
    done: u64,
    total: u64,
    /// What the scratch file takes on the disk, in bytes.
    allocated: u64,
}

fn look<T: Send>(archive: &[u8], work: impl FnOnce(ImageReader) -> T + Send) -> Result<(T, Seen), Error> {
    let scratch = file_of(b"old");
    let mut seen = Seen { done: 0, total: 0, allocated: 0 };
    let mut tick = |done: u64, total: Option<u64>| {
        // A second way begins anew.
        (seen.done, seen.total) = (seen.done.max(done), total.unwrap());
        ControlFlow::Continue(())
    };
    let result = Unpacker::default().peek(&file_of(archive), &scratch, &mut tick, work)?;
    seen.allocated = scratch.metadata().unwrap().blocks() * 512;
    Ok((result, seen))
}

fn bytes_at(image: &mut ImageReader, at: u64, count: usize) -> io::Result<Vec<u8>> {
    image.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    image.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As the LZMA SDK makes them; liblzma marks the end in place of telling the size.
fn lzma_with_size(data: &[u8]) -> Vec<u8> {
    let options = LzmaOptions::with_preset(1);
    let mut writer = LzmaWriter::new_use_header(Vec::new(), &options, Some(data.len() as u64)).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn zst_with_size(data: &[u8]) -> Vec<u8> {
    zstd::bulk::Compressor::new(1).unwrap().compress(data).unwrap()
}

/// Archives of every kind that hold `data`.
fn archives(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let pieces: Vec<&[u8]> = data.chunks(data.len() / 9).collect();
    let blocks = |data: &[u8]| xz_blocks(&data.chunks(3_000_000).collect::<Vec<_>>(), Check::Crc64);
    let tar = tar_of(&[("a.img", data)]);
    let mut archives: Vec<_> = ["raw", "xz", "gz", "bz2", "zst", "zip", "stored"]
        .into_iter()
        .map(|format| (format, pack(format, data)))
        .collect();
    archives.push(("xz of blocks", xz_blocks(&pieces, Check::Crc32)));
    archives.push(("xz of streams", [blocks(data), vec![0; 8], pack("xz", b""), pack("xz", b"")].concat()));
    archives.push(("lzma", lzma_with_size(data)));
    archives.push(("zst that tells its size", zst_with_size(data)));
    archives.push((
        "zst of frames",
        [zst_with_size(&data[..2_000_000]), zst_with_size(&data[2_000_000..])].concat(),
    ));
    archives.push(("tar in an xz of blocks", blocks(&tar)));
    archives.push(("tar in a zip", pack("zip", &tar)));
    archives.push(("tar", tar));
    archives
}

#[test]
fn every_byte_is_that_of_the_image_in_any_order() {
    let mut data = image(21_000_001, 70);
    data.extend(vec![0; 3_000_000]);
    let size = data.len() as u64;
    for (name, archive) in archives(&data) {
        let work = |mut image: ImageReader| {
            assert_eq!(image.seek(SeekFrom::End(0)).unwrap(), size, "{name}");
            for at in [0, 23_999_000, 12_345_678, 20_999_990, 12_345_000, 5, 23_000_000, 24_000_000] {
                let expected = &data[usize::try_from(at).unwrap()..];
                let expected = &expected[..expected.len().min(700_000)];
                // What the look returns says more than that nothing can be read.
                let Ok(bytes) = bytes_at(&mut image, at, 700_000) else { return };
                assert!(bytes == expected, "{name} at {at}");
            }
            let mut other = image.clone();
            assert!(bytes_at(&mut other, 0, data.len() + 1).unwrap() == data, "{name}");
            assert_eq!(image.stream_position().unwrap(), data.len().min(24_000_001) as u64);
            assert!(image.seek(SeekFrom::Current(i64::MIN)).is_err());
        };
        look(&archive, work).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn only_the_blocks_that_are_read_are_decoded() {
    let data = vec![b'x'; 90_000_000];
    let pieces: Vec<&[u8]> = data.chunks(9_000_000).collect();
    let mut archive = xz_blocks(&pieces, Check::Crc64);
    let ends = (archive.len() / 20, archive.len() / 10);
    let ((), seen) = look(&archive, |mut image| {
        for at in [0, 45_000_000, 46_000_000, 44_000_000] {
            assert_eq!(bytes_at(&mut image, at, 1000).unwrap(), vec![b'x'; 1000]);
        }
        assert_eq!(image.seek(SeekFrom::End(-1)).unwrap(), 89_999_999);
    })
    .unwrap();
    assert!((27_000_000..29_000_000).contains(&seen.allocated), "{}", seen.allocated);
    assert!(seen.done < seen.total * 4 / 10, "{} of {}", seen.done, seen.total);

    // The middle of the second block, which nobody but the second look reads.
    archive[ends.0 + ends.1] ^= 0x10;
    look(&archive, |mut image| assert_eq!(bytes_at(&mut image, 30_000_000, 9).unwrap(), [b'x'; 9])).unwrap();
    let result = look(&archive, |mut image| {
        // Even where the work makes nothing of it.
        let _ = bytes_at(&mut image, 10_000_000, 9);
        let again = bytes_at(&mut image, 30_000_000, 9);
        assert!(again.is_err(), "{again:?}");
    });
    let at = match result {
        Err(Error::Damaged { format: "xz", at, .. }) => at,
        other => panic!("{:?}", other.map(|_| ())),
    };
    assert!(((ends.1) as u64..3 * ends.1 as u64).contains(&at), "{at}");
}

#[test]
fn what_tells_its_size_is_unpacked_only_as_far_as_it_is_read() {
    let data = image(60_000_000, 71);
    let archives = [
        ("xz", pack("xz", &data)),
        ("zip", pack("zip", &data)),
        ("stored", pack("stored", &data)),
        ("lzma", lzma_with_size(&data)),
        ("zst", zst_with_size(&data)),
    ];
    for (name, mut archive) in archives {
        // The end of the data is not looked at.
        let at = archive.len() * 9 / 10;
        archive[at] ^= 0x10;
        let ((), seen) = look(&archive, |mut image| {
            assert_eq!(image.seek(SeekFrom::End(0)).unwrap(), 60_000_000, "{name}");
            assert!(bytes_at(&mut image, 2_000_000, 1_000_000).unwrap() == data[2_000_000..3_000_000]);
        })
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(seen.done < seen.total / 4, "{name}: {} of {}", seen.done, seen.total);
        assert!(seen.allocated < 12 << 20, "{name}: {}", seen.allocated);
    }
}

#[test]
fn damage_behind_what_was_read_is_found_once_it_is_read() {
    let data = image(30_000_000, 72);
    for (name, mut archive) in [("zip", pack("zip", &data)), ("xz", pack("xz", &data))] {
        let at = archive.len() / 2;
        archive[at] ^= 0x10;
        let result = look(&archive, |mut image| {
            assert!(bytes_at(&mut image, 0, 1_000_000).unwrap() == data[..1_000_000]);
            assert!(bytes_at(&mut image, 0, data.len()).is_err());
        });
        let error = result.map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. } | Error::ZipMember { .. }), "{name}: {error}");
    }
}

#[test]
fn what_is_no_image_is_refused_as_in_unpacking() {
    let data = image(30_000_000, 73);
    let blocks = |data: &[u8]| xz_blocks(&data.chunks(9_000_000).collect::<Vec<_>>(), Check::Crc64);
    let gz = [pack("gz", &data), vec![1; 20_000_000]].concat();
    let refused = |archive: &[u8]| {
        look(archive, |_| panic!("there is an image to work on")).map(|((), _)| ()).unwrap_err()
    };
    assert!(matches!(refused(b""), Error::Empty));
    assert!(matches!(refused(&pack("xz", b"")), Error::NothingInside { format: "xz" }));
    assert!(matches!(refused(&pack("gz", b"")), Error::NothingInside { format: "gz" }));
    assert!(matches!(refused(&blocks(&gz)), Error::Nested { format: "xz", found: "gz" }));
    assert!(matches!(refused(&pack("zip", &pack("xz", &data))), Error::Nested { .. }));
    assert!(matches!(refused(b"7z\xbc\xaf\x27\x1c and more"), Error::Unsupported { .. }));
    let whole = blocks(&data);
    assert!(matches!(refused(&whole[..whole.len() - 9]), Error::Truncated { .. }));
    assert!(matches!(refused(&[&whole[..], b"more"].concat()), Error::Trailing { .. }));
}

#[test]
fn wishes_are_heard() {
    let data = image(5_000_000, 74);
    let zip = crate::common::zip_of(
        &[("a.img", &data[..4_000_000]), ("b.img", &data)],
        zip::CompressionMethod::Deflated,
    );
    let size = |archive: &[u8], unpacker: &Unpacker| {
        let (archive, scratch) = (file_of(archive), file_of(b""));
        let mut tick = |_, _| ControlFlow::Continue(());
        unpacker
            .peek(&archive, &scratch, &mut tick, |mut image| bytes_at(&mut image, 0, 9 << 20).unwrap().len())
    };
    let member = Unpacker { member: Some("b*".to_owned()), ..Unpacker::default() };
    assert_eq!(size(&zip, &member).unwrap(), 5_000_000);
    assert!(matches!(size(&zip, &Unpacker::default()), Err(Error::Choice { .. })));
    let small = Unpacker { max_size: Some(4_999_999), ..Unpacker::default() };
    let blocks = xz_blocks(&[&data[..1_000_000], &data[1_000_000..]], Check::Crc64);
    for archive in [blocks, pack("raw", &data), pack("gz", &data)] {
        assert!(matches!(size(&archive, &small), Err(Error::TooLarge { limit: 4_999_999 })));
    }
}

#[test]
fn a_break_ends_it() {
    let data = image(30_000_000, 75);
    for (name, archive) in archives(&data) {
        if matches!(name, "raw") {
            continue; // nothing to be waited for
        }
        let mut tick =
            |done: u64, _| if done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let (archive, scratch) = (file_of(&archive), file_of(b""));
        let result = Unpacker::default().peek(&archive, &scratch, &mut tick, |mut image| {
            let _ = bytes_at(&mut image, 0, 30_000_000);
        });
        assert!(matches!(result, Err(Error::Cancelled)), "{name}: {result:?}");
    }
}

#[test]
fn a_reader_that_outlives_the_look_reads_nothing_new() {
    let data = image(30_000_000, 76);
    let (mut image, _) = look(&pack("zip", &data), |image| image).unwrap();
    assert!(bytes_at(&mut image, 29_000_000, 9).is_err());
}

#[test]
fn a_panic_of_the_work_is_passed_on() {
    let archive = pack("zip", &image(30_000_000, 77));
    let caught = catch_unwind(AssertUnwindSafe(|| look(&archive, |_| panic!("on purpose")).map(|_| ())));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"on purpose"));
}

#[test]
fn pipes_and_the_archive_itself_are_refused() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&pack("xz", b"some data")).unwrap();
    drop(writer);
    let pipe = File::from(std::os::fd::OwnedFd::from(reader));
    let mut tick = |_, _| ControlFlow::Continue(());
    let result = Unpacker::default().peek(&pipe, &file_of(b""), &mut tick, |_| ());
    assert!(matches!(result, Err(Error::NeedsFile { format: "xz" })));
    let archive = file_of(&pack("xz", b"some data"));
    let result = Unpacker::default().peek(&archive, &archive, &mut tick, |_| ());
    assert!(matches!(result, Err(Error::SameFile)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn reads_at_random_places_are_those_of_the_image(
        sizes in proptest::collection::vec(0_usize..4_000_000, 1..6),
        reads in proptest::collection::vec((0.0..1.0, 1_usize..300_000), 1..12),
    ) {
        let data = image(sizes.iter().sum::<usize>().max(1000), 78);
        let (mut rest, mut pieces) = (&data[..], Vec::new());
        for size in sizes {
            let (piece, left) = rest.split_at(size);
            pieces.push(piece);
            rest = left;
        }
        pieces.push(rest);
        let checked = look(&xz_blocks(&pieces, Check::Crc32), |mut image| {
            for (place, count) in reads {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of the size")]
                let at = (data.len() as f64 * place) as usize;
                let expected = &data[at..(at + count).min(data.len())];
                assert!(bytes_at(&mut image, at as u64, count).unwrap() == expected);
            }
        });
        prop_assert!(checked.is_ok());
    }
}
