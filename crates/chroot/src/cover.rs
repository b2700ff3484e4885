//! Files of the image that something private lies on top of while it is mounted, and how the image gets its own back.

use crate::device::{attach, bound, mount_id};
use crate::parked::{PRELOAD, Place, heal, waiting};
use crate::{Error, Node, files};
use rustix::fs::OFlags;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What lies on top is made under this name in the private `/run`, then only bound.
const CONTENT: &str = ".arm-image-cover";

/// What is to be done to the image before it is let go of.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Remove what was made only to mount something on it.
    Remove(PathBuf),
    /// Put back what waits, whatever has taken its place.
    PutBack(Place),
    /// Put it back, unless something else has taken the place of this file.
    Reclaim { place: Place, made: OwnedFd },
    /// The same for [`FORBIDDEN`], unless a program of the image has put something else there, or nothing.
    Retract { original: Option<PathBuf>, path: PathBuf },
}

impl Undo {
    /// Does it, from outside the namespace.
    ///
    /// There the names are no mount points; the kernel takes the bind away with its name (since Linux 3.18).
    pub(crate) fn run(&self, root: BorrowedFd<'_>) -> Result<(), Error> {
        let (path, done) = match self {
            Undo::Remove(path) => (path.as_path(), files::remove(root, path)),
            Undo::PutBack(place) => (Path::new(place.path), place.put_back(root)),
            Undo::Reclaim { place, made } => (Path::new(place.path), place.reclaim(root, made.as_fd())),
            Undo::Retract { original, path } => (path.as_path(), retract(root, original.as_deref(), path)),
        };
        match done {
            // A program of the image may have removed it itself, or put something of its own there.
            Err(source)
                if !matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) =>
            {
                Err(Error::Restore { path: path.into(), source })
            }
            _ => Ok(()),
        }
    }
}

/// A mounted tree that is being changed, and what has to be undone so far: the last first.
pub(crate) struct Change<'t> {
    pub(crate) root: BorrowedFd<'t>,
    /// The private tmpfs on its `/run`.
    pub(crate) run: BorrowedFd<'t>,
    /// The numbers of the mounts in it that show what is the host's.
    pub(crate) hosts: Vec<u64>,
    pub(crate) undo: &'t mut Vec<Undo>,
}

impl Change<'_> {
    /// Lays `content` on top of the file `target`, links at whose end were followed.
    ///
    /// Where the image has no such file, an empty one stands in; where a folder of the host has none, there is nothing to
    /// lie on, and nothing is done.
    pub(crate) fn cover(&mut self, target: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        if self.is_hosts(target)? && !self.exists(target)? {
            return Ok(());
        }
        self.stand_in(target)?;
        // A private copy and not a file of the host's: a program in the image may write to it.
        files::create(self.run, Path::new(CONTENT), Node::File(&mut &content[..]), mode)?;
        let copy = bound(self.run, Path::new(CONTENT))?;
        let place = files::open(self.root, target, OFlags::PATH | OFlags::NOFOLLOW)?;
        attach(copy.as_fd(), place.as_fd())?;
        // Not before: the kernel attaches nothing whose name is gone. The bind stays without it.
        files::remove(self.run, Path::new(CONTENT))
    }

    /// Makes an empty file at `target` where there is nothing to mount on.
    pub(crate) fn stand_in(&mut self, target: &Path) -> io::Result<()> {
        self.make(target, |root| files::create(root, target, Node::File(&mut io::empty()), 0o644))
    }

    /// Makes a directory at `target` likewise.
    pub(crate) fn stand_in_directory(&mut self, target: &Path) -> io::Result<()> {
        self.make(target, |root| files::ensure_directory(root, target, 0o755).map(drop))
    }

    /// Has `make` make `path` where it does not exist, and notes that it is to be removed in the end, and so are the
    /// folders it is in, as far as these do not exist either.
    fn make(&mut self, path: &Path, make: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut missing = Vec::new();
        for path in path.ancestors() {
            match self.exists(path)? {
                true => break,
                false => missing.push(Undo::Remove(path.to_path_buf())),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let made = make(self.root);
        // After any other failure some of the folders may have been made.
        if !made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem) {
            self.undo.extend(missing.into_iter().rev());
        }
        made
    }

    /// Whether the folder that `path` is in, or would be made in, is the host's: its files are not to be moved, and none is
    /// to be made there.
    pub(crate) fn is_hosts(&self, path: &Path) -> io::Result<bool> {
        for folder in path.ancestors().skip(1) {
            match files::open(self.root, folder, OFlags::PATH) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                place => return Ok(self.hosts.contains(&mount_id(place?.as_fd())?)),
            }
        }
        Ok(false)
    }

    /// Whether it is the file at `path` itself that is shown there of the host, by a bind of its own.
    pub(crate) fn is_shown(&self, path: &Path) -> io::Result<bool> {
        // To look would be to follow a link, whose times tell of it.
        if self.hosts.is_empty() || self.is_hosts(path)? {
            return Ok(false);
        }
        match files::open(self.root, path, OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            place => Ok(self.hosts.contains(&mount_id(place?.as_fd())?)),
        }
    }

    /// Whether there is something at `path`, be it a link into nothing.
    pub(crate) fn exists(&self, path: &Path) -> io::Result<bool> {
        match files::open(self.root, path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Asked by Debian's tools before they start, stop or restart a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// Those tools; an image that lacks this one needs no answer.
const ASKER: &str = "/usr/sbin/invoke-rc.d";
/// 101 is "action forbidden" in Debian's `invoke-rc.d` interface. The comment tells what a killed run has left.
const FORBIDDEN: &[u8] = b"#!/bin/sh\n# arm-image: not while the image is mounted\nexit 101\n";
/// The image's own waits under this name beside it.
const PARKED: &str = ".arm-image-policy-rc.d";

/// Whether the file at `path` is [`FORBIDDEN`]; not if there is none.
fn is_forbidden(root: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let mut content = Vec::new();
    match files::open_file(root, path) {
        // It is something else, or nothing at all.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            return Ok(false);
        }
        file => io::copy(&mut file?.take(FORBIDDEN.len() as u64 + 1), &mut content)?,
    };
    Ok(content == FORBIDDEN)
}

fn retract(root: BorrowedFd<'_>, original: Option<&Path>, path: &Path) -> io::Result<()> {
    match (is_forbidden(root, path)?, original) {
        (true, Some(original)) => files::rename(root, original, path),
        (true, None) => files::remove(root, path),
        (false, Some(original)) => files::remove(root, original),
        (false, None) => Ok(()),
    }
}

impl Change<'_> {
    /// Puts back what a killed run has left in the way.
    pub(crate) fn heal(&self) -> Result<(), Error> {
        heal(self.root).map_err(|source| Error::Cover { path: "/etc".into(), source })?;
        match files::follow(self.root, Path::new(POLICY)).and_then(|path| self.allow(&path)) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            done => done.map_err(|source| Error::Cover { path: POLICY.into(), source }),
        }
    }

    fn allow(&self, path: &Path) -> io::Result<()> {
        let parked = path.with_file_name(PARKED);
        // The image's own, or what stood in for nothing.
        if waiting(self.root, &parked)?.is_some() {
            files::rename(self.root, &parked, path)
        } else if is_forbidden(self.root, path)? {
            files::remove(self.root, path)
        } else {
            Ok(())
        }
    }

    /// Keeps packages that are installed or removed from starting and stopping services.
    ///
    /// This is a file and no cover: scripts that do the same themselves write one and remove it. In a folder of the host it
    /// is a cover, and where that has no such file, there is none.
    pub(crate) fn forbid_services(&mut self) -> Result<(), Error> {
        // Followed, as the folder is a link in many images, and so may the program be.
        if files::open(self.root, Path::new(ASKER), OFlags::PATH).is_err() {
            return Ok(());
        }
        match files::follow(self.root, Path::new(POLICY)).and_then(|path| self.forbid(path)) {
            // Nothing can be installed there.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            done => done.map_err(|source| Error::Cover { path: POLICY.into(), source }),
        }
    }

    fn forbid(&mut self, path: PathBuf) -> io::Result<()> {
        if self.is_hosts(&path)? {
            return self.cover(&path, FORBIDDEN, 0o755);
        }
        let parked = path.with_file_name(PARKED);
        let own = self.exists(&path)?;
        if own {
            match files::rename_to_new(self.root, &path, &parked) {
                // Something that is not ours has the name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return self.cover(&path, FORBIDDEN, 0o755);
                }
                parked => parked?,
            }
        }
        if let Some(folder) = path.parent() {
            // A link may lead to where there is none.
            self.stand_in_directory(folder)?;
        }
        let made = files::create(self.root, &path, Node::File(&mut &FORBIDDEN[..]), 0o755);
        if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            if own {
                files::rename(self.root, &parked, &path)?;
            }
            // The content has no room; a name to lie on may have.
            return self.cover(&path, FORBIDDEN, 0o755);
        }
        self.undo.push(Undo::Retract { original: own.then_some(parked), path });
        made
    }

    /// Keeps programs from loading what is made for the board's own processor, as in Raspberry Pi OS for armhf.
    pub(crate) fn forget_preload(&mut self) -> Result<(), Error> {
        let done = files::follow(self.root, Path::new(PRELOAD.path))
            .and_then(|target| if self.exists(&target)? { self.stand(PRELOAD, b"") } else { Ok(()) });
        done.map_err(|source| Error::Cover { path: PRELOAD.path.into(), source })
    }
}
