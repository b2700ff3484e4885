//! What goes into the image by the rules of Packer's file provisioner.

use super::copy::{Copying, unreadable};
use super::{Owner, Provisioner};
use crate::{ChrootRunner, Error, Node, OutputTick};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What an [`Upload`] puts into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the host; a link is followed.
    Path(PathBuf),
    /// A file with this content.
    Content(Vec<u8>),
}

/// Puts a file or a directory tree into the image, with the mode and owner that are asked for.
///
/// A directory is made inside `to` under its own name, unless a slash ends its name: then `to` gets what is in it.
/// A file is called `to`, unless that ends in a slash or is a directory: then it is made in there under its own
/// name. What stands there is replaced, but for directories, which stay as they are. Links inside are copied as
/// links; device nodes, sockets and pipes are an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What.
    pub from: Source,
    /// In the image.
    pub to: PathBuf,
    /// The permission bits of files (0 to 0o7777), instead of those on the host, or of 0644 for content.
    pub mode: Option<u32>,
    /// Whom all that is made belongs to, instead of root; missing folders above it are root's nevertheless.
    pub owner: Option<Owner>,
}

pub(super) fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

impl Provisioner for Upload {
    fn describe(&self) -> String {
        match &self.from {
            Source::Path(from) => format!("upload {} to {}", from.display(), self.to.display()),
            Source::Content(_) => format!("write {}", self.to.display()),
        }
    }

    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        let owner = self.owner.as_ref().map(|owner| owner.numbers(root)).transpose()?;
        let from = match &self.from {
            Source::Path(from) => from,
            Source::Content(content) => {
                root.create(&self.to, Node::File(&mut content.as_slice()), self.mode.unwrap_or(0o644))?;
                return owner.map_or(Ok(()), |(user, group)| root.own(&self.to, user, group));
            }
        };
        let metadata = fs::metadata(from).map_err(unreadable(from))?;
        let into = match metadata.is_dir() {
            true => !ends_in_slash(from),
            false => ends_in_slash(&self.to) || root.is_directory(&self.to)?,
        };
        let to = match from.file_name() {
            Some(name) if into => self.to.join(name),
            _ => self.to.clone(),
        };
        Copying { root, tick, mode: self.mode, owner }.copy(from, &metadata, &to)
    }
}
