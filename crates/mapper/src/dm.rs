//! Device-mapper tables over one loop device.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use devicemapper::Device as Number;
use rustix::fs::{FileType, OFlags};

use crate::control::Control;
use crate::image::{Image, SECTOR};
use crate::mapped::{Device, Origin};
use crate::node::Node;
use crate::owner::Owner;
use crate::{DeviceMapper, Error, LoopMapper, Mapped, loopdev};

/// Maps ranges by a device-mapper table each, over one loop device or over the image itself if it is a block device.
#[derive(Debug, Clone, Copy, Default)]
pub struct DmMapper;

impl DmMapper {
    /// Whether this process can use device-mapper and loop devices here; changes nothing.
    ///
    /// # Errors
    ///
    /// What is missing: the driver ([`Error::Unsupported`]), its control file ([`Error::NoControl`]), the permission
    /// ([`Error::Control`]), or anything that [`LoopMapper::available`] reports.
    pub fn available() -> Result<(), Error> {
        Control::open()?;
        LoopMapper::available()
    }
}

impl DeviceMapper for DmMapper {
    fn map(&self, image: &File, ranges: &[Range<u64>]) -> Result<Mapped, Error> {
        let examined = Image::examine(image, ranges)?;
        let control = Arc::new(Control::open()?);
        let owner = Owner::current()?;
        // Each table that is loaded holds the loop device, so that its own descriptor is needed only until then.
        let whole = match examined.device {
            Some(_) => None,
            None => Some(loopdev::attach(image, &(0..0), examined.writable, &owner)?),
        };
        let backing = whole.as_ref().map(|whole| whole.node.number()).or(examined.device).unwrap_or_default();
        let mut mapped = Mapped::default();
        for range in ranges {
            mapped.push(table(&control, &owner, backing, range, examined.writable)?);
        }
        Ok(mapped)
    }
}

/// Makes the device of one range, which dies with the descriptor that is returned.
fn table(
    control: &Arc<Control>,
    owner: &Owner,
    backing: u64,
    range: &Range<u64>,
    writable: bool,
) -> Result<Device, Error> {
    let (name, number) = control.create(owner)?;
    let made = activate(control, &name, number, backing, range, writable);
    // Both paths ask for the removal. If all went well the device is open by now, and goes with its last close.
    let removal = control.remove(&name);
    let (node, file) = made?;
    removal?;
    Ok(Device { node, file, origin: Origin::Table(Arc::clone(control), name) })
}

/// Sets a created device to work and opens it.
fn activate(
    control: &Control,
    name: &str,
    number: Number,
    backing: u64,
    range: &Range<u64>,
    writable: bool,
) -> Result<(Node, File), Error> {
    let length = (range.end - range.start) / SECTOR;
    control.load(name, Number::from(backing), range.start / SECTOR, length, writable)?;
    control.resume(name)?;
    let path = format!("/dev/dm-{}", number.minor);
    let node = Node::find(Path::new(&path), FileType::BlockDevice, number.into())?;
    let file = node
        .open(OFlags::RDONLY)
        .map_err(|source| Error::OpenDevice { device: node.path().to_owned(), source })?;
    Ok((node, file))
}
