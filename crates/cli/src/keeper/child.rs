//! What a keeper does: system calls on memory of its own, in a process that was forked from one with threads.

use std::{ffi::c_int, io, os::fd::RawFd};

/// How long a keeper goes without looking whether orphans are to be collected, in milliseconds.
const LOOK_UP: c_int = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// This process's child. It is there for what the other does not live to do.
    Outer,
    /// The program's parent, which passes on what this process asks for.
    Inner,
}

/// Splits the calling process in two: a keeper, which never returns, and its child, which does.
///
/// # Safety
///
/// To be called between `fork` and `execve` only. It makes system calls and nothing else.
#[expect(unsafe_code, reason = "system calls between fork and exec")]
pub(super) unsafe fn split(lifeline: RawFd, kind: Keeper) -> io::Result<()> {
    // SAFETY: plain system calls.
    unsafe {
        // A keeper that held the caller's files open would deadlock it: ask now whether it can close them (Linux 5.9).
        check(libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0))?;
        check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).into())?;
        // Nobody could be waited for otherwise.
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let keeper = libc::getpid();
        // Not libc's fork: it takes locks that another thread of the parent may have held.
        let child = check(libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0))?;
        // A process's number is an int.
        match libc::pid_t::try_from(child).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))? {
            0 => {
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL).into())?;
                if libc::syscall(libc::SYS_getppid) != libc::c_long::from(keeper) {
                    // The keeper was killed before the line above.
                    libc::_exit(1);
                }
                Ok(())
            }
            child => keep(lifeline, kind, keeper, child),
        }
    }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A keeper's whole life: until `child` ends, or nobody holds the other end of `lifeline` any more.
///
/// # Safety
///
/// Closes every other file of the process, which nothing else may be run in afterwards.
#[expect(unsafe_code, reason = "system calls in a forked process")]
unsafe fn keep(lifeline: RawFd, kind: Keeper, keeper: libc::pid_t, child: libc::pid_t) -> ! {
    // SAFETY: plain system calls on descriptors and on memory of this frame.
    unsafe {
        // So that `killall PROGRAM` leaves the keeper alive to do its work, and so do a terminal's keys.
        libc::prctl(libc::PR_SET_NAME, c"program-keeper".as_ptr());
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP, libc::SIGTSTP] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let number = lifeline.unsigned_abs();
        if number > 0 {
            libc::syscall(libc::SYS_close_range, 0, number - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, number + 1, u32::MAX, 0);
        #[expect(clippy::cast_possible_truncation, reason = "a file descriptor is an int")]
        let process = libc::syscall(libc::SYS_pidfd_open, child, 0) as c_int;
        // What is said is for the inner one; that nobody is there any more, both hear.
        let events = if kind == Keeper::Inner { libc::POLLIN } else { 0 };
        loop {
            let mut ends = [
                libc::pollfd { fd: lifeline, events, revents: 0 },
                libc::pollfd { fd: process, events: libc::POLLIN, revents: 0 },
            ];
            let ready = libc::poll(ends.as_mut_ptr(), 2, LOOK_UP);
            if ready <= 0 {
                collect_others(child);
                continue;
            }
            let mut word = 0_u8;
            if ends[1].revents != 0
                || kind == Keeper::Outer
                || libc::read(lifeline, (&raw mut word).cast(), 1) != 1
            {
                break;
            }
            libc::kill(child, libc::SIGTERM);
        }
        // Unless it has ended by itself.
        let killed = libc::kill(child, libc::SIGKILL) == 0;
        let mut status: c_int = libc::SIGKILL;
        libc::waitpid(child, &mut status, if killed { 0 } else { libc::WNOHANG });
        loop {
            // Children of what ends become the keeper's own, and are found the next time round.
            let killed = kill_children(keeper);
            let ended = libc::waitpid(-1, std::ptr::null_mut(), if killed { 0 } else { libc::WNOHANG });
            if ended <= 0 && !killed {
                break;
            }
        }
        if libc::WIFEXITED(status) {
            libc::_exit(libc::WEXITSTATUS(status));
        }
        // The program's core is enough.
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        libc::signal(libc::WTERMSIG(status), libc::SIG_DFL);
        libc::kill(keeper, libc::WTERMSIG(status));
        libc::_exit(128 + libc::WTERMSIG(status))
    }
}

/// Collects orphans that have ended, so that they do not pile up while `child` runs.
///
/// # Safety
///
/// None but that of system calls.
#[expect(unsafe_code, reason = "system calls in a forked process")]
unsafe fn collect_others(child: libc::pid_t) {
    // SAFETY: the kernel fills in what is all numbers.
    unsafe {
        loop {
            let mut ended: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            if libc::waitid(libc::P_ALL, 0, &mut ended, options) != 0 {
                return;
            }
            let process = ended.si_pid();
            if process <= 0 || process == child {
                return;
            }
            libc::waitpid(process, std::ptr::null_mut(), libc::WNOHANG);
        }
    }
}

/// Kills every child of `parent`, and tells whether there was one: those that ended and have not been waited for are
/// some; those of another user, who may not be killed and would be waited for in vain, are not.
///
/// # Safety
///
/// None but that of system calls; nothing is allocated.
#[expect(unsafe_code, reason = "system calls in a forked process")]
unsafe fn kill_children(parent: libc::pid_t) -> bool {
    // Aligned as the kernel writes `struct linux_dirent64`.
    let mut entries = [0_u64; 512];
    let mut killed = false;
    // SAFETY: the kernel writes no more than the sizes given.
    unsafe {
        let proc = libc::open(c"/proc".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        if proc < 0 {
            return false;
        }
        loop {
            let length =
                libc::syscall(libc::SYS_getdents64, proc, entries.as_mut_ptr(), size_of_val(&entries));
            let Some(length) = usize::try_from(length).ok().filter(|&length| length > 0) else { break };
            let bytes: &[u8] = std::slice::from_raw_parts(entries.as_ptr().cast(), length);
            let mut rest = bytes;
            // An inode and an offset of 8 bytes each, the record's length of 2, a type of 1, and the name.
            while let Some((&[low, high], name)) =
                rest.get(16..).and_then(|rest| rest.split_first_chunk::<2>())
            {
                if let Some(process) = name.get(1..).and_then(number)
                    && parent_of(proc, process) == Some(parent)
                {
                    killed |= libc::kill(process, libc::SIGKILL) == 0;
                }
                rest = rest.get(usize::from(u16::from_le_bytes([low, high])).max(1)..).unwrap_or_default();
            }
        }
        libc::close(proc);
    }
    killed
}

/// The number that `text` is up to its NUL.
fn number(text: &[u8]) -> Option<libc::pid_t> {
    let length = text.iter().position(|&byte| byte == 0)?;
    str::from_utf8(text.get(..length)?).ok()?.parse().ok()
}

/// The parent of `process` by its `stat` below `proc`, a descriptor of that folder.
///
/// # Safety
///
/// None but that of system calls; nothing is allocated.
#[expect(unsafe_code, reason = "system calls in a forked process")]
unsafe fn parent_of(proc: c_int, process: libc::pid_t) -> Option<libc::pid_t> {
    let mut path = [0_u8; 24];
    let mut place = io::Cursor::new(path.as_mut_slice());
    io::Write::write_fmt(&mut place, format_args!("{process}/stat")).ok()?;
    // A name has 64 bytes at most, and the parent comes right behind it.
    let mut text = [0_u8; 256];
    // SAFETY: the path ends with a NUL, as it is longer than any number, and the kernel writes no more than the size given.
    let length = unsafe {
        let file = libc::openat(proc, path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return None;
        }
        let length = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        usize::try_from(length).ok()?
    };
    parent_in(text.get(..length)?)
}

/// The fourth field of a `/proc/PID/stat`, see proc_pid_stat(5).
fn parent_in(stat: &[u8]) -> Option<libc::pid_t> {
    // A name may hold anything.
    let after_the_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = stat.get(after_the_name..)?.split(|byte| byte.is_ascii_whitespace());
    str::from_utf8(fields.nth(2)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{number, parent_in};

    #[test]
    fn the_parent_of_a_process_is_read_past_any_name() {
        assert_eq!(parent_in(b"17 (a) S 1 2 (b) S 15 1 1 0 -1"), Some(15));
        assert_eq!(parent_in(b"2 (kthreadd) S 0 0 0 0 -1"), Some(0));
        assert_eq!(parent_in(b"17 (sleep"), None);
        assert_eq!(parent_in(b""), None);
        assert_eq!(number(b"123\0rest"), Some(123));
        assert_eq!(number(b"self\0"), None);
        assert_eq!(number(b"12"), None);
    }
}
