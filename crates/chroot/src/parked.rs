//! Files of the image that wait beside their place while something else stands there, and how they come back.
//!
//! What stands there is an ordinary file and no mount point: programs can remove and replace it. A run that is killed leaves
//! it so; the next one puts everything back first.

use crate::cover::{Change, Undo};
use crate::{Node, files};
use rustix::fs::{FileType, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A place, and the name beside it under which the image's own waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: &'static str,
    parked: &'static str,
}

pub(crate) const RESOLV_CONF: Place =
    Place { path: "/etc/resolv.conf", parked: "/etc/.arm-image-resolv.conf" };
/// The libraries that every program loads first.
pub(crate) const PRELOAD: Place =
    Place { path: "/etc/ld.so.preload", parked: "/etc/.arm-image-ld.so.preload" };

/// The target of the link that waits where the image has no such file.
const NONE: &str = "arm-image: none";

impl Place {
    fn paths(&self) -> (&Path, &Path) {
        (Path::new(self.path), Path::new(self.parked))
    }

    /// Puts the image's own out of the way.
    pub(crate) fn park(&self, root: BorrowedFd<'_>) -> io::Result<()> {
        let (path, parked) = self.paths();
        let place = match files::open(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return files::create(root, parked, Node::Link(Path::new(NONE)), 0);
            }
            place => place?,
        };
        // It could not be told from one that somebody else has called so, and nothing can lie on top of it.
        if is_folder(place.as_fd())? {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        files::rename_to_new(root, path, parked)
    }

    /// Puts it back in the place of whatever stands there; nothing happens if nothing waits.
    pub(crate) fn put_back(&self, root: BorrowedFd<'_>) -> io::Result<()> {
        let (path, parked) = self.paths();
        let Some(place) = waiting(root, parked)? else { return Ok(()) };
        if is_none(place.as_fd())? {
            found(files::remove(root, path))?;
            files::remove(root, parked)
        } else {
            files::rename(root, parked, path)
        }
    }

    /// Puts it back, unless a program of the image has put something in the place of the file `made`, or nothing.
    pub(crate) fn reclaim(&self, root: BorrowedFd<'_>, made: BorrowedFd<'_>) -> io::Result<()> {
        let (path, parked) = self.paths();
        let made = rustix::fs::fstat(made)?;
        let stands = match files::open(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            place => Some(rustix::fs::fstat(place?)?),
        };
        match stands.is_some_and(|stat| (stat.st_dev, stat.st_ino) == (made.st_dev, made.st_ino)) {
            true => self.put_back(root),
            false => found(files::remove(root, parked)),
        }
    }
}

/// What waits at `parked`, as a place. A folder was never put there.
pub(crate) fn waiting(root: BorrowedFd<'_>, parked: &Path) -> io::Result<Option<OwnedFd>> {
    let place = match files::open(root, parked, OFlags::PATH | OFlags::NOFOLLOW) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        place => place?,
    };
    Ok((!is_folder(place.as_fd())?).then_some(place))
}

fn is_folder(place: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(place)?.st_mode) == FileType::Directory)
}

/// Whether the link [`NONE`] is at this place.
fn is_none(place: BorrowedFd<'_>) -> io::Result<bool> {
    let stat = rustix::fs::fstat(place)?;
    // The image's own is not read in vain: that would be seen in its times.
    let may_be = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
        && usize::try_from(stat.st_size).is_ok_and(|length| length == NONE.len());
    Ok(may_be && rustix::fs::readlinkat(place, "", Vec::new())?.as_bytes() == NONE.as_bytes())
}

/// That it was not there is as good.
fn found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Puts back what a killed run has left in the way. What cannot be changed was not changed by it either.
pub(crate) fn heal(root: BorrowedFd<'_>) -> io::Result<()> {
    for place in [RESOLV_CONF, PRELOAD] {
        match place.put_back(root) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            result => result?,
        }
    }
    Ok(())
}

impl Change<'_> {
    /// Has a file with this content stand at `place` until the end.
    ///
    /// Behind a link, in a folder of the host, and where the image cannot be changed, it only lies on top of what is there.
    pub(crate) fn stand(&mut self, place: Place, content: &[u8]) -> io::Result<()> {
        let path = files::follow(self.root, Path::new(place.path))?;
        if path == Path::new(place.path) && !self.is_hosts(&path)? && self.try_stand(place, content).is_ok() {
            return Ok(());
        }
        self.cover(&path, content, 0o644)
    }

    fn try_stand(&mut self, place: Place, content: &[u8]) -> io::Result<()> {
        place.park(self.root)?;
        let path = Path::new(place.path);
        let made = files::create(self.root, path, Node::File(&mut &content[..]), 0o644)
            .and_then(|()| files::open(self.root, path, OFlags::PATH | OFlags::NOFOLLOW));
        match made {
            Ok(made) => {
                // Held, so that no other file gets its number.
                self.undo.push(Undo::Reclaim { place, made });
                Ok(())
            }
            Err(error) => place.put_back(self.root).and(Err(error)),
        }
    }
}
