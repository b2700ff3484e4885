//! The guard.

use std::path::{Path, PathBuf};

use crate::registry::{Registry, Serving};
use crate::{Error, binary};

/// Programs of one architecture can be run while this lives.
#[derive(Debug)]
#[must_use = "dropping it ends the emulation"]
pub struct Emulation {
    means: Means,
    /// The whole first line of what qemu says of itself.
    version: Option<String>,
}

#[derive(Debug)]
enum Means {
    Native,
    Host(Serving),
    Own(Own),
    Closed,
}

/// A handler of ours.
#[derive(Debug)]
pub(crate) struct Own {
    /// Where it is registered.
    pub(crate) registry: Registry,
    pub(crate) name: String,
    /// The qemu, not what was registered: that may be a file in memory.
    pub(crate) qemu: PathBuf,
    /// Whether the kernel opens qemu anew at each start.
    pub(crate) inside: bool,
}

impl Emulation {
    pub(crate) fn native() -> Emulation {
        Emulation { means: Means::Native, version: None }
    }

    pub(crate) fn host(serving: Serving) -> Emulation {
        // Debian's handlers name a link by which its qemu knows that it is called by the kernel, which this is not.
        let qemu = serving.interpreter.canonicalize().ok();
        let version = qemu.and_then(|qemu| binary::ask(&qemu).ok().flatten()).map(|told| told.line);
        Emulation { means: Means::Host(serving), version }
    }

    pub(crate) fn own(own: Own, version: Option<String>) -> Emulation {
        Emulation { means: Means::Own(own), version }
    }

    /// One line for the log: by what the programs are run, but for the arguments that were given.
    #[must_use]
    pub fn describe(&self) -> String {
        let version = self.version.as_deref().and_then(binary::parse_version);
        let version = version.map(|(_, version)| format!(" {version}")).unwrap_or_default();
        match &self.means {
            Means::Native => "native".to_owned(),
            Means::Host(Serving { name, interpreter, .. }) => {
                format!("the host's handler {name} using {}{version}", interpreter.display())
            }
            Means::Own(Own { name, qemu, .. }) => {
                format!("own handler {name} using {}{version}", qemu.display())
            }
            Means::Closed => "closed".to_owned(),
        }
    }

    /// The qemu on the host that runs the programs; none where they run natively.
    #[must_use]
    pub fn interpreter(&self) -> Option<&Path> {
        match &self.means {
            Means::Host(Serving { interpreter, .. }) => Some(interpreter),
            Means::Own(Own { qemu, .. }) => Some(qemu),
            Means::Native | Means::Closed => None,
        }
    }

    /// The first line of what qemu says of itself when asked for its version, such as
    /// `qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)`.
    ///
    /// None where programs run natively, where qemu does not say, and where the host's handler was registered
    /// from files that are not to be seen from here.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The file of the host that has to be seen inside the image at the same path as outside, as by a bind mount.
    ///
    /// Only after [`Start::Inside`](crate::Start::Inside): otherwise the kernel holds qemu open, and it is none.
    #[must_use]
    pub fn inside(&self) -> Option<&Path> {
        match &self.means {
            Means::Host(Serving { interpreter, opened: false, .. }) => Some(interpreter),
            Means::Own(Own { qemu, inside: true, .. }) => Some(qemu),
            _ => None,
        }
    }

    /// Unregisters what [`enable`](crate::enable) registered; programs that run already go on.
    ///
    /// # Errors
    /// When the kernel refuses. A handler that someone else removed meanwhile is no error.
    pub fn close(mut self) -> Result<(), Error> {
        self.take_down()
    }

    fn take_down(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.means, Means::Closed) {
            Means::Own(Own { registry, name, .. }) => registry.remove(&name),
            Means::Native | Means::Host(_) | Means::Closed => Ok(()),
        }
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        // The last line of defence has nobody to report to; what it leaves, `stale` finds.
        let _ = self.take_down();
    }
}
