//! Files and directories of the host, shown in the image.

use crate::cover::Change;
use crate::device::{attach, bound, mount_id, restrict};
use crate::{Error, files};
use rustix::fs::{FileType, OFlags};
use rustix::mount::MountFlags;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// A file or directory of the host that programs of the image see at a place of theirs.
///
/// What is mounted below the directory on the host is not shown. No setuid bit and no device node in it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// On the host; links are followed.
    pub source: PathBuf,
    /// In the image; links are followed inside it. What is missing is made, and removed in the end.
    pub target: PathBuf,
    /// Whether programs of the image can only read it.
    pub read_only: bool,
}

impl Bind {
    fn failed(&self) -> impl FnOnce(io::Error) -> Error {
        let (path, target) = (self.source.clone(), self.target.clone());
        move |source| Error::Bind { path, target, source }
    }

    /// Takes hold of the source, which nothing can cover from then on.
    pub(crate) fn open(&self) -> Result<OwnedFd, Error> {
        bound(rustix::fs::CWD, &self.source).map_err(self.failed())
    }

    /// Mounts what [`open`](Bind::open) gave.
    pub(crate) fn attach(&self, mount: BorrowedFd<'_>, change: &mut Change<'_>) -> Result<(), Error> {
        let mut attached = || {
            let target = files::follow(change.root, &self.target)?;
            let stat = rustix::fs::fstat(mount)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => change.stand_in_directory(&target)?,
                _ => change.stand_in(&target)?,
            }
            let place = files::open(change.root, &target, OFlags::PATH | OFlags::NOFOLLOW)?;
            attach(mount, place.as_fd())?;
            change.hosts.push(mount_id(mount)?);
            let read_only = if self.read_only { MountFlags::RDONLY } else { MountFlags::empty() };
            restrict(mount, MountFlags::NOSUID | MountFlags::NODEV | read_only)
        };
        attached().map_err(self.failed())
    }
}
