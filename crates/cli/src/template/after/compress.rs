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
    Zip,
    Tar,
    TarGz,
}

impl Compression {
    /// By the end of a name, the longest first.
    const ENDINGS: [(&str, Compression); 7] = [
        ("tar.gz", Compression::TarGz),
        ("gz", Compression::Gz),
        ("xz", Compression::Xz),
        ("zst", Compression::Zst),
        ("bz2", Compression::Bz2),
        ("zip", Compression::Zip),
        ("tar", Compression::Tar),
    ];

    /// The format that the end of `name` tells.
    pub(super) fn of_name(name: &str) -> Option<Compression> {
        let ending = |(ending, _): &&(&str, Compression)| name.ends_with(&format!(".{ending}"));
        Self::ENDINGS.iter().find(ending).map(|(_, compression)| *compression)
    }

    /// The format called `name`.
    pub(super) fn called(name: &str) -> Option<Compression> {
        Self::ENDINGS.iter().find(|(ending, _)| *ending == name).map(|(_, compression)| *compression)
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
    owner: Option<(u32, u32)>,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let failed = |cause| Error::File { operation: "read", path: input.into(), cause };
    let file = File::open(input).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let partial = Partial::create(output, &[input])?;
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
    mut out: &File,
) -> io::Result<()> {
    let gz = || flate2::Compression::new(level.unwrap_or(6));
    match compression {
        Compression::Gz => {
            let mut encoder = flate2::GzBuilder::new().filename(name).write(out, gz());
            io::copy(source, &mut encoder)?;
            encoder.finish()?;
        }
        Compression::Xz => {
            let mut encoder = xz2::write::XzEncoder::new(out, level.unwrap_or(6));
            io::copy(source, &mut encoder)?;
            encoder.finish()?;
        }
        Compression::Zst => {
            // Its own usual level is 3, of 19.
            let level = level.map_or(3, |level| i32::try_from(level * 2).unwrap_or(18).max(1));
            let mut encoder = zstd::Encoder::new(out, level)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(size))?;
            io::copy(source, &mut encoder)?;
            encoder.finish()?;
        }
        Compression::Bz2 => {
            let level = bzip2::Compression::new(level.unwrap_or(9).max(1));
            let mut encoder = bzip2::write::BzEncoder::new(out, level);
            io::copy(source, &mut encoder)?;
            encoder.finish()?;
        }
        Compression::Zip => {
            let options = zip::write::SimpleFileOptions::default()
                .large_file(size >= u64::from(u32::MAX))
                .compression_level(Some(level.unwrap_or(6).into()));
            let mut writer = zip::ZipWriter::new(out);
            writer.start_file(name, options).map_err(io::Error::other)?;
            io::copy(source, &mut writer)?;
            writer.finish().map_err(io::Error::other)?;
        }
        Compression::Tar => tar(name, size, source, &mut out)?,
        Compression::TarGz => {
            let mut encoder = flate2::write::GzEncoder::new(out, gz());
            tar(name, size, source, &mut encoder)?;
            encoder.finish()?;
        }
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
        assert_eq!(Compression::of_name("a/card.img.xz"), Some(Compression::Xz));
        assert_eq!(Compression::of_name("card.tar.gz"), Some(Compression::TarGz));
        assert_eq!(Compression::of_name("card.lz4"), None);
        assert_eq!(Compression::of_name("xz"), None);
    }
}
