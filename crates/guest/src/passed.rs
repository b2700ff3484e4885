//! What crosses into the kernel's process: open files, so that no name of the host stands on its command line.

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, Command},
};

use nix::sys::memfd;

use crate::{Error, keeper};

/// The files a guest gets, and their numbers, which are the same on both sides.
#[derive(Debug, Default)]
pub(crate) struct Passed(Vec<OwnedFd>);

impl Passed {
    /// Hands a file over; gives a path that leads to it from inside the kernel process.
    pub(crate) fn add(&mut self, file: impl Into<OwnedFd>) -> String {
        format!("/proc/self/fd/{}", self.number(file))
    }

    pub(crate) fn number(&mut self, file: impl Into<OwnedFd>) -> RawFd {
        let file = file.into();
        let number = file.as_raw_fd();
        self.0.push(file);
        number
    }
}

/// Executes the kernel below a [keeper], whose process this gives.
#[expect(unsafe_code, reason = "only pre_exec can put the keeper in between")]
pub(crate) fn spawn(command: &mut Command, end: io::PipeReader, passed: &Passed) -> io::Result<Child> {
    let inherited: Vec<RawFd> = passed.0.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: `split` may be called between fork and execve, which is when pre_exec calls it.
    unsafe { command.pre_exec(move || keeper::split(end.as_fd(), &inherited)) };
    command.spawn()
}

pub(crate) fn anonymous_file(name: &CStr) -> io::Result<File> {
    Ok(memfd::memfd_create(name, memfd::MFdFlags::MFD_CLOEXEC)?.into())
}

/// An open folder that no longer has a name, in which nothing can be made.
pub(crate) fn nowhere(parent: &Path) -> Result<File, Error> {
    let line = |source| Error::Line { line: "empty folder", source };
    let folder = tempfile::tempdir_in(parent).map_err(line)?;
    let file = File::open(folder.path()).map_err(line)?;
    folder.close().map_err(line)?;
    Ok(file)
}
