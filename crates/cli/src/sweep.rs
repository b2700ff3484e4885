//! What a killed run may have left: names that the kernel does not own.

use std::{
    fs::{self, DirEntry, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::{Error, SCRATCH_PREFIX, machine};

/// Removes what processes of this library left that are gone: marked device-mapper names, `binfmt_misc` entries, and
/// folders in `scratch`. Gives a line for each; with `dry_run` that is all.
///
/// # Errors
///
/// Where something of ours could not be looked at or removed. Of the kernel's names only a process that may mount has
/// any, so for others they are left alone.
pub fn sweep(scratch: &Path, dry_run: bool) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    // Who may not mount has not made any of these.
    if machine::may_mount() {
        for one in arm_image_mapper::stale()? {
            lines.push(format!("device-mapper name {}", one.name));
            if !dry_run {
                one.remove()?;
            }
        }
        for one in arm_image_qemu::stale()? {
            lines.push(format!("binfmt_misc entry {}", one.name()));
            if !dry_run {
                one.remove()?;
            }
        }
    }
    for folder in stale_folders(scratch)? {
        lines.push(format!("folder {}", folder.display()));
        if !dry_run {
            fs::remove_dir_all(&folder).map_err(|cause| Error::File {
                operation: "remove",
                path: folder,
                cause,
            })?;
        }
    }
    Ok(lines)
}

/// A folder is in use as long as somebody holds the lock of the file in it.
fn stale_folders(scratch: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |cause| Error::File { operation: "list", path: scratch.into(), cause };
    let mut stale = Vec::new();
    for entry in fs::read_dir(scratch).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX)
            && is_stale(&entry).unwrap_or(false)
        {
            stale.push(entry.path());
        }
    }
    stale.sort();
    Ok(stale)
}

/// Others may write in the same place: only a folder of this user's, with a file in it that is just that, is ours.
fn is_stale(entry: &DirEntry) -> io::Result<bool> {
    let folder = entry.metadata()?;
    if !folder.is_dir() || folder.uid() != rustix::process::geteuid().as_raw() {
        return Ok(false);
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    let lock = options.open(entry.path().join(LOCK))?;
    if !lock.metadata()?.is_file() || lock.try_lock().is_err() {
        return Ok(false);
    }
    // Written once the lock is held: a folder that is only just being made has none.
    let mut mark = Vec::new();
    lock.take(MARK.len() as u64 + 1).read_to_end(&mut mark)?;
    Ok(mark == MARK)
}

/// The file whose lock tells that a folder is in use, and what is in it.
const LOCK: &str = "lock";
const MARK: &[u8] = b"arm-image";

/// A folder of our own in `scratch`, removed with its value; a killed process's is swept later.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    pub(crate) fn make(scratch: &Path) -> Result<Scratch, Error> {
        let failed = |cause| Error::File { operation: "make a folder in", path: scratch.into(), cause };
        let folder = tempfile::Builder::new().prefix(SCRATCH_PREFIX).tempdir_in(scratch).map_err(failed)?;
        let lock = File::create_new(folder.path().join(LOCK)).map_err(failed)?;
        lock.lock().and_then(|()| (&lock).write_all(MARK)).map_err(failed)?;
        Ok(Scratch { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_and_unused_goes() {
        let place = tempfile::tempdir().unwrap();
        let used = Scratch::make(place.path()).unwrap();
        let left = place.path().join("arm-image-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), MARK).unwrap();
        let strange = place.path().join("arm-image-strange");
        fs::create_dir(&strange).unwrap();
        File::create(strange.join(LOCK)).unwrap();
        fs::create_dir(place.path().join("arm-image-without-a-lock")).unwrap();
        fs::create_dir(place.path().join("another")).unwrap();
        // Somebody else's idea of a joke: opening it for reading would wait for ever.
        let pipe = place.path().join("arm-image-pipe");
        fs::create_dir(&pipe).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, pipe.join(LOCK), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(stale_folders(place.path()).unwrap(), [left]);
        assert!(used.path().exists());
    }
}
