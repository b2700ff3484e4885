//! What the tests of this crate share: makers of archives, and unpacking from bytes to bytes.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use arm_image_decompress::{Error, Unpacked, unpack, unpack_stream};

/// The formats with streams that can stand one after the other.
pub(crate) const STREAMED: [&str; 4] = ["xz", "gz", "bz2", "zst"];

/// The formats with checksums.
pub(crate) const COMPRESSED: [&str; 5] = ["xz", "gz", "bz2", "zst", "zip"];

/// Packs with the same libraries that unpack.
pub(crate) fn pack(format: &str, data: &[u8]) -> Vec<u8> {
    match format {
        "raw" => data.to_vec(),
        "xz" => {
            let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "zip" => zip_of(&[("disk.img", data)], zip::CompressionMethod::Deflated),
        "stored" => zip_of(&[("disk.img", data)], zip::CompressionMethod::Stored),
        other => panic!("no packer for {other}"),
    }
}

/// A zip of several files.
pub(crate) fn zip_of(members: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, data) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A file with these bytes.
pub(crate) fn file_of(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

/// The whole file.
pub(crate) fn bytes_of(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Unpacks from a file. The output is not empty before, and has to be empty after an error.
pub(crate) fn from_file(archive: &[u8]) -> Result<(Unpacked, Vec<u8>), Error> {
    let input = file_of(archive);
    check(|output| unpack(&input, output, &mut |_, _| ControlFlow::Continue(())))
}

/// Unpacks from a stream that delivers `step` bytes at a time.
pub(crate) fn from_stream(archive: &[u8], step: usize) -> Result<(Unpacked, Vec<u8>), Error> {
    let mut stream = Trickle { bytes: archive, step };
    check(|output| unpack_stream(&mut stream, output, &mut |_, _| ControlFlow::Continue(())))
}

fn check(work: impl FnOnce(&File) -> Result<Unpacked, Error>) -> Result<(Unpacked, Vec<u8>), Error> {
    let output = file_of(&[0xee; 100_000]);
    match work(&output) {
        Ok(unpacked) => {
            let bytes = bytes_of(&output);
            assert_eq!(unpacked.size, bytes.len() as u64);
            Ok((unpacked, bytes))
        }
        Err(error) => {
            let left = output.metadata().unwrap().len();
            assert!(left == 0 || matches!(error, Error::Empty), "{left} bytes are left after: {error}");
            Err(error)
        }
    }
}

/// Delivers few bytes at a time.
pub(crate) struct Trickle<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.step.min(buffer.len()).min(self.bytes.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

/// Bytes that look like an image: `size` bytes, of which some stretches are noise and some text between zeros.
pub(crate) fn image(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut image = vec![0; size];
    for piece in image.chunks_mut(50_000) {
        match next() % 4 {
            0 => piece.fill_with(|| next().to_le_bytes()[3]),
            1 => piece.iter_mut().zip(b"disk image ".iter().cycle()).for_each(|(to, from)| *to = *from),
            _ => {}
        }
    }
    // Never all zeros, and never a magic number at the start.
    image[..2].copy_from_slice(b"\xeb\x3c");
    image
}
