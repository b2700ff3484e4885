//! zstd without C, by ruzstd. Section numbers are those of RFC 8878.

use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::streams::Step;

/// The magic of a frame to be skipped is this and 15 numbers behind it, section 3.1.2.
const SKIPPABLE: u32 = 0x184d_2a50;

/// Magic and size of a frame to be skipped.
const SKIPPABLE_HEADER: usize = 8;

/// The size of the checksum at the end of a frame.
const CHECKSUM: usize = 4;

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
                let Some(magic) = input.first_chunk() else { return Ok(0) };
                if u32::from_le_bytes(*magic) & !0xf == SKIPPABLE {
                    let Some([.., a, b, c, d]) = input.first_chunk::<SKIPPABLE_HEADER>() else {
                        return Ok(0);
                    };
                    let size = u32::from_le_bytes([*a, *b, *c, *d]);
                    self.state = State::Skipping(usize::try_from(size).map_err(|error| error.to_string())?);
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
                let Some([a, b, c]) = input.first_chunk() else { return Ok(0) };
                let block = u32::from_le_bytes([*a, *b, *c, 0]);
                let (is_last, is_run) = (block & 1 == 1, block >> 1 & 3 == 1);
                let body = if is_run { 1 } else { usize::try_from(block >> 3).unwrap_or(usize::MAX) };
                let checksum = if is_last && self.has_checksum { CHECKSUM } else { 0 };
                let size = body.saturating_add(3 + checksum);
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

/// The size of a frame's header with its magic, from its fifth byte, section 3.1.1.1.1.
fn header_size(descriptor: u8) -> usize {
    let is_single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!is_single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content = match descriptor >> 6 {
        0 => usize::from(is_single_segment),
        flag => 1 << flag,
    };
    4 + 1 + window + dictionary + content
}
