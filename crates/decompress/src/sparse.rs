//! Files in which runs of zeros take no space.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// Zeros are looked for in pieces of this size, on multiples of it: large enough that a file does not break into thousands of
/// extents, small enough to find most of an image's free space. It is a multiple of every file system's block size in use.
const PIECE: u64 = 64 << 10;

/// A fresh file whose runs of zeros are left as holes.
///
/// Writes go to offsets, in any order and from any number of threads at once, as long as their ranges do not overlap. The size
/// is set in the end, so that zeros at the end of the image count.
///
/// ```
/// use std::os::unix::fs::MetadataExt;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = tempfile::tempfile()?;
/// let sparse = arm_image_decompress::SparseFile::new(&file)?;
/// sparse.write_all_at(&vec![0; 8 << 20], 0)?;
/// sparse.write_all_at(b"end", 8 << 20)?;
/// sparse.finish(16 << 20)?;
/// assert_eq!(file.metadata()?.len(), 16 << 20);
/// assert!(file.metadata()?.blocks() * 512 < 1 << 20);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SparseFile<'a> {
    file: &'a File,
    /// The most it may become, in bytes.
    limit: u64,
    /// How much of it is there from its start on, where it comes in order; in bytes.
    arrived: AtomicU64,
}

impl<'a> SparseFile<'a> {
    /// Takes the regular file `file`, open for writing, and empties it: what is skipped later must not show what was there.
    ///
    /// # Errors
    /// [`Error::NotRegular`] for devices and pipes, [`Error::Write`] if the file cannot be emptied.
    pub fn new(file: &'a File) -> Result<Self, Error> {
        let failed = |source| Error::Write { at: 0, source };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Error::NotRegular);
        }
        let sparse = Self { file, limit: u64::MAX, arrived: AtomicU64::new(0) };
        sparse.empty()?;
        Ok(sparse)
    }

    /// The same file, which may not become larger than `limit` bytes: writing behind it is [`Error::TooLarge`].
    #[must_use]
    pub fn limited(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// Whether a file of `size` bytes is within the limit.
    pub(crate) fn room_for(&self, size: u64) -> Result<(), Error> {
        if size > self.limit { Err(Error::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    /// Forgets what was written.
    pub(crate) fn empty(&self) -> Result<(), Error> {
        let failed = |source| Error::Write { at: 0, source };
        // ext4 writes a file that was cut to nothing to the disk when it is closed, even if there was nothing to cut.
        if self.file.metadata().map_err(failed)?.len() > 0 {
            self.file.set_len(0).map_err(failed)?;
        }
        Ok(())
    }

    /// Tells that the first `size` bytes of the image are written. Who does not write in order does not tell.
    pub(crate) fn has_arrived(&self, size: u64) {
        self.arrived.store(size, Ordering::Release);
    }

    /// How much of the image is known to be there, from its start on.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Acquire)
    }

    /// Writes `bytes` at `offset` (in bytes), all of them but the runs of zeros.
    ///
    /// Few large calls are better than many small ones: each stretch without zero runs becomes one system call.
    ///
    /// # Errors
    /// [`Error::Write`], for instance when the file system is full.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.room_for(offset.saturating_add(bytes.len() as u64))?;
        let mut start = 0; // of the stretch that has to be written
        let mut at = 0;
        while at < bytes.len() {
            // The first piece ends where the file's next multiple of PIECE is.
            let room = PIECE - (offset + at as u64) % PIECE;
            let end = usize::try_from(room).map_or(bytes.len(), |room| bytes.len().min(at + room));
            if is_zero(&bytes[at..end]) {
                self.write_stretch(&bytes[start..at], offset + start as u64)?;
                start = end;
            }
            at = end;
        }
        self.write_stretch(&bytes[start..], offset + start as u64)
    }

    /// Gives the file its size in bytes. No sync.
    ///
    /// # Errors
    /// [`Error::Write`], for instance when the file system has no room for files of that size.
    pub fn finish(self, size: u64) -> Result<(), Error> {
        self.room_for(size)?;
        self.file.set_len(size).map_err(|source| Error::Write { at: size, source })
    }

    /// The file, for the kernel's own ways of copying.
    pub(crate) fn file(&self) -> &File {
        self.file
    }

    fn write_stretch(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        self.file.write_all_at(bytes, offset).map_err(|source| Error::Write { at: offset, source })
    }
}

/// Whether all bytes are zero; reads no further than the first group of 256 bytes that has another.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (groups, rest) = bytes.as_chunks::<256>();
    // Without an exit inside a group the compiler makes vector instructions of it.
    let is_zero_group = |group: &[u8]| group.iter().fold(0, |all, byte| all | byte) == 0;
    groups.iter().all(|group| is_zero_group(group)) && is_zero_group(rest)
}
