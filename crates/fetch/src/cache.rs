//! Where downloads are kept.
//!
//! For each key, a folder holds up to four files:
//!
//! * `KEY`: the bytes. Under this name they are complete, synced, and verified where a digest is known.
//! * `KEY.partial`: a download under way, or one that was killed. The next one starts it afresh.
//! * `KEY.json`: where the bytes came from, and their size and time of change when they were verified.
//! * `KEY.lock`: held by `flock` by whoever looks at the other three. Never deleted: another may be waiting for it.
//!
//! `KEY` is `sha256-HEX` (or another algorithm) of the bytes, or `url-HEX` with the SHA-256 of the URL where the digest of
//! the bytes is not known.
//!
//! A file found there is not hashed again if its size and time of change are the recorded ones: that costs one system
//! call and finds what was overwritten or cut, but not what a failing disk turned. If they differ, it is hashed, and
//! removed if it is wrong.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::digest::{Algorithm, Digest, Hasher};
use crate::{Error, Tick, flow, local};

/// How often a tick is called while another process holds an entry.
const PULSE: Duration = Duration::from_millis(100);

/// A folder with downloads, shared by all who use it at the same time.
///
/// No state is kept outside the folder, and deleting it loses nothing but time.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] if it cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let folder = folder.into();
        match fs::create_dir_all(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(source) => Err(Error::Write { path: folder, source }),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes `key` for this caller alone; while another has it, calls `tick` with the bytes that one has so far.
    pub(crate) fn lock(&self, key: &Key, tick: Tick<'_>) -> Result<Entry, Error> {
        let path = self.folder.join(&key.0);
        let lock_path = beside(&path, "lock");
        let fail = |source| Error::Lock { path: lock_path.clone(), source };
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(fail)?;
        let before = Stamp::of(&path);
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let done = fs::metadata(beside(&path, "partial")).map_or(0, |about| about.len());
                    flow::tick(tick, done, None)?;
                    // flock can wait, but not for a lock and a cancellation at once.
                    std::thread::sleep(PULSE);
                }
                Err(TryLockError::Error(source)) => return Err(fail(source)),
            }
        }
        let is_fresh = Stamp::of(&path) != before;
        Ok(Entry { path, is_fresh, _lock: lock })
    }
}

/// The folder for downloads by custom: `ARM_IMAGE_CACHE_DIR`, else `arm-image` in `XDG_CACHE_HOME` or in `~/.cache`.
///
/// `variable` looks up an environment variable, as [`std::env::var_os`] does: this crate reads none itself. Empty values
/// count as unset, and so does a relative `XDG_CACHE_HOME` (XDG Base Directory Specification). `None` if nothing is set.
///
/// ```
/// let folder = arm_image_fetch::default_cache_dir(|name| (name == "HOME").then(|| "/home/pi".into()));
/// assert_eq!(folder, Some("/home/pi/.cache/arm-image".into()));
/// ```
pub fn default_cache_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("ARM_IMAGE_CACHE_DIR")
        .or_else(|| Some(folder("XDG_CACHE_HOME").filter(|path| path.is_absolute())?.join("arm-image")))
        .or_else(|| Some(folder("HOME")?.join(".cache/arm-image")))
}

/// The name under which bytes are kept.
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(url: &Url, digest: Option<&Digest>) -> Self {
        let Some(digest) = digest else {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            hasher.update(url[..url::Position::AfterQuery].as_bytes());
            return Self(format!("url-{}", hasher.finish().hex()));
        };
        Self(format!("{}-{}", digest.algorithm(), digest.hex()))
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}

/// One key of the cache, locked for as long as this lives.
pub(crate) struct Entry {
    path: PathBuf,
    /// Whether the file changed while the lock was waited for.
    is_fresh: bool,
    _lock: File,
}

impl Entry {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the cache has for the key, if it is sound.
    pub(crate) fn held(&self, expected: Option<&Digest>, tick: Tick<'_>) -> Result<Option<Held>, Error> {
        let Some(stamp) = Stamp::of(&self.path) else { return Ok(None) };
        let record = self.record().filter(|record| record.stamp == stamp);
        if record.is_none() && expected.is_some() {
            match local::verify(&self.path, expected, None, tick) {
                Ok(_) => self.write_record(String::new(), Validators::default())?,
                Err(Error::Mismatch { .. }) => {
                    fs::remove_file(&self.path)
                        .map_err(|source| Error::Write { path: self.path.clone(), source })?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        let validators = record.map(|record| record.validators).unwrap_or_default();
        Ok(Some(Held { validators, is_fresh: self.is_fresh }))
    }

    /// Starts a download afresh.
    pub(crate) fn partial(&self) -> Result<Partial<'_>, Error> {
        let path = beside(&self.path, "partial");
        match File::create(&path) {
            Ok(file) => Ok(Partial { entry: self, file, path }),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    /// A record that cannot be read is none: then the bytes are judged by themselves.
    fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(beside(&self.path, "json")).ok()?).ok()
    }

    fn write_record(&self, url: String, validators: Validators) -> Result<(), Error> {
        let path = beside(&self.path, "json");
        let write = || {
            let record = Record { url, stamp: Stamp::read(&self.path)?, validators };
            fs::write(&path, serde_json::to_vec(&record)?)
        };
        write().map_err(|source| Error::Write { path: path.clone(), source })
    }
}

/// What the cache has for a key.
pub(crate) struct Held {
    pub(crate) validators: Validators,
    /// Whether another process got it while this one waited.
    pub(crate) is_fresh: bool,
}

/// By what a server tells whether a file is still the same (RFC 9110, section 8.8).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Validators {
    pub(crate) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    url: String,
    stamp: Stamp,
    validators: Validators,
}

/// What changes when a file does.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    fn read(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self {
            inode: about.ino(),
            size: about.size(),
            seconds: about.mtime(),
            nanoseconds: about.mtime_nsec(),
        })
    }

    /// `None` where there is no file; one that cannot be looked at fails when it is opened.
    fn of(path: &Path) -> Option<Self> {
        Self::read(path).ok()
    }
}

/// A download under way; dropped without [`commit`](Self::commit), it is deleted.
pub(crate) struct Partial<'e> {
    entry: &'e Entry,
    file: File,
    path: PathBuf,
}

impl Partial<'_> {
    /// The file to write to, and its path for messages.
    pub(crate) fn target(&mut self) -> (&mut File, &Path) {
        (&mut self.file, &self.path)
    }

    /// Gives the complete, verified bytes their name, and sees to it that they survive a power failure under it.
    pub(crate) fn commit(self, url: String, validators: Validators) -> Result<(), Error> {
        let name = || {
            self.file.sync_all()?;
            fs::rename(&self.path, &self.entry.path)?;
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        name().map_err(|source| Error::Write { path: self.entry.path.clone(), source })?;
        self.entry.write_record(url, validators)
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        // After `commit` the name is gone. If it cannot be removed it is still only a `.partial`.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
