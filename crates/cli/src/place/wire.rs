//! What the two sides of the guest's channel say to each other.
//!
//! One JSON object a line; a line that announces bytes is followed by exactly that many. Whole files do not come this
//! way: they pass through the job's folder, which both sides see.

use std::{
    ffi::OsString,
    io::{self, BufRead, Write},
};

use arm_image_chroot::{Entry, EntryKind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Job, terminal::Window};
use crate::event::Stream;

/// What the host asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Map, grow and mount.
    Open(Job),
    /// Map and grow only.
    Grow(Job),
    /// Map and shrink the one partition only, with so many bytes to spare.
    Shrink(Job, u64),
    /// Run a program, on the line's terminal where a window is given.
    Run { argv: Vec<OsString>, env: Vec<(OsString, OsString)>, directory: OsString, terminal: Option<Window> },
    /// Make a file, folder or link.
    Create { path: OsString, node: Made, mode: u32 },
    /// Copy a file of the image to this name in the job's folder.
    Read { path: OsString, to: String },
    /// Is it a folder?
    IsDirectory { path: OsString },
    /// What is in a folder?
    List { path: OsString },
    /// Give a file, folder or link to a user and a group.
    Own { path: OsString, user: u32, group: u32 },
    /// Remove a file or link.
    Remove { path: OsString },
    /// What this file in the job's folder asks.
    Stored(String),
    /// Stop the program that runs.
    Cancel,
    /// Take everything down.
    Close,
}

/// What `Create` makes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Made {
    Directory,
    /// With the content of this file in the job's folder.
    File(String),
    Link(OsString),
}

/// An [`Entry`]; the chroot crate knows no serialisation, and a path as serde writes it has to be UTF-8.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listed {
    name: OsString,
    kind: Kind,
    mode: u32,
}

#[derive(Debug, Serialize, Deserialize)]
enum Kind {
    Directory,
    File,
    Link(OsString),
    Special,
}

impl From<Entry> for Listed {
    fn from(Entry { name, kind, mode }: Entry) -> Self {
        let kind = match kind {
            EntryKind::Directory => Kind::Directory,
            EntryKind::File => Kind::File,
            EntryKind::Link(target) => Kind::Link(target.into()),
            EntryKind::Special => Kind::Special,
        };
        Listed { name, kind, mode }
    }
}

impl From<Listed> for Entry {
    fn from(Listed { name, kind, mode }: Listed) -> Self {
        let kind = match kind {
            Kind::Directory => EntryKind::Directory,
            Kind::File => EntryKind::File,
            Kind::Link(target) => EntryKind::Link(target.into()),
            Kind::Special => EntryKind::Special,
        };
        Entry { name, kind, mode }
    }
}

/// What the guest answers: any number of the first three, then one of the others.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Note(String),
    /// A line of output, of so many bytes, which follow.
    Line(Stream, usize),
    /// There is room for more keys on the line's terminal.
    Room,
    Done,
    Answer(bool),
    Entries(Vec<Listed>),
    /// Bytes.
    Size(u64),
    /// A wait status, as wait(2) gives it.
    Exited(i32),
    Failed {
        message: String,
        causes: Vec<String>,
        hint: Option<String>,
        code: u8,
    },
}

/// Writes `message` and the bytes that it announces.
pub(super) fn send(to: &mut dyn Write, message: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    line.extend_from_slice(bytes);
    to.write_all(&line)?;
    to.flush()
}

/// Reads the next message; `None` at the end of the stream.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_before_its_bytes() -> io::Result<()> {
        let mut wire = Vec::new();
        send(&mut wire, &Reply::Line(Stream::Stderr, 3), b"a\nb")?;
        let mut from = &wire[..];
        assert!(matches!(receive(&mut from)?, Some(Reply::Line(Stream::Stderr, 3))));
        assert_eq!(from, b"a\nb");
        Ok(())
    }

    #[test]
    fn the_end_is_told_from_a_cut() {
        assert!(matches!(receive::<Reply>(&mut &b""[..]), Ok(None)));
        assert!(receive::<Reply>(&mut &b"{\"Exi"[..]).is_err());
    }
}
