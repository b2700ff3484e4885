//! Unpacked images beside the downloads.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::touch;
use super::{Cache, Key, Stamp, beside};
use crate::{Error, Tick};

/// What is known of an unpacked image.
#[derive(Serialize, Deserialize)]
struct Record {
    /// The bytes it was unpacked from, where their key does not say which they are.
    packed: Option<Stamp>,
    stamp: Stamp,
}

impl Cache {
    /// The image that was unpacked from the bytes of `key`, opened for reading, if the cache has it.
    ///
    /// It stays readable for as long as it is open, even if the cache is cleaned.
    #[must_use]
    pub fn unpacked(&self, key: &Key) -> Option<File> {
        let path = beside(&self.path(key), "unpacked");
        let (file, mut said) = (File::open(&path).ok()?, File::open(beside(&path, "json")).ok()?);
        // It is not verified again: so it counts only where nobody else can have written it.
        if !self.is_ours(&file) || !self.is_ours(&said) {
            return None;
        }
        let mut text = String::new();
        said.read_to_string(&mut text).ok()?;
        let record: Record = serde_json::from_str(&text).ok()?;
        let is_sound =
            record.stamp == Stamp::new(&file.metadata().ok()?) && record.packed == self.packed(key);
        is_sound.then(|| {
            touch(&beside(&path, "json"));
            file
        })
    }

    /// Begins to keep the image that is unpacked from `packed`, the bytes of `key` as they were fetched: a key
    /// that is not of a digest needs them, as the cache may have other bytes for it by now. What is kept is not found then.
    ///
    /// Only one at a time may do so for a key: who has to wait for another should ask [`unpacked`](Self::unpacked) again
    /// afterwards. While it waits, `tick` is called with the bytes that the other has written.
    ///
    /// # Errors
    ///
    /// [`Error::Lock`] or [`Error::Write`] where the folder cannot be written, [`Error::Cancelled`].
    pub fn unpacking(&self, key: &Key, packed: Option<&File>, tick: Tick<'_>) -> Result<Unpacking, Error> {
        let path = beside(&self.path(key), "unpacked");
        let lock = self.acquire(&path, tick)?;
        let partial = beside(&path, "partial");
        match self.create(&partial, OpenOptions::new().read(true).write(true).truncate(true)) {
            Ok(file) => {
                let about = packed.map(File::metadata).transpose();
                let about = about.map_err(|source| Error::Open { path: self.path(key), source })?;
                let packed = about.filter(|_| !key.is_content()).map(|about| Stamp::new(&about));
                Ok(Unpacking { cache: self.clone(), packed, file, path: partial, target: path, _lock: lock })
            }
            Err(source) => Err(Error::Write { path: partial, source }),
        }
    }

    /// What identifies the bytes of a key that has no digest.
    fn packed(&self, key: &Key) -> Option<Stamp> {
        if key.is_content() { None } else { Stamp::of(&self.path(key)) }
    }
}

/// An unpacked image on its way into the cache.
///
/// Dropped without [`keep`](Self::keep), it is deleted.
#[derive(Debug)]
pub struct Unpacking {
    cache: Cache,
    packed: Option<Stamp>,
    file: File,
    path: PathBuf,
    target: PathBuf,
    _lock: File,
}

impl Unpacking {
    /// The file to write the image to; empty at first, open for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The path of that file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it the image that [`Cache::unpacked`] finds, once it has reached the disk, and returns it.
    ///
    /// Only what was unpacked from verified bytes may be kept: it is not verified again.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn keep(self) -> Result<File, Error> {
        let record_path = beside(&self.target, "json");
        let keep = || {
            self.file.sync_all()?;
            let record = Record { packed: self.packed.clone(), stamp: Stamp::new(&self.file.metadata()?) };
            // A record without its image, or with an older one, counts for nothing.
            self.cache.write_json(&record_path, &record)?;
            fs::rename(&self.path, &self.target)?;
            File::open(&self.target)
        };
        keep().map_err(|source| Error::Write { path: self.target.clone(), source })
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        // After `keep` the name is gone.
        let _ = fs::remove_file(&self.path);
    }
}
