//! Cuts a bzip2 file into its blocks, without decoding them.

use std::fs::File;

use super::bits::{BLOCK, CRC_BITS, END, Finder, MAGIC_BITS, take};
use crate::Error;
use crate::input::{FileReader, read_full};

/// The file is read in pieces of this size, in bytes.
const READ: usize = 1 << 20;

/// No block is longer, in bytes: 900 000 symbols of 20 bits, and the tables.
const LONGEST: usize = 4 << 20;

/// The magic of a stream and its level.
const HEADER: usize = 4;

/// A block as it stands in the file.
#[derive(Debug)]
pub(super) struct Block {
    /// Its place in the order of all blocks.
    pub(super) number: u64,
    /// Bytes of the file that hold it, and where in them it starts and how long it is, in bits.
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
    pub(super) length: usize,
    /// The digit that says how large a block may be.
    pub(super) level: u8,
    /// If it is the last of its stream: the checksum over the whole stream.
    pub(super) stream_crc: Option<u32>,
    /// Bytes of the file that are used up with it, from the end of the block before.
    pub(super) packed: u64,
}

impl Block {
    /// The checksum over its data, which follows the magic.
    pub(super) fn crc(&self) -> u32 {
        take(&self.bytes, self.start + MAGIC_BITS, CRC_BITS)
            .and_then(|crc| crc.try_into().ok())
            .unwrap_or_default()
    }
}

/// Walks over a file from block to block. After an error it has to be left.
///
/// Whatever is not as it should be is `Error::Damaged`: reading the file as a stream finds out what it is.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    file: FileReader<'a>,
    finder: Finder,
    window: Vec<u8>,
    /// Where in the file the window starts.
    base: u64,
    /// Where in the window the next magic stands, in bits; 0 with an empty window before the first stream.
    at: usize,
    /// The level of the stream in which we are; `None` between streams.
    level: Option<u8>,
    number: u64,
    told: u64,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file: FileReader { file, at: 0 },
            finder: Finder::new(),
            window: Vec::new(),
            base: 0,
            at: 0,
            level: None,
            number: 0,
            told: 0,
        }
    }

    fn next_block(&mut self) -> Result<Option<Block>, Error> {
        loop {
            let Some(level) = self.level else {
                if !self.enter_stream()? {
                    return Ok(None);
                }
                continue;
            };
            match self.magic()? {
                Some(BLOCK) => return self.cut(level).map(Some),
                // A stream without blocks; those with blocks are left with their last.
                Some(END) if self.leave_stream()? == 0 => {}
                _ => return Err(self.unlike()),
            }
        }
    }

    /// The block at which we stand.
    fn cut(&mut self, level: u8) -> Result<Block, Error> {
        // Everything before is used up: the window starts with the block.
        self.window.drain(..self.at / 8);
        self.base += (self.at / 8) as u64;
        self.at %= 8;
        let start = self.at;
        let mut searched = start + MAGIC_BITS + CRC_BITS;
        let end = loop {
            if let Some(end) = self.finder.find(&self.window, searched) {
                break end;
            }
            searched = searched.max((self.window.len() * 8).saturating_sub(MAGIC_BITS - 1));
            if self.window.len() > LONGEST || !self.read_more()? {
                return Err(self.unlike());
            }
        };
        let bytes = self.window[..end.div_ceil(8)].to_vec();
        self.at = end;
        let stream_crc = if self.magic()? == Some(END) { Some(self.leave_stream()?) } else { None };
        let behind = self.base + (self.at / 8) as u64;
        let packed = behind.saturating_sub(self.told);
        self.told = behind;
        let number = self.number;
        self.number += 1;
        Ok(Block { number, bytes, start, length: end - start, level, stream_crc, packed })
    }

    /// Reads a stream's header; `false` at the end of the file.
    fn enter_stream(&mut self) -> Result<bool, Error> {
        let at = self.at / 8;
        while self.window.len() < at + HEADER && self.read_more()? {}
        match self.window.get(at..).unwrap_or_default() {
            [] => Ok(false),
            [b'B', b'Z', b'h', level @ b'1'..=b'9', ..] => {
                self.level = Some(*level);
                self.at += HEADER * 8;
                Ok(true)
            }
            _ => Err(self.unlike()),
        }
    }

    /// Passes the end of a stream, which starts a new byte behind it; returns its checksum.
    fn leave_stream(&mut self) -> Result<u32, Error> {
        let end = self.at + MAGIC_BITS + CRC_BITS;
        while self.window.len() * 8 < end && self.read_more()? {}
        let crc = take(&self.window, self.at + MAGIC_BITS, CRC_BITS).ok_or_else(|| self.unlike())?;
        self.at = end.next_multiple_of(8);
        self.level = None;
        u32::try_from(crc).map_err(|_| self.unlike())
    }

    fn magic(&mut self) -> Result<Option<u64>, Error> {
        while self.window.len() * 8 < self.at + MAGIC_BITS && self.read_more()? {}
        Ok(take(&self.window, self.at, MAGIC_BITS))
    }

    /// Makes the window longer; `false` at the end of the file.
    fn read_more(&mut self) -> Result<bool, Error> {
        let filled = self.window.len();
        let at = self.base + filled as u64;
        self.window.resize(filled + READ, 0);
        let read = read_full(&mut self.file, &mut self.window[filled..], at)?;
        self.window.truncate(filled + read);
        Ok(read > 0)
    }

    fn unlike(&self) -> Error {
        let at = self.base + (self.at / 8) as u64;
        Error::Damaged { format: super::NAME, at, reason: "no block stands here".to_owned() }
    }
}

impl Iterator for Scanner<'_> {
    type Item = Result<Block, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_block().transpose()
    }
}
