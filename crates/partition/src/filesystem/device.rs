//! Growing the file system on a device that is not mounted anywhere, in the quickest way that works.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use super::{Kind, grow_mounted, grow_unmounted};
use crate::Error;

/// Grows the file system on `device` to `size` bytes; takes the right to mount.
///
/// The kernel does it in milliseconds on a mount that is attached nowhere, so that no mount table shows it and closing it
/// is the unmounting (fsmount(2), Linux 5.2). Where it refuses, e2fsck and resize2fs do for the ext family.
///
/// # Errors
/// [`Error::CannotGrow`] for kinds other than ext, btrfs and xfs; [`Error::Mount`] and [`Error::GrowMounted`] with what the
/// kernel said, or what [`grow_unmounted`] reports.
pub fn grow_device(device: &Path, kind: Kind, size: u64) -> Result<(), Error> {
    if !kind.can_grow() {
        return Err(Error::CannotGrow { kind });
    }
    let online = mount_detached(device, kind)
        .map_err(|source| Error::Mount { device: device.to_owned(), kind, source })
        .and_then(|root| grow_mounted(&File::from(root), kind, size).map(drop));
    match online {
        Err(refused) if kind.is_ext() => match grow_unmounted(device, kind) {
            // Without the tools there was only one way, and why it failed is what counts.
            Err(Error::Run { .. }) => Err(refused),
            other => other,
        },
        other => other,
    }
}

/// The root folder of the file system, mounted for as long as it is open.
fn mount_detached(device: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let context = fsopen(kind.to_string(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", device)?;
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(openat(&mount, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
