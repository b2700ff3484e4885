//! Files and trees of the host, copied into the image.

use super::Provisioner;
use crate::{ChrootRunner, Error, Node, Output, OutputTick};
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Copies a file or a directory tree from the host into the image.
///
/// It goes by the rules of `cp -r`: if `to` is a directory, or ends in a slash, the source is put into it
/// under its own name; a source that ends in `/.` stands for the content of the directory. Permission bits
/// are kept, the owner is root. Symbolic links are copied as links, except for `from` itself; device nodes,
/// sockets and pipes are an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// On the host.
    pub from: PathBuf,
    /// In the image.
    pub to: PathBuf,
}

impl Provisioner for Copy {
    fn describe(&self) -> String {
        format!("copy {} to {}", self.from.display(), self.to.display())
    }

    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        let from = self.from.as_os_str().as_bytes();
        let content_only = from == b"." || from.ends_with(b"/.");
        let into = self.to.as_os_str().as_bytes().ends_with(b"/") || root.is_directory(&self.to)?;
        let to = match self.from.file_name() {
            Some(name) if into && !content_only => self.to.join(name),
            _ => self.to.clone(),
        };
        let metadata = fs::metadata(&self.from).map_err(unreadable(&self.from))?;
        Copying { root, tick, mode: None, owner: None }.copy(&self.from, &metadata, &to)
    }
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Source { path: path.into(), source }
}

/// A tree on its way from the host into the image.
pub(super) struct Copying<'a> {
    pub(super) root: &'a mut dyn ChrootRunner,
    pub(super) tick: OutputTick<'a>,
    /// The permission bits of files, instead of their own.
    pub(super) mode: Option<u32>,
    /// The user and group that what is made is given to, instead of root.
    pub(super) owner: Option<(u32, u32)>,
}

impl Copying<'_> {
    pub(super) fn copy(&mut self, from: &Path, metadata: &fs::Metadata, to: &Path) -> Result<(), Error> {
        if (self.tick)(Output::Waiting).is_break() {
            return Err(Error::Cancelled);
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(from).map_err(unreadable(from))?;
            self.root.create(to, Node::Link(&target), mode)?;
            self.own(to)
        } else if kind.is_dir() {
            // One that is there belongs to the image.
            if !self.root.is_directory(to)? {
                self.root.create(to, Node::Directory, mode)?;
                self.own(to)?;
            }
            let mut names = fs::read_dir(from)
                .and_then(|entries| {
                    entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
                })
                .map_err(unreadable(from))?;
            // In the same order each time, so that the same build gives the same image.
            names.sort();
            for name in names {
                let from = from.join(&name);
                let metadata = fs::symlink_metadata(&from).map_err(unreadable(&from))?;
                self.copy(&from, &metadata, &to.join(&name))?;
            }
            Ok(())
        } else if kind.is_file() {
            let file = File::open(from).map_err(unreadable(from))?;
            let mut content = Ticking { file, tick: self.tick, cancelled: false, failed: None };
            let created = self.root.create(to, Node::File(&mut content), self.mode.unwrap_or(mode));
            match (content.cancelled, content.failed) {
                (true, _) => return Err(Error::Cancelled),
                (_, Some(source)) => return Err(unreadable(from)(source)),
                _ => created?,
            }
            self.own(to)
        } else {
            Err(Error::Special { path: from.into() })
        }
    }

    fn own(&mut self, path: &Path) -> Result<(), Error> {
        match self.owner {
            Some((user, group)) => self.root.own(path, user, group),
            None => Ok(()),
        }
    }
}

/// A file that ticks as it is read, and keeps what went wrong on the reading side.
struct Ticking<'a> {
    file: File,
    tick: OutputTick<'a>,
    cancelled: bool,
    failed: Option<io::Error>,
}

impl Read for Ticking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let ControlFlow::Break(()) = (self.tick)(Output::Waiting) {
            self.cancelled = true;
            return Err(io::Error::other("cancelled"));
        }
        match self.file.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.failed = Some(error);
                Err(io::Error::other("the source cannot be read"))
            }
            result => result,
        }
    }
}
