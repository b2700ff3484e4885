//! What a build tells while it runs.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

/// A part of the work, in the order of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Getting and verifying the source.
    Fetch,
    /// Unpacking it into the output.
    Unpack,
    /// Verifying what came out.
    Verify,
    /// Reading what the image says of itself.
    Inspect,
    /// Growing the table and the file system.
    Resize,
    /// Starting the guest kernel, where one is used.
    Guest,
    /// Mapping and mounting the partitions.
    Mount,
    /// One step of the user's.
    Provision,
    /// Taking everything down and writing it out.
    Finish,
}

impl Stage {
    /// The stage's name, as in the JSON events.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Fetch => "fetch",
            Stage::Unpack => "unpack",
            Stage::Verify => "verify",
            Stage::Inspect => "inspect",
            Stage::Resize => "resize",
            Stage::Guest => "guest",
            Stage::Mount => "mount",
            Stage::Provision => "provision",
            Stage::Finish => "finish",
        }
    }
}

/// Bytes of a program's output that come at once at the least, where no line ends before.
pub const LONGEST_LINE: usize = 16 << 10;

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage begins; the text says what it is about to do.
    Stage(Stage, &'a str),
    /// Bytes done of the present stage, and how many there are where that is known.
    Bytes(u64, Option<u64>),
    /// Something worth knowing, such as why the guest was chosen.
    Note(&'a str),
    /// Something that did not go as hoped, and does not stop the work.
    Warning(&'a str),
    /// A line that a program in the image wrote, without its newline; one of [`LONGEST_LINE`] or more comes in pieces of
    /// at least that size, the last maybe smaller.
    Output(Stream, &'a [u8]),
    /// A [`Breakpoint`](crate::Work::Breakpoint), and what it says: the build goes on when the callback returns.
    Breakpoint(&'a str),
    /// Nothing happened, several times a second: the moment to cancel a silent step.
    Waiting,
}

/// Where a program wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// Takes the events; `Break` cancels the work, which then takes everything down and ends in
/// [`Error::Cancelled`](crate::Error::Cancelled).
pub type OnEvent<'a> = &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>;
