//! What the image is, and whether the ranges fit it: checked before anything is made.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::fs::OFlags;
use rustix::ioctl::{Getter, ioctl, opcode};

use crate::Error;

/// Size of a sector, in bytes: the unit of device-mapper tables, whatever the device's own block size.
pub(crate) const SECTOR: u64 = 512;

/// An image that can be mapped.
#[derive(Debug)]
pub(crate) struct Image {
    /// Whether it was opened for writing.
    pub(crate) writable: bool,
    /// Its device number if it is a block device.
    pub(crate) device: Option<u64>,
}

impl Image {
    /// Examines `file` and checks that each of `ranges` lies inside it on sector boundaries.
    pub(crate) fn examine(file: &File, ranges: &[Range<u64>]) -> Result<Self, Error> {
        let image = |source: io::Error| Error::Image { source };
        let metadata = file.metadata().map_err(image)?;
        let kind = metadata.file_type();
        let flags = rustix::fs::fcntl_getfl(file).map_err(|errno| image(errno.into()))?;
        // The kernel writes a loop device's blocks through the image's own open file, where appending would
        // override the offset of each.
        let access = flags & OFlags::RWMODE;
        if access == OFlags::WRONLY || flags.intersects(OFlags::PATH | OFlags::APPEND) {
            return Err(Error::ImageAccess);
        }
        let size = match (kind.is_file(), kind.is_block_device()) {
            (true, _) => metadata.len(),
            (_, true) => block_device_size(file).map_err(image)?,
            _ => return Err(Error::ImageKind),
        };
        ranges.iter().try_for_each(|range| check(range, size))?;
        Ok(Self { writable: access == OFlags::RDWR, device: kind.is_block_device().then(|| metadata.rdev()) })
    }
}

/// Checks one range against an image of `size` bytes.
fn check(range: &Range<u64>, size: u64) -> Result<(), Error> {
    let range = range.clone();
    if range.is_empty() {
        Err(Error::Empty { range })
    } else if !range.start.is_multiple_of(SECTOR) || !range.end.is_multiple_of(SECTOR) {
        Err(Error::Unaligned { range })
    } else if range.end > size {
        Err(Error::Outside { range, size })
    } else {
        Ok(())
    }
}

/// Size in bytes, by `BLKGETSIZE64` of linux/fs.h, whose type says `size_t` but which writes a `u64`.
#[expect(unsafe_code, reason = "no library has a safe function for BLKGETSIZE64")]
fn block_device_size(device: &File) -> io::Result<u64> {
    const BLKGETSIZE64: rustix::ioctl::Opcode = opcode::read::<usize>(0x12, 114);
    // SAFETY: for this opcode the kernel writes exactly one `u64`.
    let size = unsafe { ioctl(device, Getter::<BLKGETSIZE64, u64>::new())? };
    Ok(size)
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a slice of ranges is what is asked for")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(size: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        file
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    fn ranges_must_be_sectors_inside_the_image() {
        let file = image(4096);
        assert!(Image::examine(&file, &[0..512, 512..4096]).is_ok());
        assert!(matches!(Image::examine(&file, &[512..512]), Err(Error::Empty { .. })));
        assert!(matches!(Image::examine(&file, &[1024..512]), Err(Error::Empty { .. })));
        assert!(matches!(Image::examine(&file, &[1..512]), Err(Error::Unaligned { .. })));
        assert!(matches!(Image::examine(&file, &[0..511]), Err(Error::Unaligned { .. })));
        assert!(matches!(Image::examine(&file, &[0..4608]), Err(Error::Outside { size: 4096, .. })));
        assert!(matches!(Image::examine(&file, &[0..512, 0..1 << 63]), Err(Error::Outside { .. })));
    }

    #[test]
    fn a_last_half_sector_cannot_be_mapped() {
        assert!(matches!(Image::examine(&image(1000), &[512..1024]), Err(Error::Outside { .. })));
    }

    #[test]
    fn the_way_it_was_opened_decides() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(512).unwrap();
        let open = |options: &mut std::fs::OpenOptions| options.open(file.path()).unwrap();
        let examine = |file| Image::examine(&file, &[0..512]);
        assert!(examine(open(File::options().read(true).write(true))).unwrap().writable);
        assert!(!examine(open(File::options().read(true))).unwrap().writable);
        assert!(matches!(examine(open(File::options().write(true))), Err(Error::ImageAccess)));
        assert!(matches!(examine(open(File::options().read(true).append(true))), Err(Error::ImageAccess)));
        assert!(matches!(examine(File::open("/").unwrap()), Err(Error::ImageKind)));
        assert!(matches!(examine(File::open("/dev/null").unwrap()), Err(Error::ImageKind)));
    }

    proptest! {
        #[test]
        fn accepted_ranges_are_whole_sectors_inside(start: u64, end: u64, size: u64) {
            if check(&(start..end), size).is_ok() {
                prop_assert!(start < end && end <= size && start % 512 == 0 && end % 512 == 0);
            }
        }
    }
}
