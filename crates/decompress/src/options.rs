//! What can be asked for beside the input and the output.

use std::fs::File;
use std::io::Read;

use glob::Pattern;

use crate::{Error, Tick, Unpacked};

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

    /// The glob that members have to match.
    pub(crate) fn pattern(&self) -> Result<Pattern, Error> {
        let glob = self.member.as_deref().unwrap_or("*");
        Pattern::new(glob).map_err(|source| Error::Glob { glob: glob.to_owned(), source })
    }
}
