//! xz, as in <https://tukaani.org/xz/xz-file-format.txt>.

mod arriving;
mod block;
mod blocks;
#[cfg_attr(feature = "c", path = "xz/liblzma.rs")]
#[cfg_attr(not(feature = "c"), path = "xz/lzma_rust.rs")]
mod decoder;
mod index;

pub(crate) use blocks::Layout;
pub(crate) use decoder::Decoder;

use std::fs::File;

use crate::source::Source;
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

    fn told_size(&self, _options: &Unpacker, input: &File) -> Option<u64> {
        let size = Input::File(input).size().ok()??;
        Layout::of(input, size).map(|layout| layout.size())
    }

    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        if let (Input::File(file), Some(size)) = (&input, input.size()?)
            && let Some(layout) = Layout::read(file, size)
        {
            match layout.unpack(file, size, output, tick) {
                // The way below takes the image out of it.
                Err(Error::Nested { found: crate::tar::NAME, .. }) => output.empty()?,
                result => return result.map(|size| Unpacked::new(XzStream::NAME, size)),
            }
        }
        let total = input.size()?;
        let is_stream = matches!(input, Input::Stream(_));
        let mut source = Source::new(input.reader());
        if is_stream && arriving::suits(&mut source)? {
            let size = arriving::unpack(crate::parallel::workers(), &mut source, output, tick)?;
            return Ok(Unpacked::new(XzStream::NAME, size));
        }
        streams::unpack_from::<XzStream>(options, &mut source, total, output, tick)
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

#[cfg(fuzzing)]
mod fuzzing {
    use super::{XzStream, arriving, block, index};
    use crate::source::Source;
    use crate::{Error, SparseFile, Tick, Unpacker, streams};

    pub(crate) fn parse_all(bytes: &[u8]) {
        if let Some(bytes) = bytes.first_chunk() {
            let _ = (index::parse_header(bytes), index::parse_footer(bytes));
        }
        let _ = index::parse_block_header(bytes);
        // Under a checksum that is right, or the parser behind it would never be reached.
        let content = &bytes[..bytes.len() / 4 * 4];
        if let Some(records) = index::parse_index(&[content, &index::crc32(content)].concat()) {
            let tail = index::tail([0, 4], &records);
            assert!(tail.len() >= index::HEADER);
        }
        let mut walk = block::Block::new(12, 8);
        let passed = walk.pass(bytes);
        assert!(passed == bytes.len() || walk.is_over() || walk.is_broken());
    }

    pub(crate) fn unpack_arriving(
        archive: &[u8],
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<u64, Error> {
        arriving::unpack(2, &mut Source::new(Box::new(archive)), output, tick)
    }

    pub(crate) fn unpack_in_order(
        options: &Unpacker,
        archive: &[u8],
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<u64, Error> {
        streams::unpack_from::<XzStream>(options, &mut Source::new(Box::new(archive)), None, output, tick)
            .map(|unpacked| unpacked.size)
    }
}
#[cfg(fuzzing)]
pub(crate) use fuzzing::{parse_all, unpack_arriving, unpack_in_order};
