//! Blocks found in the index and decoded side by side.
//!
//! A worker gets a part: some whole blocks that follow each other. It decodes them as a stream of their own, with a header and
//! an index made for it, so that the library verifies every block's header, sizes and check just as in the stream they are from.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::XzStream;
use super::index::{
    Flags, HEADER, Record, header, parse_block_header, parse_footer, parse_header, parse_index, tail,
};
use crate::input::FileReader;
use crate::parallel::for_each;
use crate::sink::{Direct, Writer};
use crate::source::Source;
use crate::streams::{Codec, decode};
use crate::{Error, SparseFile, Tick};

/// What all decoders' dictionaries together may take, in bytes. With `xz -6` there is room for 24 workers, with `-9` for three.
pub(super) const MEMORY: u64 = 192 << 20;

/// The most that the indexes of a file may take, in bytes: 100 000 blocks and more. Beyond it a file is decoded as a stream.
const INDEXES: u64 = 1 << 20;

/// Small blocks are put together to parts of this unpacked size in bytes, so that not each of them needs a new decoder.
pub(super) const PART: u64 = 8 << 20;

/// The size of a block's header in bytes is at most this, section 3.1.1 of the format.
const BLOCK_HEADER: usize = 1024;

/// Some blocks that stand together in one stream.
#[derive(Debug)]
struct Part {
    /// Where the first block starts in the file, in bytes.
    start: u64,
    /// Where the last block ends in the file, in bytes.
    end: u64,
    /// Where the data go in the image, in bytes.
    offset: u64,
    flags: Flags,
    records: Vec<Record>,
}

/// The parts of a file, and the size of the image.
#[derive(Debug)]
pub(crate) struct Layout {
    parts: Vec<Part>,
    size: u64,
    workers: usize,
}

impl Layout {
    /// Reads the indexes of all streams of a file from its end to its start, without decoding anything.
    ///
    /// `None` if there is nothing to be won by it, or if the file is not as it should be: decoding it as a stream finds out what
    /// exactly is wrong and where.
    pub(super) fn read(file: &File, size: u64) -> Option<Self> {
        let mut layout = Self::of(file, size)?;
        let mut memory = 1;
        for part in &layout.parts {
            memory = memory.max(part.dictionary(file)?);
        }
        let affordable = usize::try_from(MEMORY / memory).unwrap_or(usize::MAX);
        layout.workers = crate::parallel::workers().min(affordable).min(layout.parts.len());
        (layout.parts.len() > 1 && affordable > 1).then_some(layout)
    }

    /// The same for one worker, whether there is anything to be won or not.
    pub(crate) fn of(file: &File, size: u64) -> Option<Self> {
        let mut streams = Vec::new();
        let (mut end, mut indexes) = (size, 0);
        while end > 0 {
            let stream = read_stream(file, skip_padding(file, end)?, INDEXES - indexes)?;
            end = stream.start;
            indexes += stream.index;
            streams.push(stream);
        }
        let (mut parts, mut offset) = (Vec::new(), 0);
        for stream in streams.iter().rev() {
            offset = stream.add_parts(offset, &mut parts)?;
        }
        Some(Self { parts, size: offset, workers: 1 })
    }

    /// The size of the image, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// How many parts there are.
    pub(crate) fn count(&self) -> usize {
        self.parts.len()
    }

    /// The number of the part that has the image's byte `at`, and the bytes of the image that are in it; none behind its end.
    pub(crate) fn part_with(&self, at: u64) -> Option<(usize, Range<u64>)> {
        let next = self.parts.partition_point(|part| part.offset <= at);
        let number = next.checked_sub(1).filter(|_| at < self.size)?;
        let end = self.parts.get(next).map_or(self.size, |part| part.offset);
        Some((number, self.parts.get(number)?.offset..end))
    }

    /// Decodes one part to its place, and tells how many more bytes of the file are done.
    pub(crate) fn unpack_part(
        &self,
        number: usize,
        file: &File,
        output: &SparseFile<'_>,
        add: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.parts.get(number).map_or(Ok(()), |part| part.unpack(file, output, add))
    }

    /// Decodes every part, each straight to its own place.
    pub(super) fn unpack(
        &self,
        file: &File,
        total: u64,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<u64, Error> {
        output.room_for(self.size)?;
        let packed: u64 = self.parts.iter().map(|part| part.end - part.start).sum();
        for_each(
            self.workers,
            self.parts.iter(),
            |part, progress| part.unpack(file, output, &mut |more| progress.add(more)),
            &mut |done| {
                // Headers, indexes and padding are behind us once all the blocks are.
                let done = if done == packed { total } else { done };
                tick(done, Some(total))
            },
        )?;
        Ok(self.size)
    }
}

impl Part {
    fn unpack(
        &self,
        file: &File,
        output: &SparseFile<'_>,
        add: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (header, tail) = (header(self.flags), tail(self.flags, &self.records));
        let blocks = FileReader { file, at: self.start }.take(self.end - self.start);
        let mut source = Source::new(Box::new(header.as_slice().chain(blocks).chain(tail.as_slice())));
        let mut sink = Direct::new(Writer::new(XzStream::NAME, output, self.offset));
        let consumed = |at: u64| at.saturating_sub(HEADER as u64).min(self.end - self.start);
        let mut told = 0;
        let decoded = decode::<XzStream>(&mut source, &mut sink, &mut |at| {
            let more = consumed(at) - told;
            told += more;
            add(more)
        });
        decoded.map_err(|error| self.place(error, consumed(source.at())))?;
        add(self.end - self.start - told)?;
        sink.finish()?;
        Ok(())
    }

    /// The size of the largest dictionary in bytes; `None` if a header cannot be read.
    fn dictionary(&self, file: &File) -> Option<u64> {
        let (mut at, mut largest) = (self.start, 0);
        for record in &self.records {
            let end = at.checked_add(record.padded()?)?;
            let mut header = [0; BLOCK_HEADER];
            let size = usize::try_from(end - at).map_or(BLOCK_HEADER, |size| size.min(BLOCK_HEADER));
            file.read_exact_at(&mut header[..size], at).ok()?;
            largest = largest.max(parse_block_header(&header[..size])?.dictionary);
            at = end;
        }
        Some(largest)
    }

    /// Says of an error where in the file it is, given how much of the part was consumed.
    fn place(&self, error: Error, consumed: u64) -> Error {
        let at = self.start + consumed;
        match error {
            Error::Damaged { format, reason, .. } => Error::Damaged { format, at, reason },
            Error::Truncated { format, .. } => Error::Truncated { format, at },
            Error::Read { source, .. } => Error::Read { at, source },
            other => other,
        }
    }
}

/// One stream, as its index tells it.
struct Stream {
    /// Where its header starts, in bytes.
    start: u64,
    /// The size of its index, in bytes.
    index: u64,
    flags: Flags,
    records: Vec<Record>,
}

impl Stream {
    /// Cuts the stream into parts whose data go to `offset` and behind; returns where they end.
    fn add_parts(&self, mut offset: u64, parts: &mut Vec<Part>) -> Option<u64> {
        let mut start = self.start + HEADER as u64;
        let mut records = self.records.as_slice();
        while !records.is_empty() {
            let mut part = Part { start, end: start, offset, flags: self.flags, records: Vec::new() };
            while let Some((record, rest)) = records.split_first()
                && (part.records.is_empty() || offset.checked_add(record.unpacked)? - part.offset <= PART)
            {
                part.records.push(*record);
                part.end = part.end.checked_add(record.padded()?)?;
                offset = offset.checked_add(record.unpacked)?;
                records = rest;
            }
            start = part.end;
            parts.push(part);
        }
        Some(offset)
    }
}

/// Reads header, index and footer of the stream that ends at `end`; its index may have `limit` bytes.
fn read_stream(file: &File, end: u64, limit: u64) -> Option<Stream> {
    let footer_at = end.checked_sub(HEADER as u64)?;
    let (index, flags) = parse_footer(&read(file, footer_at)?)?;
    if index > limit {
        return None;
    }
    let index_at = footer_at.checked_sub(index)?;
    let mut bytes = vec![0; usize::try_from(index).ok()?];
    file.read_exact_at(&mut bytes, index_at).ok()?;
    let records = parse_index(&bytes)?;
    let mut start = index_at.checked_sub(HEADER as u64)?;
    for record in &records {
        start = start.checked_sub(record.padded()?)?;
    }
    (parse_header(&read(file, start)?)? == flags).then_some(Stream { start, index, flags, records })
}

/// Where the padding before `end` starts; it counts by four bytes.
fn skip_padding(file: &File, mut end: u64) -> Option<u64> {
    let mut buffer = vec![0; 64 << 10];
    while end > 0 {
        let size = end.min(buffer.len() as u64);
        let bytes = &mut buffer[..usize::try_from(size).ok()?];
        file.read_exact_at(bytes, end - size).ok()?;
        let (words, []) = bytes.as_chunks::<4>() else { return None };
        let zeros = words.iter().rev().take_while(|word| **word == [0; 4]).count();
        end -= zeros as u64 * 4;
        if zeros < words.len() {
            return Some(end);
        }
    }
    None // nothing but zeros
}

fn read(file: &File, at: u64) -> Option<[u8; HEADER]> {
    let mut bytes = [0; HEADER];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}
