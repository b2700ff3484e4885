//! The control file of device-mapper.
//!
//! Creating, loading and listing go through the crate `devicemapper`. Resuming and removing do not: for these two it
//! waits until udev confirms, without an end if udev cannot (the machine has udev but not dmsetup's rules, or this is
//! a container that sees udev's socket), and a SIGKILL meanwhile leaves its System V semaphore behind. We need
//! nothing of udev, so we ask the kernel without a cookie, and udev has nothing to confirm.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use devicemapper::errors::Error as CoreError;
use devicemapper::{DM, DevId, Device, DmError, DmFlags, DmName, DmOptions, DmUuid};
use devicemapper_sys::dm_ioctl;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use crate::Error;
use crate::node::{misc_minor, no_driver};
use crate::owner::Owner;

/// The name in `/proc/misc`.
pub(crate) const DRIVER: &str = "device-mapper";
const CONTROL: &str = "/dev/mapper/control";
// Type and numbers of linux/dm-ioctl.h: DM_IOCTL, DM_DEV_REMOVE_CMD and DM_DEV_SUSPEND_CMD, which also resumes.
const DEV_REMOVE: Opcode = opcode::read_write::<dm_ioctl>(0xfd, 4);
const DEV_SUSPEND: Opcode = opcode::read_write::<dm_ioctl>(0xfd, 6);

/// The opened control file.
pub(crate) struct Control(DM);

impl fmt::Debug for Control {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Control").field(self.0.file()).finish()
    }
}

impl Control {
    /// Opens the control file, and has the kernel check that we may use it.
    pub(crate) fn open() -> Result<Self, Error> {
        // The crate's own error names neither the file nor the cause as a value, so the file is tried first.
        if let Err(source) = File::open(CONTROL) {
            let minor = misc_minor(DRIVER);
            return Err(match minor {
                None if no_driver(&source) => Error::Unsupported { driver: DRIVER, control: CONTROL },
                Some(minor) if no_driver(&source) => Error::NoControl { control: CONTROL, minor },
                _ => Error::Control { control: CONTROL, source },
            });
        }
        let failed = |error| Error::Control { control: CONTROL, source: cause(error) };
        let dm = DM::new().map_err(failed)?;
        // Every request needs CAP_SYS_ADMIN, even this one.
        dm.version().map_err(failed)?;
        Ok(Self(dm))
    }

    /// Creates an empty device marked as `owner`'s, and gives its name and number.
    pub(crate) fn create(&self, owner: &Owner) -> Result<(String, Device), Error> {
        // A name must not come again while somebody may still ask whether its device is gone, and so has it removed: no
        // other control file that is open in this process has this descriptor.
        let mut number = u64::from(self.0.file().as_raw_fd().unsigned_abs()) << 32;
        loop {
            let (name, uuid) = (owner.name(number), owner.uuid(number));
            let created = (|| {
                self.0.device_create(DmName::new(&name)?, Some(DmUuid::new(&uuid)?), DmOptions::default())
            })();
            match created.map_err(cause) {
                Ok(information) => return Ok((name, information.device())),
                // The name is that of another device of this map.
                Err(source) if source.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => number += 1,
                Err(source) => return Err(Error::Create { name, source }),
            }
        }
    }

    /// Loads a table of one linear target: `length` sectors of `backing`, from its sector `start` on.
    pub(crate) fn load(
        &self,
        name: &str,
        backing: Device,
        start: u64,
        length: u64,
        writable: bool,
    ) -> Result<(), Error> {
        let table = [(0, length, "linear".to_owned(), format!("{backing} {start}"))];
        let flags = if writable { DmFlags::empty() } else { DmFlags::DM_READONLY };
        let options = DmOptions::default().set_flags(flags);
        (|| self.0.table_load(&DevId::Name(DmName::new(name)?), &table, options))()
            .map_err(|error| Error::Load { name: name.to_owned(), source: cause(error) })?;
        Ok(())
    }

    /// Makes the loaded table the one in force.
    pub(crate) fn resume(&self, name: &str) -> Result<(), Error> {
        self.request::<DEV_SUSPEND>(name, DmFlags::empty())
            .map_err(|errno| Error::Resume { name: name.to_owned(), source: errno.into() })?;
        Ok(())
    }

    /// Removes a device now, or with its last close if it is open. Gives whether it still exists.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, Error> {
        match self.request::<DEV_REMOVE>(name, DmFlags::DM_DEFERRED_REMOVE) {
            // The kernel takes the flag out of its answer when it had nothing to defer.
            Ok(flags) => Ok(flags.contains(DmFlags::DM_DEFERRED_REMOVE)),
            // An earlier request was deferred, and the last user has gone since.
            Err(Errno::NXIO) => Ok(false),
            Err(errno) => Err(Error::Remove { name: name.to_owned(), source: errno.into() }),
        }
    }

    /// Names of all devices of the machine.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let devices = self.0.list_devices().map_err(|error| Error::List { source: cause(error) })?;
        Ok(devices.into_iter().map(|(name, ..)| name.to_string()).collect())
    }

    /// Whose mark a device bears; `None` if it bears none, or does not exist any more.
    pub(crate) fn owner(&self, name: &str) -> Option<Owner> {
        let information = self.0.device_info(&DevId::Name(DmName::new(name).ok()?)).ok()?;
        Owner::parse(&information.uuid()?.to_string())
    }

    /// Sends a request that consists of a name and flags alone, and gives the flags of the answer.
    #[expect(unsafe_code, reason = "the crate has no way to resume or remove without waiting for udev")]
    fn request<const OPCODE: Opcode>(&self, name: &str, flags: DmFlags) -> Result<DmFlags, Errno> {
        let size = u32::try_from(size_of::<dm_ioctl>()).map_err(|_| Errno::INVAL)?;
        let mut header = dm_ioctl {
            version: [4, 0, 0],
            data_size: size,
            data_start: size,
            flags: flags.bits(),
            ..dm_ioctl::default()
        };
        // One byte stays zero behind the name.
        if name.len() >= header.name.len() {
            return Err(Errno::NAMETOOLONG);
        }
        for (to, from) in header.name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        // SAFETY: for these opcodes the kernel reads and writes `data_size` bytes, which are those of the header.
        unsafe { ioctl(self.0.file(), Updater::<OPCODE, dm_ioctl>::new(&mut header))? };
        Ok(DmFlags::from_bits_truncate(header.flags))
    }
}

/// The operating system's error in an error of the crate, whose own text is a dump of structures.
fn cause(error: DmError) -> io::Error {
    match error {
        DmError::Core(CoreError::Ioctl(_, _, _, errno)) => io::Error::from(*errno),
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use devicemapper_sys::{DM_DEV_REMOVE_CMD, DM_DEV_SUSPEND_CMD, DM_IOCTL};

    #[test]
    fn the_numbers_are_those_of_the_header() {
        assert_eq!((DM_IOCTL, DM_DEV_REMOVE_CMD, DM_DEV_SUSPEND_CMD), (0xfd, 4, 6));
    }
}
