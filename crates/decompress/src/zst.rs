//! Zstandard, as in RFC 8878.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::streams::{self, Codec, Step};
use crate::{Decompressor, Error, Input, SparseFile, Tick};

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

    fn unpack(&self, input: Input<'_>, output: &SparseFile<'_>, tick: Tick<'_>) -> Result<u64, Error> {
        streams::unpack::<ZstFrame>(input, output, tick)
    }
}

struct ZstFrame(Decoder<'static>);

impl Codec for ZstFrame {
    const NAME: &'static str = "zst";
    const PADDING: u64 = 0;

    fn start() -> Result<Self, String> {
        let mut decoder = Decoder::new().map_err(|error| error.to_string())?;
        decoder
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_LIMIT))
            .map_err(|error| error.to_string())?;
        Ok(Self(decoder))
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
        let mut input = InBuffer::around(input);
        let mut output = OutBuffer::around(output);
        // The number is a hint of how much input comes next; 0 only when a frame is decoded, checked and handed out.
        let hint = self.0.run(&mut input, &mut output);
        Step {
            consumed: input.pos(),
            produced: output.pos(),
            ended: hint.map(|hint| hint == 0).map_err(|error| error.to_string()),
        }
    }
}
