//! zstd by its own library.

use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use crate::streams::Step;

/// A decoder for a single frame.
pub(crate) struct Decoder(ZstdDecoder<'static>);

impl Decoder {
    /// `window_log` is the largest window accepted, as a power of two.
    pub(crate) fn frame(window_log: u32) -> Result<Self, String> {
        let mut decoder = ZstdDecoder::new().map_err(|error| error.to_string())?;
        decoder.set_parameter(DParameter::WindowLogMax(window_log)).map_err(|error| error.to_string())?;
        Ok(Self(decoder))
    }

    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
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
