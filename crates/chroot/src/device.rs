//! File systems that are mounted but have no place yet, and the private `/dev` among them.
//!
//! `fsopen` and `fsmount` (Linux 5.2) make a mount before it is attached anywhere. So every device is
//! open before anything is covered, and no scratch folder on the host is needed.

use crate::Error;
use crate::files;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, mount_remount, move_mount, open_tree,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Why a file system would not be mounted.
pub(crate) struct Refusal {
    pub(crate) source: io::Error,
    pub(crate) said: Option<String>,
}

impl Refusal {
    pub(crate) fn on(self, device: &Path, kind: &str, target: &Path) -> Error {
        Error::Mount {
            device: device.into(),
            target: target.into(),
            kind: kind.into(),
            said: self.said,
            source: self.source,
        }
    }
}

/// Makes a mount that is attached nowhere; it goes away with the descriptor unless [`attach`]ed.
pub(crate) fn detached(
    kind: &str,
    device: Option<&Path>,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Refusal> {
    let plain = |error: Errno| Refusal { source: error.into(), said: None };
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(plain)?;
    let made = (|| {
        match device {
            Some(device) => fsconfig_set_string(&context, "source", device)?,
            None => fsconfig_set_string(&context, "source", kind)?,
        }
        for (key, value) in options {
            fsconfig_set_string(&context, *key, *value)?;
        }
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    })();
    made.map_err(|error: Errno| Refusal { source: error.into(), said: last_words(&context) })
}

/// The last error message that the kernel left in a file system context, `e` and a space before it.
fn last_words(context: &OwnedFd) -> Option<String> {
    let mut last = None;
    let mut message = [0; 512];
    while let Ok(length) = rustix::io::read(context, &mut message) {
        let message = String::from_utf8_lossy(message.get(..length)?);
        last = message.strip_prefix("e ").map(|text| text.trim_end().to_owned()).or(last);
    }
    last
}

/// Attaches a detached mount at the directory or file `at`, on top of what is mounted there.
pub(crate) fn attach(mount: BorrowedFd<'_>, at: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", at, "", flags)?)
}

/// A detached second mount of the file or directory at `path`: a bind mount without a place.
pub(crate) fn bound(at: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    Ok(open_tree(at, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?)
}

/// The kernel's number of the mount that this file or place is on, which no other has while that one is there.
pub(crate) fn mount_id(place: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::statx(place, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// Attaches a detached mount at a path of the tree, making the directory where it is missing.
pub(crate) fn attach_in(top: BorrowedFd<'_>, mount: &OwnedFd, target: &Path) -> Result<(), Error> {
    files::ensure_directory(top, target, 0o755)
        .and_then(|place| attach(mount.as_fd(), place.as_fd()))
        .map_err(|source| Error::MountPoint { target: target.into(), source })
}

/// A file system that belongs to no partition.
pub(crate) struct Private {
    kind: &'static str,
    pub(crate) target: &'static str,
    options: &'static [(&'static str, &'static str)],
    attributes: MountAttrFlags,
}

// Of the machine's memory; each would take half of it by itself, and all of them together all of it. That keeps from
// mishaps: root of the image can remount them with more, for itself and for later commands.
pub(crate) const DEV: Private = Private {
    kind: "tmpfs",
    target: "/dev",
    options: &[("mode", "0755"), ("size", "10%"), ("nr_inodes", "16k")],
    attributes: MountAttrFlags::MOUNT_ATTR_NOSUID,
};
pub(crate) const SYS: Private = Private {
    kind: "sysfs",
    target: "/sys",
    options: &[],
    attributes: INERT.union(MountAttrFlags::MOUNT_ATTR_NOEXEC).union(MountAttrFlags::MOUNT_ATTR_RDONLY),
};
pub(crate) const RUN: Private = Private {
    kind: "tmpfs",
    target: "/run",
    options: &[("mode", "0755"), ("size", "10%"), ("nr_inodes", "64k")],
    attributes: INERT,
};
/// In `/run`, for what is to be run in the image: whatever a program fills up, there is room for the next.
pub(crate) const SCRIPTS: Private = Private {
    kind: "tmpfs",
    target: "/run/arm-image",
    options: &[("mode", "0755"), ("size", "10%"), ("nr_inodes", "16k")],
    attributes: INERT,
};
/// As many files as memory allows for: the kernel's own limit goes by its size.
pub(crate) const TMP: Private = Private {
    kind: "tmpfs",
    target: "/tmp",
    options: &[("mode", "1777"), ("size", "50%")],
    attributes: INERT,
};
/// Of the machine's own processes, and so for those only.
pub(crate) const PROC: Private = Private {
    kind: "proc",
    target: "/proc",
    options: &[],
    attributes: INERT.union(MountAttrFlags::MOUNT_ATTR_NOEXEC).union(MountAttrFlags::MOUNT_ATTR_RDONLY),
};
/// Lies on top of a folder that is better not looked into.
const NOTHING: Private = Private {
    kind: "tmpfs",
    target: "",
    options: &[("mode", "0555")],
    attributes: INERT.union(MountAttrFlags::MOUNT_ATTR_NOEXEC).union(MountAttrFlags::MOUNT_ATTR_RDONLY),
};
/// Where sysfs lists the machine's disks, and by their names or numbers what is mounted of them.
const DISKS: [&str; 14] = [
    "/sys/block",
    "/sys/class/bdi",
    "/sys/class/block",
    "/sys/dev/block",
    "/sys/devices/virtual/bdi",
    "/sys/devices/virtual/block",
    "/sys/fs/bcache",
    "/sys/fs/bcachefs",
    "/sys/fs/btrfs",
    "/sys/fs/ext4",
    "/sys/fs/f2fs",
    "/sys/fs/nilfs2",
    "/sys/fs/xfs",
    "/sys/fs/zonefs",
];
const INERT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

impl Private {
    /// Mounts it in the tree at `top`, and hands back its root directory.
    pub(crate) fn mount(&self, top: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
        let target = Path::new(self.target);
        let mount = self.detached(target)?;
        attach_in(top, &mount, target)?;
        Ok(mount)
    }

    fn detached(&self, target: &Path) -> Result<OwnedFd, Error> {
        detached(self.kind, None, self.options, self.attributes)
            .map_err(|refusal| refusal.on(Path::new(self.kind), self.kind, target))
    }
}

/// Empties the lists of disks in the `/sys` of the tree at `top`.
pub(crate) fn hide_disks(top: BorrowedFd<'_>) -> Result<(), Error> {
    let mut nothing: Option<OwnedFd> = None;
    for path in DISKS.map(Path::new) {
        let failed = |source| Error::MountPoint { target: path.into(), source };
        match files::open(top, path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(place) => {
                // One file system lies on all of them: another mount costs less than another tmpfs.
                let mount = match &nothing {
                    Some(first) => bound(first.as_fd(), Path::new(".")).map_err(failed)?,
                    None => NOTHING.detached(path)?,
                };
                attach(mount.as_fd(), place.as_fd()).map_err(failed)?;
                nothing.get_or_insert(mount);
            }
            // Which of them there are is the kernel's choice.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// The character devices every program may expect, with the numbers of the kernel's `admin-guide/devices.txt`.
const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Fills the tmpfs `dev`, already attached, with what programs expect and with no disk of the host.
pub(crate) fn fill(dev: BorrowedFd<'_>) -> Result<(), Error> {
    for (name, major, minor) in NODES {
        node(dev, name, major, minor).map_err(|source| Error::Device { name, source })?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, dev, name)
            .map_err(|error| Error::Device { name, source: error.into() })?;
    }
    files::ensure_directory(dev, Path::new("shm"), 0o1777)
        .map_err(|source| Error::Device { name: "shm", source })?;
    files::ensure_directory(dev, Path::new("pts"), 0o755)
        .and_then(|at| {
            // A devpts of its own, so that the terminals of the host are not in it. 5 is `tty` in Debian's base-passwd.
            let options = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            let pts = detached("devpts", None, &options, attributes).map_err(|refusal| refusal.source)?;
            attach(pts.as_fd(), at.as_fd())
        })
        .map_err(|source| Error::Device { name: "pts", source })?;
    // From here on a node that a program makes there is a name and nothing more: dmsetup, for one, makes its own.
    restrict(dev, MountFlags::NODEV).map_err(|source| Error::Device { name: "", source })
}

/// Adds `flags` to those of an attached mount.
pub(crate) fn restrict(mount: BorrowedFd<'_>, flags: MountFlags) -> io::Result<()> {
    // The kernel replaces all flags, so those that are there are said again.
    let now = rustix::fs::fstatvfs(mount)?.f_flag;
    let kept = [
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ];
    let kept = kept.into_iter().filter(|(said, _)| now.contains(*said)).map(|(_, flag)| flag);
    let flags = kept.fold(flags | MountFlags::BIND, |flags, flag| flags | flag);
    // The image covers the host's root only for lookups from inside, so this is the host's /proc.
    let path = format!("/proc/self/fd/{}", mount.as_raw_fd());
    Ok(mount_remount(path, flags, c"")?)
}

/// Makes one device node, or takes the host's where this process may not make any (in a container), and binds it to
/// its name: only such a bind can be opened once `/dev` itself has no devices.
fn node(dev: BorrowedFd<'_>, name: &str, major: u32, minor: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    match rustix::fs::mknodat(dev, name, FileType::CharacterDevice, mode, rustix::fs::makedev(major, minor)) {
        Ok(()) => {
            // mknodat has obeyed the umask.
            rustix::fs::chmodat(dev, name, mode, rustix::fs::AtFlags::empty())?;
            let node = bound(dev, Path::new(name))?;
            let place = rustix::fs::openat(dev, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            attach(node.as_fd(), place.as_fd())
        }
        Err(Errno::PERM) => {
            // The image covers the host's root only for lookups from inside, so this is still the host's /dev.
            let host = bound(rustix::fs::CWD, &Path::new("/dev").join(name))?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let place = rustix::fs::openat(dev, name, flags | OFlags::WRONLY, mode)?;
            attach(host.as_fd(), place.as_fd())
        }
        Err(error) => Err(error.into()),
    }
}
