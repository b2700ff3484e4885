//! Maps byte ranges of a disk image to block devices that vanish with the process that made them.
//!
//! ```no_run
//! use arm_image_mapper::{DeviceMapper, LoopMapper};
//!
//! let image = std::fs::File::options().read(true).write(true).open("raspios.img")?;
//! let mapped = LoopMapper.map(&image, &[4194304..71303168, 71303168..733282304])?;
//! std::process::Command::new("e2fsck").arg("-fn").arg(mapped.path(1)).status()?;
//! mapped.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Two mappers do the same work by different means. [`DmMapper`] puts one loop device under the whole image
//! and a device-mapper table on it for each range. [`LoopMapper`] needs no device-mapper and makes a loop device
//! with an offset for each range. `available()` of either says precisely what a machine lacks for it.
//!
//! # What is left after a crash
//!
//! Nothing. Every device is released by the kernel when its last file descriptor is closed, and the descriptors
//! belong to [`Mapped`]: [`Mapped::close`] closes them and reports, dropping it closes them silently, and SIGKILL
//! closes them too. A device that is mounted at that moment lives until it is unmounted. One gap is left open by
//! the kernel: a device-mapper device has a name for the instant between its creation and its opening, and a
//! SIGKILL that falls there leaves it behind. [`stale`] finds such devices.
//!
//! # What it needs
//!
//! CAP_SYS_ADMIN, `/proc`, and Linux 5.8 for `LOOP_CONFIGURE`. It does not need udev, devtmpfs or a writable `/dev`:
//! where the kernel's node of a device is missing, as in most containers, the device is opened through a node on a
//! tmpfs of its own that is mounted nowhere.
//!
//! # The borrow is the teardown order
//!
//! Paths are borrowed from [`Mapped`], so whatever mounts them has to be gone before the devices are released:
//!
//! ```compile_fail,E0505
//! use arm_image_mapper::{Error, Mapped};
//!
//! fn wrong_order(mapped: Mapped) -> Result<(), Error> {
//!     let root = mapped.path(0);
//!     mapped.close()?; // error: cannot move out of `mapped` because it is borrowed
//!     println!("{} is still needed", root.display());
//!     Ok(())
//! }
//! ```

mod control;
mod dm;
mod error;
mod holder;
mod image;
mod loopdev;
mod mapped;
mod node;
mod owner;
mod stale;

use std::fmt::Debug;
use std::fs::File;
use std::ops::Range;

pub use dm::DmMapper;
pub use error::Error;
pub use loopdev::LoopMapper;
pub use mapped::Mapped;
pub use stale::{Stale, stale};

/// Turns byte ranges of an image into block devices.
pub trait DeviceMapper: Debug {
    /// Maps each of `ranges`, in bytes from the start of `image`, to a block device, in the order given.
    ///
    /// `image` is a regular file or already a block device, opened for reading or for reading and writing; the
    /// devices are read-only in the first case. It may be closed once this returns. The devices have logical
    /// blocks of 512 bytes where the image is a file.
    ///
    /// # Errors
    ///
    /// Before anything is made, if a range is empty, does not begin and end on a 512-byte sector, or ends beyond
    /// the image, or if the image cannot serve ([`Error::ImageKind`], [`Error::ImageAccess`]); then if the kernel
    /// refuses a device, in which case those already made are gone when this returns.
    ///
    /// ```
    /// use arm_image_mapper::{DeviceMapper, Error, LoopMapper};
    ///
    /// let image = tempfile::tempfile()?;
    /// image.set_len(1 << 20)?;
    /// let refusal = LoopMapper.map(&image, &[512..1000]).unwrap_err();
    /// assert_eq!(refusal.to_string(), "bytes 512..1000 do not begin and end on a 512-byte sector");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn map(&self, image: &File, ranges: &[Range<u64>]) -> Result<Mapped, Error>;
}
