//! Files and trees of the image, copied to the host.

use super::Provisioner;
use super::unfinished::Unfinished;
use super::upload::ends_in_slash;
use crate::{ChrootRunner, Entry, EntryKind, Error, Output, OutputTick};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

/// Copies a file or a directory tree from the image to the host.
///
/// It goes by the rules of [`Upload`](crate::Upload), the other way round. Missing folders are made. Files keep the
/// permission bits 0777 and belong to whoever runs this. Links are copied as links, whatever they lead to here, and
/// none is followed on the host; device nodes, sockets and pipes are an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// In the image.
    pub from: PathBuf,
    /// On the host.
    pub to: PathBuf,
}

impl Provisioner for Download {
    fn describe(&self) -> String {
        format!("download {} to {}", self.from.display(), self.to.display())
    }

    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        let tree = root.is_directory(&self.from)?;
        let into = match tree {
            true => !ends_in_slash(&self.from),
            false => ends_in_slash(&self.to) || self.to.is_dir(),
        };
        let to = match self.from.file_name() {
            Some(name) if into => self.to.join(name),
            _ => self.to.clone(),
        };
        if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(unwritable(parent))?;
        }
        match tree {
            true => directory(&self.from, &to, root, tick),
            false => file(&self.from, &to, 0o666, root, tick),
        }
    }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Destination { path: path.into(), source }
}

fn directory(from: &Path, to: &Path, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
    if tick(Output::Waiting).is_break() {
        return Err(Error::Cancelled);
    }
    match fs::create_dir(to) {
        // Not through a link: an image may have brought it with an earlier download.
        Err(_) if fs::symlink_metadata(to).is_ok_and(|there| there.is_dir()) => {}
        made => made.map_err(unwritable(to))?,
    }
    let mut entries = root.list(from)?;
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    for Entry { name, kind, mode } in entries {
        // The far end of a pipe may say anything.
        let mut parts = Path::new(&name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name) {
            return Err(Error::Special { path: from.join(name) });
        }
        let (from, to) = (from.join(&name), to.join(&name));
        match kind {
            EntryKind::Directory => directory(&from, &to, root, tick)?,
            EntryKind::File => file(&from, &to, mode & 0o777, root, tick)?,
            EntryKind::Link(target) => {
                clear(&to)?;
                symlink(target, &to).map_err(unwritable(&to))?;
            }
            EntryKind::Special => return Err(Error::Special { path: from }),
        }
    }
    Ok(())
}

/// Removes the file or link that stands in the way.
fn clear(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(path)(error)),
        _ => Ok(()),
    }
}

/// Makes a new file of mode `mode`, less the umask, and none at all if it cannot be filled: what was there before stays
/// until all of the new one is.
fn file(
    from: &Path,
    to: &Path,
    mode: u32,
    root: &mut dyn ChrootRunner,
    tick: OutputTick<'_>,
) -> Result<(), Error> {
    let made = Unfinished::new(to, mode).map_err(unwritable(to))?;
    let mut content = Ticking { file: made.file(), tick, cancelled: false, failed: None };
    let read = root.read(from, &mut content);
    match (content.cancelled, content.failed) {
        (true, _) => Err(Error::Cancelled),
        (_, Some(source)) => Err(unwritable(to)(source)),
        _ => read.and_then(|()| made.finish(to).map_err(unwritable(to))),
    }
}

/// A file that ticks as it is written, and keeps what went wrong on the writing side.
struct Ticking<'a> {
    file: &'a File,
    tick: OutputTick<'a>,
    cancelled: bool,
    failed: Option<io::Error>,
}

impl Write for Ticking<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if (self.tick)(Output::Waiting).is_break() {
            self.cancelled = true;
            return Err(io::Error::other("cancelled"));
        }
        match self.file.write(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.failed = Some(error);
                Err(io::Error::other("the destination cannot be written"))
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
