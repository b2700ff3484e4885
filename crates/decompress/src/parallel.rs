//! Work shared between threads, with progress and cancellation on the caller's.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, available_parallelism, scope};

use crate::Error;

/// More workers than this are not used: the disk behind them is busy long before.
const MOST_WORKERS: usize = 16;

/// How many threads may work at once on this machine.
pub(crate) fn workers() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().min(MOST_WORKERS))
}

/// What a worker tells the calling thread, and hears from it.
pub(crate) struct Progress<'a> {
    consumed: SyncSender<u64>,
    stop: &'a AtomicBool,
}

impl Progress<'_> {
    /// Counts `bytes` of the input as done.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the work is to end, for whatever reason.
    pub(crate) fn add(&self, bytes: u64) -> Result<(), Error> {
        // The receiver stays until all workers are gone.
        if self.stop.load(Ordering::Relaxed) || self.consumed.send(bytes).is_err() {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}

/// Has `count` threads take one item after the other, in order, until all are done or one has failed. `tick` is told on the
/// calling thread how many bytes are done in all.
pub(crate) fn for_each<I: Iterator + Send>(
    count: usize,
    items: I,
    work: impl Fn(I::Item, &Progress<'_>) -> Result<(), Error> + Sync,
    tick: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<(), Error> {
    let stop = AtomicBool::new(false);
    let items = Mutex::new(items.fuse());
    let take_items = |progress: &Progress<'_>| -> Result<(), Error> {
        loop {
            // An iterator that panicked is not asked again: the panic is on its way to the caller.
            let item = items.lock().unwrap_or_else(PoisonError::into_inner).next();
            match item {
                Some(item) => work(item, progress)?,
                None => return Ok(()),
            }
        }
    };
    scope(|scope| {
        let (consumed, done) = sync_channel(count);
        let mut threads = Vec::new();
        let mut result = Ok(());
        for number in 0..count {
            let progress = Progress { consumed: consumed.clone(), stop: &stop };
            let (stop, take_items) = (&stop, &take_items);
            let spawned = Builder::new().name(format!("unpacker {number}")).spawn_scoped(scope, move || {
                take_items(&progress).inspect_err(|_| stop.store(true, Ordering::Relaxed))
            });
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(source) => {
                    stop.store(true, Ordering::Relaxed);
                    result = Err(Error::Thread { source });
                    break;
                }
            }
        }
        drop(consumed);
        let mut sum = 0;
        for bytes in done {
            sum += bytes;
            if tick(sum).is_break() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        for thread in threads {
            let ended = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            // The error that stopped the others counts, not that they were stopped.
            if matches!((&result, &ended), (Ok(()) | Err(Error::Cancelled), Err(_))) {
                result = ended;
            }
        }
        if result.is_ok() && stop.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        result
    })
}
