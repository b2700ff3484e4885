//! Order among workers where only the end of one's data says where the next one's go.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::sink::{OUTPUT_BUFFER, Sink, refuse_nested};
use crate::sparse::is_zero;
use crate::{Error, SparseFile};

/// Whose turn it is to know where its data go.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whose turn it is.
    number: u64,
    /// Where its data go, in bytes.
    offset: u64,
    failed: bool,
}

impl Turns {
    /// The turn of the worker that has the item of this number.
    pub(crate) fn turn(&self, number: u64) -> Turn<'_> {
        Turn { turns: self, number, over: false }
    }

    /// Where the data end of those whose turn is over, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.lock().offset
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A worker that panics leaves the numbers as they were; its turn says that it failed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker's turn. Dropped before it is over, it lets nobody else have theirs.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    number: u64,
    over: bool,
}

impl Turn<'_> {
    /// Waits until it comes, and returns where the data go.
    pub(crate) fn wait(&self) -> Result<u64, Error> {
        let waiting = |state: &mut State| state.number != self.number && !state.failed;
        let state =
            self.turns.changed.wait_while(self.turns.lock(), waiting).unwrap_or_else(PoisonError::into_inner);
        if state.failed { Err(Error::Cancelled) } else { Ok(state.offset) }
    }

    /// Ends it: the next one's data go to `offset`.
    pub(crate) fn pass(&mut self, offset: u64) {
        let mut state = self.turns.lock();
        state.offset = offset;
        state.number += 1;
        self.over = true;
        drop(state);
        self.turns.changed.notify_all();
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

/// A stretch of the image.
enum Piece {
    Zeros(usize),
    Data(Vec<u8>),
}

/// Keeps what comes until it is its turn, and writes it then.
pub(crate) struct InTurn<'a, 'f> {
    format: &'static str,
    output: &'a SparseFile<'f>,
    turn: Turn<'a>,
    /// How much may be kept, zeros left out: with more the turn is waited for.
    most: usize,
    pieces: Vec<Piece>,
    kept: usize,
    buffer: Vec<u8>,
    filled: usize,
    /// What came so far, in bytes.
    size: u64,
    /// Where the next piece goes, once something was written.
    at: Option<u64>,
}

impl<'a, 'f> InTurn<'a, 'f> {
    pub(crate) fn new(format: &'static str, output: &'a SparseFile<'f>, turn: Turn<'a>, most: usize) -> Self {
        let buffer = vec![0; OUTPUT_BUFFER];
        Self { format, output, turn, most, pieces: Vec::new(), kept: 0, buffer, filled: 0, size: 0, at: None }
    }

    /// Ends the turn when it has come and `check` finds nothing wrong, and then writes what is left.
    pub(crate) fn finish(mut self, check: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        self.keep();
        let start = self.turn.wait()?;
        check()?;
        self.turn.pass(start + self.size);
        self.write(self.at.unwrap_or(start))
    }

    fn keep(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        self.size += filled as u64;
        if is_zero(&self.buffer[..filled]) {
            self.pieces.push(Piece::Zeros(filled));
        } else {
            let mut bytes = std::mem::replace(&mut self.buffer, vec![0; OUTPUT_BUFFER]);
            bytes.truncate(filled);
            self.kept += filled;
            self.pieces.push(Piece::Data(bytes));
        }
    }

    /// Writes what was kept to `at` and behind.
    fn write(&mut self, mut at: u64) -> Result<(), Error> {
        for piece in self.pieces.drain(..) {
            let size = match &piece {
                Piece::Zeros(size) => *size,
                Piece::Data(bytes) => {
                    if at == 0 {
                        refuse_nested(self.format, bytes)?;
                    }
                    self.output.write_all_at(bytes, at)?;
                    bytes.len()
                }
            };
            at += size as u64;
            self.output.room_for(at)?;
        }
        self.kept = 0;
        self.at = Some(at);
        Ok(())
    }
}

impl Sink for InTurn<'_, '_> {
    fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    fn advance(&mut self, count: usize) -> Result<(), Error> {
        self.filled += count;
        if self.filled < self.buffer.len() {
            return Ok(());
        }
        self.keep();
        if self.kept <= self.most {
            return Ok(());
        }
        let at = match self.at {
            Some(at) => at,
            None => self.turn.wait()?,
        };
        self.write(at)
    }
}
