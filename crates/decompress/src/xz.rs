//! xz, as in <https://tukaani.org/xz/xz-file-format.txt>.

mod blocks;
#[cfg_attr(feature = "c", path = "xz/liblzma.rs")]
#[cfg_attr(not(feature = "c"), path = "xz/lzma_rust.rs")]
mod decoder;
mod index;

pub(crate) use decoder::Decoder;

use crate::streams::{self, Codec, Step};
use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacked, Unpacker};

/// Streams of xz data, padded or not.
#[derive(Debug)]
pub(crate) struct Xz;

impl Decompressor for Xz {
    fn name(&self) -> &'static str {
        XzStream::NAME
    }

    fn matches(&self, head: &[u8]) -> bool {
        XzStream::begins(head)
    }

    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        if let (Input::File(file), Some(size)) = (&input, input.size()?)
            && let Some(layout) = blocks::Layout::read(file, size)
        {
            match layout.unpack(file, size, output, tick) {
                // The way below takes the image out of it.
                Err(Error::Nested { found: crate::tar::NAME, .. }) => output.empty()?,
                result => return result.map(|size| Unpacked::new(XzStream::NAME, size)),
            }
        }
        streams::unpack::<XzStream>(options, input, output, tick)
    }
}

struct XzStream(Decoder);

impl Codec for XzStream {
    const NAME: &'static str = "xz";
    const PADDING: u64 = 4; // section 2.2 of the format

    fn start() -> Result<Self, String> {
        Decoder::xz().map(Self)
    }

    fn begins(head: &[u8]) -> bool {
        crate::starts_with(head, index::MAGIC)
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        self.0.step(input, output)
    }
}
