//! The keeper: a process between the program and its guest that outlives the one and ends the other.
//!
//! User-Mode Linux runs every program of the guest in a process that it traces. When the kernel process alone is
//! killed, these are let go and run on as ordinary programs, with the system calls of the *host*. So the whole process
//! group has to be killed in one stroke, and whoever does it must survive a SIGKILL of the program.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
};

/// Splits the calling process in two: the keeper, which never returns, and the process that does and will execute the
/// kernel, in a process group of its own, with the files `inherited` left open across `execve`.
///
/// The keeper ends the group when the other end of `lifeline` is closed or when the kernel ends, waits until all
/// processes are gone, and ends.
///
/// # Safety
///
/// To be called between `fork` and `execve` only: it forks, and only makes system calls.
#[expect(unsafe_code, reason = "fork has no safe interface")]
pub(crate) unsafe fn split(lifeline: BorrowedFd<'_>, inherited: &[RawFd]) -> io::Result<()> {
    // SAFETY: plain system calls without pointers.
    let keeper = unsafe {
        // A keeper that kept the caller's files open would deadlock it: ask now whether it can close them (Linux 5.9).
        check(libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0))?;
        check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).into())?;
        check(libc::setpgid(0, 0).into())?;
        libc::getpid()
    };
    // SAFETY: the caller is between fork and execve, so there is one thread, and both sides only make system calls.
    let kernel = unsafe { libc::fork() };
    check(kernel.into())?;
    match kernel {
        0 => {
            // SAFETY: plain system calls without pointers.
            unsafe {
                check(libc::setpgid(0, 0).into())?;
                // Should the keeper be killed: at this signal the kernel kills its traced processes before it ends.
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM).into())?;
                if libc::getppid() != keeper {
                    libc::_exit(1); // the keeper was killed before the line above
                }
                for &file in inherited {
                    check(libc::fcntl(file, libc::F_SETFD, 0).into())?;
                }
            }
            Ok(())
        }
        kernel => {
            // SAFETY: this is the keeper's whole life, in a process that will never run anything else.
            unsafe { keep(lifeline, kernel) }
        }
    }
}

/// # Safety
///
/// Closes every file of the process but `lifeline`.
#[expect(unsafe_code, reason = "system calls in a forked process")]
unsafe fn keep(lifeline: BorrowedFd<'_>, kernel: libc::pid_t) -> ! {
    let lifeline = lifeline.as_raw_fd();
    let number = lifeline.unsigned_abs();
    // SAFETY: the strings and the poll array outlive the calls; no Rust value of this process is used afterwards.
    unsafe {
        // So that `killall PROGRAM` leaves the keeper alive to do its work.
        libc::prctl(libc::PR_SET_NAME, c"guest-keeper".as_ptr());
        if number > 0 {
            libc::syscall(libc::SYS_close_range, 0, number - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, number + 1, u32::MAX, 0);
        #[expect(clippy::cast_possible_truncation, reason = "a file descriptor is an int")]
        let process = libc::syscall(libc::SYS_pidfd_open, kernel, 0) as libc::c_int;
        let mut ends = [
            libc::pollfd { fd: lifeline, events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: process, events: libc::POLLIN, revents: 0 },
        ];
        // Nothing is ever written to the lifeline: readable means closed. A signal only makes poll return early.
        while libc::poll(ends.as_mut_ptr(), 2, -1) < 0 {}
        libc::kill(-kernel, libc::SIGKILL);
        // As their subreaper this process inherits, and so sees the end of, all of them.
        while libc::waitpid(-1, std::ptr::null_mut(), 0) > 0 {}
        libc::_exit(0)
    }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
