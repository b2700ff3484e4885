//! What happens to bytes as they pass.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::digest::{Algorithm, Digest};
use crate::hashing::Hasher;
use crate::tee::Tee;
use crate::{Error, Tick};

/// Large enough to make system calls rare, small enough to stay in the second-level cache between reading and hashing.
pub(crate) const BUFFER_SIZE: usize = 256 << 10;

/// Hashes, passes on and counts.
pub(crate) struct Flow<'a> {
    algorithm: Option<Algorithm>,
    hasher: Option<Hasher>,
    tee: Tee<'a>,
    tick: Tick<'a>,
    done: u64,
    total: Option<u64>,
}

impl<'a> Flow<'a> {
    pub(crate) fn new<'w: 'a>(
        algorithm: Option<Algorithm>,
        tee: Option<&'w mut (dyn Write + 'w)>,
        tick: Tick<'a>,
    ) -> Self {
        let hasher = algorithm.map(Hasher::new);
        Self { algorithm, hasher, tee: Tee::new(tee), tick, done: 0, total: None }
    }

    /// The bytes that passed.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// Whether it matters to anybody that bytes pass.
    pub(crate) fn is_watched(&self) -> bool {
        self.hasher.is_some() || self.tee.is_open()
    }

    /// Whether the tee has all that passed.
    pub(crate) fn is_teed(&self) -> bool {
        matches!(self.tee, Tee::Given(_))
    }

    /// Whether a tee is there that was given nothing yet.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.tee, Tee::Waiting(_))
    }

    /// Fails if the tee was given less or other than what is at `of`.
    pub(crate) fn check_tee(self, of: impl ToString) -> Result<(), Error> {
        match self.tee {
            Tee::Spoiled => Err(Error::Restarted { of: of.to_string() }),
            Tee::Failed(source) => Err(Error::Tee { source }),
            _ => Ok(()),
        }
    }

    /// Begins again with the first byte. A tee cannot: if it has been given any, it is given no more.
    pub(crate) fn restart(&mut self) {
        self.tee.restart();
        self.hasher = self.algorithm.map(Hasher::new);
        (self.done, self.total) = (0, None);
    }

    /// Goes without a digest from here on: the bytes were verified before.
    pub(crate) fn trust(&mut self) {
        (self.algorithm, self.hasher) = (None, None);
    }

    /// The tick, for what is not counted here.
    pub(crate) fn ticker(&mut self) -> Tick<'_> {
        &mut *self.tick
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.tee.write(bytes);
        self.done += bytes.len() as u64;
        self.tick()
    }

    /// Only asks whether to go on.
    pub(crate) fn tick(&mut self) -> Result<(), Error> {
        tick(self.tick, self.done, self.total)
    }

    /// Pushes what `file` holds from its position on; `path` names it in errors.
    pub(crate) fn push_file(&mut self, mut file: &File, path: &Path) -> Result<(), Error> {
        let mut buffer = vec![0; BUFFER_SIZE];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.push(&buffer[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
            }
        }
    }

    /// Compares what passed with `expected`; `of` names it in errors.
    pub(crate) fn finish(&mut self, expected: Option<&Digest>, of: impl ToString) -> Result<(), Error> {
        match (self.hasher.take().map(Hasher::finish), expected) {
            (Some(got), Some(expected)) if got != *expected => {
                Err(Error::Mismatch { of: of.to_string(), got, expected: expected.clone() })
            }
            _ => Ok(()),
        }
    }
}

pub(crate) fn tick(tick: Tick<'_>, done: u64, total: Option<u64>) -> Result<(), Error> {
    if tick(done, total).is_break() { Err(Error::Cancelled) } else { Ok(()) }
}
