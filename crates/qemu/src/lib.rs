//! An [`Emulation`] lets this kernel run programs of another [`Arch`] for as long as it lives.
//!
//! ```no_run
//! use arm_image_qemu::{Arch, Options, enable};
//! use std::process::Command;
//!
//! let program = std::fs::read("rootfs/bin/sh")?;
//! let arch = Arch::from_elf(&program).ok_or("rootfs/bin/sh is no program we know")?;
//! let options = Options { search: vec!["/usr/bin".into()], ..Options::default() };
//! let emulation = enable(arch, &options)?; // needs root, unless the host is prepared already
//! println!("{arch} programs run by: {}", emulation.describe());
//! Command::new("chroot").args(["rootfs", "/bin/sh", "-c", "uname -m"]).status()?;
//! emulation.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What happens to the host
//!
//! The kernel's `binfmt_misc` looks at the first bytes of a program and starts an interpreter for those it
//! knows; here the interpreter is the static `qemu-user`. Where the host already has a handler that works inside
//! a chroot, nothing is changed at all. Otherwise a handler is registered for the life of the [`Emulation`]. It is
//! seen by every process under the same kernel (from Linux 6.7 on: of the same user namespace), and matches
//! only programs of that one architecture. The newest handler wins, so the host's own is neither changed nor
//! removed, and is in force again afterwards.
//!
//! The flags of our handler (see `Documentation/admin-guide/binfmt-misc.rst` of the kernel):
//!
//! * `F`: the kernel opens qemu now, so that it is found from inside an image that has no copy of it.
//! * `O`: qemu is handed the program as an open file, so programs that may be run but not read work.
//! * `P`: the program sees the `argv[0]` it was called with. Only where kernel and qemu understand each other
//!   about it (Linux 5.12 and qemu 6.0 or later); otherwise qemu would take it for the first argument.
//! * `C` is left out: it would run qemu, which obeys environment variables, with the rights of setuid programs.
//!
//! # Limits of the cleanup
//!
//! A handler has a name but no file descriptor. [`Emulation::close`] and `Drop` unregister it; after a SIGKILL
//! it stays, harmless, until [`stale`] finds it by its name (`arm-image-PID-STARTTIME-…`). Where `binfmt_misc` is
//! not mounted, it is reached through a detached mount that never enters the mount table; then even the
//! handler vanishes with the process (from Linux 6.7 on, and in maintained older kernels; seen in 6.1.176).

mod arch;
mod binary;
mod elf;
mod error;
mod format;
mod owner;
mod registry;

use std::fmt;
use std::path::{Path, PathBuf};

pub use arch::Arch;
pub use binary::find_binary;
pub use error::Error;
use owner::Owner;
use registry::Registry;

/// Which qemu may be used, and where to look for it. The default finds none, and so allows only a native
/// architecture or a handler that the host already has.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// This qemu and no other; a handler of the host is then not used.
    pub binary: Option<PathBuf>,
    /// Folders to look in for a static qemu, in order, as in `PATH`.
    pub search: Vec<PathBuf>,
}

/// Makes programs of `arch` runnable, also inside a chroot that has no qemu.
///
/// Does nothing where they run natively; uses the host's handler where it serves; else registers one, which
/// needs root and a static qemu ([`find_binary`]).
///
/// # Errors
/// When `binfmt_misc` cannot be reached or is switched off, no suitable qemu is found, or the kernel refuses
/// the handler.
pub fn enable(arch: Arch, options: &Options) -> Result<Emulation, Error> {
    if arch.runs_natively() {
        return Ok(Emulation(Means::Native));
    }
    let registry = Registry::open()?;
    registry.require_enabled()?;
    if options.binary.is_none()
        && let Some((name, interpreter)) = registry.serving(arch)?
    {
        return Ok(Emulation(Means::Host { name, interpreter }));
    }
    let interpreter = find_binary(arch, options)?;
    let version = binary::version(arch, &interpreter)?;
    let flags = binary::flags(version);
    let (registry, name) = registry.register(arch, &Owner::current()?, &interpreter, flags)?;
    Ok(Emulation(Means::Own(Handler { registry, name, interpreter, version })))
}

/// Programs of one architecture can be run while this lives.
#[derive(Debug)]
#[must_use = "dropping it ends the emulation"]
pub struct Emulation(Means);

#[derive(Debug)]
enum Means {
    Native,
    Host { name: String, interpreter: PathBuf },
    Own(Handler),
    Closed,
}

#[derive(Debug)]
struct Handler {
    registry: Registry,
    name: String,
    interpreter: PathBuf,
    version: Option<binary::Version>,
}

impl Emulation {
    /// One line for the log: by what the programs are run.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.0 {
            Means::Native => "native".to_owned(),
            Means::Host { name, interpreter } => {
                format!("the host's handler {name} using {}", interpreter.display())
            }
            Means::Own(Handler { name, interpreter, version, .. }) => {
                let version = version.map(|version| format!(" {version}")).unwrap_or_default();
                format!("own handler {name} using {}{version}", interpreter.display())
            }
            Means::Closed => "closed".to_owned(),
        }
    }

    /// The qemu on the host that runs the programs; none where they run natively.
    #[must_use]
    pub fn interpreter(&self) -> Option<&Path> {
        match &self.0 {
            Means::Host { interpreter, .. } | Means::Own(Handler { interpreter, .. }) => Some(interpreter),
            Means::Native | Means::Closed => None,
        }
    }

    /// Unregisters what [`enable`] registered; programs that run already go on.
    ///
    /// # Errors
    /// When the kernel refuses. A handler that someone else removed meanwhile is no error.
    pub fn close(mut self) -> Result<(), Error> {
        self.take_down()
    }

    fn take_down(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.0, Means::Closed) {
            Means::Own(Handler { registry, name, .. }) => registry.remove(&name),
            Means::Native | Means::Host { .. } | Means::Closed => Ok(()),
        }
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        // The last line of defence has nobody to report to; what it leaves, `stale` finds.
        let _ = self.take_down();
    }
}

/// Lists the handlers that an earlier process registered through this crate and did not live to remove.
///
/// Handlers of processes that live, or that belong to another PID namespace and so cannot be judged from
/// here, are not among them; nor is anything that does not bear our mark. A kernel without
/// `binfmt_misc` has none.
///
/// # Errors
/// When `binfmt_misc` cannot be read: where it is not mounted, that takes root.
pub fn stale() -> Result<Vec<Stale>, Error> {
    let registry = match Registry::open() {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        other => other?,
    };
    let current = Owner::current()?;
    let names = registry.names()?;
    let gone = names.into_iter().filter(|name| Owner::of(name).is_some_and(|owner| owner.is_gone(&current)));
    gone.map(|name| Ok(Stale { registry: registry.try_clone()?, name })).collect()
}

/// A handler whose process is gone.
#[derive(Debug)]
pub struct Stale {
    registry: Registry,
    name: String,
}

impl Stale {
    /// Its name in `binfmt_misc`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unregisters it.
    ///
    /// # Errors
    /// When the kernel refuses: it takes root.
    pub fn remove(self) -> Result<(), Error> {
        self.registry.remove(&self.name)
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
