//! Archives of an image.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use super::tick;
use crate::{Error, OnEvent, output::Partial};

/// A format to pack into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called what they are")]
pub enum Compression {
    Gz,
    Xz,
    Zst,
    Bz2,
    Lz4,
    Zip,
    Tar,
    TarGz,
    TarXz,
    TarZst,
    TarBz2,
    TarLz4,
}

impl Compression {
    /// By the end of a name, the longest first.
    const ENDINGS: [(&str, Compression); 12] = [
        ("tar.gz", Compression::TarGz),
        ("tar.xz", Compression::TarXz),
        ("tar.zst", Compression::TarZst),
        ("tar.bz2", Compression::TarBz2),
        ("tar.lz4", Compression::TarLz4),
        ("gz", Compression::Gz),
        ("xz", Compression::Xz),
        ("zst", Compression::Zst),
        ("bz2", Compression::Bz2),
        ("lz4", Compression::Lz4),
        ("zip", Compression::Zip),
        ("tar", Compression::Tar),
    ];

    /// The format that the end of `name` tells.
    pub(super) fn of_name(name: &str) -> Option<Compression> {
        let ending = |(ending, _): &&(&str, Compression)| name.ends_with(&format!(".{ending}"));
        Self::ENDINGS.iter().find(ending).map(|(_, compression)| *compression)
    }

    /// What all of them are called, for people.
    pub(super) fn names() -> String {
        Self::ENDINGS.map(|(name, _)| name).join(", ")
    }

    /// What a tar archive of this format is packed with.
    fn of_tar(self) -> Option<Compression> {
        match self {
            Compression::TarGz => Some(Compression::Gz),
            Compression::TarXz => Some(Compression::Xz),
            Compression::TarZst => Some(Compression::Zst),
            Compression::TarBz2 => Some(Compression::Bz2),
            Compression::TarLz4 => Some(Compression::Lz4),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ENDINGS.iter().find(|(_, compression)| compression == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// Packs `input` into `output`, which gets its name only once it is whole.
pub(super) fn pack(
    compression: Compression,
    level: Option<u32>,
    input: &Path,
    output: &Path,
    read: &[&Path],
    owner: Option<(u32, u32)>,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let failed = |cause| Error::File { operation: "read", path: input.into(), cause };
    let file = File::open(input).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let partial = Partial::create(output, read)?;
    let mut cancelled = false;
    let mut source = Counted { file, done: 0, total, on: &mut *on, cancelled: &mut cancelled };
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    let written = encode(compression, level, &name, total, &mut source, partial.file());
    match written {
        Err(_) if cancelled => Err(Error::Cancelled),
        Err(cause) => Err(Error::File { operation: "pack into", path: output.into(), cause }),
        Ok(()) => partial.finish(owner, on),
    }
}

fn encode(
    compression: Compression,
    level: Option<u32>,
    name: &str,
    size: u64,
    source: &mut dyn Read,
    out: &File,
) -> io::Result<()> {
    if let Some(inner) = compression.of_tar() {
        return through(inner, level, None, out, &mut |out| tar(name, size, source, out));
    }
    through(compression, level, Some((name, size)), out, &mut |out| match compression {
        Compression::Tar => tar(name, size, source, out),
        _ => io::copy(source, out).map(drop),
    })
}

/// Hands what `write` writes on to `out`, packed; of a file alone, its name and size may be kept.
fn through(
    compression: Compression,
    level: Option<u32>,
    alone: Option<(&str, u64)>,
    mut out: &File,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match compression {
        Compression::Gz => {
            let builder = flate2::GzBuilder::new();
            let builder = if let Some((name, _)) = alone { builder.filename(name) } else { builder };
            let mut encoder = builder.write(out, flate2::Compression::new(level.unwrap_or(6)));
            write(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Xz => {
            let mut encoder = xz2::write::XzEncoder::new(out, level.unwrap_or(6));
            write(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Zst => {
            // Its own usual level is 3, of 19.
            let level = level.map_or(3, |level| i32::try_from(level * 2).unwrap_or(18));
            let mut encoder = zstd::Encoder::new(out, level)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(alone.map(|(_, size)| size))?;
            write(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Bz2 => {
            let level = bzip2::Compression::new(level.unwrap_or(9));
            let mut encoder = bzip2::write::BzEncoder::new(out, level);
            write(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Lz4 => {
            // It has one level.
            let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
            write(&mut encoder)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Compression::Zip => {
            let (name, size) = alone.unwrap_or_default();
            let options = zip::write::SimpleFileOptions::default()
                .large_file(size >= u64::from(u32::MAX))
                .compression_level(Some(level.unwrap_or(6).into()));
            let mut writer = zip::ZipWriter::new(out);
            writer.start_file(name, options).map_err(io::Error::other)?;
            write(&mut writer)?;
            writer.finish().map_err(io::Error::other)?;
        }
        _ => write(&mut out)?,
    }
    Ok(())
}

fn tar(name: &str, size: u64, source: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    let mut builder = tar::Builder::new(out);
    builder.append_data(&mut header, name, source)?;
    builder.finish()
}

/// A file that tells how much of it was read.
struct Counted<'a> {
    file: File,
    done: u64,
    total: u64,
    on: OnEvent<'a>,
    cancelled: &'a mut bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.done += length as u64;
        if tick(self.on, self.done, self.total).is_err() {
            *self.cancelled = true;
            return Err(io::Error::other("cancelled"));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format() {
        for (name, expected) in [
            ("a/card.img.xz", Some(Compression::Xz)),
            ("card.tar.gz", Some(Compression::TarGz)),
            ("card.tar.xz", Some(Compression::TarXz)),
            ("card.tar.lz4", Some(Compression::TarLz4)),
            ("card.lz4", Some(Compression::Lz4)),
            ("card.img", None),
            ("packer_pi_arm-image", None),
            ("xz", None),
        ] {
            assert_eq!(Compression::of_name(name), expected, "{name}");
        }
    }

    #[test]
    fn archives_hold_the_file_under_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("card.img");
        std::fs::write(&input, "the image").expect("it is written");
        for (ending, compression) in Compression::ENDINGS {
            let output = folder.path().join(format!("a.{ending}"));
            let mut on = |_: crate::Event<'_>| std::ops::ControlFlow::Continue(());
            pack(compression, Some(1), &input, &output, &[&input], None, &mut on).expect(ending);
            let packed = File::open(&output).expect("it is there");
            let mut bytes = Vec::new();
            let inner = compression.of_tar().unwrap_or(compression);
            let read = match inner {
                Compression::Gz => flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes),
                Compression::Xz => xz2::read::XzDecoder::new(packed).read_to_end(&mut bytes),
                Compression::Zst => zstd::Decoder::new(packed).and_then(|mut d| d.read_to_end(&mut bytes)),
                Compression::Bz2 => bzip2::read::BzDecoder::new(packed).read_to_end(&mut bytes),
                Compression::Lz4 => lz4_flex::frame::FrameDecoder::new(packed).read_to_end(&mut bytes),
                Compression::Zip => {
                    let mut archive = zip::ZipArchive::new(packed).expect("an archive");
                    archive.by_name("card.img").expect("its member").read_to_end(&mut bytes)
                }
                _ => (&packed).read_to_end(&mut bytes),
            };
            read.expect(ending);
            if compression.of_tar().is_some() || compression == Compression::Tar {
                let mut archive = tar::Archive::new(&bytes[..]);
                let mut member = archive.entries().expect("entries").next().expect("one").expect("whole");
                assert_eq!(member.path().expect("a name").as_ref(), Path::new("card.img"), "{ending}");
                let mut inside = Vec::new();
                member.read_to_end(&mut inside).expect("it is whole");
                bytes = inside;
            }
            assert_eq!(bytes, b"the image", "{ending}");
        }
    }
}
