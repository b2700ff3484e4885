//! Files of a tree that is not trusted: no link, absolute or with `..`, leads out of it.
//!
//! Every lookup goes through `openat2` with `RESOLVE_IN_ROOT`; what is then made or removed is a
//! single name in a directory that is already open.

use crate::{Entry, EntryKind, Node};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A new file grows under this name, in the folder it is meant for, and is then renamed.
const UNFINISHED: &str = ".arm-image-unfinished";

/// As many links as the kernel itself follows in one path (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// Opens `path`, absolute or relative to the root, links followed inside the root.
pub(crate) fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
    // openat2 answers EAGAIN when anything on the machine was renamed or mounted while it walked a
    // `..`, because it can then not be sure that it stayed inside. That passes; try again, but not for ever.
    let mut attempts = 0;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT) {
            Err(Errno::AGAIN) if attempts < 1000 => attempts += 1,
            result => return Ok(result?),
        }
    }
}

/// Opens a regular file for reading, and nothing else: opening the node of a device may already do something.
pub(crate) fn open_file(root: BorrowedFd<'_>, path: &Path) -> io::Result<File> {
    let place = open(root, path, OFlags::PATH)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // What is only a place has a path under /proc, by which nothing else can be found.
    File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))
}

/// Opens the image's `/dev/null` for reading, if it still is one: for a named pipe in its place this would wait for ever.
pub(crate) fn open_null(root: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let null = open(root, Path::new("/dev/null"), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let stat = rustix::fs::fstat(&null)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_device || stat.st_rdev != rustix::fs::makedev(1, 3) {
        return Err(io::Error::other("a program of the image has put something else there"));
    }
    // The program that reads from it finds it as usual.
    rustix::fs::fcntl_setfl(&null, OFlags::empty())?;
    Ok(null)
}

/// The directory a path's last name stands in, and that name.
pub(crate) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a name")),
    }
}

/// Opens a directory as a place (`O_PATH`), making it with `mode` and its parents with 0755 where missing.
pub(crate) fn ensure_directory(root: BorrowedFd<'_>, path: &Path, mode: u32) -> io::Result<OwnedFd> {
    match open(root, path, OFlags::PATH | OFlags::DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    // A link into nothing: what it points to is what is missing.
    let path = &follow(root, path)?;
    let (parent, name) = split(path)?;
    let parent = ensure_directory(root, parent, 0o755)?;
    rustix::fs::mkdirat(&parent, name, Mode::RWXU)?;
    let new = rustix::fs::openat(
        &parent,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    own(new.as_fd(), mode)?;
    open(root, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// Gives a new file to root with exactly `mode`, whatever the umask or a setgid parent made of it.
fn own(file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    rustix::fs::fchown(file, Some(Uid::ROOT), Some(Gid::ROOT))?;
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o7777))?)
}

/// The path that `path` stands for once a link at its end has been followed, even into nothing.
pub(crate) fn follow(root: BorrowedFd<'_>, path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let (parent, name) = split(&path)?;
        let directory = match open(root, parent, OFlags::PATH | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            directory => directory?,
        };
        match rustix::fs::readlinkat(&directory, name, Vec::new()) {
            // Joined as text, not simplified: the kernel must see the `..` after the links before it.
            Ok(target) => path = parent.join(OsString::from_vec(target.into_bytes())),
            Err(Errno::INVAL | Errno::NOENT) => return Ok(path),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::LOOP.into())
}

/// Makes a directory, file or link; see [`ChrootRunner::create`](crate::ChrootRunner::create).
pub(crate) fn create(root: BorrowedFd<'_>, path: &Path, node: Node<'_>, mode: u32) -> io::Result<()> {
    match node {
        Node::Directory => ensure_directory(root, path, mode).map(drop),
        Node::File(content) => {
            let path = follow(root, path)?;
            replace_by_file(root, &path, content, mode)
        }
        Node::Link(target) => {
            replace(root, path, |directory| Ok(rustix::fs::symlinkat(target, directory, UNFINISHED)?))
        }
    }
}

/// Puts a file in the place of what is called `path`, be it a link.
fn replace_by_file(root: BorrowedFd<'_>, path: &Path, content: &mut dyn Read, mode: u32) -> io::Result<()> {
    replace(root, path, |directory| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(directory, UNFINISHED, flags, Mode::RUSR | Mode::WUSR)?);
        io::copy(content, &mut file)?;
        own(file.as_fd(), mode)
    })
}

/// Has `make` produce [`UNFINISHED`] in the folder of `path`, then puts it in the place of `path`.
fn replace(
    root: BorrowedFd<'_>,
    path: &Path,
    make: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let (parent, name) = split(path)?;
    let parent = ensure_directory(root, parent, 0o755)?;
    // A killed run may have left one; nobody else writes here meanwhile.
    match rustix::fs::unlinkat(&parent, UNFINISHED, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let made =
        make(parent.as_fd()).and_then(|()| Ok(rustix::fs::renameat(&parent, UNFINISHED, &parent, name)?));
    if made.is_err() {
        // The first error is the one to tell; an unfinished file is harmless and goes with the next one.
        let _ = rustix::fs::unlinkat(&parent, UNFINISHED, AtFlags::empty());
    }
    made
}

/// Has a file of this name and content be in `directory`, for all to read, whatever has the name so far.
pub(crate) fn keep(directory: BorrowedFd<'_>, name: &str, content: &[u8]) -> io::Result<()> {
    // What is right already stays: there may be no room for another.
    if holds(directory, name, content).unwrap_or(false) {
        return Ok(());
    }
    // A link is replaced, not followed: it may be a program of the image that has put it there.
    replace_by_file(directory, Path::new(name), &mut &content[..], 0o644)
}

fn holds(directory: BorrowedFd<'_>, name: &str, content: &[u8]) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() || found.mode() & 0o7777 != 0o644 || found.len() != content.len() as u64 {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    file.take(found.len()).read_to_end(&mut bytes)?;
    Ok(bytes == content)
}

/// Writes the content of a regular file to `into`.
pub(crate) fn read(root: BorrowedFd<'_>, path: &Path, into: &mut dyn Write) -> io::Result<()> {
    io::copy(&mut open_file(root, path)?, into).map(drop)
}

/// Whether `path` is a directory, links followed; no if there is nothing.
pub(crate) fn is_directory(root: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    match open(root, path, OFlags::PATH | OFlags::DIRECTORY) {
        Ok(_) => Ok(true),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            _ => Err(error),
        },
    }
}

/// Lists a directory; see [`ChrootRunner::list`](crate::ChrootRunner::list).
pub(crate) fn list(root: BorrowedFd<'_>, path: &Path) -> io::Result<Vec<Entry>> {
    let directory = open(root, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut entries = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => EntryKind::Directory,
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&directory, name, Vec::new())?;
                EntryKind::Link(OsString::from_vec(target.into_bytes()).into())
            }
            _ => EntryKind::Special,
        };
        let name = OsString::from_vec(name.to_bytes().to_vec());
        entries.push(Entry { name, kind, mode: stat.st_mode & 0o7777 });
    }
    Ok(entries)
}

/// Changes the owner; see [`ChrootRunner::own`](crate::ChrootRunner::own).
pub(crate) fn give(root: BorrowedFd<'_>, path: &Path, user: u32, group: u32) -> io::Result<()> {
    let place = open(root, path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = rustix::fs::fstat(&place)?;
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    rustix::fs::chownat(&place, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Ok(());
    }
    // The kernel has taken setuid and setgid away. What is only a place has no fchmod, but a path under /proc.
    let place = format!("/proc/self/fd/{}", place.as_raw_fd());
    Ok(rustix::fs::chmod(place, Mode::from_raw_mode(stat.st_mode & 0o7777))?)
}

/// Gives whatever is called `from` (of a link, not what it points to) another name, in the place of the file that had it.
pub(crate) fn rename(root: BorrowedFd<'_>, from: &Path, to: &Path) -> io::Result<()> {
    rename_with(root, from, to, RenameFlags::empty())
}

/// The same, but only if nothing has that name.
pub(crate) fn rename_to_new(root: BorrowedFd<'_>, from: &Path, to: &Path) -> io::Result<()> {
    rename_with(root, from, to, RenameFlags::NOREPLACE)
}

fn rename_with(root: BorrowedFd<'_>, from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
    let place = |path| {
        let (parent, name) = split(path)?;
        io::Result::Ok((open(root, parent, OFlags::PATH | OFlags::DIRECTORY)?, name))
    };
    let ((from, old), (to, new)) = (place(from)?, place(to)?);
    Ok(rustix::fs::renameat_with(from, old, to, new, flags)?)
}

/// Removes a file, a link (not what it points to) or an empty directory.
pub(crate) fn remove(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let (parent, name) = split(path)?;
    let parent = open(root, parent, OFlags::PATH | OFlags::DIRECTORY)?;
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => Ok(rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?),
        result => Ok(result?),
    }
}

#[cfg(test)]
#[path = "files/tests.rs"]
mod tests;
