//! An [`Emulation`] lets this kernel run programs of another [`Arch`] for as long as it lives.
//!
//! ```no_run
//! use arm_image_qemu::{Arch, Options, enable};
//! use std::process::Command;
//!
//! let (shell, library) = (std::fs::read("rootfs/bin/sh")?, std::fs::read("rootfs/lib/libc.so.6")?);
//! let arch = Arch::of_system([&*shell, &library]).ok_or("rootfs/bin/sh is no program we know")?;
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
//! * `C`: setuid programs, such as `sudo`, run with their rights.
//!
//! What the kernel starts is not the file on disk but a copy in memory with a few instructions before it (see the crate
//! `arm-image-qemu-wrapper`): they insert the arguments that [`Start`] tells of, and take away the environment variables
//! that qemu obeys where a setuid program is about to run, which would otherwise let anyone make qemu misuse its rights.
//! In a list of processes the copy bears the name `/proc/self/fd/N`. A qemu that cannot be copied so is started as it
//! is, and then without `C`.
//!
//! A handler of the host's that lacks `C` is used only where none of ours can be had.
//!
//! # Limits of the cleanup
//!
//! A handler has a name but no file descriptor. [`Emulation::close`] and `Drop` unregister it; after a SIGKILL
//! it stays, harmless but for the memory of the copy, until [`stale`] finds it by its name
//! (`arm-image-PID-STARTTIME-…`). Where `binfmt_misc` is not mounted, it is reached through a detached mount that never
//! enters the mount table; then even the handler vanishes with the process (from Linux 6.7 on, and in maintained older
//! kernels; seen in 6.1.176).

mod arch;
mod binary;
mod elf;
mod emulation;
mod error;
mod explain;
mod format;
mod interpreter;
mod native;
mod owner;
mod processor;
mod registry;
mod stale;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use arch::Arch;
pub use binary::find_binary;
pub use emulation::Emulation;
use emulation::Own;
pub use error::Error;
pub use explain::explain;
use interpreter::Interpreter;
use owner::Owner;
pub use processor::processor;
use registry::Registry;
pub use stale::{Stale, stale};

/// Which qemu may be used, and where to look for it. The default finds none, and so allows only a native
/// architecture or a handler that the host already has.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// This qemu and no other; a handler of the host is then not used.
    pub binary: Option<PathBuf>,
    /// Folders to look in for a static qemu, in order, as in `PATH`.
    pub search: Vec<PathBuf>,
    /// No handler of the host, even where one serves.
    pub own: bool,
}

/// How the kernel is to start qemu.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// By a descriptor that the kernel holds, so that it is found from inside any image.
    #[default]
    Plain,
    /// Likewise, and with these arguments of qemu's own before the program's; a handler of the host is then not used.
    ///
    /// Any bytes but NUL, together at most 64 KiB. The kernel has one list of handlers for all: while the
    /// [`Emulation`] lives, programs of this architecture outside the image are run with these arguments, too. That is
    /// for a kernel of one's own.
    Arguments(Vec<OsString>),
    /// As [`Plain`](Start::Plain), and with arguments where there are some for the root that a program is started in: in
    /// the file with this path there, as [`arguments`] writes it.
    ///
    /// Whichever of several such handlers is in force, each image has its own arguments, and all other programs none. A
    /// handler of the host looks for no file: [`Options::own`] rules it out.
    ArgumentsIn(PathBuf),
    /// By its path, anew for each program: [`Emulation::inside`] then tells what has to be made visible inside the
    /// image, and where.
    ///
    /// For a kernel before Linux 4.8, and for a host that lets nobody change its handlers, where those lack the flag
    /// `F`. Setuid programs then run with the rights of whoever starts them.
    Inside,
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
    enable_with(arch, options, &Start::Plain)
}

/// As [`enable`], with a word on how qemu is to be started.
///
/// # Errors
/// As [`enable`]; and when qemu cannot be given the arguments.
pub fn enable_with(arch: Arch, options: &Options, start: &Start) -> Result<Emulation, Error> {
    if arch.runs_natively() {
        return Ok(Emulation::native());
    }
    let registry = Registry::open()?;
    registry.require_enabled()?;
    let own_only = options.own || options.binary.is_some() || matches!(start, Start::Arguments(_));
    let serving = if own_only { None } else { registry.serving(arch, *start == Start::Inside)? };
    match serving {
        Some(serving) if serving.credentials || *start == Start::Inside => Ok(Emulation::host(serving)),
        // Ours also runs setuid programs with their rights. Whoever cannot have it has to do without that.
        Some(serving) => register(arch, options, start, registry).or_else(|_| Ok(Emulation::host(serving))),
        None => register(arch, options, start, registry),
    }
}

/// The name of a handler that the kernel has for programs of `arch`, whoever registered it and whether or not it would serve
/// in an image: one of ours is newer, and so runs these programs in its place.
///
/// # Errors
/// When `binfmt_misc` cannot be reached or read.
pub fn handler(arch: Arch) -> Result<Option<String>, Error> {
    Registry::open()?.taking(arch)
}

/// What a file for [`Start::ArgumentsIn`] holds: the arguments, each with a NUL at its end.
///
/// # Errors
/// When one has a NUL in it, or they have more than 64 KiB together.
pub fn arguments(arguments: &[OsString]) -> Result<Vec<u8>, Error> {
    arm_image_qemu_wrapper::strings(arguments).map_err(|source| Error::Arguments { source })
}

/// Sees that the qemu at `path` runs programs of `arch`, by asking it, and gives the first line of what it says, as
/// [`Emulation::version`] does; one that does not say (a wrapper) is believed.
///
/// # Errors
/// When it cannot be run, or emulates another architecture.
pub fn verify(arch: Arch, path: &Path) -> Result<Option<String>, Error> {
    Ok(binary::told(arch, path)?.map(|told| told.line))
}

fn register(arch: Arch, options: &Options, start: &Start, registry: Registry) -> Result<Emulation, Error> {
    let qemu = find_binary(arch, options)?;
    let told = binary::told(arch, &qemu)?;
    let version = told.as_ref().map(|told| told.version);
    let interpreter = Interpreter::prepare(&qemu, version, start, options.own)?;
    let (registry, name) = registry.register(arch, &Owner::current()?, &interpreter)?;
    let own = Own { registry, name, qemu, inside: *start == Start::Inside };
    Ok(Emulation::own(own, told.map(|told| told.line)))
}

/// What fuzzing reaches beside the public API.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Reads how a program is linked.
    pub fn linkage(bytes: &[u8]) {
        let _ = crate::elf::linkage(bytes);
    }
}
