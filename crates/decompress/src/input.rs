//! Where the archive's bytes come from.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};

use crate::{Error, HEAD};

/// An archive: bytes that pass once, or a file that can be read at any offset.
pub enum Input<'a> {
    /// A pipe or a download in progress, from its first byte.
    Stream(&'a mut dyn Read),
    /// A file or block device, read from its start wherever it is positioned.
    File(&'a File),
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(_) => f.write_str("Stream"),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
        }
    }
}

impl<'a> Input<'a> {
    /// The size in bytes; `None` for a stream.
    ///
    /// # Errors
    /// [`Error::Read`] if the file cannot be asked.
    pub fn size(&self) -> Result<Option<u64>, Error> {
        match self {
            Self::Stream(_) => Ok(None),
            // Seeking to the end, unlike `metadata`, also knows the size of a block device.
            Self::File(file) => (&mut &**file)
                .seek(SeekFrom::End(0))
                .map(Some)
                .map_err(|source| Error::Read { at: 0, source }),
        }
    }

    /// The bytes in order, from the first.
    pub fn reader(self) -> Box<dyn Read + 'a> {
        match self {
            Self::Stream(stream) => Box::new(stream),
            Self::File(file) => Box::new(FileReader { file, at: 0 }),
        }
    }
}

/// Reads a file by offsets and keeps its own position, so that several readers of one file do not disturb each other.
#[derive(Debug)]
pub(crate) struct FileReader<'a> {
    pub(crate) file: &'a File,
    pub(crate) at: u64,
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => (&mut &*self.file).seek(SeekFrom::End(0))?.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Reads until `buffer` is full or the input ends, and returns how much that was; `at` is the offset, for the error.
pub(crate) fn read_full(input: &mut dyn Read, buffer: &mut [u8], at: u64) -> Result<usize, Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Read { at: at + filled as u64, source }),
        }
    }
    Ok(filled)
}

/// Whether `input` can be read at offsets, as a file can; it must not be `output`.
pub(crate) fn has_offsets(input: &File, output: &File) -> Result<bool, Error> {
    let metadata = input.metadata().map_err(|source| Error::Read { at: 0, source })?;
    if !metadata.is_file() && !metadata.file_type().is_block_device() {
        return Ok(false);
    }
    let target = output.metadata().map_err(|source| Error::Write { at: 0, source })?;
    let is_same = (metadata.dev(), metadata.ino()) == (target.dev(), target.ino());
    if is_same { Err(Error::SameFile) } else { Ok(true) }
}

/// The first [`HEAD`] bytes, fewer only if the input is shorter.
pub(crate) fn head(input: &mut dyn Read) -> Result<Vec<u8>, Error> {
    let mut head = vec![0; HEAD];
    let filled = read_full(input, &mut head, 0)?;
    head.truncate(filled);
    Ok(head)
}
