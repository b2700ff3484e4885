//! The filter of a command's system calls.
//!
//! No program makes a block device's node, which could name a disk of the host: it hears that this is not permitted.
//! And what would only wait for the disk, `fsync` and its relatives, answers 0 at once, as each file system is written
//! back in the end; `O_SYNC` files stay as they are. The filter is of the kernel's system calls and not of the image's,
//! so it holds for emulated programs, too.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W,
    SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_SET_MODE_FILTER,
    sock_filter, sock_fprog,
};
use std::ffi::c_int;

/// The numbers of one way to call the kernel.
struct Calls {
    /// `AUDIT_ARCH_…` of the kernel's `uapi/linux/audit.h`.
    arch: u32,
    /// fsync, fdatasync, sync, syncfs and sync_file_range.
    held: [u32; 5],
    msync: u32,
    mknod: Option<u32>,
    mknodat: u32,
}

/// What a host's processes may use: a 32-bit ARM program runs natively on most 64-bit ARM machines.
const KNOWN: [Calls; 4] = [
    // x86-64
    Calls { arch: 0xc000_003e, held: [74, 75, 162, 306, 277], msync: 26, mknod: Some(133), mknodat: 259 },
    // i386
    Calls { arch: 0x4000_0003, held: [118, 148, 36, 344, 314], msync: 144, mknod: Some(14), mknodat: 297 },
    // aarch64
    Calls { arch: 0xc000_00b7, held: [82, 83, 81, 267, 84], msync: 227, mknod: None, mknodat: 33 },
    // arm
    Calls { arch: 0x4000_0028, held: [118, 148, 36, 373, 341], msync: 144, mknod: Some(14), mknodat: 324 },
];

/// Where `struct seccomp_data` has the call's number and its architecture.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// Where it has the low halves of the second and third argument.
const SECOND: u32 = if cfg!(target_endian = "big") { 28 } else { 24 };
const THIRD: u32 = SECOND + 8;

/// The answer of success, without the call having been made.
const NOTHING_DONE: u32 = SECCOMP_RET_ERRNO;
const NOT_PERMITTED: u32 = SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();

/// The filter's program, for [`install`]; `hold` says whether it also holds back what would wait for the disk.
pub(crate) fn program(hold: bool) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for calls in &KNOWN {
        let mut block = vec![load(NUMBER)];
        if hold {
            for number in calls.held {
                block.extend([equals(number, 0, 1), answer(NOTHING_DONE)]);
            }
            // Only with MS_SYNC it waits; without, programs use it to learn whether an address is mapped.
            block.extend([equals(calls.msync, 0, 4), load(THIRD)]);
            block.push(instruction(BPF_JMP | BPF_JSET | BPF_K, libc::MS_SYNC.cast_unsigned(), 0, 1));
            block.extend([answer(NOTHING_DONE), answer(SECCOMP_RET_ALLOW)]);
        }
        for (number, mode) in
            calls.mknod.map(|number| (number, SECOND)).into_iter().chain([(calls.mknodat, THIRD)])
        {
            block.extend([equals(number, 0, 5), load(mode)]);
            block.push(instruction(BPF_ALU | BPF_AND | BPF_K, libc::S_IFMT, 0, 0));
            block.extend([equals(libc::S_IFBLK, 0, 1), answer(NOT_PERMITTED), answer(SECCOMP_RET_ALLOW)]);
        }
        block.push(answer(SECCOMP_RET_ALLOW));
        // Some forty instructions: a jump can cross them.
        let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
        program.extend([load(ARCH), equals(calls.arch, 0, length)]);
        program.extend(block);
    }
    program.push(answer(SECCOMP_RET_ALLOW));
    program
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
}

fn equals(value: u32, then: u8, otherwise: u8) -> sock_filter {
    instruction(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)
}

fn answer(value: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, value, 0, 0)
}

fn instruction(code: u32, value: u32, then: u8, otherwise: u8) -> sock_filter {
    // The codes of `uapi/linux/bpf_common.h` are all below 256.
    #[expect(clippy::cast_possible_truncation, reason = "every code is below 256")]
    let code = code as u16;
    sock_filter { code, jt: then, jf: otherwise, k: value }
}

/// Has the kernel apply `program` to this thread and whatever it becomes.
///
/// Without `NO_NEW_PRIVS`, so that `sudo` still works inside; that takes `CAP_SYS_ADMIN`. `SPEC_ALLOW` spares the
/// programs the mitigations that a sandbox of strangers would need. Nothing is allocated: this runs after a fork.
#[expect(unsafe_code, reason = "a system call without a wrapper")]
pub(crate) fn install(program: &[sock_filter]) -> Result<(), c_int> {
    let length = u16::try_from(program.len()).map_err(|_| libc::E2BIG)?;
    let program = sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies `len` instructions from `filter` and writes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &raw const program,
        )
    };
    if result == 0 {
        return Ok(());
    }
    // SAFETY: the pointer is always valid for this thread.
    Err(unsafe { *libc::__errno_location() })
}

#[cfg(test)]
#[path = "seccomp/tests.rs"]
mod tests;
