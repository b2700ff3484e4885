//! What can go wrong, each with its object.

use std::io;
use std::path::PathBuf;

use crate::Arch;

/// Why programs of another architecture cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such architecture is known.
    #[error("unknown architecture `{name}`")]
    UnknownArch {
        /// What was asked for.
        name: String,
    },
    /// No qemu for this architecture was found.
    #[error("no static {} found to run {arch} programs", arch.qemu_name())]
    NoBinary {
        /// Whose programs were to be run.
        arch: Arch,
    },
    /// The qemu found needs libraries of the host, which a chroot does not have.
    #[error("`{}` is not static: inside an image its loader `{loader}` is missing", path.display())]
    DynamicBinary {
        /// The qemu.
        path: PathBuf,
        /// The loader that its program headers name.
        loader: String,
    },
    /// The qemu given is no program that the kernel could start by itself.
    #[error("`{}` is not an ELF program", path.display())]
    NotAProgram {
        /// The qemu.
        path: PathBuf,
    },
    /// The qemu given emulates another architecture.
    #[error("`{}` is {found}, but {arch} programs need {}", path.display(), arch.qemu_name())]
    WrongBinary {
        /// The qemu.
        path: PathBuf,
        /// What it says it is.
        found: String,
        /// Whose programs were to be run.
        arch: Arch,
    },
    /// The qemu could not be read.
    #[error("failed to read `{}`", path.display())]
    ReadBinary {
        /// The qemu.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The qemu could not be run to ask for its version.
    #[error("failed to run `{} --version`", path.display())]
    RunBinary {
        /// The qemu.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The qemu cannot have arguments put into it.
    #[error("failed to put arguments into `{}`", path.display())]
    Wrap {
        /// The qemu.
        path: PathBuf,
        /// The cause.
        #[source]
        source: arm_image_qemu_wrapper::Error,
    },
    /// These cannot be arguments.
    #[error("qemu cannot be given these arguments")]
    Arguments {
        /// The cause.
        #[source]
        source: arm_image_qemu_wrapper::Error,
    },
    /// The qemu with its arguments could not be written to a file in memory.
    #[error("failed to make a file in memory for qemu and its arguments")]
    Memory {
        /// The cause; EACCES where the kernel lets no such file be run.
        #[source]
        source: io::Error,
    },
    /// The kernel's register of handlers could not be reached.
    #[error("failed to reach binfmt_misc")]
    Mount {
        /// The cause: ENODEV when the kernel has none, EPERM without privilege.
        #[source]
        source: io::Error,
    },
    /// All handlers of the host are switched off.
    #[error("binfmt_misc is disabled on this machine")]
    Disabled,
    /// The register could not be listed.
    #[error("failed to list the handlers of binfmt_misc")]
    List {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A handler could not be read.
    #[error("failed to read the binfmt_misc handler `{name}`")]
    ReadHandler {
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The kernel did not accept our handler.
    #[error("failed to register the binfmt_misc handler `{name}` for `{}`", interpreter.display())]
    Register {
        /// Its name.
        name: String,
        /// The qemu it was to start.
        interpreter: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Our handler could not be removed.
    #[error("failed to unregister the binfmt_misc handler `{name}`")]
    Unregister {
        /// Its name.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// This process's identity, part of the handler's name, could not be read.
    #[error("failed to read `{path}`")]
    Identity {
        /// The file in proc.
        path: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::UnknownArch { .. } => {
                let names: Vec<String> = Arch::ALL.iter().map(Arch::to_string).collect();
                format!("one of {}", names.join(", "))
            }
            Error::NoBinary { .. } | Error::DynamicBinary { .. } => {
                "install a static qemu-user: apt install qemu-user-static".to_owned()
            }
            Error::NotAProgram { .. } => {
                "the kernel starts qemu directly, so it must be the program itself, not a script".to_owned()
            }
            Error::Wrap { source, .. } | Error::Arguments { source } => return source.hint(),
            Error::Memory { source } if is_denied(source) => {
                "let files in memory be run: sysctl vm.memfd_noexec=0".to_owned()
            }
            Error::WrongBinary { arch, .. } => format!("give {}-static", arch.qemu_name()),
            Error::Mount { source } if is_denied(source) => {
                "registering a handler takes root; or install qemu-user-static, whose handlers anyone may use"
                    .to_owned()
            }
            Error::Mount { .. } => {
                "load the kernel's module: modprobe binfmt_misc (inside a container: on its host)".to_owned()
            }
            Error::Disabled => "as root: echo 1 > /proc/sys/fs/binfmt_misc/status".to_owned(),
            Error::Register { source, .. } | Error::Unregister { source, .. } if is_denied(source) => {
                "this takes root".to_owned()
            }
            _ => return None,
        })
    }

    /// Whether the kernel has no binfmt_misc at all.
    pub(crate) fn is_missing(&self) -> bool {
        let missing = rustix::io::Errno::NODEV.raw_os_error();
        matches!(self, Error::Mount { source } if source.raw_os_error() == Some(missing))
    }
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}
