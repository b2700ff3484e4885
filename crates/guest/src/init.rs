//! The guest's side: what the kernel starts as its first process.

use std::{
    ffi::{CString, OsString},
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            ffi::OsStringExt,
            fs::{DirBuilderExt, OpenOptionsExt, symlink},
        },
    },
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::{
        reboot::{RebootMode, reboot},
        signal::{Signal, kill},
        termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr},
    },
    unistd::{Pid, chdir, chroot},
};

use crate::{
    Error, HOST, JOB, TERMINAL,
    error::one_line,
    network,
    setup::{self, Settings},
};

const CHANNEL: &str = "/dev/ttyS0";
const STATUS: &str = "/dev/ttyS1";
/// The exit code of a program that panicked, as Rust's own runtime gives it.
const PANICKED: u8 = 101;

/// Whether this process is the first one of a guest that a [`Builder`](crate::Builder) started.
#[must_use]
pub fn is_init() -> bool {
    std::process::id() == 1 && Path::new(setup::FOLDER).is_dir()
}

/// In the guest: what was given to [`Builder::args`](crate::Builder::args); empty elsewhere.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    let bytes = fs::read(setup::ARGUMENTS).unwrap_or_default();
    bytes
        .split_inclusive(|byte| *byte == 0)
        .map(|argument| OsString::from_vec(argument[..argument.len() - 1].to_vec()))
        .collect()
}

/// The guest's end of [`Guest::channel`](crate::Guest::channel).
#[derive(Debug)]
pub struct Channel(File);

impl Channel {
    /// Another handle of the same channel, such as one to write with while the first one reads.
    ///
    /// # Errors
    ///
    /// As [`File::try_clone`].
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A line whose other end has gone says EIO where a pipe would say end of file.
        self.0
            .read(buffer)
            .or_else(|error| if error.raw_os_error() == Some(libc::EIO) { Ok(0) } else { Err(error) })
    }
}

impl Write for Channel {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets the guest up, runs `serve`, hands its exit code to [`Guest::wait`](crate::Guest::wait) and powers off.
///
/// `serve` finds `/proc`, `/sys`, `/dev` (devtmpfs, with pts and shm), empty `/run` and `/tmp`, the modules loaded, the
/// shared folder, the disk and the network as the builder was told, and a root that `pivot_root` accepts. Whatever is
/// still running or mounted when it returns is ended; a panic becomes exit code 101.
///
/// To be called first thing by a program for which [`is_init`] holds.
pub fn init(serve: impl FnOnce(Channel) -> u8) -> ! {
    match set_up() {
        Ok(Lines { channel, mut status, held }) => {
            let code = panic::catch_unwind(AssertUnwindSafe(|| serve(channel))).unwrap_or(PANICKED);
            tear_down();
            for line in &held {
                // What was written has to be out before the word that makes the host kill this kernel.
                let _ = tcdrain(line);
            }
            say(&mut status, &format!("exit {code}"));
        }
        Err(Failure { error, status }) => {
            let text = one_line(&error);
            let _ = writeln!(io::stderr(), "{text}");
            if let Some(mut status) = status {
                say(&mut status, &format!("failed {text}"));
            }
        }
    }
    // Only a process without the right to can fail to, and init has it.
    let _ = reboot(RebootMode::RB_POWER_OFF);
    unreachable!("a powered-off kernel runs nothing")
}

/// Why the guest could not be set up, and the line to say so, if it was open by then.
struct Failure {
    error: Error,
    status: Option<File>,
}

struct Lines {
    channel: Channel,
    status: File,
    /// The channel and the terminal once more: a line that nobody has open is closed for good on the host's side.
    held: [File; 2],
}

fn set_up() -> Result<Lines, Failure> {
    let early = |error| Failure { error, status: None };
    base_mounts().map_err(early)?;
    let mut status = raw_line(STATUS).map_err(early)?;
    match serve_mounts().and_then(|()| Ok((raw_line(CHANNEL)?, [line(CHANNEL)?, line(TERMINAL)?]))) {
        Ok((channel, held)) => {
            say(&mut status, "ready");
            Ok(Lines { channel: Channel(channel), status, held })
        }
        Err(error) => Err(Failure { error, status: Some(status) }),
    }
}

/// Puts a root in place that `pivot_root` accepts, and the devices.
fn base_mounts() -> Result<(), Error> {
    // The kernel's first root cannot be moved away from; a bind mount of the same tree on top of it can.
    let root = Path::new("/");
    let failed = |errno: nix::Error| Error::Mount { target: root.to_owned(), source: errno.into() };
    let stage = Path::new("/.root");
    folder(stage)?;
    mount(Some("/"), stage, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(failed)?;
    chdir(stage).map_err(failed)?;
    mount(Some("."), root, None::<&str>, MsFlags::MS_MOVE, None::<&str>).map_err(failed)?;
    chroot(".").map_err(failed)?;
    chdir(root).map_err(failed)?;
    mount_at("devtmpfs", "/dev", "mode=0755", MsFlags::MS_NOSUID)
}

fn serve_mounts() -> Result<(), Error> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_at("proc", "/proc", "", plain | MsFlags::MS_NOEXEC)?;
    mount_at("sysfs", "/sys", "", plain | MsFlags::MS_NOEXEC)?;
    mount_at("devpts", "/dev/pts", "mode=0620,gid=5,ptmxmode=0666", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC)?;
    mount_at("tmpfs", "/dev/shm", "mode=1777", plain)?;
    mount_at("tmpfs", "/run", "mode=0755", plain)?;
    mount_at("tmpfs", "/tmp", "mode=1777", plain)?;
    // What udev would link; shells and build tools count on them.
    for (name, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        let path = Path::new("/dev").join(name);
        symlink(format!("/proc/self/fd{target}"), &path).map_err(|source| Error::Write { path, source })?;
    }
    load_modules()?;

    let text = fs::read_to_string(setup::SETTINGS)
        .map_err(|source| Error::Read { path: setup::SETTINGS.into(), source })?;
    let settings = Settings::parse(&text);
    if let Some(option) = &settings.job {
        mount_at("hostfs", JOB, option, plain)?;
    }
    for (option, target) in &settings.shares {
        mount_at("hostfs", target, option, plain)?;
    }
    if settings.host {
        mount_at("hostfs", HOST, "/", MsFlags::empty())?;
    }
    network::loopback()?;
    if let Some(servers) = &settings.name_servers {
        network::slirp()?;
        folder(Path::new("/etc"))?;
        let text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        let path = Path::new("/etc/resolv.conf");
        fs::write(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })?;
    }
    Ok(())
}

fn load_modules() -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::LoadModule { path, source }
    };
    let modules = Path::new(setup::MODULES);
    let mut files = fs::read_dir(modules)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
        })
        .map_err(failed(modules))?;
    files.sort();
    for path in files {
        let module = File::open(&path).map_err(failed(&path))?;
        finit_module(&module, &CString::default(), ModuleInitFlags::empty())
            .map_err(|errno| failed(&path)(errno.into()))?;
        // Each is used once; the memory is better spent otherwise.
        fs::remove_file(&path).map_err(failed(&path))?;
    }
    Ok(())
}

/// Ends what is left of the guest's programs and puts everything on the disk.
fn tear_down() {
    // There may be nothing to kill or to unmount: then these say so, and nobody wants to hear it.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    // A lazy unmount takes away what killed processes have not let go of yet; `sync` then waits for the writing.
    for point in points.iter().rev().filter(|point| !point.starts_with("/dev") && **point != "/") {
        let _ = umount2(*point, MntFlags::MNT_DETACH);
    }
    nix::unistd::sync();
}

/// Opens a line to the host.
fn line(path: &str) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    options.open(path).map_err(|source| Error::OpenLine { path: path.into(), source })
}

/// Opens a line to the host and makes it carry bytes as they are.
fn raw_line(path: &str) -> Result<File, Error> {
    let file = line(path)?;
    let failed = |errno: nix::Error| Error::OpenLine { path: path.into(), source: errno.into() };
    let mut settings = tcgetattr(&file).map_err(failed)?;
    cfmakeraw(&mut settings);
    tcsetattr(&file, SetArg::TCSANOW, &settings).map_err(failed)?;
    Ok(file)
}

/// Tells the host; if it does not listen any more, the keeper is about to end this kernel.
fn say(status: &mut File, text: &str) {
    let _ = writeln!(status, "{text}");
    let _ = tcdrain(&status);
}

fn mount_at(kind: &str, target: &str, options: &str, flags: MsFlags) -> Result<(), Error> {
    let path = Path::new(target);
    folder(path)?;
    mount(Some("none"), path, Some(kind), flags, Some(options))
        .map_err(|errno| Error::Mount { target: path.to_owned(), source: errno.into() })
}

fn folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}
