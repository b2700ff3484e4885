//! zstd without C, by ruzstd. Section numbers are those of RFC 8878.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::frame::{BLOCK_HEADER, CHECKSUM, SKIPPABLE_HEADER, header_size, parse_block, skippable};
use crate::streams::Step;

/// A decoder for a single frame.
pub(crate) struct Decoder {
    library: FrameDecoder,
    state: State,
    has_checksum: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Blocks,
    /// This many bytes are left to be skipped.
    Skipping(usize),
    /// All is decoded, not all is handed out.
    Ending,
}

impl Decoder {
    /// `window_log` is the largest window accepted, as a power of two.
    #[expect(clippy::unnecessary_wraps, reason = "as the one in C has it")]
    pub(crate) fn frame(window_log: u32) -> Result<Self, String> {
        let mut library = FrameDecoder::new();
        library.set_max_window_size(1 << window_log);
        Ok(Self { library, state: State::Header, has_checksum: false })
    }

    /// Takes nothing where `input` does not hold the whole of a header or block; then it wants more at once.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (mut consumed, mut produced) = (0, 0);
        let mut ended = Ok(false);
        if self.library.can_collect() == 0 && self.state != State::Ending {
            match self.take(input) {
                Ok(taken) => consumed = taken,
                Err(error) => ended = Err(error),
            }
        }
        if ended.is_ok() && matches!(self.state, State::Blocks | State::Ending) {
            match self.library.read(output) {
                Ok(read) => produced = read,
                Err(error) => ended = Err(error.to_string()),
            }
        }
        if ended.is_ok() {
            ended = match self.state {
                State::Skipping(0) => Ok(true),
                State::Ending if self.library.can_collect() == 0 => self.check().map(|()| true),
                _ => Ok(false),
            };
        }
        Step { consumed, produced, ended }
    }

    /// Decodes the next header or block, if it is there, and returns how long it was.
    fn take(&mut self, input: &[u8]) -> Result<usize, String> {
        match self.state {
            State::Header => {
                if input.len() < SKIPPABLE_HEADER {
                    return Ok(0);
                }
                if let Some(size) = skippable(input) {
                    let rest = size - SKIPPABLE_HEADER as u64;
                    self.state = State::Skipping(usize::try_from(rest).map_err(|error| error.to_string())?);
                    return Ok(SKIPPABLE_HEADER);
                }
                let Some(header) = input.get(4).and_then(|descriptor| input.get(..header_size(*descriptor)))
                else {
                    return Ok(0);
                };
                self.library.reset(header).map_err(|error| error.to_string())?;
                self.has_checksum = header[4] & 4 != 0;
                self.state = State::Blocks;
                Ok(header.len())
            }
            State::Blocks => {
                let Some(header) = input.first_chunk() else { return Ok(0) };
                let block = parse_block(*header).ok_or("a block is of an unknown type")?;
                let checksum = if block.is_last && self.has_checksum { CHECKSUM } else { 0 };
                let size = BLOCK_HEADER + block.packed + checksum;
                let Some(whole) = input.get(..size) else { return Ok(0) };
                self.library
                    .decode_blocks(whole, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|error| error.to_string())?;
                if self.library.is_finished() {
                    self.state = State::Ending;
                }
                Ok(size)
            }
            State::Skipping(left) => {
                let skipped = left.min(input.len());
                self.state = State::Skipping(left - skipped);
                Ok(skipped)
            }
            State::Ending => Ok(0),
        }
    }

    fn check(&self) -> Result<(), String> {
        match (self.library.get_checksum_from_data(), self.library.get_calculated_checksum()) {
            (Some(expected), found) if found != Some(expected) => Err("its checksum is wrong".to_owned()),
            _ => Ok(()),
        }
    }
}
