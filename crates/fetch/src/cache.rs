//! Where downloads are kept, and what is made of them.
//!
//! For each key, a folder holds these files, or some of them:
//!
//! * `KEY`: the bytes. Under this name they are complete, synced, and verified where a digest is known.
//! * `KEY.json`: where the bytes came from, and their size and time of change when they were verified. Its own time of
//!   change is when the entry was last used.
//! * `KEY.partial`: a download under way, or one that broke off, with `KEY.partial.json`: where its bytes come from.
//! * `KEY.unpacked`: the image that was unpacked from the bytes, with a `.json`, a `.partial` and a `.lock` of its own.
//! * `KEY.lock`: held by `flock` by whoever looks at the others. Never deleted but by [`Cache::clean`], which holds it
//!   then: whoever waited for it notices, and takes the new one.
//!
//! A file that is in use is locked itself, shared; it is not cleaned away then.
//!
//! `KEY` is `sha256-HEX` (or another algorithm) of the bytes, or `url-HEX` with the SHA-256 of the URL where the digest of
//! the bytes is not known.
//!
//! A file found there is not hashed again if its size and time of change are the recorded ones: that costs one system
//! call and finds what was overwritten or cut, but not what a failing disk turned. If they differ, it is hashed, and
//! removed if it is wrong.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::{Error, Tick, flow};

mod clean;
mod entry;
mod key;
mod partial;
mod unpacked;

pub use clean::CacheEntry;
pub(crate) use entry::{Entry, Stamp};
pub use key::Key;
pub(crate) use partial::{Keep, Partial};
pub use unpacked::Unpacking;

/// How often a tick is called while another process holds an entry.
const PULSE: Duration = Duration::from_millis(100);

/// A folder with downloads, shared by all who use it at the same time.
///
/// No state is kept outside the folder, and deleting it loses nothing but time.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Cache {
    /// The cache in `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] if it cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::make(folder.into(), None)
    }

    /// As [`open`](Self::open), and gives every folder and file that it makes to a user and a group, by their numbers.
    ///
    /// For a program that runs as root on behalf of an ordinary user, whose cache it is: under sudo, that is.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] if it cannot be made or given away; who is not root cannot give anything away.
    pub fn open_owned(folder: impl Into<PathBuf>, user: u32, group: u32) -> Result<Self, Error> {
        Self::make(folder.into(), Some((user, group)))
    }

    fn make(folder: PathBuf, owner: Option<(u32, u32)>) -> Result<Self, Error> {
        let missing: Vec<&Path> =
            folder.ancestors().take_while(|each| !each.as_os_str().is_empty() && !each.exists()).collect();
        let make = || {
            for each in missing.iter().rev() {
                match fs::create_dir(each) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    Err(_) => continue,
                    Ok(()) => {}
                }
                if let Some((user, group)) = owner {
                    std::os::unix::fs::lchown(each, Some(user), Some(group))?;
                }
            }
            if folder.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
        };
        match make() {
            Ok(()) => Ok(Self { folder, owner }),
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
        let path = self.path(key);
        let before = Stamp::of(&path);
        let lock = self.acquire(&path, tick)?;
        let is_fresh = Stamp::of(&path) != before;
        Ok(Entry::new(self.clone(), path, is_fresh, lock))
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.as_str())
    }

    /// Waits for the lock of whoever makes `path`.
    fn acquire(&self, path: &Path, tick: Tick<'_>) -> Result<File, Error> {
        loop {
            if let Some(lock) = self.try_acquire(path)? {
                return Ok(lock);
            }
            let done = fs::metadata(beside(path, "partial")).map_or(0, |about| about.len());
            flow::tick(tick, done, None)?;
            // flock can wait, but not for a lock and a cancellation at once.
            std::thread::sleep(PULSE);
        }
    }

    /// The lock of whoever makes `path`; `None` while another has it.
    fn try_acquire(&self, path: &Path) -> Result<Option<File>, Error> {
        let path = beside(path, "lock");
        let fail = |source| Error::Lock { path: path.clone(), source };
        loop {
            let lock = self.create(&path, OpenOptions::new().append(true)).map_err(fail)?;
            match lock.try_lock() {
                // One that was deleted in between guards nothing any more.
                Ok(()) if !is_at(&lock, &path) => {}
                Ok(()) => return Ok(Some(lock)),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(fail(source)),
            }
        }
    }

    /// Whether `file` is of this process's user, of root, or of the cache's owner, and others cannot write it.
    pub(crate) fn is_ours(&self, file: &File) -> bool {
        let Ok(about) = file.metadata() else { return false };
        let known =
            |user| user == 0 || user == own_user() || self.owner.is_some_and(|(owner, _)| user == owner);
        known(about.uid()) && about.mode() & 0o022 == 0
    }

    /// Forgets what is known of the bytes of `key`, and the image unpacked from them: they are fetched anew, whatever the
    /// server says of a change.
    ///
    /// For bytes that turned out to be of no use, where no digest could tell.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn forget(&self, key: &Key) -> Result<(), Error> {
        for name in ["json", "unpacked.json"] {
            let path = beside(&self.path(key), name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::Write { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens `path`, which is made if it is not there, and given to the owner.
    ///
    /// A symbolic link there is refused: a program with more rights than the folder's owner must not be led elsewhere.
    pub(crate) fn create(&self, path: &Path, options: &mut OpenOptions) -> io::Result<File> {
        let file = options.create(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
        if let Some((user, group)) = self.owner {
            let about = file.metadata()?;
            if (about.uid(), about.gid()) != (user, group) {
                std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
            }
        }
        Ok(file)
    }

    /// Writes `value` to `path` at once: a reader finds the old text or the new.
    pub(crate) fn write_json(&self, path: &Path, value: &impl Serialize) -> io::Result<()> {
        let new = beside(path, "new");
        let mut file = self.create(&new, OpenOptions::new().write(true).truncate(true))?;
        file.write_all(&serde_json::to_vec(value)?)?;
        fs::rename(new, path)
    }
}

/// The user whose rights this process has.
#[expect(unsafe_code, reason = "neither std nor another dependency of this crate tells it")]
fn own_user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// Whether `file` is still what stands at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let place = |about: &fs::Metadata| (about.dev(), about.ino());
    let pair = file.metadata().ok().zip(fs::metadata(path).ok());
    pair.is_some_and(|(one, other)| place(&one) == place(&other))
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

pub(crate) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
}

#[cfg(test)]
mod tests;
