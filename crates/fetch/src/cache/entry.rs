//! One key of the cache, locked.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Cache, beside};
use crate::digest::Digest;
use crate::validators::Validators;
use crate::{Error, Tick, local};

/// One key of the cache, locked for as long as this lives.
pub(crate) struct Entry {
    pub(super) cache: Cache,
    pub(super) path: PathBuf,
    /// Whether the file changed while the lock was waited for.
    is_fresh: bool,
    _lock: File,
}

/// What the cache has for a key.
pub(crate) struct Held {
    pub(crate) validators: Validators,
    /// Whether another process got it while this one waited.
    pub(crate) is_fresh: bool,
}

impl Entry {
    pub(super) fn new(cache: Cache, path: PathBuf, is_fresh: bool, lock: File) -> Self {
        Self { cache, path, is_fresh, _lock: lock }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the cache has for the key, if it is sound; this counts as a use of it.
    pub(crate) fn held(&self, expected: Option<&Digest>, tick: Tick<'_>) -> Result<Option<Held>, Error> {
        let Some(stamp) = Stamp::of(&self.path) else { return Ok(None) };
        let record = Record::read(&self.path).filter(|record| record.stamp == stamp);
        if record.is_none() && expected.is_some() {
            match local::verify(&self.path, expected, tick) {
                Ok(()) => self.write_record(String::new(), Validators::default())?,
                Err(Error::Mismatch { .. }) => {
                    fs::remove_file(&self.path)
                        .map_err(|source| Error::Write { path: self.path.clone(), source })?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        touch(&beside(&self.path, "json"));
        let validators = record.map(|record| record.validators).unwrap_or_default();
        Ok(Some(Held { validators, is_fresh: self.is_fresh }))
    }

    /// The bytes, marked as in use for as long as the file is open.
    pub(crate) fn in_use(&self) -> Result<File, Error> {
        let open = || {
            let file = File::open(&self.path)?;
            file.lock_shared()?;
            Ok(file)
        };
        open().map_err(|source| Error::Open { path: self.path.clone(), source })
    }

    pub(super) fn write_record(&self, url: String, validators: Validators) -> Result<(), Error> {
        let path = beside(&self.path, "json");
        let write = || {
            let record = Record { url, stamp: Stamp::read(&self.path)?, validators };
            self.cache.write_json(&path, &record)
        };
        write().map_err(|source| Error::Write { path: path.clone(), source })
    }
}

/// Notes that what `record` speaks of was used now. A cache that may only be read is used all the same.
pub(super) fn touch(record: &Path) {
    if let Ok(file) = File::options().write(true).open(record) {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// What is known of complete bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    /// Where they came from; empty where they were found without a record.
    pub(super) url: String,
    stamp: Stamp,
    validators: Validators,
}

impl Record {
    /// A record that cannot be read is none: then the bytes are judged by themselves.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(beside(path, "json")).ok()?).ok()
    }
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::new(&fs::metadata(path)?))
    }

    pub(super) fn new(about: &fs::Metadata) -> Self {
        Self {
            inode: about.ino(),
            size: about.size(),
            seconds: about.mtime(),
            nanoseconds: about.mtime_nsec(),
        }
    }

    /// `None` where there is no file; one that cannot be looked at fails when it is opened.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        Self::read(path).ok()
    }
}
