//! Growing a mounted file system by asking the kernel.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::statvfs::fstatvfs;

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

    nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
    nix::ioctl_write_ptr!(btrfs_resize, 0x94, 3, BtrfsVolume);
    nix::ioctl_read!(xfs_geometry, b'X', 100, XfsGeometry);
    nix::ioctl_write_ptr!(xfs_grow, b'X', 110, XfsGrow);
}

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
        Kind::Btrfs => grow_btrfs(fd, size),
        Kind::Xfs => grow_xfs(fd, size),
        _ => return Err(Error::CannotGrow { kind }),
    };
    grown.map_err(|errno| Error::GrowMounted { kind, size, source: io::Error::from(errno) })
}

fn grow_ext(mount_point: &File, fd: RawFd, size: u64) -> nix::Result<u64> {
    let block = fstatvfs(mount_point)?.block_size().max(1);
    let count = size / block;
    #[expect(unsafe_code, reason = "EXT4_IOC_RESIZE_FS has no safe wrapper")]
    // SAFETY: the descriptor is open for as long as `mount_point` is borrowed, and the kernel reads one u64.
    unsafe { ioctl::ext4_resize(fd, &raw const count) }?;
    Ok(count * block)
}

fn grow_btrfs(fd: RawFd, size: u64) -> nix::Result<u64> {
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
    unsafe { ioctl::btrfs_resize(fd, &raw const volume) }?;
    Ok(size)
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
