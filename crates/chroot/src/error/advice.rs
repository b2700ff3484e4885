//! What the user can do about it.

use super::Error;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

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
                "the image's root file system is read-only and lacks this directory".into()
            }
            Error::ResolvConfSource { .. } => "name another file, or turn the option off".into(),
            Error::Busy { .. } => "a file of the image is still open, or the device is mounted elsewhere".into(),
            Error::Execute { source, .. } if source.raw_os_error() == Some(libc::ENOEXEC) => {
                "the program is for another processor: emulation (a binfmt_misc handler for it) must be enabled first"
                    .into()
            }
            Error::Vanished { .. } => "the kernel may have run out of memory: see `dmesg`".into(),
            Error::Failed { status, stderr_tail, .. } => return after_failure(*status, stderr_tail).map(Into::into),
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

/// What may have been behind a failed command, by how it ended and what it said last.
///
/// A shell, `su` or dpkg that saw another program die of a signal ends with a code of its own: 128 and the signal's
/// number, or any other.
fn after_failure(status: ExitStatus, stderr: &[String]) -> Option<&'static str> {
    let signal = status.signal().or_else(|| status.code()?.checked_sub(128));
    let said = |words: &[&str]| stderr.iter().any(|line| words.iter().any(|word| line.contains(word)));
    // qemu names the signal that the emulated program got.
    if signal == Some(libc::SIGILL) || said(&["uncaught target signal 4 ", "Illegal instruction"]) {
        return Some(
            "under emulation this is mostly an instruction that the emulated processor lacks: \
             name another one by the variable QEMU_CPU (such as `max`), or try another version of qemu",
        );
    }
    if matches!(signal, Some(libc::SIGSEGV | libc::SIGBUS))
        || said(&["uncaught target signal 11 ", "uncaught target signal 7 ", "Segmentation fault"])
    {
        return Some("under emulation this is often a fault of the emulator: try another version of qemu");
    }
    if said(&["Value too large for defined data type"]) {
        return Some(
            "a 32-bit program cannot read an ext4 folder through a 64-bit qemu that passes on its 64-bit positions: \
             try a qemu built for i386, or a file system without the feature `dir_index`",
        );
    }
    (signal == Some(libc::SIGKILL)).then_some("the kernel may have run out of memory: see `dmesg`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(status: i32, stderr: &str) -> Option<&'static str> {
        after_failure(ExitStatus::from_raw(status), &["first".into(), stderr.into(), "last".into()])
    }

    #[test]
    fn a_fault_of_the_emulator_is_told_however_it_comes_up() {
        let faults = [
            (libc::SIGSEGV, ""),
            ((128 + libc::SIGSEGV) << 8, ""),
            (100 << 8, "qemu: uncaught target signal 11 (Segmentation fault) - core dumped"),
            (
                100 << 8,
                "dpkg: installed post-installation script subprocess was killed by signal (Segmentation fault)",
            ),
        ];
        for (status, stderr) in faults {
            assert!(advice(status, stderr).unwrap().contains("another version of qemu"), "{status} {stderr}");
        }
        for (status, stderr) in [
            (libc::SIGILL, ""),
            (132 << 8, ""),
            (1 << 8, "qemu: uncaught target signal 4 (Illegal instruction)"),
        ] {
            assert!(advice(status, stderr).unwrap().contains("QEMU_CPU"), "{status} {stderr}");
        }
        assert!(advice(libc::SIGKILL, "").unwrap().contains("memory"));
    }

    #[test]
    fn folders_that_a_32_bit_program_cannot_read_are_told_and_an_ordinary_failure_is_not_explained() {
        let line = "ls: reading directory '/etc': Value too large for defined data type";
        assert!(advice(2 << 8, line).unwrap().contains("dir_index"));
        assert_eq!(advice(1 << 8, "no such option"), None);
        assert_eq!(advice(127 << 8, ""), None);
    }
}
