//! What happens to bytes as they pass.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::digest::{Algorithm, Digest, Hasher};
use crate::{Error, Tick};

/// Large enough to make system calls rare, small enough to stay in the second-level cache between reading and hashing.
const BUFFER_SIZE: usize = 256 << 10;

/// Hashes, passes on and counts.
pub(crate) struct Flow<'a> {
    hasher: Option<Hasher>,
    tee: Option<&'a mut dyn Write>,
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
        // Inside an `Option` a trait object keeps its own lifetime; taken out, it can be shortened to that of the tick.
        let tee = tee.map(|tee| -> &'a mut dyn Write { tee });
        Self { hasher: algorithm.map(Hasher::new), tee, tick, done: 0, total: None }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        if let Some(tee) = &mut self.tee {
            tee.write_all(bytes).map_err(|source| Error::Tee { source })?;
        }
        self.done += bytes.len() as u64;
        self.tick()
    }

    /// The tee and the tick, for another flow.
    pub(crate) fn into_parts(self) -> (Option<&'a mut dyn Write>, Tick<'a>) {
        (self.tee, self.tick)
    }

    /// Only asks whether to go on.
    pub(crate) fn tick(&mut self) -> Result<(), Error> {
        tick(self.tick, self.done, self.total)
    }

    /// Pushes all of `file`, which `path` names in errors.
    pub(crate) fn push_file(&mut self, mut file: &File, path: &Path) -> Result<(), Error> {
        let fail = |source| Error::Read { path: path.to_owned(), source };
        // A device or a pipe has no length to tell.
        self.total =
            Some(file.metadata().map_err(fail)?).filter(|about| about.is_file()).map(|about| about.len());
        let mut buffer = vec![0; BUFFER_SIZE];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.push(&buffer[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }

    /// Compares what passed with `expected`; `of` names it in errors.
    pub(crate) fn finish(self, expected: Option<&Digest>, of: impl ToString) -> Result<(), Error> {
        match (self.hasher.map(Hasher::finish), expected) {
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
