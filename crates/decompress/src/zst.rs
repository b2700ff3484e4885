//! Zstandard, as in RFC 8878.

#[cfg_attr(feature = "c", path = "zst/libzstd.rs")]
#[cfg_attr(not(feature = "c"), path = "zst/ruzstd.rs")]
mod decoder;
mod frame;
mod frames;

use decoder::Decoder;

use std::fs::File;

use crate::streams::{self, Codec, Step};
use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacked, Unpacker};

/// Magic of a frame with data, section 3.1.1.
const MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// Magic of a frame to be skipped, section 3.1.2; the first byte may be 0x50 to 0x5f.
const SKIPPABLE_MAGIC: &[u8] = b"\x2a\x4d\x18";

/// The largest window accepted, as a power of two: 1 GiB. `zstd --ultra -22` uses 128 MiB, only `--long` more.
const WINDOW_LOG_LIMIT: u32 = 30;

/// Frames of zstd data.
#[derive(Debug)]
pub(crate) struct Zst;

impl Decompressor for Zst {
    fn name(&self) -> &'static str {
        ZstFrame::NAME
    }

    fn matches(&self, head: &[u8]) -> bool {
        ZstFrame::begins(head)
    }

    fn told_size(&self, _options: &Unpacker, input: &File) -> Option<u64> {
        frames::told_size(input, Input::File(input).size().ok()??)
    }

    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        if let (Input::File(file), Some(size)) = (&input, input.size()?)
            && let Some(size) = frames::unpack(file, size, output, &mut *tick)?
        {
            return Ok(Unpacked::new(ZstFrame::NAME, size));
        }
        streams::unpack::<ZstFrame>(options, input, output, tick)
    }
}

struct ZstFrame(Decoder);

impl Codec for ZstFrame {
    const NAME: &'static str = "zst";
    const PADDING: u64 = 0;

    fn start() -> Result<Self, String> {
        Decoder::frame(WINDOW_LOG_LIMIT).map(Self)
    }

    fn begins(head: &[u8]) -> bool {
        let skippable = match head.split_first() {
            Some((0x50..=0x5f, [])) => true,
            Some((0x50..=0x5f, rest)) => crate::starts_with(rest, SKIPPABLE_MAGIC),
            _ => false,
        };
        skippable || crate::starts_with(head, MAGIC)
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        self.0.step(input, output)
    }
}
