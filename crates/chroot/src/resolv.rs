//! Name servers for programs in the image.

use crate::cover::{Change, Undo};
use crate::{Builder, Error, Node, files};
use std::fs;
use std::io;
use std::path::Path;

/// What happens to the image's `/etc/resolv.conf`, so that programs in it can look names up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResolvConf {
    /// Nothing.
    Off,
    /// The host's content is written into the image, as a regular file.
    ///
    /// It stays, unless [`Builder::restore_resolv_conf`] is asked for.
    CopyHost,
    /// The host's content covers the image's file while it is mounted, and the image's own stays as it is.
    ///
    /// What a program writes there is lost. Where the image has no such file, an empty one stands in
    /// until [`Root::close`](crate::Root::close).
    #[default]
    BindHost,
    /// The image's file or link is removed; [`Builder::restore_resolv_conf`] brings it back.
    Delete,
}

const PATH: &str = "/etc/resolv.conf";

/// The image's own file or link waits here, the same inode, until it is put back.
const PARKED: &str = "/etc/.arm-image-resolv.conf";

/// Does as `builder` says in a mounted tree.
pub(crate) fn set_up(builder: &Builder, change: &mut Change<'_>) -> Result<(), Error> {
    let source = &builder.resolv_conf_source;
    let read =
        || fs::read(source).map_err(|cause| Error::ResolvConfSource { path: source.clone(), source: cause });
    let path = Path::new(PATH);
    let done = match builder.resolv_conf {
        ResolvConf::Off => Ok(()),
        ResolvConf::Delete => take_away(builder.restore_resolv_conf, change),
        ResolvConf::CopyHost => {
            let content = read()?;
            // A link goes first: behind it lies a place that only the running system makes.
            take_away(builder.restore_resolv_conf, change)
                .and_then(|()| files::create(change.root, path, Node::File(&mut content.as_slice()), 0o644))
        }
        ResolvConf::BindHost => {
            let content = read()?;
            files::follow(change.root, path).and_then(|target| change.cover(&target, &content, 0o644))
        }
    };
    done.map_err(|source| Error::ResolvConf { path: path.into(), source })
}

/// Removes the image's own, or keeps it aside.
fn take_away(restore: bool, change: &mut Change<'_>) -> io::Result<()> {
    let (path, parked) = (Path::new(PATH), Path::new(PARKED));
    let found = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        result => result.map(|()| true),
    };
    // One that waits already is the image's own, from a run that was killed; what is in its place is not.
    if change.exists(parked)? {
        found(files::rename(change.root, parked, path))?;
    }
    if !restore {
        return found(files::remove(change.root, path)).map(drop);
    }
    let exists = found(files::rename(change.root, path, parked))?;
    change.undo.push(Undo::PutBack { original: exists.then(|| parked.into()), path: path.into() });
    Ok(())
}
