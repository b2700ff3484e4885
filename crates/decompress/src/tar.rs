//! tar, as POSIX and GNU have it: the one member that is the disk image.

use std::io::{self, Read};

use ::tar::{Archive, Entry, EntryType};
use glob::Pattern;

use crate::input::read_full;
use crate::sink::{OUTPUT_BUFFER, refuse_nested};
use crate::{Decompressor, Error, HEAD, Input, SparseFile, Tick, Unpacked, Unpacker};

pub(crate) const NAME: &str = "tar";

/// A tar archive that is not compressed.
#[derive(Debug)]
pub(crate) struct Tar;

impl Decompressor for Tar {
    fn name(&self) -> &'static str {
        NAME
    }

    fn matches(&self, head: &[u8]) -> bool {
        head.get(257..).is_some_and(|field| field.starts_with(b"ustar"))
    }

    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        let total = input.size()?;
        let pattern = options.pattern()?;
        let mut reader = Ticking { reader: input.reader(), done: 0, total, tick, cancelled: false };
        let unpacked = unpack(&mut reader, NAME, &pattern, output);
        if reader.cancelled { Err(Error::Cancelled) } else { unpacked }
    }
}

/// Tells how much was read.
struct Ticking<'a> {
    reader: Box<dyn Read + 'a>,
    done: u64,
    total: Option<u64>,
    tick: Tick<'a>,
    cancelled: bool,
}

impl Read for Ticking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.done += read as u64;
        if (self.tick)(self.done, self.total).is_break() {
            self.cancelled = true;
            return Err(io::ErrorKind::ConnectionAborted.into()); // ends the loop; `cancelled` says what it means
        }
        Ok(read)
    }
}

/// How sure it is that a member is the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It is a file.
    File,
    /// Its first sector ends like a partition table or boot sector.
    Disk,
    /// Its name says so.
    Named,
}

/// The best member so far. It is in the output already: the archive may be a stream that does not come back.
struct Choice {
    rank: Rank,
    size: u64,
    name: String,
    /// Whether another member is as good.
    disputed: bool,
}

/// Unpacks the image in the archive that `reader` delivers, to its end. `format` is that of the archive's own wrapping.
///
/// The image is the only file that matches, else the only `*.img`, else the largest disk.
pub(crate) fn unpack(
    reader: &mut dyn Read,
    format: &'static str,
    pattern: &Pattern,
    output: &SparseFile<'_>,
) -> Result<Unpacked, Error> {
    let mut archive = Archive::new(reader);
    let mut names = Vec::new();
    let mut best: Option<Choice> = None;
    for entry in archive.entries().map_err(|error| damaged(error, 0))? {
        let mut entry = entry.map_err(|error| damaged(error, 0))?;
        let at = entry.raw_file_position();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_file = matches!(
            entry.header().entry_type(),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse
        );
        if !is_file || !pattern.matches(&name) {
            continue;
        }
        let size = entry.size();
        let mut head = vec![0; HEAD];
        let filled = read_full(&mut entry, &mut head, at).map_err(|error| reading(error, at))?;
        head.truncate(filled);
        let rank = rank(&name, &head);
        names.push(name.clone());
        match &mut best {
            Some(best) if rank < best.rank => continue,
            Some(best) if rank == best.rank && (rank != Rank::Disk || size <= best.size) => {
                best.disputed |= rank != Rank::Disk || size == best.size;
                continue;
            }
            _ => {}
        }
        output.empty()?;
        refuse_nested(NAME, &head)?;
        copy(&head, &mut entry, size, output)?;
        best = Some(Choice { rank, size, name, disputed: false });
    }
    // What follows the archive's end belongs to it: zeros, up to the size of a tape's record.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| damaged(error, 0))?;
    match best {
        Some(Choice { size, name, disputed: false, .. }) => {
            Ok(Unpacked { member: Some(name), ..Unpacked::new(format, size) })
        }
        _ => Err(Error::Choice { format: NAME, members: names }),
    }
}

fn rank(name: &str, head: &[u8]) -> Rank {
    if name.to_ascii_lowercase().ends_with(".img") {
        Rank::Named
    } else if head.len() == HEAD && head.ends_with(&[0x55, 0xaa]) {
        Rank::Disk
    } else {
        Rank::File
    }
}

fn copy(
    head: &[u8],
    entry: &mut Entry<'_, impl Read>,
    size: u64,
    output: &SparseFile<'_>,
) -> Result<(), Error> {
    let start = entry.raw_file_position();
    output.room_for(size)?;
    let mut buffer = vec![0; OUTPUT_BUFFER];
    let mut filled = head.len();
    buffer[..filled].copy_from_slice(head);
    let mut at = 0;
    loop {
        filled +=
            read_full(entry, &mut buffer[filled..], start + at).map_err(|error| reading(error, start))?;
        output.write_all_at(&buffer[..filled], at)?;
        at += filled as u64;
        if filled < buffer.len() {
            break;
        }
        filled = 0;
    }
    if at == size { Ok(()) } else { Err(Error::Truncated { format: NAME, at: start + at }) }
}

/// Damage comes out of the library as an `io::Error` that no system call made.
fn damaged(source: io::Error, at: u64) -> Error {
    if source.raw_os_error().is_some() {
        Error::Read { at, source }
    } else if source.kind() == io::ErrorKind::UnexpectedEof {
        Error::Truncated { format: NAME, at }
    } else {
        Error::Damaged { format: NAME, at, reason: source.to_string() }
    }
}

fn reading(error: Error, start: u64) -> Error {
    match error {
        Error::Read { source, .. } => damaged(source, start),
        other => other,
    }
}
