//! Keeping resize2fs from cutting off a disk image.
//!
//! resize2fs finds a file system inside a plain file by `FILE?offset=N`, and when it is done it cuts the file to the length
//! of the file system, from the start of the *file*: the end of the file system is lost, and everything behind it. That is so
//! in every release up to 1.47.4 at least. So it runs with a filter that makes ftruncate(2) do nothing; resize2fs has no
//! other use for it, as the file is never shorter than the file system.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// `AUDIT_ARCH_…` of `linux/audit.h`: the machine's number in ELF, with bits for 64 bits and little-endian.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else if cfg!(target_arch = "arm") {
    Some(0x4000_0028)
} else if cfg!(target_arch = "x86") {
    Some(0x4000_0003)
} else {
    None
};

/// The calls that cut a file; 32-bit machines have two.
#[cfg(target_pointer_width = "64")]
const CUTTING: [libc::c_long; 1] = [libc::SYS_ftruncate];
#[cfg(target_pointer_width = "32")]
const CUTTING: [libc::c_long; 2] = [libc::SYS_ftruncate, libc::SYS_ftruncate64];

/// Lets `command` believe that it cuts files, while their lengths stay what they are.
///
/// A program for another architecture than ours, whose calls have other numbers, is killed at its first call.
///
/// # Errors
/// Of kind `Unsupported` on architectures that are not known here. The command does not start where the kernel has no filters.
pub(super) fn keep_lengths(command: &mut Command) -> io::Result<()> {
    let mut filter = filter(ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?)?;
    let install = move || {
        let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
        let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
        #[expect(unsafe_code, reason = "installing a seccomp filter has no safe wrapper")]
        // SAFETY: both calls only change this process; the kernel copies the program, which lives in `filter`.
        let outcome = unsafe {
            match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
                0 => libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program),
                failed => failed,
            }
        };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    #[expect(unsafe_code, reason = "what runs between fork and exec has no safe wrapper")]
    // SAFETY: the closure makes two system calls; it neither allocates nor takes a lock, and its memory was made before.
    unsafe {
        command.pre_exec(install);
    }
    Ok(())
}

/// Loads the architecture, then the number of the call, of `struct seccomp_data` (`linux/seccomp.h`).
fn filter(architecture: u32) -> io::Result<Vec<libc::sock_filter>> {
    const NUMBER_AT: u32 = 0;
    const ARCHITECTURE_AT: u32 = 4;
    /// An error with the number 0 is the return value 0.
    const PRETEND: u32 = libc::SECCOMP_RET_ERRNO;

    let mut filter = vec![
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, ARCHITECTURE_AT, 0)?,
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, architecture, 1)?,
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS, 0)?,
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER_AT, 0)?,
    ];
    for number in CUTTING {
        let number = u32::try_from(number).map_err(io::Error::other)?;
        let mut unless = instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number, 0)?;
        unless.jf = 1;
        filter.push(unless);
        filter.push(instruction(libc::BPF_RET | libc::BPF_K, PRETEND, 0)?);
    }
    filter.push(instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0)?);
    Ok(filter)
}

/// One step, which jumps over `skipped` others where its comparison holds.
fn instruction(code: u32, operand: u32, skipped: u8) -> io::Result<libc::sock_filter> {
    let code = u16::try_from(code).map_err(io::Error::other)?;
    Ok(libc::sock_filter { code, jt: skipped, jf: 0, k: operand })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cut_and_everything_else_works() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, [7; 10_000]).unwrap();
        let mut cut = Command::new("truncate");
        cut.args(["--size", "10"]).arg(&file);
        keep_lengths(&mut cut).unwrap();
        assert!(cut.status().unwrap().success());
        assert_eq!(std::fs::read(&file).unwrap(), [7; 10_000]);
        // The same without the filter, or the above would prove nothing.
        assert!(Command::new("truncate").args(["--size", "10"]).arg(&file).status().unwrap().success());
        assert_eq!(std::fs::read(&file).unwrap().len(), 10);
    }
}
