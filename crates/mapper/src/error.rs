//! What can go wrong, and what to do about it.

use std::fmt::Write as _;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

/// A failure to map an image or to release its devices.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A range has no bytes.
    #[error("bytes {}..{} are an empty range", range.start, range.end)]
    Empty {
        /// The range, in bytes.
        range: Range<u64>,
    },
    /// A range starts or ends within a sector.
    #[error("bytes {}..{} do not begin and end on a 512-byte sector", range.start, range.end)]
    Unaligned {
        /// The range, in bytes.
        range: Range<u64>,
    },
    /// A range ends beyond the image.
    #[error("bytes {}..{} reach beyond the image, which has {size} bytes", range.start, range.end)]
    Outside {
        /// The range, in bytes.
        range: Range<u64>,
        /// Size of the image, in bytes.
        size: u64,
    },
    /// The image is a directory, a pipe, or something else without bytes at offsets.
    #[error("the image is neither a regular file nor a block device")]
    ImageKind,
    /// The image was opened in a way that a block device cannot work with.
    #[error("the image is not opened for reading, or it is opened for appending")]
    ImageAccess,
    /// The image could not be examined.
    #[error("failed to examine the image")]
    Image {
        /// The cause.
        source: io::Error,
    },
    /// The kernel has no such driver.
    #[error("this kernel has no {driver}: `{control}` leads to no driver and `/proc/misc` does not list it")]
    Unsupported {
        /// `device-mapper` or `loop devices`.
        driver: &'static str,
        /// The driver's control file.
        control: &'static str,
    },
    /// The kernel has device-mapper, but nobody has made its control file, as in a container.
    #[error("`{control}` does not exist, although this kernel has device-mapper")]
    NoControl {
        /// The driver's control file.
        control: &'static str,
        /// Minor number that `/proc/misc` gives the file; the major number is 10.
        minor: u32,
    },
    /// The driver's control file could not be opened.
    #[error("failed to open `{control}`")]
    Control {
        /// The driver's control file.
        control: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The kernel did not name a free loop device.
    #[error("failed to find a free loop device")]
    FreeLoop {
        /// The cause.
        source: io::Error,
    },
    /// Others took every loop device that the kernel offered.
    #[error("lost {attempts} free loop devices in a row to other programs, the last one `{device}`")]
    LoopContended {
        /// How many devices were tried.
        attempts: u32,
        /// The last one.
        device: PathBuf,
    },
    /// A loop device could not be set up over the image.
    #[error("failed to set up `{device}` over the image")]
    ConfigureLoop {
        /// The loop device.
        device: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A device's node could be neither found nor made.
    #[error("failed to make a node for `{device}`")]
    MakeNode {
        /// Where the kernel's own node would be.
        device: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A device could not be opened.
    #[error("failed to open `{device}`")]
    OpenDevice {
        /// The device.
        device: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A device-mapper device could not be created.
    #[error("failed to create device `{name}`")]
    Create {
        /// Its device-mapper name.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// The table of a device-mapper device was refused.
    #[error("failed to load the table of device `{name}`")]
    Load {
        /// Its device-mapper name.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// A device-mapper device could not be set to work.
    #[error("failed to resume device `{name}`")]
    Resume {
        /// Its device-mapper name.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// A device-mapper device could not be removed.
    #[error("failed to remove device `{name}`")]
    Remove {
        /// Its device-mapper name.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// The device-mapper devices of the machine could not be listed.
    #[error("failed to list device-mapper devices")]
    List {
        /// The cause.
        source: io::Error,
    },
    /// A process could not be told from its file in `/proc`.
    #[error("failed to read `{path}`")]
    Process {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Something that was written to a device did not get into the image.
    #[error("failed to write all that is for `{device}` into the image")]
    Write {
        /// The device.
        device: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Somebody else holds a device that was released.
    #[error("`{device}` is still in use{}", listed(.holders))]
    InUse {
        /// The device.
        device: PathBuf,
        /// Who holds it, a phrase each; empty if nobody could be found in `/proc` and `/sys`.
        holders: Vec<String>,
    },
    /// A device was to be removed as stale, but its process runs or it is not one of ours.
    #[error("device `{name}` is not stale")]
    NotStale {
        /// Its device-mapper name.
        name: String,
    },
}

impl Error {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { driver: "device-mapper", .. } => {
                Some("load it with `modprobe dm_mod`, or do without: loop devices serve as well".into())
            }
            Self::Unsupported { .. } => Some("load the driver with `modprobe loop`".into()),
            Self::NoControl { control, minor } => Some(format!(
                "make it with `mkdir -p /dev/mapper` and `mknod {control} c 10 {minor}`, or do without: loop \
                 devices serve as well"
            )),
            Self::Control { source, .. }
            | Self::FreeLoop { source }
            | Self::OpenDevice { source, .. }
            | Self::MakeNode { source, .. }
            | Self::List { source }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Some("run as root; in a container, with `--privileged`".into())
            }
            Self::ConfigureLoop { source, .. } if source.kind() == io::ErrorKind::InvalidInput => {
                Some("`LOOP_CONFIGURE` needs Linux 5.8 or later".into())
            }
            Self::Write { .. } => {
                Some("the disk that holds the image may be full, or failing: see `dmesg`".into())
            }
            Self::ImageAccess => Some("open it for reading, or for reading and writing".into()),
            Self::InUse { .. } => Some(
                "the kernel releases the device as soon as nobody holds it; do not ship the image before"
                    .into(),
            ),
            _ => None,
        }
    }
}

/// `: one, two`, or nothing.
fn listed(holders: &[String]) -> String {
    let mut text = String::new();
    for (index, holder) in holders.iter().enumerate() {
        let _ = write!(text, "{}{holder}", if index == 0 { ": " } else { ", " });
    }
    text
}
