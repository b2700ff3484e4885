//! Resizing the file system on a device that is not mounted anywhere, in the quickest way that works.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::utsname::uname;
use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};

use super::{Kind, grow_mounted, grow_unmounted, probe, shrink_mounted, shrink_unmounted};
use crate::Error;

/// Grows the file system on `device` to `size` bytes; takes the right to mount.
///
/// The kernel does it in milliseconds on a mount that is attached nowhere, so that no mount table shows it and closing it
/// is the unmounting (fsmount(2), Linux 5.2). Where it refuses, e2fsck and resize2fs do for the ext family. For f2fs there is
/// resize.f2fs only; for btrfs and xfs the kernel only, as their tools ask it the same.
///
/// # Errors
/// [`Error::CannotGrow`] for other kinds; [`Error::Mount`], [`Error::UnknownToKernel`] and [`Error::GrowMounted`] with what
/// the kernel said, or what [`grow_unmounted`] reports.
pub fn grow_device(device: &Path, kind: Kind, size: u64) -> Result<(), Error> {
    if !kind.can_grow() {
        return Err(Error::CannotGrow { kind });
    }
    if kind == Kind::F2fs {
        return grow_unmounted(device, 0..size).map(drop);
    }
    let disk = File::open(device).map_err(|source| Error::Open { path: device.into(), source })?;
    let online = mount_detached(device, kind).and_then(|root| grow_mounted(&root, kind, size).map(drop));
    match online {
        Err(refused) if kind.is_ext() && !is_unwritten(&refused) => {
            grow_unmounted(device, 0..size).map(drop).map_err(|error| match (&refused, &error) {
                // Without the tools there was only one way, and with this kernel there is none: why that failed counts.
                (Error::UnknownToKernel { .. }, _) | (_, Error::Run { .. }) => refused,
                _ => error,
            })
        }
        other => other,
    }?;
    // Not everybody who wrote has been told, or has told us, that something did not get there.
    disk.sync_all().map_err(|source| Error::GrowMounted { kind, size, source })
}

/// Whether the kernel could not write, rather than that it would not: tools cannot either, and e2fsck takes that for damage.
fn is_unwritten(error: &Error) -> bool {
    matches!(error, Error::GrowMounted { source, .. } if source.raw_os_error() == Some(Errno::EIO as i32))
}

/// Shrinks the file system on `device` to the least that is safe, plus `margin` bytes; returns the bytes it covers then.
///
/// The ext family by e2fsck and resize2fs, btrfs by the kernel on a mount that is attached nowhere, which takes the right to
/// mount. A file system that is as small already is a success.
///
/// # Errors
/// [`Error::CannotShrink`] for other kinds; what [`shrink_unmounted`] and [`shrink_mounted`] report, [`Error::Mount`].
pub fn shrink_device(device: &Path, kind: Kind, margin: u64) -> Result<u64, Error> {
    match kind {
        Kind::Btrfs => shrink_mounted(&mount_detached(device, kind)?, kind, margin),
        _ if kind.is_ext() => shrink_unmounted(device, 0..u64::MAX, margin),
        _ => Err(Error::CannotShrink { kind }),
    }
}

/// The root folder of the file system, mounted for as long as it is open.
fn mount_detached(device: &Path, kind: Kind) -> Result<File, Error> {
    let mount = || -> io::Result<OwnedFd> {
        let context = fsopen(kind.to_string(), FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", device)?;
        fsconfig_create(&context)?;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        Ok(openat(&mount, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    };
    mount().map(File::from).map_err(|source| explained(device, kind, source))
}

/// Why the device was not mounted. The kernel has one word for all that is wrong with a file system, so its features tell.
fn explained(device: &Path, kind: Kind, source: io::Error) -> Error {
    let release = uname().ok().and_then(|name| version(&name.release().to_string_lossy()));
    let found = File::open(device).ok().and_then(|mut disk| probe(&mut disk, 0..u64::MAX).ok().flatten());
    let device = device.to_owned();
    match found.and_then(|found| found.features).zip(release) {
        Some((features, release)) if !features.unknown_to_linux(release).is_empty() => {
            Error::UnknownToKernel { device, features: features.unknown_to_linux(release), release, source }
        }
        _ => Error::Mount { device, kind, source },
    }
}

/// The first two numbers of a kernel's release: 6 and 1 of `6.1.0-13-arm64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_every_distribution() {
        assert_eq!(version("6.1.0-13-arm64"), Some((6, 1)));
        assert_eq!(version("5.15.153.1-microsoft-standard-WSL2"), Some((5, 15)));
        assert_eq!(version("6.18"), Some((6, 18)));
        assert_eq!(version(""), None);
        assert_eq!(version("rolling"), None);
    }
}
