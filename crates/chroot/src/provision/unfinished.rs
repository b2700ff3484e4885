//! A file of the host that gets its name only once it is whole.

use rustix::fs::{AtFlags, CWD, OFlags, linkat};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A new file in the folder of the one that it is to become.
///
/// It has no name, so that nothing is left of it however this process ends; where the file system has no such files (FAT, NFS), it
/// has one that nothing had, which is removed with the value.
pub(super) struct Unfinished {
    file: File,
    name: Option<PathBuf>,
}

impl Unfinished {
    /// Starts what is to become `path`, of mode `mode`, less the umask.
    pub(super) fn new(path: &Path, mode: u32) -> io::Result<Unfinished> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut options = OpenOptions::new();
        options.write(true).mode(mode);
        match options.clone().custom_flags(OFlags::TMPFILE.bits().cast_signed()).open(folder) {
            Ok(file) => Ok(Unfinished { file, name: None }),
            // What is really wrong, if anything, comes out again here.
            Err(_) => {
                let (file, name) = beside(path, |name| options.clone().create_new(true).open(name))?;
                Ok(Unfinished { file, name: Some(name) })
            }
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Puts it at `path`, in the place of whatever file or link is there.
    pub(super) fn finish(mut self, path: &Path) -> io::Result<()> {
        if self.name.is_none() {
            // By this the kernel names an open file to whoever may not ask for it without a path.
            let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let link = |name: &Path| io::Result::Ok(linkat(CWD, &open, CWD, name, AtFlags::SYMLINK_FOLLOW)?);
            match link(path) {
                // Nothing can be linked over another file, only renamed; the name in between is there for that instant.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.name = Some(beside(path, link)?.1);
                }
                linked => return linked,
            }
        }
        if let Some(name) = &self.name {
            fs::rename(name, path)?;
        }
        self.name = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // The failure that came before is the one to tell.
            let _ = fs::remove_file(name);
        }
    }
}

/// Makes something in the folder of `path`, under a name that nothing had.
fn beside<T>(path: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    let mut number = 0_u32;
    loop {
        // Not made of the file's own name, which may be as long as names get.
        let name = path.with_file_name(format!(".arm-image-{}-{number}", std::process::id()));
        match make(&name) {
            // Of another thread, of a killed run, or somebody else's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => return Ok((made?, name)),
        }
    }
}
