//! Devices that a killed process left behind.

use crate::Error;
use crate::control::{Control, DRIVER};
use crate::node::misc_minor;
use crate::owner::Owner;

/// A device-mapper device of ours whose process is gone.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stale {
    /// Its device-mapper name, `arm-image-PID-STARTTIME-N`.
    pub name: String,
}

impl Stale {
    /// Removes the device, and with it the loop device under it; if somebody has it open, with the last close.
    ///
    /// # Errors
    ///
    /// [`Error::NotStale`] if the name is not that of a stale device, [`Error::Remove`] if the kernel refuses. A device
    /// that is gone already is none.
    pub fn remove(self) -> Result<(), Error> {
        let control = Control::open()?;
        match control.owner(&self.name) {
            Some(owner) if owner.is_gone()? => control.remove(&self.name).map(drop),
            None if !control.names()?.contains(&self.name) => Ok(()),
            _ => Err(Error::NotStale { name: self.name }),
        }
    }
}

/// Lists the devices that were left behind by processes that are gone.
///
/// Only device-mapper devices with our mark are looked at, and only those made in this PID namespace. Loop devices
/// cannot be left behind. A kernel without device-mapper has nothing to list.
///
/// # Errors
///
/// If device-mapper is there but cannot be asked, usually for want of permission.
pub fn stale() -> Result<Vec<Stale>, Error> {
    if misc_minor(DRIVER).is_none() {
        return Ok(Vec::new());
    }
    let control = Control::open()?;
    let mut stale = Vec::new();
    for name in control.names()? {
        if let Some(owner) = control.owner(&name)
            && is_ours(&name, &owner)
            && owner.is_gone()?
        {
            stale.push(Stale { name });
        }
    }
    Ok(stale)
}

/// Whether the name agrees with the mark: a device that somebody has renamed is theirs.
fn is_ours(name: &str, owner: &Owner) -> bool {
    let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number.is_some_and(|number| owner.name(number) == name)
}
