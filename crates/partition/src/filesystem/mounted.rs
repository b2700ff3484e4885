//! Resizing and trimming a mounted file system by asking the kernel.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;
use rustix::fs::syncfs;

use super::Kind;
use crate::Error;

mod ioctl {
    //! The requests, with the structures they take.
    /// `struct btrfs_ioctl_vol_args` of `linux/btrfs.h`.
    #[repr(C)]
    pub(super) struct BtrfsVolume {
        pub(super) fd: i64,
        pub(super) name: [u8; 4088],
    }

    /// `struct xfs_fsop_geom_v1` of `fs/xfs/libxfs/xfs_fs.h`, of which two fields are of use.
    #[repr(C)]
    #[derive(Default)]
    pub(super) struct XfsGeometry {
        pub(super) block_size: u32,
        pub(super) others: [u32; 6],
        pub(super) most_inodes_percent: u32,
        pub(super) rest: [u64; 10],
    }

    /// `struct xfs_growfs_data` of the same header.
    #[repr(C)]
    pub(super) struct XfsGrow {
        pub(super) blocks: u64,
        pub(super) most_inodes_percent: u32,
    }

    /// `struct fstrim_range` of `linux/fs.h`.
    #[repr(C)]
    pub(super) struct Trim {
        pub(super) start: u64,
        pub(super) length: u64,
        pub(super) shortest: u64,
    }

    nix::ioctl_readwrite!(trim, b'X', 121, Trim);
    nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
    nix::ioctl_write_ptr!(btrfs_resize, 0x94, 3, BtrfsVolume);
    nix::ioctl_read!(xfs_geometry, b'X', 100, XfsGeometry);
    nix::ioctl_write_ptr!(xfs_grow, b'X', 110, XfsGrow);
}

/// The smallest Btrfs that the kernel makes (`btrfs_ioctl_resize`).
const LEAST_BTRFS: u64 = 256 << 20;

/// How near to the smallest possible size [`shrink_mounted`] gets. Each halving may move a lot of data once more.
const NEAR: u64 = 32 << 20;

/// Grows a mounted file system to `size` bytes, by the kernel alone; returns the bytes it covers then.
///
/// `mount_point` is any file or folder in it, opened for reading. The size is rounded down to whole blocks; the partition
/// below must have as many bytes already.
///
/// # Errors
/// [`Error::CannotGrow`] for kinds other than ext, btrfs and xfs; [`Error::GrowMounted`] with what the kernel said, for which
/// [`Error::is_permission`] tells whether [`grow_unmounted`](super::grow_unmounted) may still do.
pub fn grow_mounted(mount_point: &File, kind: Kind, size: u64) -> Result<u64, Error> {
    let fd = mount_point.as_raw_fd();
    let grown = match kind {
        Kind::Ext2 | Kind::Ext3 | Kind::Ext4 => grow_ext(mount_point, fd, size),
        Kind::Btrfs => resize_btrfs(fd, size),
        Kind::Xfs => grow_xfs(fd, size),
        _ => return Err(Error::CannotGrow { kind }),
    };
    grown.map_err(|errno| Error::GrowMounted { kind, size, source: io::Error::from(errno) })
}

/// Shrinks a mounted btrfs to about the least the kernel can, plus `margin` bytes; returns the bytes it covers then.
///
/// `mount_point` is any file or folder in it, opened for reading. The least is found by trying: a size that does not do leaves
/// the file system as it was. None gets larger, and none smaller than 256 MiB.
///
/// # Errors
/// [`Error::CannotShrink`] for kinds other than btrfs: the ext family shrinks unmounted
/// ([`shrink_unmounted`](super::shrink_unmounted)), and xfs not at all. [`Error::ShrinkMounted`] with what the kernel said.
pub fn shrink_mounted(mount_point: &File, kind: Kind, margin: u64) -> Result<u64, Error> {
    if kind != Kind::Btrfs {
        return Err(Error::CannotShrink { kind });
    }
    let refused = |size| move |errno| Error::ShrinkMounted { kind, size, source: io::Error::from(errno) };
    let fd = mount_point.as_raw_fd();
    let space = fstatvfs(mount_point).map_err(refused(0))?;
    let [blocks, free] = [space.blocks(), space.blocks_free()].map(u64::from);
    let before = blocks.saturating_mul(space.fragment_size());
    let used = before.saturating_sub(free.saturating_mul(space.fragment_size()));

    let mut least = before;
    let mut too_small = used.max(LEAST_BTRFS - 1);
    while least.saturating_sub(too_small) > NEAR {
        let half = too_small + (least - too_small) / 2;
        match resize_btrfs(fd, half) {
            Ok(size) => least = size,
            Err(Errno::ENOSPC) => too_small = half,
            Err(errno) => return Err(refused(half)(errno)),
        }
    }
    let wanted = least.saturating_add(margin).min(before);
    if wanted == least { Ok(least) } else { resize_btrfs(fd, wanted).map_err(refused(wanted)) }
}

/// Tells the device below a mounted file system which bytes are free; returns how many those are.
///
/// `mount_point` is any file or folder in it, opened for reading. An image file below a loop device gets holes there, so that
/// it holds only what is used. It takes the right to administrate.
///
/// # Errors
/// [`Error::Trim`] with what the kernel said.
pub fn trim(mount_point: &File) -> Result<u64, Error> {
    // What was deleted just now is free only when the journal says so.
    syncfs(mount_point).map_err(|errno| Error::Trim { source: io::Error::from(errno) })?;
    let mut range = ioctl::Trim { start: 0, length: u64::MAX, shortest: 0 };
    #[expect(unsafe_code, reason = "FITRIM has no safe wrapper")]
    // SAFETY: the descriptor is open for as long as `mount_point` is borrowed, and the kernel reads and writes one structure
    // in which every bit pattern is valid.
    let trimmed = unsafe { ioctl::trim(mount_point.as_raw_fd(), &raw mut range) };
    trimmed.map_err(|errno| Error::Trim { source: io::Error::from(errno) })?;
    Ok(range.length)
}

fn grow_ext(mount_point: &File, fd: RawFd, size: u64) -> nix::Result<u64> {
    let block = fstatvfs(mount_point)?.block_size().max(1);
    let count = size / block;
    #[expect(unsafe_code, reason = "EXT4_IOC_RESIZE_FS has no safe wrapper")]
    // SAFETY: the descriptor is open for as long as `mount_point` is borrowed, and the kernel reads one u64.
    unsafe { ioctl::ext4_resize(fd, &raw const count) }?;
    Ok(count * block)
}

fn resize_btrfs(fd: RawFd, size: u64) -> nix::Result<u64> {
    /// What the kernel rounds down to (`btrfs_ioctl_resize`), so that it is told what it will do.
    const SECTOR: u64 = 4096;
    let size = size / SECTOR * SECTOR;
    let mut volume = ioctl::BtrfsVolume { fd: 0, name: [0; 4088] };
    // Without a device number in front this means the device with number 1, which is the only one an image has.
    let text = size.to_string();
    volume.name[..text.len()].copy_from_slice(text.as_bytes());
    #[expect(unsafe_code, reason = "BTRFS_IOC_RESIZE has no safe wrapper")]
    // SAFETY: the descriptor is open for as long as `mount_point` is borrowed, and the kernel reads one structure of the
    // size that the request's number carries, whose text ends in a zero.
    let answer = unsafe { ioctl::btrfs_resize(fd, &raw const volume) }?;
    // A positive answer says that another resize or balance runs (`enum btrfs_err_code`).
    if answer > 0 { Err(Errno::EBUSY) } else { Ok(size) }
}

fn grow_xfs(fd: RawFd, size: u64) -> nix::Result<u64> {
    let mut geometry = ioctl::XfsGeometry::default();
    #[expect(unsafe_code, reason = "XFS_IOC_FSGEOMETRY_V1 has no safe wrapper")]
    // SAFETY: the kernel fills a structure of the size that the request's number carries; every bit pattern is valid in it.
    unsafe { ioctl::xfs_geometry(fd, &raw mut geometry) }?;
    let block = u64::from(geometry.block_size).max(1);
    // The share of inodes is set by the same request and stays what it is.
    let grow = ioctl::XfsGrow { blocks: size / block, most_inodes_percent: geometry.most_inodes_percent };
    #[expect(unsafe_code, reason = "XFS_IOC_FSGROWFSDATA has no safe wrapper")]
    // SAFETY: the descriptor is open for as long as `mount_point` is borrowed, and the kernel reads one structure.
    unsafe { ioctl::xfs_grow(fd, &raw const grow) }?;
    Ok(grow.blocks * block)
}
