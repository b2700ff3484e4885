//! What can be asked for beside the input and the output.

use std::fs::File;
use std::io::Read;

use glob::Pattern;

use crate::{Error, ImageReader, Tick, Unpacked};

/// Unpacks as [`unpack`](crate::unpack) does, with wishes.
///
/// ```
/// use arm_image_decompress::Unpacker;
///
/// let unpacker = Unpacker { member: Some("*-lite.img".to_owned()), max_size: Some(64 << 30) };
/// # let (input, output) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
/// # let input = { use std::io::Write; let mut file = input; file.write_all(b"\xeb\x3c").unwrap(); file };
/// let unpacked = unpacker.unpack(&input, &output, &mut |_, _| std::ops::ControlFlow::Continue(()))?;
/// assert_eq!(unpacked.format, "raw");
/// # Ok::<_, arm_image_decompress::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacker {
    /// Which files of a zip or tar may be the image: a glob over the whole name, in which `*` also stands for `/`. Formats
    /// without members do not look at it.
    pub member: Option<String>,
    /// The largest image to be unpacked, in bytes.
    pub max_size: Option<u64>,
}

impl Unpacker {
    /// [`unpack`](crate::unpack) with these wishes.
    ///
    /// # Errors
    /// As there; also [`Error::TooLarge`] and [`Error::Glob`].
    pub fn unpack(&self, input: &File, output: &File, tick: Tick<'_>) -> Result<Unpacked, Error> {
        crate::unpack_file(self, input, output, tick)
    }

    /// [`unpack_stream`](crate::unpack_stream) with these wishes.
    ///
    /// # Errors
    /// As there; also [`Error::TooLarge`] and [`Error::Glob`].
    pub fn unpack_stream(
        &self,
        input: &mut dyn Read,
        output: &File,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        crate::unpack_arriving(self, input, output, tick)
    }

    /// Lets `work` read the image in the file `archive`, of which only what is read is unpacked, to the regular file `scratch`.
    ///
    /// Of an xz file single blocks are decoded; of a zip, an lzma or a zst that tell how large the image is, as much from the
    /// start on as is asked for; anything else as a whole. A raw image is read where it lies. Each part is decoded once, here,
    /// while `work` waits for it on a thread of its own; `tick` is told as by [`unpack`](crate::unpack), but may never see the end.
    ///
    /// Damage is found in what is unpacked, as far as its checksum stands there and not behind what is left out.
    ///
    /// ```
    /// use std::io::Read;
    /// # use std::{io::Write, ops::ControlFlow};
    /// # let (mut archive, scratch) = (tempfile::tempfile()?, tempfile::tempfile()?);
    /// # let mut encoder = xz2::write::XzEncoder::new(&mut archive, 1);
    /// # encoder.write_all(&[7; 1 << 20])?;
    /// # encoder.finish()?;
    /// let sector = arm_image_decompress::Unpacker::default().peek(
    ///     &archive,
    ///     &scratch,
    ///     &mut |_, _| ControlFlow::Continue(()),
    ///     |mut image| -> std::io::Result<_> {
    ///         let mut sector = [0; 512];
    ///         image.read_exact(&mut sector)?;
    ///         Ok(sector)
    ///     },
    /// )??;
    /// assert_eq!(sector, [7; 512]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`unpack`](Self::unpack), also where `work` made nothing of its reads' failing; [`Error::NeedsFile`] for a pipe. What
    /// `work` returned is lost then.
    ///
    /// # Panics
    /// Where `work` does.
    pub fn peek<T: Send>(
        &self,
        archive: &File,
        scratch: &File,
        tick: Tick<'_>,
        work: impl FnOnce(ImageReader) -> T + Send,
    ) -> Result<T, Error> {
        crate::peek::peek(self, archive, scratch, tick, work)
    }

    /// The glob that members have to match.
    pub(crate) fn pattern(&self) -> Result<Pattern, Error> {
        let glob = self.member.as_deref().unwrap_or("*");
        Pattern::new(glob).map_err(|source| Error::Glob { glob: glob.to_owned(), source })
    }
}
