//! What root of the image is not allowed to do to this machine.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities};

/// What reaches through every namespace that a command has: to the kernel, to the hardware, to the clock, to power,
/// and to the network, which is the host's so that packages can be fetched.
const HOSTS: [CapabilitySet; 7] = [
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_BOOT,
    CapabilitySet::SYS_TIME,
    CapabilitySet::WAKE_ALARM,
    CapabilitySet::SYSLOG,
    CapabilitySet::NET_ADMIN,
];

/// Gives up what is the host's, for this thread and whatever program it becomes. Nothing is allocated.
pub(crate) fn renounce() -> rustix::io::Result<()> {
    let mut sets = capabilities(None)?;
    for capability in HOSTS {
        sets.inheritable.remove(capability);
        match remove_capability_from_bounding_set(capability) {
            // The kernel is older than the capability.
            Ok(()) | Err(Errno::INVAL) => {}
            // A container's root may not take away what it does not have itself; then nothing is lost either.
            Err(Errno::PERM) if !sets.permitted.contains(capability) => {}
            Err(error) => return Err(error),
        }
    }
    // What root's programs get is the bounding set and what they inherit.
    set_capabilities(None, sets)
}
