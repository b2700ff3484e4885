//! lzma, the format before xz, as in the LZMA SDK's `lzma-specification.txt`.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::streams::{self, Codec, Step};
use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacked, Unpacker};

/// A file of lzma data. It has no checksum.
#[derive(Debug)]
pub(crate) struct Lzma;

impl Decompressor for Lzma {
    fn name(&self) -> &'static str {
        LzmaFile::NAME
    }

    /// The format has no magic: a byte of properties (0x5d in practice), the size of the dictionary (a power of two) and that of
    /// the data (-1 if unknown).
    fn matches(&self, head: &[u8]) -> bool {
        let Some((&[0x5d, a, b, c, d], size)) = head.split_first_chunk() else { return false };
        let dictionary = u32::from_le_bytes([a, b, c, d]);
        let Some(size) = size.first_chunk() else { return false };
        let size = u64::from_le_bytes(*size);
        dictionary.is_power_of_two() && dictionary >= 1 << 12 && (size == u64::MAX || size < 1 << 40)
    }

    fn told_size(&self, _options: &Unpacker, input: &File) -> Option<u64> {
        let mut header = [0; 13];
        input.read_exact_at(&mut header, 0).ok()?;
        let size = u64::from_le_bytes(*header.last_chunk()?);
        (size < u64::MAX).then_some(size)
    }

    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        streams::unpack::<LzmaFile>(options, input, output, tick)
    }
}

struct LzmaFile(crate::xz::Decoder);

impl Codec for LzmaFile {
    const NAME: &'static str = "lzma";
    const PADDING: u64 = 0;

    fn start() -> Result<Self, String> {
        crate::xz::Decoder::lzma().map(Self)
    }

    /// A second one cannot be told from garbage.
    fn begins(_head: &[u8]) -> bool {
        false
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        self.0.step(input, output)
    }
}
