//! What can go wrong with a guest.

use std::{io, path::PathBuf};

/// Why a guest could not be started, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No User-Mode Linux kernel was found.
    #[error("there is no User-Mode Linux kernel at `{path}`")]
    NoKernel {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is no module folder that belongs to the kernel.
    #[error("there are no kernel modules in `{path}`")]
    NoModules {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// The kernel offers no module of this name.
    #[error("the guest kernel has no module `{name}`")]
    NoModule {
        /// The module's name, as `modprobe` knows it.
        name: &'static str,
    },
    /// The program that gives an ordinary user a network is missing.
    #[error("there is no network program at `{path}`")]
    NoNetwork {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// No folder can hold the guest's memory.
    #[error("none of {folders:?} can hold {size} bytes of guest memory")]
    NoMemory {
        /// The guest's memory in bytes.
        size: u64,
        /// The folders that were looked at.
        folders: Vec<PathBuf>,
    },
    /// A file or folder that the guest is to see could not be read.
    #[error("failed to read `{path}`")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The disk image could not be opened for reading and writing.
    #[error("failed to open disk `{path}`")]
    Disk {
        /// The disk image.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The program that is to be the guest's init is not a 64-bit ELF executable that can be started there.
    #[error("`{path}` cannot be the first program of a guest: {reason}")]
    Program {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A name or a size that the initramfs format (`cpio -H newc`) cannot carry.
    #[error("`{path}` does not fit into an initramfs")]
    TooLarge {
        /// The file that was to be packed.
        path: PathBuf,
    },
    /// The initramfs could not be written to memory.
    #[error("failed to write the initramfs")]
    Initramfs {
        /// What the kernel said.
        source: io::Error,
    },
    /// A pipe, socket or anonymous file for the guest could not be made.
    #[error("failed to make the guest's {line}")]
    Line {
        /// What it was for.
        line: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel could not be executed.
    #[error("failed to start `{kernel}`")]
    Start {
        /// The kernel.
        kernel: PathBuf,
        /// What the kernel of the host said.
        source: io::Error,
    },
    /// The guest ended before its init was ready, or without handing over an exit code.
    #[error("the guest died; its last words:\n{console}")]
    Died {
        /// The last lines of its console.
        console: String,
    },
    /// The guest's init could not set the guest up.
    #[error("the guest could not be set up: {reason}")]
    SetUp {
        /// What init said.
        reason: String,
    },
    /// Guest side: a file system could not be mounted.
    #[error("failed to mount `{target}` in the guest")]
    Mount {
        /// The mount point.
        target: PathBuf,
        /// What the guest kernel said.
        source: io::Error,
    },
    /// Guest side: a kernel module could not be loaded.
    #[error("failed to load kernel module `{path}`")]
    LoadModule {
        /// The module's file.
        path: PathBuf,
        /// What the guest kernel said.
        source: io::Error,
    },
    /// Guest side: a terminal line could not be opened or set to raw mode.
    #[error("failed to open guest line `{path}`")]
    OpenLine {
        /// The line's device node.
        path: PathBuf,
        /// What the guest kernel said.
        source: io::Error,
    },
    /// Guest side: a file of the guest's own tree could not be written.
    #[error("failed to write `{path}` in the guest")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the guest kernel said.
        source: io::Error,
    },
    /// Guest side: a network interface could not be configured.
    #[error("failed to set the {what} of network interface `{interface}`")]
    Network {
        /// The interface.
        interface: &'static str,
        /// Address, mask, flags, route.
        what: &'static str,
        /// What the guest kernel said.
        source: io::Error,
    },
}

impl Error {
    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoKernel { .. } | Self::NoModules { .. } | Self::NoModule { .. } => {
                Some("install the package `user-mode-linux` (Debian, Ubuntu; x86-64 only)".into())
            }
            Self::NoNetwork { .. } => Some("install the package `slirp` (Debian, Ubuntu)".into()),
            Self::NoMemory { size, .. } => Some(format!(
                "set TMPDIR to a folder with {} MiB of free space on a file system without `noexec`",
                size.div_ceil(1 << 20)
            )),
            _ => None,
        }
    }
}

/// The error and its causes on one line: what crosses from the guest to the host.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text.replace('\n', " ")
}
