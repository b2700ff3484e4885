//! What the cache holds, and how it is emptied.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::entry::Record;
use super::partial::origin_of;
use super::{Cache, Key, beside};
use crate::Error;

/// What the cache holds for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheEntry {
    /// The key.
    pub key: Key,
    /// The URL that the bytes came from, without a password; `None` if it was not recorded.
    pub url: Option<String>,
    /// What its files take on the disk, in bytes; parts that a file system shares between files count for each.
    pub size: u64,
    /// When it was last used.
    pub used: SystemTime,
    /// Whether the download is there as a whole.
    pub is_complete: bool,
    /// Whether an unpacked image is there.
    pub is_unpacked: bool,
}

impl Cache {
    /// What the cache holds, what was used last first.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the folder cannot be read.
    pub fn entries(&self) -> Result<Vec<CacheEntry>, Error> {
        let mut entries: Vec<_> =
            self.files()?.into_iter().filter_map(|(key, files)| self.entry(key, &files)).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        Ok(entries)
    }

    /// Deletes what was not used for `older_than`, or everything, and returns what was deleted.
    ///
    /// What is being downloaded, unpacked or used (see [`Fetched`](crate::Fetched)) stays, and so do files of others in
    /// the folder.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the folder cannot be read, [`Error::Write`] if a file cannot be deleted.
    pub fn clean(&self, older_than: Option<Duration>) -> Result<Vec<CacheEntry>, Error> {
        let limit =
            older_than.map(|age| SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH));
        let mut cleaned = Vec::new();
        for key in self.files()?.into_keys() {
            let path = self.path(&key);
            let Some(_lock) = self.try_acquire(&path)? else { continue };
            let Some(_unpacking) = self.try_acquire(&beside(&path, "unpacked"))? else { continue };
            if is_used(&path) {
                continue;
            }
            // Now nobody changes it any more: look again.
            let files = self.files()?.remove(&key).unwrap_or_default();
            let entry = self.entry(key, &files);
            let is_young = |entry: &CacheEntry| limit.is_some_and(|limit| entry.used > limit);
            if entry.as_ref().is_some_and(is_young) {
                continue;
            }
            // The locks go last, for they are what keeps others away.
            let (locks, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| is_lock(path));
            for file in others.into_iter().chain(locks) {
                match fs::remove_file(&file) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        return Err(Error::Write { path: file, source });
                    }
                    _ => {}
                }
            }
            cleaned.extend(entry);
        }
        Ok(cleaned)
    }

    /// The files of each key.
    fn files(&self) -> Result<BTreeMap<Key, Vec<PathBuf>>, Error> {
        let fail = |source| Error::Read { path: self.folder.clone(), source };
        let mut files: BTreeMap<Key, Vec<PathBuf>> = BTreeMap::new();
        for file in fs::read_dir(&self.folder).map_err(fail)? {
            let file = file.map_err(fail)?;
            let name = file.file_name();
            let key = name.to_str().and_then(|name| Key::parse(name.split('.').next()?));
            if let Some(key) = key {
                files.entry(key).or_default().push(file.path());
            }
        }
        Ok(files)
    }

    /// What `files` are; `None` if there is nothing but locks.
    fn entry(&self, key: Key, files: &[PathBuf]) -> Option<CacheEntry> {
        let path = self.path(&key);
        let unpacked = beside(&path, "unpacked");
        let known = files.iter().filter(|path| !is_lock(path));
        // What was deleted meanwhile is not there.
        let known: Vec<_> = known.filter_map(|path| Some((path, fs::symlink_metadata(path).ok()?))).collect();
        let used = known.iter().filter_map(|(_, about)| about.modified().ok()).max()?;
        let url = Record::read(&path).map(|record| record.url).filter(|url| !url.is_empty());
        let url = url.or_else(|| Some(origin_of(&beside(&path, "partial"))?.url));
        let has = |wanted: &Path| known.iter().any(|(path, _)| *path == wanted);
        Some(CacheEntry {
            url,
            // `st_blocks` counts in 512 bytes, whatever the file system (man 3 stat).
            size: known.iter().map(|(_, about)| about.blocks() * 512).sum(),
            used,
            is_complete: has(&path),
            is_unpacked: has(&unpacked),
            key,
        })
    }
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "lock")
}

/// Whether somebody works with the complete bytes at `path`.
fn is_used(path: &Path) -> bool {
    // If it cannot be told, it is left alone.
    File::open(path).is_ok_and(|file| file.try_lock().is_err())
}
