//! Blocks decoded side by side while they arrive.
//!
//! The calling thread reads, finds the ends of the blocks by passing over their chunks, and hands their bytes on as they come.
//! Workers decode some whole blocks each as a stream of their own, as they do for a file ([`blocks`](super::blocks)). A block's
//! place in the image is known as soon as the one before has arrived; none has to be kept whole. In the end the index is compared
//! with what was seen.

mod flow;
mod index;

use std::sync::mpsc::{Sender, channel};

use self::flow::{Flow, Part, Pieces};
use self::index::Seen;
use super::block::Block;
use super::blocks::PART;
use super::index::{
    Flags, HEADER, Record, block_header_size, check_size, header, parse_block_header, parse_header, tail,
};
use super::{Decoder, XzStream};
use crate::source::Source;
use crate::streams::{Codec, Next, next_stream};
use crate::{Error, HEAD, SparseFile, Tick, detect};

/// Blocks are handed on in pieces of this size in bytes.
const PIECE: usize = 256 << 10;

/// Whether the stream before us is worth it: one that was packed on several threads and starts with an image. Nothing of it is
/// consumed.
pub(super) fn suits(source: &mut Source<'_>) -> Result<bool, Error> {
    if crate::parallel::workers() < 2 {
        return Ok(false);
    }
    let size = match source.at_least(HEADER + 1)?.get(HEADER) {
        Some(first) => block_header_size(*first).unwrap_or_default(),
        None => 0,
    };
    let header = source.at_least(HEADER + size)?.get(HEADER..).and_then(parse_block_header);
    let tells_sizes = header.is_some_and(|header| header.packed.is_some() && header.unpacked.is_some());
    Ok(tells_sizes && starts_with_image(source)?)
}

/// Whether the first bytes of the data are those of a raw image. What is none, or a tar, is left to the decoder for all.
fn starts_with_image(source: &mut Source<'_>) -> Result<bool, Error> {
    let Ok(mut decoder) = Decoder::xz() else { return Ok(false) };
    let (mut head, mut filled, mut fed) = ([0; HEAD], 0, 0);
    while filled < HEAD {
        let step = decoder.step(&source.window()[fed..], &mut head[filled..]);
        fed += step.consumed;
        filled += step.produced;
        let is_stuck = step.consumed == 0 && step.produced == 0;
        if step.ended != Ok(false) && filled < HEAD || is_stuck && !source.grow()? {
            return Ok(false);
        }
    }
    Ok(detect(&head).name() == "raw")
}

/// Unpacks all streams to come and returns the size of the image in bytes.
pub(super) fn unpack(
    workers: usize,
    source: &mut Source<'_>,
    output: &SparseFile<'_>,
    tick: Tick<'_>,
) -> Result<u64, Error> {
    let flow = Flow::default();
    flow.run(workers, output, |parts| {
        let mut cutter =
            Cutter { source, flow: &flow, parts, tick, open: None, number: 0, offset: 0, told: 0 };
        let cut = cutter.cut_streams();
        // What is still open ends here, without an index: its decoder says what is wrong.
        cutter.open = None;
        let ended = cutter.wait(|state| state.parts == 0);
        match (flow.take_failure(), cut) {
            // Where bytes were taken away or added in the middle the decoder may see nothing worse than an end.
            (Some(Error::Truncated { .. }), Err(error)) if !matches!(error, Error::Cancelled) => Err(error),
            (Some(failure), _) => Err(failure),
            (None, cut) => cut.and(ended),
        }?;
        cutter.tell(cutter.source.at())?;
        Ok(cutter.offset)
    })
}

/// Cuts streams into parts: some whole blocks that follow each other.
struct Cutter<'a, 's> {
    source: &'a mut Source<'s>,
    flow: &'a Flow,
    parts: Sender<Part>,
    tick: Tick<'a>,
    /// The part to which the next bytes belong.
    open: Option<Open>,
    /// How many parts there were.
    number: u64,
    /// Where the data of the next block go, in bytes.
    offset: u64,
    /// What `tick` was told last.
    told: u64,
}

/// The hither end of a part.
struct Open {
    pieces: Sender<Vec<u8>>,
    gathered: Vec<u8>,
    records: Vec<Record>,
    dictionary: u64,
    /// Packed and unpacked bytes of its blocks.
    size: u64,
}

impl Cutter<'_, '_> {
    fn cut_streams(&mut self) -> Result<(), Error> {
        loop {
            self.cut_stream()?;
            match next_stream::<XzStream>(self.source)? {
                Next::Stream => {}
                Next::End(_) => return Ok(()),
            }
        }
    }

    fn cut_stream(&mut self) -> Result<(), Error> {
        let at = self.source.at();
        let Some(flags) = self.source.at_least(HEADER)?.first_chunk().and_then(parse_header) else {
            self.open(at, 0, Vec::new())?;
            return Err(self.give_up(HEADER));
        };
        self.source.consume(HEADER);
        let mut seen = Seen::default();
        loop {
            match self.source.at_least(1)?.first().map(|first| block_header_size(*first)) {
                Some(Some(size)) => self.cut_block(flags, size, &mut seen)?,
                Some(None) => break,
                None => return Err(self.give_up(1)),
            }
        }
        self.close(flags)?;
        seen.verify(self.source, flags)
    }

    /// Passes a block on, whose header has `size` bytes.
    fn cut_block(&mut self, flags: Flags, size: usize, seen: &mut Seen) -> Result<(), Error> {
        let Some(told) = self.source.at_least(size)?.get(..size).and_then(parse_block_header) else {
            return Err(self.give_up(size));
        };
        // A part takes as much memory as its first block says.
        if self.open.as_ref().is_some_and(|open| open.dictionary < told.dictionary) {
            self.close(flags)?;
        }
        if self.open.is_none() {
            self.open(self.source.at() - HEADER as u64, told.dictionary, header(flags))?;
        }
        self.pass_on(size)?;
        let mut block = Block::new(size, check_size(flags));
        while !block.is_over() {
            self.source.refill()?;
            let passed = block.pass(self.source.window());
            self.pass_on(passed)?;
            if passed == 0 || block.is_broken() {
                return Err(self.give_up(1));
            }
        }
        // Not every decoder compares them.
        if told.packed.is_some_and(|size| size != block.packed())
            || told.unpacked.is_some_and(|size| size != block.record().unpacked)
        {
            let reason = "a block has another size than its header tells".to_owned();
            return Err(Error::Damaged { format: XzStream::NAME, at: self.source.at(), reason });
        }
        let record = block.record();
        seen.add(record);
        self.offset += record.unpacked;
        if let Some(open) = &mut self.open {
            open.records.push(record);
            open.size += record.unpadded + record.unpacked;
            if open.size >= PART {
                self.close(flags)?;
            }
        }
        Ok(())
    }

    /// Starts a part with `first` bytes that stand at `at` in the input, or are made up for those before it.
    fn open(&mut self, at: u64, dictionary: u64, first: Vec<u8>) -> Result<(), Error> {
        self.wait(|state| state.has_room_for_dictionary(dictionary))?;
        let (pieces, receiver) = channel();
        let part =
            Part { number: self.number, at, offset: self.offset, dictionary, pieces: Pieces::new(receiver) };
        self.number += 1;
        self.flow.enter(dictionary);
        // Workers stay as long as there are parts, or have panicked, which is on its way to the caller.
        let _ = self.parts.send(part);
        self.open = Some(Open { pieces, gathered: first, records: Vec::new(), dictionary, size: 0 });
        Ok(())
    }

    /// Ends the open part, if there is one, with an index made for it.
    fn close(&mut self, flags: Flags) -> Result<(), Error> {
        if let Some(open) = &mut self.open {
            open.gathered.extend(tail(flags, &open.records));
        }
        self.send()?;
        self.open = None;
        Ok(())
    }

    /// Hands the next `count` bytes on.
    fn pass_on(&mut self, count: usize) -> Result<(), Error> {
        if let Some(open) = &mut self.open {
            open.gathered.extend(&self.source.window()[..count]);
        }
        self.source.consume(count);
        if self.open.as_ref().is_some_and(|open| open.gathered.len() >= PIECE) {
            self.send()?;
        }
        self.wait(|_| true)
    }

    fn send(&mut self) -> Result<(), Error> {
        let Some(piece) = self.open.as_mut().map(|open| std::mem::take(&mut open.gathered)) else {
            return Ok(());
        };
        self.wait(|state| state.has_room_for_piece(piece.len()))?;
        self.flow.add(piece.len());
        if let Some(open) = &mut self.open {
            let _ = open.pieces.send(piece); // a decoder that failed wants no more; `wait` says so
        }
        Ok(())
    }

    /// Hands on what is there and does not make sense, `wanted` bytes at least, so that the decoder says what is wrong with it.
    /// The error is for where it does not.
    fn give_up(&mut self, wanted: usize) -> Error {
        let count = self.source.window().len();
        if let Err(error) = self.pass_on(count).and_then(|()| self.send()) {
            return error;
        }
        let at = self.source.at();
        if count < wanted {
            Error::Truncated { format: XzStream::NAME, at }
        } else {
            Error::Damaged { format: XzStream::NAME, at, reason: "no block stands here".to_owned() }
        }
    }

    /// Waits until the others are so far; tells the caller how far they are, at least once.
    fn wait(&mut self, is_so_far: impl Fn(&flow::State) -> bool) -> Result<(), Error> {
        let mut is_first = true;
        loop {
            let (is_reached, buffered) = self.flow.look(is_first, &is_so_far)?;
            is_first = false;
            self.tell(self.source.at().saturating_sub(buffered))?;
            if is_reached {
                return Ok(());
            }
        }
    }

    fn tell(&mut self, at: u64) -> Result<(), Error> {
        // The bytes in hand also count headers made here.
        self.told = self.told.max(at);
        if (self.tick)(self.told, None).is_break() {
            self.flow.stop();
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
