//! What goes from the thread that reads to those that decode, and how much of it there may be.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, panicking, scope};

use super::super::blocks::MEMORY;
use crate::sink::{Direct, Writer};
use crate::source::Source;
use crate::streams::{Codec, decode};
use crate::xz::XzStream;
use crate::{Error, SparseFile};

/// What may wait for the decoders, in bytes for each worker and one more: a block of 24 MiB (`xz -6`) seldom has as much, and
/// where it has, its decoder is quick.
const BUFFERED: u64 = 16 << 20;

/// What may wait in all.
const MOST_BUFFERED: u64 = 192 << 20;

/// Some whole blocks that follow each other, as a stream of their own.
pub(super) struct Part {
    /// Its place in the order of parts.
    pub(super) number: u64,
    /// Where in the input its first byte stands, or would stand if its header were there.
    pub(super) at: u64,
    /// Where the data go in the image, in bytes.
    pub(super) offset: u64,
    /// The memory its decoder takes, in bytes.
    pub(super) dictionary: u64,
    pub(super) pieces: Pieces,
}

/// The bytes of a part, one after the other.
pub(super) struct Pieces {
    receiver: Receiver<Vec<u8>>,
    current: Vec<u8>,
    read: usize,
}

impl Pieces {
    pub(super) fn new(receiver: Receiver<Vec<u8>>) -> Self {
        Self { receiver, current: Vec::new(), read: 0 }
    }
}

/// How things stand.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Bytes on their way to a decoder, and how many there may be.
    buffered: u64,
    most_buffered: u64,
    /// The dictionaries of all parts, in bytes.
    dictionaries: u64,
    /// Parts that are not decoded.
    pub(super) parts: u64,
    /// The first part that failed, and why.
    failure: Option<(u64, Error)>,
    stopped: bool,
}

impl State {
    // What is larger than allowed has its turn when nothing else is there.

    pub(super) fn has_room_for_piece(&self, size: usize) -> bool {
        self.buffered == 0 || self.buffered.saturating_add(size as u64) <= self.most_buffered
    }

    pub(super) fn has_room_for_dictionary(&self, size: u64) -> bool {
        self.dictionaries == 0 || self.dictionaries.saturating_add(size) <= MEMORY
    }
}

/// Shared by the thread that reads and those that decode.
#[derive(Debug, Default)]
pub(super) struct Flow {
    state: Mutex<State>,
    changed: Condvar,
}

impl Flow {
    /// Has `feed` give out parts on this thread, and `workers` others decode them.
    pub(super) fn run<T>(
        &self,
        workers: usize,
        output: &SparseFile<'_>,
        feed: impl FnOnce(Sender<Part>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.lock().most_buffered = (BUFFERED * (workers as u64 + 1)).min(MOST_BUFFERED);
        let (sender, receiver) = channel();
        let queue = Mutex::new(receiver);
        scope(|scope| {
            let queue = &queue;
            for number in 0..workers {
                Builder::new()
                    .name(format!("unpacker {number}"))
                    .spawn_scoped(scope, move || self.decode_parts(queue, output))
                    .map_err(|source| Error::Thread { source })?;
            }
            feed(sender)
        })
    }

    fn decode_parts(&self, queue: &Mutex<Receiver<Part>>, output: &SparseFile<'_>) {
        loop {
            // Who waits for the lock would have to wait for a part.
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(part) = next else { return };
            self.decode(part, output);
        }
    }

    fn decode(&self, part: Part, output: &SparseFile<'_>) {
        let Part { number, at, offset, dictionary, mut pieces } = part;
        let _leaving = Leaving { flow: self, dictionary };
        let mut source = Source::new(Box::new(Arriving { flow: self, pieces: &mut pieces }));
        let mut sink = Direct::new(Writer::new(XzStream::NAME, output, offset));
        let result = decode::<XzStream>(&mut source, &mut sink, &mut |_| self.step())
            .and_then(|()| sink.finish())
            .map_err(|error| match error {
                Error::Damaged { format, reason, .. } => {
                    Error::Damaged { format, at: at + source.at(), reason }
                }
                Error::Truncated { format, at: end } => Error::Truncated { format, at: at + end },
                other => other,
            });
        if let Err(error) = result {
            self.fail(number, error);
        }
    }

    /// A part is on its way.
    pub(super) fn enter(&self, dictionary: u64) {
        let mut state = self.lock();
        state.parts += 1;
        state.dictionaries += dictionary;
    }

    /// Bytes are on their way.
    pub(super) fn add(&self, size: usize) {
        self.lock().buffered += size as u64;
    }

    /// Whether the state is as wanted, and how many bytes are on their way; waits for a change first, unless `at_once`, and if
    /// it is not as wanted.
    ///
    /// # Errors
    /// [`Error::Cancelled`] after a failure.
    pub(super) fn look(
        &self,
        at_once: bool,
        is_wanted: impl Fn(&State) -> bool,
    ) -> Result<(bool, u64), Error> {
        let mut state = self.lock();
        if !at_once && !is_wanted(&state) && !state.stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped { Err(Error::Cancelled) } else { Ok((is_wanted(&state), state.buffered)) }
    }

    /// Ends the work of all.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.lock().failure.take().map(|(_, error)| error)
    }

    /// A decoder made a step.
    fn step(&self) -> Result<(), Error> {
        self.changed.notify_all();
        if self.lock().stopped { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn fail(&self, number: u64, error: Error) {
        let mut state = self.lock();
        if state.stopped {
            return; // and a part without an end is a consequence
        }
        // Behind an end that comes early there is nothing to be stopped, but what comes before it may still fail.
        state.stopped = !matches!(error, Error::Truncated { .. });
        if state.failure.as_ref().is_none_or(|(first, _)| number < *first) {
            state.failure = Some((number, error));
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can leave the numbers half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part that a worker has in hand; it is over even if the worker panics.
struct Leaving<'a> {
    flow: &'a Flow,
    dictionary: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.flow.lock();
        state.parts -= 1;
        state.dictionaries -= self.dictionary;
        state.stopped |= panicking();
        drop(state);
        self.flow.changed.notify_all();
    }
}

/// Reads the bytes of a part and counts them as taken.
struct Arriving<'a> {
    flow: &'a Flow,
    pieces: &'a mut Pieces,
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let pieces = &mut *self.pieces;
        while pieces.read == pieces.current.len() {
            let Ok(next) = pieces.receiver.recv() else { return Ok(0) };
            (pieces.current, pieces.read) = (next, 0);
        }
        let left = &pieces.current[pieces.read..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        pieces.read += count;
        if pieces.read == pieces.current.len() {
            let taken = std::mem::take(&mut pieces.current);
            pieces.read = 0;
            self.flow.lock().buffered -= taken.len() as u64;
            self.flow.changed.notify_all();
        }
        Ok(count)
    }
}
