//! Where a block ends, found while its bytes pass and without decoding them.
//!
//! The data are chunks of LZMA2 that tell their sizes. The chunks are described nowhere but in liblzma's and the kernel's
//! `lzma2_decoder.c` and `xz_dec_lzma2.c`; the block around them in section 3 of the xz format.

use super::index::Record;

/// A block behind its header.
#[derive(Debug)]
pub(super) struct Block {
    state: State,
    /// Size of header and check, in bytes.
    header: u64,
    check: u64,
    /// The chunks so far, in bytes.
    packed: u64,
    unpacked: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a chunk's header, of which there are some bytes.
    Header { bytes: [u8; LONGEST], filled: usize },
    /// In a chunk's data.
    Data { left: u64 },
    /// In padding and check.
    End { left: u64 },
    /// At a byte that starts no chunk.
    Broken,
}

/// The longest header of a chunk: control byte, unpacked size, packed size, properties.
const LONGEST: usize = 6;

/// The next chunk's header, of which nothing was seen.
const FRESH: State = State::Header { bytes: [0; LONGEST], filled: 0 };

impl Block {
    /// A block that stands behind a header of `header` bytes and has a check of `check` bytes.
    pub(super) fn new(header: usize, check: u64) -> Self {
        Self { state: FRESH, header: header as u64, check, packed: 0, unpacked: 0 }
    }

    /// Passes over what belongs to the block at the front of `bytes`, and returns how much that is. A byte with which it cannot
    /// go on is the last.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(first) = bytes.get(at)
            && !self.is_over()
            && !self.is_broken()
        {
            let (state, passed) = match self.state {
                State::Header { bytes, filled } => (self.header(bytes, filled, *first), 1),
                State::Data { left } => {
                    let passed = least(bytes.len() - at, left);
                    self.packed += passed as u64;
                    let left = left - passed as u64;
                    (if left == 0 { FRESH } else { State::Data { left } }, passed)
                }
                State::End { left } => {
                    let passed = least(bytes.len() - at, left);
                    (State::End { left: left - passed as u64 }, passed)
                }
                State::Broken => break,
            };
            self.state = state;
            at += passed;
        }
        at
    }

    /// Takes one more byte of a chunk's header.
    fn header(&mut self, mut bytes: [u8; LONGEST], filled: usize, byte: u8) -> State {
        bytes[filled] = byte;
        let filled = filled + 1;
        self.packed += 1;
        let [control, a, b, c, d, _] = bytes;
        let both = |high: u8, low: u8| u64::from(u16::from_be_bytes([high, low])) + 1;
        let (size, packed, unpacked) = match control {
            0 => (1, 0, 0), // the last
            1 | 2 => (3, both(a, b), both(a, b)),
            0x80.. => {
                let has_properties = control >= 0xc0;
                (5 + usize::from(has_properties), both(c, d), (u64::from(control & 0x1f) << 16) + both(a, b))
            }
            _ => return State::Broken,
        };
        if filled < size {
            return State::Header { bytes, filled };
        }
        self.unpacked += unpacked;
        match control {
            // The header's size is a multiple of four already.
            0 => State::End { left: self.packed.next_multiple_of(4) - self.packed + self.check },
            _ => State::Data { left: packed },
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::End { left: 0 }
    }

    /// Whether a byte came with which it cannot go on.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// The size of its chunks so far, in bytes.
    pub(super) fn packed(&self) -> u64 {
        self.packed
    }

    /// What an index has to say of it, once it is over.
    pub(super) fn record(&self) -> Record {
        Record { unpadded: self.header + self.packed + self.check, unpacked: self.unpacked }
    }
}

fn least(here: usize, left: u64) -> usize {
    usize::try_from(left).map_or(here, |left| left.min(here))
}
