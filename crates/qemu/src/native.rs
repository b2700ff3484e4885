//! Whether the kernel runs a program by itself: the one way to know is to run it.
//!
//! A 64-bit ARM kernel runs 32-bit programs where both it and the processor can. Neither `uname` nor the
//! personality `PER_LINUX32` tells: the latter is granted by kernels that were built without `CONFIG_COMPAT`.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

/// The smallest 32-bit ARM program that waits: it reads a byte from its standard input, and exits with the
/// number of bytes it got. It runs on any processor from version 4 on.
const ARM: [u32; 29] = [
    // The ELF header: 32 bits, little-endian, ET_EXEC, EM_ARM, entered behind the headers, EABI version 5.
    0x464c_457f,
    0x0001_0101,
    0,
    0,
    0x0028_0002,
    1,
    0x0001_0054,
    52,
    0,
    0x0500_0000,
    0x0020_0034,
    0x0028_0001,
    0,
    // One segment: the whole file at 64 KiB, which suits every page size, to be read and executed.
    1,
    0,
    0x0001_0000,
    0x0001_0000,
    116,
    116,
    5,
    0x0001_0000,
    0xe3a0_0000, // mov r0, #0
    0xe24d_d004, // sub sp, sp, #4
    0xe1a0_100d, // mov r1, sp
    0xe3a0_2001, // mov r2, #1
    0xe3a0_7003, // mov r7, #3, which is read
    0xef00_0000, // svc #0
    0xe3a0_7001, // mov r7, #1, which is exit
    0xef00_0000, // svc #0
];

/// Whether this kernel and processor run 32-bit ARM programs.
pub(crate) fn runs_arm() -> bool {
    runs(&ARM.map(u32::to_le_bytes).concat())
}

/// Whether the kernel itself runs this program, which has to end with 0 when its standard input does.
///
/// What keeps the question from being asked (no proc, no executable memory files) is a no.
fn runs(program: &[u8]) -> bool {
    let attempt = || {
        let mut file = fs::File::from(memfd_create("arm-image-probe", MemfdFlags::CLOEXEC).ok()?);
        file.write_all(program).ok()?;
        let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        // Where a handler of binfmt_misc took the program, it is the interpreter that runs.
        let running = fs::read_link(format!("/proc/{}/exe", child.id()));
        drop(child.stdin.take());
        let ended = child.wait().ok()?;
        Some(ended.success() && running.ok()?.to_str()?.starts_with("/memfd:arm-image-probe"))
    };
    attempt().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::Arch;

    #[test]
    fn the_hosts_own_program_runs_and_garbage_does_not() {
        assert!(runs(&fs::read("/bin/cat").unwrap()));
        assert!(!runs(&fs::read("/bin/false").unwrap()), "it fails");
        assert!(!runs(b"\x7fELF"));
        assert!(!runs(b"#!/bin/cat\n"), "its interpreter is what runs");
    }

    #[test]
    fn the_probe_is_an_arm_program_that_waits_for_its_input() {
        let probe = ARM.map(u32::to_le_bytes).concat();
        assert_eq!(Arch::from_elf(&probe), Some(Arch::Armv7));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probe");
        fs::write(&path, &probe).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        for (input, code) in [("/dev/null", 0), ("/dev/zero", 1)] {
            let mut qemu = Command::new("qemu-arm-static");
            let run = qemu.arg("-cpu").arg("arm926").arg(&path).stdin(fs::File::open(input).unwrap());
            assert_eq!(run.status().unwrap().code(), Some(code), "{input}");
        }
    }

    #[test]
    fn an_x86_host_runs_no_arm_programs_by_itself() {
        // Holds with a handler for them, too.
        assert!(!matches!(Arch::host(), Some(Arch::X86 | Arch::X86_64)) || !runs_arm());
    }
}
