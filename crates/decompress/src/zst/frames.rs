//! Frames decoded side by side.
//!
//! Where a frame ends is told by the headers of its blocks, so that nothing has to be decoded to find the next. Where its data go
//! is known from the sizes of those before it, if they tell them (the seekable format does, `pzstd` does not); else its worker
//! keeps them until those before it are decoded.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use super::ZstFrame;
use super::frame::{BLOCK_HEADER, CHECKSUM, LONGEST_HEADER, parse_block, parse_header, skippable};
use crate::input::FileReader;
use crate::parallel::{Progress, for_each, workers};
use crate::sink::{Direct, Writer};
use crate::source::Source;
use crate::streams::{Codec, decode_all};
use crate::turns::{InTurn, Turns};
use crate::{Error, SparseFile, Tick};

/// What all decoders' windows together may take, in bytes.
const MEMORY: u64 = 192 << 20;

/// Who packs for several threads makes frames no longer than this, in bytes. In longer ones no end is looked for.
const LONGEST_FIRST: u64 = 64 << 20;

/// Small frames are put together to parts of this size in the file, or of this unpacked size, in bytes.
const PART: u64 = 1 << 20;
const UNPACKED_PART: u64 = 8 << 20;

/// How much a worker keeps of data whose place is not known yet, in bytes, zeros left out: a frame of `pzstd -3`, which has 8 MiB.
const KEPT: usize = 8 << 20;

/// Some frames that follow each other.
#[derive(Debug)]
struct Part {
    /// Its place in the order of parts.
    number: u64,
    /// Where in the file it starts and ends, in bytes.
    start: u64,
    end: u64,
    /// The size of its data in bytes, if all its frames tell theirs.
    content: Option<u64>,
}

/// Unpacks a file with several frames, if they are as they should be. `None` if there is only one or if something is wrong with
/// it: decoding it as a stream finds out what.
pub(super) fn unpack(
    file: &File,
    size: u64,
    output: &SparseFile<'_>,
    tick: Tick<'_>,
) -> Result<Option<u64>, Error> {
    let mut scanner = Scanner { file, size, at: 0, number: 0, window: MEMORY };
    let Some(first) = scanner.first_window() else { return Ok(None) };
    let affordable = usize::try_from(MEMORY / first.max(1)).unwrap_or(usize::MAX);
    let workers = workers().min(affordable);
    if workers < 2 {
        return Ok(None);
    }
    scanner.window = MEMORY / workers as u64;
    let turns = Turns::default();
    let unpacked = for_each(
        workers,
        scanner,
        |part, progress| unpack_part(file, &part?, &turns, output, progress),
        &mut |done| tick(done, Some(size)),
    );
    match unpacked {
        Ok(()) => Ok(Some(turns.offset())),
        Err(
            Error::Damaged { .. }
            | Error::Truncated { .. }
            | Error::Trailing { .. }
            | Error::Nested { found: crate::tar::NAME, .. },
        ) => output.empty().map(|()| None),
        Err(error) => Err(error),
    }
}

/// The size of the data of all frames of a file of `size` bytes, if all tell theirs.
pub(super) fn told_size(file: &File, size: u64) -> Option<u64> {
    let scanner = Scanner { file, size, at: 0, number: 0, window: u64::MAX };
    let (mut at, mut content) = (0, 0_u64);
    while at < size {
        let frame = scanner.frame(at, u64::MAX)?;
        content = content.checked_add(frame.content?)?;
        at = frame.end;
    }
    Some(content)
}

fn unpack_part(
    file: &File,
    part: &Part,
    turns: &Turns,
    output: &SparseFile<'_>,
    progress: &Progress<'_>,
) -> Result<(), Error> {
    let size = part.end - part.start;
    let mut source = Source::new(Box::new(FileReader { file, at: part.start }.take(size)));
    let mut told = 0;
    let mut tick = |at: u64| {
        let more = at - told;
        told = at;
        progress.add(more)
    };
    let mut turn = turns.turn(part.number);
    if let Some(content) = part.content {
        let offset = turn.wait()?;
        let end = offset.saturating_add(content);
        turn.pass(end);
        let mut sink = Direct::new(Writer::new(ZstFrame::NAME, output, offset));
        decode_all::<ZstFrame>(&mut source, &mut sink, &mut tick)?;
        if sink.finish()? != end {
            return Err(damaged(part.end));
        }
    } else {
        let mut sink = InTurn::new(ZstFrame::NAME, output, turn, KEPT);
        decode_all::<ZstFrame>(&mut source, &mut sink, &mut tick)?;
        sink.finish(|| Ok(()))?;
    }
    tick(size)
}

/// An error nobody sees: the file is then decoded as a stream.
fn damaged(at: u64) -> Error {
    Error::Damaged { format: ZstFrame::NAME, at, reason: "its frames are not as they should be".to_owned() }
}

/// Walks over a file from frame to frame.
struct Scanner<'a> {
    file: &'a File,
    size: u64,
    /// Where the next frame starts, in bytes.
    at: u64,
    number: u64,
    /// The largest window that may be, in bytes.
    window: u64,
}

/// Where a frame ends and what it has.
struct Frame {
    end: u64,
    window: u64,
    content: Option<u64>,
}

impl Scanner<'_> {
    /// The window of the first frame with data, if another follows it.
    fn first_window(&self) -> Option<u64> {
        let (mut at, mut first) = (0, None);
        while at < self.size {
            let frame = self.frame(at, LONGEST_FIRST)?;
            // What is skipped has no window.
            match first {
                Some(window) if frame.window > 0 => return Some(window),
                None if frame.window > 0 => first = Some(frame.window),
                _ => {}
            }
            at = frame.end;
        }
        None
    }

    fn part(&mut self) -> Result<Option<Part>, Error> {
        let start = self.at;
        let mut content = Some(0_u64);
        while self.at < self.size
            && self.at - start < PART
            && (self.at == start || content.is_some_and(|content| content < UNPACKED_PART))
        {
            let frame = self.frame(self.at, u64::MAX).filter(|frame| frame.window <= self.window);
            let frame = frame.ok_or_else(|| damaged(self.at))?;
            content = content.zip(frame.content).and_then(|(sum, more)| sum.checked_add(more));
            self.at = frame.end;
        }
        let number = self.number;
        self.number += 1;
        Ok((self.at > start).then_some(Part { number, start, end: self.at, content }))
    }

    /// The frame at `start`; `None` if none is there that ends within `longest` bytes and in the file.
    fn frame(&self, start: u64, longest: u64) -> Option<Frame> {
        let mut bytes = [0; LONGEST_HEADER];
        let left = usize::try_from(self.size - start).map_or(LONGEST_HEADER, |left| left.min(LONGEST_HEADER));
        self.file.read_exact_at(&mut bytes[..left], start).ok()?;
        let bytes = &bytes[..left];
        if let Some(size) = skippable(bytes) {
            let end = start.checked_add(size).filter(|end| *end <= self.size)?;
            return Some(Frame { end, window: 0, content: Some(0) });
        }
        let header = parse_header(bytes)?;
        let most = self.size.min(start.saturating_add(longest));
        let mut at = start + header.size as u64;
        loop {
            let mut bytes = [0; BLOCK_HEADER];
            self.file.read_exact_at(&mut bytes, at).ok()?;
            let block = parse_block(bytes)?;
            at += (BLOCK_HEADER + block.packed) as u64;
            if at > most {
                return None;
            }
            if block.is_last {
                break;
            }
        }
        let end = at + if header.has_checksum { CHECKSUM as u64 } else { 0 };
        (end <= self.size).then_some(Frame { end, window: header.window.max(1), content: header.content })
    }
}

impl Iterator for Scanner<'_> {
    type Item = Result<Part, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.part().transpose()
    }
}
