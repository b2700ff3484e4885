//! The devices of an image, owned.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::control::Control;
use crate::loopdev::Label;
use crate::node::Node;
use crate::{Error, holder, loopdev};

/// The block devices of one image, in the order of the ranges they were made from.
///
/// They live until this is closed or dropped, or its process ends in whatever way.
#[derive(Debug, Default)]
pub struct Mapped {
    devices: Vec<Device>,
    paths: Vec<PathBuf>,
}

impl Mapped {
    /// Adds a device.
    pub(crate) fn push(&mut self, device: Device) {
        self.paths.push(device.node.path().to_owned());
        self.devices.push(device);
    }

    /// The paths of the devices, for mount(2) and for other programs.
    ///
    /// A path is `/dev/dm-N` or `/dev/loopN` where that exists, otherwise `/proc/PID/fd/N` with the number of this
    /// process.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The path of the device made from the range `index`.
    ///
    /// # Panics
    ///
    /// If there were not that many ranges.
    pub fn path(&self, index: usize) -> &Path {
        &self.paths[index]
    }

    /// How many devices there are.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether no range was mapped.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Releases all devices, and reports the first to which something was not written, or that somebody else still uses.
    ///
    /// In use means mounted anywhere, even in another mount namespace, under another block device, or open for
    /// writing in any process. A program that only has it open for reading, such as a probing udev, is not reported.
    /// Once this has returned `Ok` and no such reader is left, the devices do not exist any more.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], also for what a file system that was mounted meanwhile could not write, whoever was told of it.
    /// [`Error::InUse`]; the kernel releases that device when its last user goes. Every other device is released
    /// nevertheless.
    pub fn close(mut self) -> Result<(), Error> {
        let written = self.devices.iter().map(Device::write_out).fold(Ok(()), Result::and);
        // What is not written is worse than what is still in use.
        written.and(self.release())
    }

    fn release(&mut self) -> Result<(), Error> {
        let mut report = Ok(());
        // In reverse order, and each of them even if one reports; the report kept is that of the first range.
        for device in self.devices.drain(..).rev() {
            report = device.release().and(report);
        }
        report
    }
}

impl Drop for Mapped {
    /// Closing the descriptors would do; releasing leaves no moment in which the kernel is still at it.
    fn drop(&mut self) {
        let _ = self.release();
    }
}

/// A block device and what keeps it alive.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) node: Node,
    /// The descriptor whose closing releases the device. It is for reading only: kernels can be told to refuse
    /// mounting what somebody has open for writing, and udev probes again whatever a writer closes.
    pub(crate) file: File,
    pub(crate) origin: Origin,
}

/// What made a device, for asking whether it is gone.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A device-mapper device of this name.
    Table(Arc<Control>, String),
    /// A loop device with this label.
    Loop(Label),
}

impl Origin {
    /// Whether the device outlived the closing of our descriptor; has a device-mapper device removed if it can be.
    fn is_alive(&self, node: &Node) -> Result<bool, Error> {
        match self {
            Self::Table(control, name) => control.remove(name),
            Self::Loop(label) => Ok(loopdev::is_bound(node, label)),
        }
    }
}

impl Device {
    /// Writes out what the kernel still holds for the device. Of everything that it could not write since the device was
    /// opened, it tells here once; nobody may have asked before the file system was unmounted.
    fn write_out(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(|source| Error::Write { device: self.node.path().to_owned(), source })
    }

    fn release(self) -> Result<(), Error> {
        let Self { node, file, origin } = self;
        // Mounts and stacked devices claim a device for themselves alone, so that O_EXCL collides with them.
        let claimed = match node.open(OFlags::RDONLY | OFlags::EXCL) {
            Ok(_) => false,
            Err(source) => source.raw_os_error() == Some(Errno::BUSY.raw_os_error()),
        };
        drop(file);
        if !origin.is_alive(&node)? {
            return Ok(());
        }
        let holders = holder::holders(node.number());
        // Asked again, as a program that looks for a free loop device opens one for an instant, and for writing.
        if (!claimed && holders.is_empty()) || !origin.is_alive(&node)? {
            return Ok(());
        }
        Err(Error::InUse { device: node.path().to_owned(), holders })
    }
}
