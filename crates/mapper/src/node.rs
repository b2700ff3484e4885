//! A place where a device can be opened, whoever has made it: the kernel, udev, or we ourselves.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::Error;

/// A device node, held by a descriptor that does not open the device.
#[derive(Debug)]
pub(crate) struct Node {
    handle: OwnedFd,
    path: PathBuf,
    number: u64,
}

impl Node {
    /// Finds the node of device `number` at `path`, where the kernel and udev put it, or makes a private one.
    pub(crate) fn find(path: &Path, kind: FileType, number: u64) -> Result<Self, Error> {
        // In a container the path may be absent, or, where /dev was copied, lead to another device.
        if let Ok(handle) = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            && let Ok(found) = rustix::fs::fstat(&handle)
            && FileType::from_raw_mode(found.st_mode) == kind
            && found.st_rdev == number
        {
            return Ok(Self { handle, path: path.to_owned(), number });
        }
        Self::private(kind, number).map_err(|source| Error::MakeNode { device: path.to_owned(), source })
    }

    /// Makes a node on a tmpfs that is mounted nowhere: it has no name that could be left behind, and no
    /// `nodev` option of a place like `/tmp` keeps it from being opened.
    fn private(kind: FileType, number: u64) -> io::Result<Self> {
        let filesystem = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(&filesystem)?;
        let mount =
            rustix::mount::fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        rustix::fs::mknodat(&mount, "device", kind, Mode::RUSR | Mode::WUSR, number)?;
        let handle = rustix::fs::openat(&mount, "device", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        // Other programs open it too, so the path cannot say `self`; the link has our number as `/proc` counts.
        let path =
            Path::new("/proc").join(fs::read_link("/proc/self")?).join(format!("fd/{}", handle.as_raw_fd()));
        Ok(Self { handle, path, number })
    }

    /// Where other programs and mount(2) find the device as long as the node lives.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The device number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Opens the device itself.
    pub(crate) fn open(&self, flags: OFlags) -> io::Result<File> {
        let path = format!("/proc/self/fd/{}", self.handle.as_raw_fd());
        let device = rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())?;
        Ok(device.into())
    }
}

/// The minor number of `driver`'s control file, if `/proc/misc` lists it.
pub(crate) fn misc_minor(driver: &str) -> Option<u32> {
    parse_misc(&fs::read_to_string("/proc/misc").ok()?, driver)
}

/// Whether a control file could not be opened because it is absent, or because the kernel has no driver behind it:
/// `dmsetup` makes the file even then.
pub(crate) fn no_driver(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NOTDIR, Errno::NODEV, Errno::NXIO];
    gone.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Finds `driver` in a text of lines such as `237 loop-control`.
fn parse_misc(text: &str, driver: &str) -> Option<u32> {
    let mut lines = text.lines().filter_map(|line| line.trim().split_once(' '));
    lines.find(|(_, name)| *name == driver)?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misc_devices_are_found_by_their_whole_name() {
        let misc = "234 btrfs-control\n 61 loop-control-two\n237 loop-control\n";
        assert_eq!(parse_misc(misc, "loop-control"), Some(237));
        assert_eq!(parse_misc(misc, "loop"), None);
        assert_eq!(parse_misc("", "loop"), None);
    }
}
