//! Name servers for programs in the image.

use crate::cover::{Change, Undo};
use crate::parked::RESOLV_CONF;
use crate::{Builder, Error, Node, files};
use std::fs;
use std::io;
use std::path::Path;

/// What happens to the image's `/etc/resolv.conf`, so that programs in it can look names up.
///
/// Where a [`Bind`](crate::Bind) shows a folder of the host as its `/etc`, no file there is changed: the content lies on top of
/// the one that is there, if any. Where one shows a file as the `/etc/resolv.conf` itself, it is that file, whatever the mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResolvConf {
    /// Nothing.
    Off,
    /// The host's content is written into the image, as a regular file.
    ///
    /// It stays, unless [`Builder::restore_resolv_conf`] is asked for.
    CopyHost,
    /// A file with the host's content stands in the place of the image's own, which comes back in the end as it was.
    ///
    /// What a program writes to it is lost; what a program puts in its place stays, and the image's own goes then. Where
    /// the image has a link, or is read-only, the content only lies on top of the file that is there or led to.
    #[default]
    BindHost,
    /// The image's file or link is removed; [`Builder::restore_resolv_conf`] brings it back.
    Delete,
}

/// Does as `builder` says in a mounted tree.
pub(crate) fn set_up(builder: &Builder, change: &mut Change<'_>) -> Result<(), Error> {
    let source = &builder.resolv_conf_source;
    let read =
        || fs::read(source).map_err(|cause| Error::ResolvConfSource { path: source.clone(), source: cause });
    let path = Path::new(RESOLV_CONF.path);
    let failed = |source| Error::ResolvConf { path: path.into(), source };
    // Who shows a file there has said what it is to be.
    if change.is_shown(path).map_err(failed)? {
        return Ok(());
    }
    let hosts = change.is_hosts(path).map_err(failed)?;
    let done = match builder.resolv_conf {
        ResolvConf::Off => Ok(()),
        ResolvConf::Delete if hosts => Ok(()),
        ResolvConf::Delete => take_away(builder.restore_resolv_conf, change),
        ResolvConf::CopyHost if !hosts => {
            let content = read()?;
            // A link goes first: behind it lies a place that only the running system makes.
            take_away(builder.restore_resolv_conf, change)
                .and_then(|()| files::create(change.root, path, Node::File(&mut content.as_slice()), 0o644))
        }
        ResolvConf::CopyHost | ResolvConf::BindHost => {
            let content = read()?;
            change.stand(RESOLV_CONF, &content)
        }
    };
    done.map_err(failed)
}

/// Removes the image's own, or keeps it aside.
fn take_away(restore: bool, change: &mut Change<'_>) -> io::Result<()> {
    if restore {
        RESOLV_CONF.park(change.root)?;
        change.undo.push(Undo::PutBack(RESOLV_CONF));
        return Ok(());
    }
    match files::remove(change.root, Path::new(RESOLV_CONF.path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
