//! The writer that a caller gives to get the bytes as they come.

use std::io::{self, Write};
use std::mem;

/// The writer, and what became of it. It cannot go back: once it has a byte that does not count, it is given no more.
pub(crate) enum Tee<'a> {
    /// Nobody wants the bytes.
    Absent,
    /// It waits for the first byte.
    Waiting(&'a mut dyn Write),
    /// It has all that passed.
    Given(&'a mut dyn Write),
    /// It has bytes of another file, or of none.
    Spoiled,
    /// It took no more.
    Failed(io::Error),
}

impl<'a> Tee<'a> {
    pub(crate) fn new<'w: 'a>(writer: Option<&'w mut (dyn Write + 'w)>) -> Self {
        // Inside an `Option` a trait object keeps its own lifetime; taken out, it can be shortened.
        writer.map_or(Self::Absent, |writer| -> Self { Self::Waiting(writer) })
    }

    /// Whether bytes that pass reach anybody.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::Given(_))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        *self = match mem::replace(self, Self::Absent) {
            Self::Waiting(writer) | Self::Given(writer) => match writer.write_all(bytes) {
                Ok(()) => Self::Given(writer),
                Err(error) => Self::Failed(error),
            },
            other => other,
        };
    }

    /// Begins again with the first byte of the file, or of another.
    pub(crate) fn restart(&mut self) {
        if matches!(self, Self::Given(_)) {
            *self = Self::Spoiled;
        }
    }
}
