//! Name servers for programs in the image.

use crate::device::{attach, bound};
use crate::{Error, Node, Options, files};
use rustix::fs::OFlags;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// What happens to the image's `/etc/resolv.conf`, so that programs in it can look names up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResolvConf {
    /// Nothing.
    Off,
    /// The host's content is written into the image, as a regular file that stays.
    CopyHost,
    /// The host's content covers the image's file while it is mounted, and the image's own stays as it is.
    ///
    /// What a program writes there is lost. Where the image has no such file, an empty one stands in
    /// until [`Root::close`](crate::Root::close).
    #[default]
    BindHost,
    /// The image's file or link is removed.
    Delete,
}

const PATH: &str = "/etc/resolv.conf";

/// The content is made under this name in the private `/run`, then only bound.
const CONTENT: &str = ".arm-image-resolv.conf";

/// Does as `options` say in the mounted tree `root`, whose `/run` is the private tmpfs `run`.
///
/// Hands back the file that was made in the image only to be covered, to be removed in the end.
pub(crate) fn set_up(
    options: &Options,
    root: BorrowedFd<'_>,
    run: BorrowedFd<'_>,
) -> Result<Option<PathBuf>, Error> {
    let source = &options.resolv_conf_source;
    let read =
        || fs::read(source).map_err(|cause| Error::ResolvConfSource { path: source.clone(), source: cause });
    let in_image = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::ResolvConf { path, source }
    };
    let path = Path::new(PATH);
    match options.resolv_conf {
        ResolvConf::Off => Ok(None),
        ResolvConf::Delete => match files::remove(root, path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(in_image(path)(error)),
            _ => Ok(None),
        },
        ResolvConf::CopyHost => {
            let content = read()?;
            // A link goes first: behind it lies a place that only the running system makes.
            match files::remove(root, path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(in_image(path)(error)),
                _ => {}
            }
            files::create(root, path, Node::File(&mut content.as_slice()), 0o644).map_err(in_image(path))?;
            Ok(None)
        }
        ResolvConf::BindHost => {
            let content = read()?;
            let target = files::follow(root, path).map_err(in_image(path))?;
            cover(root, run, &target, &content).map_err(in_image(&target))
        }
    }
}

fn cover(
    root: BorrowedFd<'_>,
    run: BorrowedFd<'_>,
    target: &Path,
    content: &[u8],
) -> io::Result<Option<PathBuf>> {
    let place = OFlags::PATH | OFlags::NOFOLLOW;
    let missing = match files::open(root, target, place) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    if missing {
        files::create(root, target, Node::File(&mut io::empty()), 0o644)?;
    }
    // A private copy and not the host's file itself: a program in the image may write to it.
    files::create(run, Path::new(CONTENT), Node::File(&mut &content[..]), 0o644)?;
    let copy = bound(run, CONTENT)?;
    let place = files::open(root, target, place)?;
    let on_image = device_of(&place)? != device_of(run)?;
    attach(copy.as_fd(), place.as_fd())?;
    // Not before: the kernel attaches nothing whose name is gone. The bind stays without it.
    files::remove(run, Path::new(CONTENT))?;
    Ok((missing && on_image).then(|| target.to_path_buf()))
}

fn device_of(file: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(file)?.st_dev)
}

/// Removes the stand-in that [`set_up`] made.
///
/// This is asked for from outside the namespace, where the name is no mount point; the kernel then takes
/// the bind away with it (since Linux 3.18).
pub(crate) fn remove_stand_in(root: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
    match files::remove(root, path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::ResolvConf { path: path.into(), source })
        }
        _ => Ok(()),
    }
}
