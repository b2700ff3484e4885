//! A window on compressed bytes.

use std::io::{self, Read};

use crate::Error;

/// Compressed bytes are read in this size: enough to make system calls cheap, small enough for a core's own cache.
const INPUT_BUFFER: usize = 256 << 10;

/// Reads ahead, so that a decoder always has at least a magic number before it, and counts what was consumed.
pub(crate) struct Source<'a> {
    reader: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// What is left of the buffer: the bytes read but not consumed.
    start: usize,
    end: usize,
    at: u64,
}

impl<'a> Source<'a> {
    pub(crate) fn new(reader: Box<dyn Read + 'a>) -> Self {
        Self { reader, buffer: vec![0; INPUT_BUFFER], start: 0, end: 0, at: 0 }
    }

    /// How many bytes were consumed.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether there is no room to read more before something is consumed.
    pub(crate) fn is_full(&self) -> bool {
        self.window().len() == self.buffer.len()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        self.at += count as u64;
    }

    /// Makes the window as large as a magic number at least, unless the input ends before. A window that is large enough is
    /// left alone; a slow stream is not waited for longer than needed.
    pub(crate) fn refill(&mut self) -> Result<(), Error> {
        const ENOUGH: usize = 16;
        self.fill_to(ENOUGH)
    }

    /// The next `count` bytes and perhaps more; fewer only if the input ends before. No more than the buffer holds.
    pub(crate) fn at_least(&mut self, count: usize) -> Result<&[u8], Error> {
        self.fill_to(count.min(INPUT_BUFFER))?;
        Ok(self.window())
    }

    /// Reads more behind what is there; `false` at the end of the input, or if there is no room.
    pub(crate) fn grow(&mut self) -> Result<bool, Error> {
        let before = self.window().len();
        self.fill_to((before + 1).min(INPUT_BUFFER))?;
        Ok(self.window().len() > before)
    }

    /// The rest of the input, if it is not longer than `limit`.
    pub(crate) fn rest(&mut self, limit: usize) -> Result<Option<&[u8]>, Error> {
        self.fill_to(limit.saturating_add(1).min(INPUT_BUFFER))?;
        Ok(Some(self.window()).filter(|rest| rest.len() <= limit))
    }

    fn fill_to(&mut self, enough: usize) -> Result<(), Error> {
        if self.window().len() >= enough {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < enough {
            let at = self.at + self.end as u64;
            // One read may fill the whole buffer, or bring a single byte of a stream.
            let read = match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { at, source }),
            };
            self.end += read;
        }
        Ok(())
    }

    pub(crate) fn skip_zeros(&mut self) -> Result<(), Error> {
        loop {
            self.refill()?;
            let zeros = self.window().iter().take_while(|byte| **byte == 0).count();
            self.consume(zeros);
            if zeros == 0 || !self.window().is_empty() {
                return Ok(());
            }
        }
    }
}
