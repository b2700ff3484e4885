//! Blocks of a bzip2 file decoded side by side.
//!
//! Each is decoded as a stream of its own, so that the library verifies its checksum; the checksum over a whole stream is
//! verified here. Where a block's data go is known only when all before it are decoded: the workers take turns.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use super::bits::wrap;
use super::scan::{Block, Scanner};
use super::{Bz2Stream, NAME};
use crate::parallel::{Progress, for_each, workers};
use crate::sink::Sink;
use crate::streams::Codec;
use crate::turns::{InTurn, Turn, Turns};
use crate::{Error, SparseFile, Tick};

/// How much a worker keeps of a block until it is its turn, in bytes, zeros left out. Hardly any block has more: 900 kB, unless
/// it repeats a byte that is not zero more than four times in a row.
const KEPT: usize = 4 << 20;

/// Unpacks a file that is as it should be. `Error::Damaged` says that it is not, or that the magic of a block stands in the data
/// by chance (once in ten thousand archives of a gigabyte): then it has to be unpacked as a stream.
pub(super) fn unpack(file: &File, size: u64, output: &SparseFile<'_>, tick: Tick<'_>) -> Result<u64, Error> {
    let turns = Turns::default();
    let crc = Mutex::default();
    let mut last = 0;
    for_each(
        workers(),
        Scanner::new(file),
        |block, progress| {
            let block = block?;
            unpack_block(&block, turns.turn(block.number), &crc, output, progress)?;
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
    Ok(turns.offset())
}

fn unpack_block(
    block: &Block,
    turn: Turn<'_>,
    crc: &Mutex<u32>,
    output: &SparseFile<'_>,
    progress: &Progress<'_>,
) -> Result<(), Error> {
    let damaged = |reason| Error::Damaged { format: NAME, at: block.packed, reason };
    let stream = wrap(block.level, &block.bytes, block.start, block.length);
    let mut input = stream.as_slice();
    let mut codec = Bz2Stream::start().map_err(damaged)?;
    let mut sink = InTurn::new(NAME, output, turn, KEPT);
    loop {
        let step = codec.step(input, sink.space());
        input = &input[step.consumed..];
        sink.advance(step.produced)?;
        if step.ended.map_err(damaged)? {
            break;
        }
        if step.consumed == 0 && step.produced == 0 {
            return Err(damaged("it has no end".to_owned()));
        }
        progress.add(0)?;
    }
    if !input.is_empty() {
        return Err(damaged("it ends before the next one starts".to_owned()));
    }
    sink.finish(|| match fold(crc, block) {
        true => Ok(()),
        false => Err(damaged("the checksum over its blocks is wrong".to_owned())),
    })
}

/// Takes the block, whose turn it is, into the checksum over the blocks of its stream; `false` if that comes out wrong.
fn fold(crc: &Mutex<u32>, block: &Block) -> bool {
    let mut crc = crc.lock().unwrap_or_else(PoisonError::into_inner);
    *crc = crc.rotate_left(1) ^ block.crc();
    block.stream_crc.is_none_or(|expected| std::mem::take(&mut *crc) == expected)
}
