//! Downloads that are not complete yet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Entry, beside};
use crate::Error;
use crate::flow::Flow;
use crate::validators::{Origin, Validators};

/// Which beginnings are kept when a download ends early, and trusted when the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// None.
    Nothing,
    /// Those that can be continued without a digest, as far as they certainly reached the disk.
    Synced,
    /// All: a digest judges in the end.
    Everything,
}

/// A download under way.
///
/// Dropped without [`commit`](Self::commit), what is there is kept for the next one, or deleted, as [`Keep`] says.
pub(crate) struct Partial<'e> {
    entry: &'e Entry,
    keep: Keep,
    file: File,
    path: PathBuf,
    origin: Option<Origin>,
    length: u64,
}

/// What is known of an incomplete file.
#[derive(Serialize, Deserialize)]
struct Record {
    origin: Origin,
    /// How much of it certainly reached the disk, in bytes: after a power failure a file may have holes.
    synced: u64,
}

impl Record {
    fn read(partial: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(beside(partial, "json")).ok()?).ok()
    }
}

/// Where the bytes of the incomplete file `partial` came from.
pub(super) fn origin_of(partial: &Path) -> Option<Origin> {
    Some(Record::read(partial)?.origin)
}

impl Entry {
    /// Takes up what an earlier download left, as far as `keep` allows.
    pub(crate) fn partial(&self, keep: Keep) -> Result<Partial<'_>, Error> {
        let path = beside(&self.path, "partial");
        let open = || {
            let file = self.cache.create(&path, OpenOptions::new().read(true).write(true))?;
            let length = file.metadata()?.len();
            io::Result::Ok((file, length))
        };
        let (file, length) = open().map_err(|source| Error::Write { path: path.clone(), source })?;
        let record = Record::read(&path).filter(|record| match keep {
            Keep::Nothing => false,
            Keep::Synced => record.synced == length,
            Keep::Everything => true,
        });
        let mut partial = Partial { entry: self, keep, file, path, origin: None, length };
        match record {
            Some(record) if length > 0 => partial.origin = Some(record.origin),
            _ => partial.clear()?,
        }
        Ok(partial)
    }
}

impl Partial<'_> {
    /// What is there, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Where it came from; `None` while there is nothing.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Starts afresh with the bytes of `origin`.
    pub(crate) fn begin(&mut self, origin: &Origin) -> Result<(), Error> {
        self.clear()?;
        self.adopt(origin)
    }

    /// Takes what is there for the beginning of `origin`.
    pub(crate) fn adopt(&mut self, origin: &Origin) -> Result<(), Error> {
        self.origin = Some(origin.clone());
        if self.keep == Keep::Everything { self.write_record(0) } else { Ok(()) }
    }

    /// Deletes what is there.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        (self.origin, self.length) = (None, 0);
        let clear = || {
            self.file.set_len(0)?;
            match fs::remove_file(beside(&self.path, "json")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        clear().map_err(|source| self.failed(source))
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, self.length).map_err(|source| self.failed(source))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether `bytes` stand at `position`, all of which is known to be there.
    pub(crate) fn holds(&self, position: u64, bytes: &[u8]) -> Result<bool, Error> {
        let mut there = vec![0; bytes.len()];
        let read = self.file.read_exact_at(&mut there, position);
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(there == bytes)
    }

    /// Pushes through `flow` what is there and did not pass yet.
    pub(crate) fn catch_up(&mut self, flow: &mut Flow<'_>) -> Result<(), Error> {
        let sought = self.file.seek(SeekFrom::Start(flow.done()));
        sought.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        flow.push_file(&self.file, &self.path)
    }

    /// Gives the complete, verified bytes their name, and sees to it that they survive a power failure under it.
    pub(crate) fn commit(mut self, url: String, validators: Validators) -> Result<(), Error> {
        self.keep = Keep::Nothing;
        let name = || {
            self.file.sync_all()?;
            fs::rename(&self.path, &self.entry.path)?;
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        name().map_err(|source| Error::Write { path: self.entry.path.clone(), source })?;
        self.entry.write_record(url, validators)
    }

    fn write_record(&self, synced: u64) -> Result<(), Error> {
        let Some(origin) = self.origin.clone() else { return Ok(()) };
        let written = self.entry.cache.write_json(&beside(&self.path, "json"), &Record { origin, synced });
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }

    /// Whether the next download can use what is there; without a digest, this makes sure that it can.
    fn retain(&self) -> bool {
        let can_resume = self.origin.as_ref().is_some_and(|origin| origin.validators.strong().is_some());
        match self.keep {
            _ if self.length == 0 => false,
            Keep::Nothing => false,
            Keep::Everything => true,
            Keep::Synced => {
                can_resume && self.file.sync_data().is_ok() && self.write_record(self.length).is_ok()
            }
        }
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.retain() {
            // After `commit` the name is gone. If it cannot be removed it is still only a `.partial`.
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(beside(&self.path, "json"));
        }
    }
}
