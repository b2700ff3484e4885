//! The index of a stream compared with the blocks that were seen, in bounded memory.

use std::hash::{DefaultHasher, Hasher};

use flate2::Crc;

use super::super::index::{Flags, HEADER, Record, integer, parse_footer};
use crate::Error;
use crate::source::Source;
use crate::streams::Codec;
use crate::xz::XzStream;

/// The longest multibyte integer, section 1.2 of the format.
const LONGEST_INTEGER: usize = 9;

/// The blocks of a stream. Of many millions of them only a hash is kept, as liblzma does it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    count: u64,
    hash: DefaultHasher,
}

impl Seen {
    pub(super) fn add(&mut self, record: Record) {
        self.count += 1;
        self.hash.write_u64(record.unpadded);
        self.hash.write_u64(record.unpacked);
    }

    /// Reads index and footer of a stream, sections 4 and 2.1.2, which have to be about these blocks.
    pub(super) fn verify(&self, source: &mut Source<'_>, flags: Flags) -> Result<(), Error> {
        let mut index = Index { start: source.at(), source, crc: Crc::new() };
        index.take(1)?; // that it is an index was seen
        let mut told = Self::default();
        let count = index.integer()?;
        if count != self.count {
            return Err(index.damaged("the index has not as many blocks as there are"));
        }
        for _ in 0..count {
            told.add(Record { unpadded: index.integer()?, unpacked: index.integer()? });
        }
        if told.hash.finish() != self.hash.finish() {
            return Err(index.damaged("the sizes in the index are not those of the blocks"));
        }
        let padding = index.size().next_multiple_of(4) - index.size();
        let is_zero = index.take(usize::try_from(padding).unwrap_or_default())?.iter().all(|byte| *byte == 0);
        let crc = index.crc.sum().to_le_bytes();
        if !is_zero || index.take(crc.len())? != crc {
            return Err(index.damaged("the index or its checksum is wrong"));
        }
        let size = index.size();
        let footer: [u8; HEADER] = index.take(HEADER)?.try_into().unwrap_or_default();
        if parse_footer(&footer) != Some((size, flags)) {
            return Err(index.damaged("the end of a stream is wrong"));
        }
        Ok(())
    }
}

/// An index as it arrives.
struct Index<'a, 's> {
    source: &'a mut Source<'s>,
    start: u64,
    /// Over all that was taken.
    crc: Crc,
}

impl Index<'_, '_> {
    /// How much was taken, in bytes.
    fn size(&self) -> u64 {
        self.source.at() - self.start
    }

    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<Vec<u8>, Error> {
        let window = self.source.at_least(count)?;
        let Some(bytes) = window.get(..count).map(<[u8]>::to_vec) else { return Err(self.truncated()) };
        self.crc.update(&bytes);
        self.source.consume(count);
        Ok(bytes)
    }

    fn integer(&mut self) -> Result<u64, Error> {
        let window = self.source.at_least(LONGEST_INTEGER)?;
        let mut rest = window;
        let Some(value) = integer(&mut rest) else {
            // Unless the input ends in it, it has too many bytes or zeros.
            let is_cut = window.len() < LONGEST_INTEGER && window.iter().all(|byte| byte & 0x80 != 0);
            return Err(if is_cut { self.truncated() } else { self.damaged("the index is wrong") });
        };
        let size = window.len() - rest.len();
        self.crc.update(&window[..size]);
        self.source.consume(size);
        Ok(value)
    }

    fn truncated(&self) -> Error {
        let at = self.source.at() + self.source.window().len() as u64;
        Error::Truncated { format: XzStream::NAME, at }
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { format: XzStream::NAME, at: self.source.at(), reason: reason.to_owned() }
    }
}
