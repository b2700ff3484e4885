//! What a killed run may have left: names that the kernel does not own.

use std::{
    fs::{self, DirEntry, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::{Error, SCRATCH_PREFIX, machine};

/// Removes what processes of this library left that are gone: marked device-mapper names, `binfmt_misc` entries, and
/// folders in `scratch`. Tells `on` a line for each, once it is gone; with `dry_run` that is all.
///
/// # Errors
///
/// The first reason why something of ours could not be looked at or removed; the rest is removed all the same. Of the
/// kernel's names only a process that may mount has any, so for others they are left alone.
pub fn sweep(scratch: &Path, dry_run: bool, on: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mut sweep = Sweep { dry_run, on, failed: None };
    // Who may not mount has not made any of these.
    if machine::may_mount() {
        for one in sweep.found(arm_image_mapper::stale()) {
            sweep.remove(&format!("device-mapper name {}", one.name), || one.remove());
        }
        for one in sweep.found(arm_image_qemu::stale()) {
            sweep.remove(&format!("binfmt_misc entry {}", one.name()), || one.remove());
        }
    }
    for folder in sweep.found(stale_folders(scratch)) {
        sweep.remove(&format!("folder {}", folder.path.display()), || folder.remove());
    }
    sweep.failed.map_or(Ok(()), Err)
}

struct Sweep<'a> {
    dry_run: bool,
    on: &'a mut dyn FnMut(&str),
    /// The first failure.
    failed: Option<Error>,
}

impl Sweep<'_> {
    fn found<T, E: Into<Error>>(&mut self, found: Result<Vec<T>, E>) -> Vec<T> {
        found.unwrap_or_else(|error| {
            self.failed.get_or_insert(error.into());
            Vec::new()
        })
    }

    fn remove<E: Into<Error>>(&mut self, line: &str, remove: impl FnOnce() -> Result<(), E>) {
        match if self.dry_run { Ok(()) } else { remove() } {
            Ok(()) => (self.on)(line),
            Err(error) => drop(self.failed.get_or_insert(error.into())),
        }
    }
}

/// Removes the folders in `scratch` that processes left that are gone.
pub(crate) fn remove_stale(scratch: &Path) -> Result<(), Error> {
    stale_folders(scratch)?.into_iter().try_for_each(StaleFolder::remove)
}

/// A folder that nobody uses, and its lock as long as it is to be removed; one that was made without getting as far has none.
#[derive(Debug)]
struct StaleFolder {
    path: PathBuf,
    lock: Option<File>,
}

impl StaleFolder {
    fn remove(self) -> Result<(), Error> {
        let removed = match self.lock {
            Some(_) => remove_locked(&self.path),
            // It may be just being made.
            None => fs::remove_dir(&self.path),
        };
        match removed {
            // Others sweep, too.
            Err(cause)
                if !matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) =>
            {
                Err(Error::File { operation: "remove", path: self.path, cause })
            }
            _ => Ok(()),
        }
    }
}

fn stale_folders(scratch: &Path) -> Result<Vec<StaleFolder>, Error> {
    let failed = |cause| Error::File { operation: "list", path: scratch.into(), cause };
    let mut stale = Vec::new();
    for entry in fs::read_dir(scratch).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX)
            && let Ok(Some(folder)) = stale_folder(&entry)
        {
            stale.push(folder);
        }
    }
    stale.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(stale)
}

/// Others may write in the same place: only a folder of this user's, which holds nothing or the file that we put into
/// ours, is ours. It is in use as long as somebody holds that file's lock.
fn stale_folder(entry: &DirEntry) -> io::Result<Option<StaleFolder>> {
    let folder = entry.metadata()?;
    if !folder.is_dir() || folder.uid() != rustix::process::geteuid().as_raw() {
        return Ok(None);
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let lock = match options.open(entry.path().join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let empty = fs::read_dir(entry.path())?.next().is_none();
            return Ok(empty.then(|| StaleFolder { path: entry.path(), lock: None }));
        }
        lock => lock?,
    };
    let metadata = lock.metadata()?;
    let ours = metadata.is_file() && metadata.len() == 0 && lock.try_lock().is_ok();
    Ok(ours.then(|| StaleFolder { path: entry.path(), lock: Some(lock) }))
}

/// Removes a folder, its lock last: what is killed meanwhile leaves it to be swept.
fn remove_locked(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(folder.join(LOCK))?;
    fs::remove_dir(folder)
}

/// The file whose lock tells that a folder is in use. It is empty.
const LOCK: &str = "lock";

/// A folder of our own in `scratch`, removed with its value; a killed process's is swept later.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    pub(crate) fn make(scratch: &Path) -> Result<Scratch, Error> {
        loop {
            // A sweep that came between the folder and its lock has taken it for a killed run's.
            if let Some(made) = Self::try_make(scratch).map_err(|cause| Error::File {
                operation: "make a folder in",
                path: scratch.into(),
                cause,
            })? {
                return Ok(made);
            }
        }
    }

    /// `None` if the folder was swept before it was locked.
    fn try_make(scratch: &Path) -> io::Result<Option<Scratch>> {
        let folder = tempfile::Builder::new().prefix(SCRATCH_PREFIX).tempdir_in(scratch)?;
        let lock = match File::create_new(folder.path().join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.path().exists() => {
                return Ok(None);
            }
            lock => lock?,
        };
        lock.lock()?;
        let there = lock.metadata()?.nlink() > 0;
        Ok(there.then(|| Scratch { path: folder.keep(), _lock: lock }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _ = remove_locked(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_and_unused_goes() {
        let place = tempfile::tempdir().unwrap();
        let used = Scratch::make(place.path()).unwrap();
        let named = |name: &str| place.path().join(format!("{SCRATCH_PREFIX}{name}"));
        let (left, only_just_made) = (named("left"), named("made"));
        fs::create_dir(&left).unwrap();
        File::create(left.join(LOCK)).unwrap();
        fs::write(left.join("script"), "true").unwrap();
        fs::create_dir(&only_just_made).unwrap();
        let strange = named("strange");
        fs::create_dir(&strange).unwrap();
        fs::write(strange.join(LOCK), "somebody else's").unwrap();
        fs::create_dir(named("without-a-lock")).unwrap();
        fs::write(named("without-a-lock").join("notes"), "").unwrap();
        fs::create_dir(place.path().join("another")).unwrap();
        // Somebody else's idea of a joke: opening it for reading would wait for ever.
        let pipe = named("pipe");
        fs::create_dir(&pipe).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, pipe.join(LOCK), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let found: Vec<_> = stale_folders(place.path()).unwrap().into_iter().map(|one| one.path).collect();
        assert_eq!(found, [left, only_just_made]);
        assert!(used.path().exists());
    }

    #[test]
    fn folders_are_made_and_swept_at_the_same_time() {
        let place = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..200).for_each(|_| sweep(place.path(), false, &mut |_| ()).unwrap()));
            }
            for _ in 0..200 {
                let made = Scratch::make(place.path()).unwrap();
                fs::write(made.path().join("script"), "true").unwrap();
                assert!(made.path().join("script").exists());
            }
        });
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
