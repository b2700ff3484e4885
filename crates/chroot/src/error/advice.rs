//! What the user can do about it.

use super::Error;
use crate::device::{DEV, RUN, TMP};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The exit code as a shell tells it: 128 + the signal's number if one ended the command.
pub(crate) fn told(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}

impl Error {
    /// What the user can do about it, where something is known.
    pub fn hint(&self) -> Option<String> {
        use io::ErrorKind::PermissionDenied;
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
                "what is mounted or shown there is read-only, and lacks this directory".into()
            }
            Error::Create { path, source }
                if source.kind() == io::ErrorKind::StorageFull
                    && [DEV, RUN, TMP].iter().any(|private| path.starts_with(private.target)) =>
            {
                "that folder is kept in memory, of which it has its share: take one of the image's own, such as `/var/tmp`"
                    .into()
            }
            Error::MountPoint { source, .. }
            | Error::ResolvConf { source, .. }
            | Error::Cover { source, .. }
            | Error::Create { source, .. }
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                "that file system of the image is full: let it grow before, or remove something from it".into()
            }
            Error::Destination { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                "make room on that disk of this machine, or write to another".into()
            }
            Error::ResolvConfSource { .. } => "name another file, or turn the option off".into(),
            Error::Sync { .. } => "the disk that holds the image may be full, or failing: see `dmesg`".into(),
            Error::Busy { .. } => "a file of the image is still open, or the device is mounted elsewhere".into(),
            Error::Execute { source, .. } if source.raw_os_error() == Some(libc::ENOEXEC) => {
                "the program is for another processor: emulation (a binfmt_misc handler for it) must be enabled first"
                    .into()
            }
            Error::Vanished { .. } => "the kernel may have run out of memory: see `dmesg`".into(),
            Error::Failed { status, .. } if killed(*status) => {
                "the kernel may have run out of memory: see `dmesg`".into()
            }
            Error::Restore { source, .. } | Error::Create { source, .. }
                if source.kind() == io::ErrorKind::IsADirectory =>
            {
                "there is a folder in its place, which has to go first".into()
            }
            Error::Restore { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "a program in the image has made its file system read-only".into()
            }
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
            Error::Failed { status, .. } => told(*status),
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

/// By SIGKILL; a shell that saw another program die of it ends with a code of its own, 128 and the signal's number.
fn killed(status: ExitStatus) -> bool {
    let signal = status.signal().or_else(|| status.code()?.checked_sub(128));
    signal == Some(libc::SIGKILL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_was_killed_is_explained_and_an_ordinary_failure_is_not() {
        let hint = |status: i32| {
            let status = ExitStatus::from_raw(status);
            Error::Failed { command: "x".into(), status, stderr_tail: Vec::new() }.hint()
        };
        for status in [libc::SIGKILL, (128 + libc::SIGKILL) << 8] {
            assert!(hint(status).unwrap().contains("memory"), "{status}");
        }
        for status in [1 << 8, 127 << 8, libc::SIGTERM] {
            assert_eq!(hint(status), None, "{status}");
        }
    }

    #[test]
    fn what_is_full_is_told_from_the_image() {
        let hint = |path: &str| {
            let source = io::ErrorKind::StorageFull.into();
            Error::Create { path: path.into(), source }.hint().unwrap()
        };
        for path in ["/tmp/archive", "/run/arm-image/inline", "/dev/file"] {
            assert!(hint(path).contains("kept in memory"), "{path}");
        }
        for path in ["/tmpfiles", "/var/tmp/archive"] {
            assert!(hint(path).contains("file system of the image is full"), "{path}");
        }
    }
}
