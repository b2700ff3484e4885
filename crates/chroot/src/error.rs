//! What can go wrong, and what the user can do about it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A failure to mount, to run, or to move files, with the object it befell.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No mount has the target `/`.
    #[error("no partition is to be mounted on `/`")]
    NoRoot,
    /// A mount target is relative, has a `..` in it, or stands twice in the list.
    #[error("`{target}` cannot be a mount point: {reason}")]
    Target {
        /// The target as given.
        target: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The private mount namespace could not be made.
    #[error("failed to {step} for a private mount namespace")]
    Namespace {
        /// What was being done, as a verb with its object.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel would not mount a file system.
    #[error("failed to mount `{device}` as {kind} on `{target}`")]
    Mount {
        /// The device, or the kind again where the file system has none.
        device: PathBuf,
        /// The mount point inside the image.
        target: PathBuf,
        /// The kernel's name of the file system.
        kind: String,
        /// What the file system itself said, where it said something.
        said: Option<String>,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A mount point in the image could be neither found nor made.
    #[error("failed to make the mount point `{target}` in the image")]
    MountPoint {
        /// The mount point inside the image.
        target: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// An entry of the private `/dev` could not be made.
    #[error("failed to make `/dev/{name}` for the image")]
    Device {
        /// The entry's name.
        name: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The host's name server configuration could not be read.
    #[error("failed to read `{path}`, the name servers to use")]
    ResolvConfSource {
        /// The file on the host.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The image's `/etc/resolv.conf` could not be covered, replaced or removed.
    #[error("failed to set up `{path}` in the image")]
    ResolvConf {
        /// The file in the image, links followed.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file system would not write back what it holds.
    #[error("failed to write `{target}` back to its device")]
    Sync {
        /// The mount point inside the image.
        target: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A device is still in use after everything of ours was released.
    #[error("`{device}` is still in use after unmounting")]
    Busy {
        /// The device.
        device: PathBuf,
    },
    /// A process could not be prepared before its program was started.
    #[error("failed to {step} to run `{program}`")]
    Start {
        /// The program.
        program: String,
        /// What was being done, as a verb with its object.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel would not execute the program.
    #[error("failed to execute `{program}` in the image")]
    Execute {
        /// The program.
        program: String,
        /// The kernel's answer: not found, no permission, or not a format this machine can run.
        #[source]
        source: io::Error,
    },
    /// The process that watches over the program was killed from outside.
    #[error("`{program}` was killed together with the process that watched over it")]
    Vanished {
        /// The program.
        program: String,
    },
    /// A provisioner's command ended with something other than success.
    #[error("`{command}` failed with {status}")]
    Failed {
        /// The command, short and readable.
        command: String,
        /// Its exit code or signal.
        status: ExitStatus,
        /// The last lines of its stderr, oldest first.
        stderr_tail: Vec<String>,
    },
    /// A file, directory or link could not be made in the image.
    #[error("failed to create `{path}` in the image")]
    Create {
        /// The path inside the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file or directory of the image could not be read.
    #[error("failed to read `{path}` in the image")]
    Read {
        /// The path inside the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file of the image could not be removed.
    #[error("failed to remove `{path}` from the image")]
    Remove {
        /// The path inside the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file on the host could not be read.
    #[error("failed to read `{path}`")]
    Source {
        /// The path on the host.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A device node, socket or pipe stands in a tree that is to be copied.
    #[error("`{path}` is neither file, directory nor symbolic link")]
    Special {
        /// The path on the host.
        path: PathBuf,
    },
    /// Another implementation of [`ChrootRunner`](crate::ChrootRunner) failed in a way of its own.
    #[error("{message}")]
    Runner {
        /// What failed, as a lower-case fragment without the cause.
        message: String,
        /// What the user can do, if that is known.
        hint: Option<String>,
        /// The cause, if there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The tick asked to stop; what was running is gone.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What the user can do about it, where something is known.
    pub fn hint(&self) -> Option<String> {
        use io::ErrorKind::{NotFound, PermissionDenied};
        let hint = match self {
            Error::NoRoot => "name the partition that holds the root file system".into(),
            Error::Namespace { source, .. } if source.kind() == PermissionDenied => {
                "mounting takes root (CAP_SYS_ADMIN)".into()
            }
            Error::Mount { kind, source, .. } if source.raw_os_error() == Some(libc::ENODEV) => {
                format!("this kernel has no {kind}; try `modprobe {kind}`")
            }
            Error::Mount { source, .. } if source.kind() == PermissionDenied => {
                "mounting takes root (CAP_SYS_ADMIN), and writing a device that is not read-only".into()
            }
            Error::Mount { said: Some(said), .. } => format!("the kernel said: {said}"),
            Error::Mount { .. } => "the last lines of `dmesg` may say more".into(),
            Error::MountPoint { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "the image's root file system is read-only and lacks this directory".into()
            }
            Error::ResolvConfSource { .. } => "name another file, or turn the option off".into(),
            Error::Busy { .. } => "a file of the image is still open, or the device is mounted elsewhere".into(),
            Error::Execute { source, .. } => match source.raw_os_error() {
                Some(libc::ENOEXEC) => "the program is for another processor: emulation (a binfmt_misc \
                     handler for it) must be enabled first"
                    .into(),
                Some(libc::EACCES) => "the file is not executable".into(),
                _ if source.kind() == NotFound => {
                    "the program, the interpreter its first line names, or its dynamic loader is not in the image"
                        .into()
                }
                _ => return None,
            },
            Error::Vanished { .. } => "the kernel may have run out of memory: see `dmesg`".into(),
            Error::Failed { status, .. } => match status.signal() {
                Some(libc::SIGSEGV | libc::SIGILL | libc::SIGBUS) => {
                    "under emulation this is often a fault of the emulator: try another version of qemu".into()
                }
                Some(libc::SIGKILL) => "the kernel may have run out of memory: see `dmesg`".into(),
                _ => return None,
            },
            Error::Runner { hint, .. } => return hint.clone(),
            _ => return None,
        };
        Some(hint)
    }

    /// The exit code of the command that failed, 128 + the signal's number if one ended it.
    ///
    /// `None` for every other error.
    pub fn code(&self) -> Option<i32> {
        match self {
            Error::Failed { status, .. } => {
                status.code().or_else(|| status.signal().map(|signal| 128 + signal))
            }
            _ => None,
        }
    }

    /// The last lines that the failed command wrote to stderr, oldest first; empty for every other error.
    pub fn stderr_tail(&self) -> &[String] {
        match self {
            Error::Failed { stderr_tail, .. } => stderr_tail,
            _ => &[],
        }
    }
}
