//! What runs between fork and exec.
//!
//! The parent may have other threads, so whatever lock they held is held for ever in here: nothing is
//! allocated, nothing panics, only system calls are made. All memory was prepared before.

use crate::inherited::{self, Inherited};
use crate::{capabilities, seccomp};
use rustix::fd::BorrowedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::RawFd;
use std::ptr;

/// `personality(2)`, from the kernel's `uapi/linux/personality.h`.
const PER_LINUX32: libc::c_ulong = 8;

/// Lists of the machine's disks.
const DISKS: [&CStr; 4] = [c"/proc/partitions", c"/proc/diskstats", c"/proc/swaps", c"/proc/mdstat"];

/// Folders that list them, or what is mounted of them.
const DISK_FOLDERS: [&CStr; 2] = [c"/proc/fs", c"/proc/scsi"];

/// One that was emptied when the image was mounted.
const EMPTY: &CStr = c"/sys/block";

/// Where programs register handlers for programs of other kinds; of all of them, those of the machine and ours.
const BINFMT: &CStr = c"/proc/sys/fs/binfmt_misc";

/// The descriptor that reports go to; 0 to 2 are the program's own.
const REPORT: RawFd = 3;

/// A step on the way to the program that can fail; its number is reported.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum Step {
    Namespace,
    Root,
    Unshare,
    Proc,
    Protect,
    Hide,
    Directory,
    Descriptors,
    Fork,
    Capabilities,
}

/// The steps in their order, as verbs with their objects.
pub(crate) const STEPS: [&str; 10] = [
    "enter the image's mount namespace",
    "enter the image's root directory",
    "unshare namespaces",
    "mount `/proc`",
    "protect `/proc/sys`",
    "hide the machine's disks in `/proc`",
    "enter the working directory",
    "set up descriptors",
    "fork",
    "give up capabilities",
];
/// Report: the program could not be executed.
pub(crate) const EXECUTE: u32 = 100;
/// Report: the program ended; the value is its wait status.
pub(crate) const ENDED: u32 = 101;

/// A report is a step or one of the two constants above, and an errno or a wait status, both native-endian.
pub(crate) const REPORT_SIZE: usize = 8;

/// Everything the child needs, made before the fork.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) namespace: RawFd,
    pub(crate) root: RawFd,
    /// The program's stdin, stdout and stderr; `None` leaves the caller's. None of them is below 10.
    pub(crate) streams: Option<[RawFd; 3]>,
    /// The writing end of the report pipe, not below 10 either, and the parent's reading end.
    pub(crate) report: RawFd,
    pub(crate) report_reader: RawFd,
    pub(crate) directory: CString,
    pub(crate) hostname: CString,
    /// What to try to execute, in this order.
    pub(crate) programs: Vec<CString>,
    /// Null-terminated, pointing into memory that lives as long as this.
    pub(crate) argv: Vec<*const c_char>,
    pub(crate) envp: Vec<*const c_char>,
    /// Whether the program becomes the foreground group of the terminal on stdin.
    pub(crate) foreground: bool,
    pub(crate) personality32: bool,
    /// What programs could read of this process's words.
    pub(crate) inherited: Option<Inherited>,
    /// Of system calls, as [`seccomp::program`] makes it.
    pub(crate) filter: &'a [libc::sock_filter],
}

/// Process 1 of the new PID namespace: makes the surroundings, starts the program, collects every orphan,
/// reports and ends; the kernel then kills whatever is left in the namespace.
///
/// `extern "C"` so that a panic, which there must not be, aborts instead of running the parent's code.
#[expect(unsafe_code, reason = "system calls between fork and exec")]
pub(crate) extern "C" fn supervise(launch: &Launch<'_>) -> ! {
    // SAFETY: plain system calls on descriptors and prepared, null-terminated memory of `launch`, which
    // this process has a copy of; no other thread exists in it.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // If the parent was gone before that, nobody reads the report any more.
        libc::close(launch.report_reader);
        let mut writer = libc::pollfd { fd: launch.report, events: libc::POLLOUT, revents: 0 };
        if libc::poll(&mut writer, 1, 0) == 1 && writer.revents & libc::POLLERR != 0 {
            libc::_exit(1);
        }
        if let Some(inherited) = &launch.inherited {
            inherited::erase(inherited);
        }
        if let Err((step, errno)) = surround(launch) {
            report(launch.report, step as u32, errno);
            libc::_exit(1);
        }
        // Not libc's fork: it takes locks that another thread of the parent may have held.
        let program = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        if program == 0 {
            execute(launch);
        }
        if program < 0 {
            report(REPORT, Step::Fork as u32, errno());
            libc::_exit(1);
        }
        let options = if launch.foreground { libc::WUNTRACED } else { 0 };
        loop {
            let mut status: c_int = 0;
            let pid = libc::waitpid(-1, &mut status, options);
            if pid < 0 && errno() != libc::EINTR {
                libc::_exit(1);
            }
            if libc::c_long::from(pid) != program {
                continue;
            }
            if libc::WIFSTOPPED(status) {
                // Ctrl-Z in a program that is not a shell: there is no shell to bring it back.
                if libc::WSTOPSIG(status) == libc::SIGTSTP {
                    libc::kill(-pid, libc::SIGCONT);
                }
                continue;
            }
            report(REPORT, ENDED, status);
            libc::_exit(0);
        }
    }
}

type Failure = (Step, c_int);

/// Moves this process into the image and arranges its descriptors.
#[expect(unsafe_code, reason = "system calls between fork and exec")]
unsafe fn surround(launch: &Launch<'_>) -> Result<(), Failure> {
    let check = |step: Step, result: c_int| if result < 0 { Err((step, errno())) } else { Ok(()) };
    let map = |step: Step| move |error: rustix::io::Errno| (step, error.raw_os_error());
    // SAFETY: as in `supervise`.
    unsafe {
        if launch.streams.is_some() {
            libc::setsid();
        }
        check(Step::Namespace, libc::setns(launch.namespace, libc::CLONE_NEWNS))?;
        check(Step::Root, libc::fchdir(launch.root))?;
        check(Step::Root, libc::chroot(c".".as_ptr()))?;
        check(Step::Unshare, libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS))?;
        let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        // One that is for the machine's own programs is in the way of any look at it. There may be none.
        let _ = unmount(c"/proc", UnmountFlags::DETACH);
        mount(c"proc", c"/proc", c"proc", harmless, None).map_err(map(Step::Proc))?;
        // The kernel's settings belong to the host: an image's scripts must not turn them.
        for path in [c"/proc/sys", c"/proc/sysrq-trigger"] {
            protect(path, harmless).map_err(map(Step::Protect))?;
        }
        keep_handlers(harmless).map_err(map(Step::Protect))?;
        for path in DISKS {
            hide(path, c"/dev/null").map_err(map(Step::Hide))?;
        }
        for path in DISK_FOLDERS {
            hide(path, EMPTY).map_err(map(Step::Hide))?;
        }
        let hostname = launch.hostname.to_bytes();
        check(Step::Unshare, libc::sethostname(hostname.as_ptr().cast(), hostname.len()))?;
        if launch.personality32 {
            libc::personality(PER_LINUX32);
        }
        libc::umask(0o022);
        // Groups that root has here mean others in the image. The system calls, as the C library's wrappers would ask threads
        // that this process does not have; in a namespace that does not allow it, there is nothing to give up.
        libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>());
        libc::syscall(libc::SYS_setresgid, 0, 0, 0);
        capabilities::renounce().map_err(map(Step::Capabilities))?;
        check(Step::Directory, libc::chdir(launch.directory.as_ptr()))?;
        if let Some(streams) = launch.streams {
            for (target, stream) in (0..).zip(streams) {
                check(Step::Descriptors, libc::dup2(stream, target))?;
            }
        }
        check(Step::Descriptors, libc::dup3(launch.report, REPORT, libc::O_CLOEXEC))?;
        let closed = libc::syscall(libc::SYS_close_range, REPORT + 1, libc::c_uint::MAX, 0);
        if closed < 0 { Err((Step::Descriptors, errno())) } else { Ok(()) }
    }
}

/// Makes a part of `/proc` read-only; one that this kernel lacks needs no protection.
fn protect(path: &CStr, flags: MountFlags) -> rustix::io::Result<()> {
    match mount_bind(path, path) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => mount_remount(path, flags | MountFlags::BIND | MountFlags::RDONLY, c""),
    }
}

/// Has what packages register there go nowhere: a kernel has one list of handlers for everybody, which is changed by whoever mounts
/// it. They do so where they do not find it; so they find something of that shape, which ends with the command.
fn keep_handlers(flags: MountFlags) -> rustix::io::Result<()> {
    match mount(c"none", BINFMT, c"tmpfs", flags, c"mode=0755,size=64k") {
        // Nobody can register anything.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        mounted => mounted?,
    }
    let folder = openat(CWD, BINFMT, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let make = |name: &CStr| {
        openat(&folder, name, OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
    };
    make(c"register")?;
    rustix::io::write(make(c"status")?, b"enabled\n").map(drop)
}

/// Empties a file or folder of `/proc`; one that this kernel lacks is as good.
fn hide(path: &CStr, by: &CStr) -> rustix::io::Result<()> {
    match mount_bind(by, path) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// Becomes the program.
#[expect(unsafe_code, reason = "system calls between fork and exec")]
unsafe fn execute(launch: &Launch<'_>) -> ! {
    // SAFETY: as in `supervise`; a zeroed sigaction is SIG_DFL without flags.
    unsafe {
        if launch.foreground {
            libc::setpgid(0, 0);
            // All signals are still blocked, so this does not stop us with SIGTTOU.
            libc::tcsetpgrp(0, libc::getpid());
        }
        let default: libc::sigaction = std::mem::zeroed();
        for signal in 1..=64 {
            libc::sigaction(signal, &default, ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        // It saves time, and keeps from mishaps what is root anyway: a kernel or container that will not have it does
        // without.
        let _ = seccomp::install(launch.filter);
        // As execvp searches: what cannot be entered or found is passed over, but a refusal is remembered.
        let mut refusal = libc::ENOENT;
        for program in &launch.programs {
            libc::execve(program.as_ptr(), launch.argv.as_ptr(), launch.envp.as_ptr());
            match errno() {
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => refusal = libc::EACCES,
                other => {
                    refusal = other;
                    break;
                }
            }
        }
        report(REPORT, EXECUTE, refusal);
        libc::_exit(127)
    }
}

#[expect(unsafe_code, reason = "errno is a thread-local of the C library")]
fn errno() -> c_int {
    // SAFETY: the pointer is always valid for this thread.
    unsafe { *libc::__errno_location() }
}

#[expect(unsafe_code, reason = "system calls between fork and exec")]
unsafe fn report(to: RawFd, what: u32, value: c_int) {
    let mut bytes = [0u8; REPORT_SIZE];
    let (first, second) = bytes.split_at_mut(4);
    first.copy_from_slice(&what.to_ne_bytes());
    second.copy_from_slice(&value.to_ne_bytes());
    // SAFETY: `to` is open until this process ends. A reader that is gone needs no report.
    let to = unsafe { BorrowedFd::borrow_raw(to) };
    let _ = rustix::io::write(to, &bytes);
}
