//! Loop devices that are set up in one step and unbound by their last close.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use linux_raw_sys::loop_device::{
    LO_FLAGS_AUTOCLEAR, LO_FLAGS_READ_ONLY, LOOP_CONFIGURE, LOOP_CTL_GET_FREE, LOOP_GET_STATUS64,
    loop_config, loop_info64,
};
use rustix::fs::{FileType, FlockOperation, OFlags, flock, makedev};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Ioctl, IoctlOutput, Opcode, Setter, ioctl};
use rustix::time::{ClockId, clock_gettime};

use crate::image::Image;
use crate::mapped::{Device, Origin};
use crate::node::{Node, misc_minor, no_driver};
use crate::owner::Owner;
use crate::{DeviceMapper, Error, Mapped};

const CONTROL: &str = "/dev/loop-control";
/// Major number of the control file's kind and of loop devices, by the kernel's admin-guide/devices.txt.
const MISC_MAJOR: u32 = 10;
const LOOP_MAJOR: u32 = 7;
/// Logical block size, in bytes: the one that images are made for, whatever the disk under the image file has.
const BLOCK: u32 = 512;
/// How many free devices may be lost to other programs in a row. Every loss means that another program got one,
/// except if one keeps an unbound device locked with O_EXCL: then the kernel offers the same one for ever.
const ATTEMPTS: u32 = 64;

/// Maps ranges by a loop device with an offset and a size each. Needs no device-mapper.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoopMapper;

impl LoopMapper {
    /// Whether this process can set up loop devices here: opens a free one, and leaves it as it was.
    ///
    /// # Errors
    ///
    /// What is missing: the driver ([`Error::Unsupported`]) or the permission ([`Error::Control`],
    /// [`Error::OpenDevice`]); [`Error::hint`] says how to get it.
    pub fn available() -> Result<(), Error> {
        open(&free(&open_control()?)?, OFlags::RDWR).map(drop)
    }
}

impl DeviceMapper for LoopMapper {
    fn map(&self, image: &File, ranges: &[Range<u64>]) -> Result<Mapped, Error> {
        let examined = Image::examine(image, ranges)?;
        let owner = Owner::current()?;
        let mut mapped = Mapped::default();
        for range in ranges {
            mapped.push(attach(image, range, examined.writable, &owner)?);
        }
        Ok(mapped)
    }
}

/// The text that a loop device carries as its file name, 64 bytes with the final zero.
///
/// `losetup` shows the image's real name, which the kernel keeps elsewhere.
pub(crate) type Label = [u8; 64];

/// Sets up a loop device over `range` of `image`; an end of 0 means the end of the image.
pub(crate) fn attach(
    image: &File,
    range: &Range<u64>,
    writable: bool,
    owner: &Owner,
) -> Result<Device, Error> {
    let control = open_control()?;
    // One of us at a time, or the one who comes too late would have the other's device open for an instant, and its
    // owner might find it in use on closing. Closing the file unlocks it.
    rustix::io::retry_on_intr(|| flock(&control, FlockOperation::LockExclusive))
        .map_err(|errno| Error::Control { control: CONTROL, source: errno.into() })?;
    let label = label(owner);
    let mut taken = PathBuf::new();
    for _ in 0..ATTEMPTS {
        let node = free(&control)?;
        let device = open(&node, if writable { OFlags::RDWR } else { OFlags::RDONLY })?;
        match configure(&device, image, range, writable, label) {
            Ok(()) => {
                let file = open(&node, OFlags::RDONLY)?;
                return Ok(Device { node, file, origin: Origin::Loop(label) });
            }
            // Between our asking for a free device and our setting it up, a program that knows nothing of the lock
            // took it.
            Err(Errno::BUSY) => taken = node.path().to_owned(),
            Err(errno) => {
                return Err(Error::ConfigureLoop { device: node.path().to_owned(), source: errno.into() });
            }
        }
    }
    Err(Error::LoopContended { attempts: ATTEMPTS, device: taken })
}

/// Whether the loop device at `node` is still the one that was set up with `label`.
pub(crate) fn is_bound(node: &Node, label: &Label) -> bool {
    let Ok(device) = node.open(OFlags::RDONLY) else { return false };
    status(&device).is_ok_and(|information| information.lo_file_name == *label)
}

/// Unique on each device: the process, and a time at which no two threads can have set up the same device.
fn label(owner: &Owner) -> Label {
    let now = clock_gettime(ClockId::Monotonic);
    let nanoseconds = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
    let mut label = [0; 64];
    let name = owner.name(nanoseconds);
    let length = name.len().min(label.len() - 1);
    label[..length].copy_from_slice(&name.as_bytes()[..length]);
    label
}

fn open_control() -> Result<File, Error> {
    let opened = match File::options().read(true).write(true).open(CONTROL) {
        // A container's /dev may lack the file although the driver is there.
        Err(source) if no_driver(&source) => match misc_minor("loop-control") {
            None => return Err(Error::Unsupported { driver: "loop devices", control: CONTROL }),
            Some(minor) => {
                let number = makedev(MISC_MAJOR, minor);
                Node::find(Path::new(CONTROL), FileType::CharacterDevice, number)?.open(OFlags::RDWR)
            }
        },
        opened => opened,
    };
    opened.map_err(|source| Error::Control { control: CONTROL, source })
}

fn open(node: &Node, flags: OFlags) -> Result<File, Error> {
    node.open(flags).map_err(|source| Error::OpenDevice { device: node.path().to_owned(), source })
}

/// A loop device that was free a moment ago.
#[expect(unsafe_code, reason = "rustix has no function for loop ioctls")]
fn free(control: &File) -> Result<Node, Error> {
    // SAFETY: LOOP_CTL_GET_FREE takes no argument.
    let minor =
        unsafe { ioctl(control, GetFree) }.map_err(|errno| Error::FreeLoop { source: errno.into() })?;
    let path = format!("/dev/loop{minor}");
    Node::find(Path::new(&path), FileType::BlockDevice, makedev(LOOP_MAJOR, minor))
}

/// LOOP_CONFIGURE of linux/loop.h: the image, the offset and the flags in one step, so that there is no moment in
/// which a bound device would outlive us.
#[expect(unsafe_code, reason = "rustix has no function for loop ioctls")]
fn configure(
    device: &File,
    image: &File,
    range: &Range<u64>,
    writable: bool,
    label: Label,
) -> Result<(), Errno> {
    let flags = LO_FLAGS_AUTOCLEAR as u32 | if writable { 0 } else { LO_FLAGS_READ_ONLY as u32 };
    let info = loop_info64 {
        lo_offset: range.start,
        lo_sizelimit: range.end.saturating_sub(range.start),
        lo_flags: flags,
        lo_file_name: label,
        ..unset()
    };
    let config =
        loop_config { fd: image.as_raw_fd().unsigned_abs(), block_size: BLOCK, info, __reserved: [0; 8] };
    // SAFETY: for this opcode the kernel reads one `loop_config` and keeps no pointer to it.
    unsafe { ioctl(device, Setter::<{ LOOP_CONFIGURE as Opcode }, loop_config>::new(config)) }
}

#[expect(unsafe_code, reason = "rustix has no function for loop ioctls")]
fn status(device: &File) -> Result<loop_info64, Errno> {
    // SAFETY: for this opcode the kernel writes one `loop_info64`, which is plain data.
    unsafe { ioctl(device, Getter::<{ LOOP_GET_STATUS64 as Opcode }, loop_info64>::new()) }
}

/// All fields at what means "not set".
fn unset() -> loop_info64 {
    loop_info64 {
        lo_device: 0,
        lo_inode: 0,
        lo_rdevice: 0,
        lo_offset: 0,
        lo_sizelimit: 0,
        lo_number: 0,
        lo_encrypt_type: 0,
        lo_encrypt_key_size: 0,
        lo_flags: 0,
        lo_file_name: [0; 64],
        lo_crypt_name: [0; 64],
        lo_encrypt_key: [0; 32],
        lo_init: [0; 2],
    }
}

/// LOOP_CTL_GET_FREE returns the number as the result of the call itself.
struct GetFree;

#[expect(unsafe_code, reason = "implementing rustix's description of an ioctl is unsafe")]
// SAFETY: the opcode takes no argument, and none is passed.
unsafe impl Ioctl for GetFree {
    type Output = u32;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        LOOP_CTL_GET_FREE as Opcode
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(number: IoctlOutput, _: *mut std::ffi::c_void) -> rustix::io::Result<u32> {
        Ok(number.unsigned_abs())
    }
}
