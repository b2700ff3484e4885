//! Raw images, copied as cheaply as the file system allows.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, ioctl_ficlone, seek};
use rustix::io::Errno;

use crate::input::{FileReader, read_full};
use crate::streams::copy;
use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacked, Unpacker};

const NAME: &str = "raw";

/// The buffer for copying stays in a core's own cache: a larger one is slower. In bytes.
const BUFFER: usize = 256 << 10;

/// An image as it is.
#[derive(Debug)]
pub(crate) struct Raw;

impl Decompressor for Raw {
    fn name(&self) -> &'static str {
        NAME
    }

    fn matches(&self, _head: &[u8]) -> bool {
        true
    }

    /// Shares the blocks (reflink) where the file system can; reads and writes what is data, zeros left out, where it cannot.
    /// `copy_file_range` is not used: between files that share nothing it took one and a half times as long on ext4.
    fn unpack(
        &self,
        _options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        let size = input.size()?;
        let copied = match input {
            Input::Stream(stream) => {
                copy(NAME, output, |buffer, at| read_full(stream, buffer, at), |at| ticked(tick, at, None))?
            }
            Input::File(file) => {
                let size = size.unwrap_or_default();
                output.room_for(size)?;
                if ioctl_ficlone(output.file(), file).is_err() {
                    copy_extents(file, size, output, tick)?;
                }
                ticked(tick, size, Some(size))?;
                size
            }
        };
        Ok(Unpacked::new(NAME, copied))
    }
}

/// Copies the parts of the file that are not holes.
fn copy_extents(file: &File, size: u64, output: &SparseFile<'_>, tick: Tick<'_>) -> Result<(), Error> {
    let mut at = 0;
    while at < size {
        let data = next_extent(file, at..size)?;
        copy_bytes(file, data.clone(), size, output, tick)?;
        at = data.end;
    }
    Ok(())
}

/// The first stretch of data within `range`; an empty one at its end if there is none. Everything is data on file systems that
/// do not tell.
fn next_extent(file: &File, range: Range<u64>) -> Result<Range<u64>, Error> {
    let start = match seek(file, SeekFrom::Data(range.start)) {
        Ok(start) => start.clamp(range.start, range.end),
        Err(Errno::NXIO) => range.end, // nothing but a hole is left
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(range),
        Err(error) => return Err(Error::Read { at: range.start, source: io::Error::from(error) }),
    };
    let end = match seek(file, SeekFrom::Hole(start)) {
        Ok(end) => end.clamp(start, range.end),
        Err(_) => range.end,
    };
    Ok(start..end)
}

/// Reads `range` and writes what is not zero.
fn copy_bytes(
    file: &File,
    range: Range<u64>,
    size: u64,
    output: &SparseFile<'_>,
    tick: Tick<'_>,
) -> Result<(), Error> {
    let mut reader = FileReader { file, at: range.start };
    let mut buffer = vec![0; BUFFER];
    let mut at = range.start;
    while at < range.end {
        // Stops on multiples of the buffer, where the search for zeros has whole pieces.
        let room = buffer.len() as u64 - at % buffer.len() as u64;
        let count = usize::try_from(room.min(range.end - at)).unwrap_or(buffer.len());
        let filled = read_full(&mut reader, &mut buffer[..count], at)?;
        output.write_all_at(&buffer[..filled], at)?;
        at += filled as u64;
        if filled < count {
            // The file was cut while it was read.
            return Err(Error::Truncated { format: NAME, at });
        }
        ticked(tick, at, Some(size))?;
    }
    Ok(())
}

fn ticked(tick: Tick<'_>, at: u64, total: Option<u64>) -> Result<(), Error> {
    if tick(at, total).is_break() { Err(Error::Cancelled) } else { Ok(()) }
}
