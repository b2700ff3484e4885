//! Blocks of a bzip2 file decoded side by side.
//!
//! Each is decoded as a stream of its own, so that the library verifies its checksum; the checksum over a whole stream is
//! verified here. Where a block's data go is known only when all before it are decoded: the workers take turns.

use std::fs::File;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::bits::wrap;
use super::scan::{Block, Scanner};
use super::{Bz2Stream, NAME};
use crate::parallel::{Progress, for_each, workers};
use crate::sink::OUTPUT_BUFFER;
use crate::sparse::is_zero;
use crate::streams::{Codec, refuse_nested};
use crate::{Error, SparseFile, Tick};

/// How much a worker keeps of a block until it is its turn, in bytes, zeros left out. Hardly any block has more: 900 kB, unless
/// it repeats a byte that is not zero more than four times in a row.
const KEPT: usize = 4 << 20;

/// Unpacks a file that is as it should be. `Error::Damaged` says that it is not, or that the magic of a block stands in the data
/// by chance (once in ten thousand archives of a gigabyte): then it has to be unpacked as a stream.
pub(super) fn unpack(file: &File, size: u64, output: &SparseFile<'_>, tick: Tick<'_>) -> Result<u64, Error> {
    let turns = Turns::default();
    let mut last = 0;
    for_each(
        workers(),
        Scanner::new(file),
        |block, progress| {
            let block = block?;
            let mut turn = Turn { turns: &turns, number: block.number, over: false };
            unpack_block(&block, &mut turn, output, progress)?;
            progress.add(block.packed)
        },
        &mut |done| {
            last = done;
            tick(done, Some(size))
        },
    )?;
    // What stands behind the last block has no block to be counted with.
    if last != size && tick(size, Some(size)).is_break() {
        return Err(Error::Cancelled);
    }
    Ok(turns.lock().offset)
}

/// A stretch of the image.
enum Piece {
    Zeros(usize),
    Data(Vec<u8>),
}

fn unpack_block(
    block: &Block,
    turn: &mut Turn<'_>,
    output: &SparseFile<'_>,
    progress: &Progress<'_>,
) -> Result<(), Error> {
    let damaged = |reason| Error::Damaged { format: NAME, at: block.packed, reason };
    let stream = wrap(block.level, &block.bytes, block.start, block.length);
    let mut input = stream.as_slice();
    let mut codec = Bz2Stream::start().map_err(damaged)?;
    let (mut pieces, mut kept, mut size) = (Vec::new(), 0, 0);
    let mut offset = None;
    loop {
        let mut buffer = vec![0; OUTPUT_BUFFER];
        let mut filled = 0;
        let mut ended = false;
        while filled < buffer.len() && !ended {
            let step = codec.step(input, &mut buffer[filled..]);
            input = &input[step.consumed..];
            filled += step.produced;
            ended = step.ended.map_err(damaged)?;
            if !ended && step.consumed == 0 && step.produced == 0 {
                return Err(damaged("it has no end".to_owned()));
            }
        }
        buffer.truncate(filled);
        size += filled as u64;
        if is_zero(&buffer) {
            pieces.push(Piece::Zeros(filled));
        } else {
            kept += filled;
            pieces.push(Piece::Data(buffer));
        }
        if ended {
            break;
        }
        if kept > KEPT {
            let at = match offset {
                None => turn.wait()?,
                Some(at) => at,
            };
            offset = Some(write(&mut pieces, at, output)?);
            kept = 0;
            progress.add(0)?;
        }
    }
    if !input.is_empty() {
        return Err(damaged("it ends before the next one starts".to_owned()));
    }
    let start = turn.wait()?;
    turn.pass(size, block)?;
    write(&mut pieces, offset.unwrap_or(start), output)?;
    Ok(())
}

/// Writes what was kept, and returns where it ends.
fn write(pieces: &mut Vec<Piece>, mut at: u64, output: &SparseFile<'_>) -> Result<u64, Error> {
    for piece in pieces.drain(..) {
        let size = match &piece {
            Piece::Zeros(size) => *size,
            Piece::Data(bytes) => {
                if at == 0 {
                    refuse_nested(NAME, bytes)?;
                }
                output.write_all_at(bytes, at)?;
                bytes.len()
            }
        };
        at += size as u64;
        output.room_for(at)?;
    }
    Ok(at)
}

/// Whose turn it is to know where its data go.
#[derive(Debug, Default)]
struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The block whose turn it is.
    number: u64,
    /// Where its data go, in bytes.
    offset: u64,
    /// The checksum over the blocks of the stream so far.
    crc: u32,
    failed: bool,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A worker that panics leaves the numbers as they were; its turn says that it failed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One block's turn. Dropped before it is over, it lets nobody else have theirs.
struct Turn<'a> {
    turns: &'a Turns,
    number: u64,
    over: bool,
}

impl Turn<'_> {
    /// Waits until it comes, and returns where the data go.
    fn wait(&self) -> Result<u64, Error> {
        let waiting = |state: &mut State| state.number != self.number && !state.failed;
        let state =
            self.turns.changed.wait_while(self.turns.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        if state.failed { Err(Error::Cancelled) } else { Ok(state.offset) }
    }

    /// Ends it, after `size` bytes of data.
    fn pass(&mut self, size: u64, block: &Block) -> Result<(), Error> {
        let mut state = self.turns.lock();
        state.offset += size;
        state.crc = state.crc.rotate_left(1) ^ block.crc();
        if let Some(expected) = block.stream_crc {
            if state.crc != expected {
                let reason = "the checksum over its blocks is wrong".to_owned();
                return Err(Error::Damaged { format: NAME, at: block.packed, reason });
            }
            state.crc = 0;
        }
        state.number += 1;
        self.over = true;
        self.turns.changed.notify_all();
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.turns.lock().failed = true;
            self.turns.changed.notify_all();
        }
    }
}
