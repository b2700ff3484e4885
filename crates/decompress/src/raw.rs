//! Raw images, copied as cheaply as the file system allows.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, copy_file_range, ioctl_ficlone, seek};
use rustix::io::Errno;

use crate::input::{FileReader, read_full};
use crate::streams::copy;
use crate::{Decompressor, Error, Input, SparseFile, Tick};

const NAME: &str = "raw";

/// How much the kernel copies in one call: small enough that a cancellation is heard within a blink.
const COPY: u64 = 16 << 20;

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

    /// Shares the blocks (reflink) where the file system can; has the kernel copy what is data where the source has holes; reads
    /// and skips zeros else. A source without holes would stay without them if the kernel copied it.
    fn unpack(&self, input: Input<'_>, output: &SparseFile<'_>, tick: Tick<'_>) -> Result<u64, Error> {
        let size = input.size()?;
        match input {
            Input::Stream(stream) => {
                copy(NAME, output, |buffer, at| read_full(stream, buffer, at), |at| ticked(tick, at, None))
            }
            Input::File(file) => {
                let size = size.unwrap_or_default();
                if ioctl_ficlone(output.file(), file).is_err() {
                    copy_extents(file, size, output, tick)?;
                }
                ticked(tick, size, Some(size))?;
                Ok(size)
            }
        }
    }
}

/// Copies the parts of the file that are not holes.
fn copy_extents(file: &File, size: u64, output: &SparseFile<'_>, tick: Tick<'_>) -> Result<(), Error> {
    let mut at = 0;
    // Once the kernel has refused to copy between these two files it is not asked again.
    let mut by_kernel = true;
    while at < size {
        let data = next_extent(file, at..size)?;
        if data == (0..size) {
            by_kernel = false;
        }
        at = data.start;
        while by_kernel && at < data.end {
            let count = usize::try_from(COPY.min(data.end - at)).unwrap_or(usize::MAX);
            let (mut from, mut to) = (at, at);
            match copy_file_range(file, Some(&mut from), output.file(), Some(&mut to), count) {
                Ok(0) | Err(_) => by_kernel = false, // the loop below finds the cause or a way
                Ok(copied) => {
                    at += copied as u64;
                    ticked(tick, at, Some(size))?;
                }
            }
        }
        copy_bytes(file, at..data.end, size, output, tick)?;
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
    let mut buffer = vec![0; crate::streams::OUTPUT_BUFFER];
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
