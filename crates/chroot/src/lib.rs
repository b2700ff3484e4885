//! A [`Root`] is an image's file systems mounted as one tree that only this process can see.
//!
//! Programs run in it as if the image had been started: with a `/dev`, `/proc`, `/sys`, `/run` and
//! `/tmp` of their own, and with the host's name servers. Nothing else of the host is there, no service is
//! started, and nothing waits for the disk; [`Root::builder`] can be told otherwise.
//!
//! ```no_run
//! use arm_image_chroot::{ChrootRunner, Command, Mount, Output, Root};
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! let mounts = [
//!     Mount { device: Path::new("/dev/dm-1"), target: "/".into(), kind: "ext4".into(), options: Vec::new() },
//!     Mount { device: Path::new("/dev/dm-0"), target: "/boot/firmware".into(), kind: "vfat".into(), options: Vec::new() },
//! ];
//! let mut root = Root::builder().mount(&mounts)?;
//! let status = root.run(&Command::new(["cat", "/etc/os-release"]), &mut |output| {
//!     if let Output::Stdout(line) = output {
//!         println!("{}", String::from_utf8_lossy(line));
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! assert!(status.success());
//! root.close()?;
//! # Ok::<(), arm_image_chroot::Error>(())
//! ```
//!
//! Who wants the mounts only, for programs of this machine, asks for nothing else:
//!
//! ```no_run
//! # use arm_image_chroot::{ChrootRunner, Mount, ResolvConf, Root};
//! # use std::path::Path;
//! # let mounts = [Mount { device: Path::new("/dev/dm-1"), target: "/".into(), kind: "ext4".into(), options: Vec::new() }];
//! let root = Root::builder().resolv_conf(ResolvConf::Off).services(true).mount(&mounts)?;
//! if let Some(path) = root.seen_at() {
//!     std::process::Command::new("du").arg("-sh").arg(path.join("usr")).status()?;
//! }
//! root.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is left behind
//!
//! Nothing, and the limits first: a file system that was being written when this process is killed
//! is as consistent as after a power cut, and a [`Directory`](Root::directory) that outlives its
//! root keeps its file system busy. In the image itself, SIGKILL leaves what stands in for its files at that moment:
//! `/etc/resolv.conf`, an empty `/etc/ld.so.preload`, and a `policy-rc.d`; its own wait beside them, and the next
//! [`Builder::mount`] puts them back. Empty files and folders that a [`Bind`] lay on stay.
//!
//! * The mounts live in a mount namespace of their own, made on a thread that ends; its only owner is
//!   a file descriptor in [`Root`]. The process's own mounts, working directory and signal handlers
//!   stay as they are, and its end, by whatever signal, unmounts everything.
//! * Each command runs in a PID namespace of its own. When it ends, whatever it left running is
//!   killed; when this process or the thread that called [`ChrootRunner::run`] ends, so is the command.
//! * `Root` borrows the device paths, so what owns a device cannot be dropped before it:
//!
//! ```compile_fail,E0505
//! # use arm_image_chroot::{Mount, Root};
//! # use std::path::PathBuf;
//! let device = PathBuf::from("/dev/dm-1"); // stands for whatever maps the partition
//! let mounts = [Mount { device: &device, target: "/".into(), kind: "ext4".into(), options: Vec::new() }];
//! let root = Root::builder().mount(&mounts)?;
//! drop(device); // error: cannot move out of `device` because it is borrowed
//! root.close()?;
//! # Ok::<(), arm_image_chroot::Error>(())
//! ```
//!
//! # What the image's programs cannot do
//!
//! The limit first: they are root and may mount, as installing packages can take that. A program that sets out to
//! find a way to the host's disks, such as a `devtmpfs` of its own, finds one; strangers' images belong in a
//! virtual machine. Whatever does not set out for it finds none:
//!
//! * `/dev` has no disk, no node that is made there can be opened, and a node of a block device cannot be made at
//!   all (`EPERM`; where the kernel has seccomp filters). The lists that name disks, such as `/sys/block` and
//!   `/proc/partitions`, are empty; what a disk is attached to, deep in `/sys/devices`, can be read.
//! * What they put into `/tmp` takes no more than half of the machine's memory, and into each of `/run`, `/dev` and the
//!   place of the steps' scripts no more than a tenth.
//! * The kernel's settings are read-only, and its modules, clock, log, power, raw hardware and network
//!   configuration are out of reach: the capabilities for them are given up.
//! * Links in the image, mount points and `/etc/resolv.conf` among them, are followed inside it.
//!
//! Linux 5.9 or later, with `CAP_SYS_ADMIN`; `/proc` must be mounted.

mod bind;
mod builder;
mod capabilities;
mod child;
mod cover;
mod device;
mod error;
mod files;
mod hostname;
mod inherited;
mod lines;
mod namespace;
mod parked;
mod provision;
mod resolv;
mod seccomp;
mod spawn;
mod tree;
mod words;

pub use bind::Bind;
pub use builder::Builder;
pub use error::Error;
pub use namespace::Root;
pub use provision::{Copy, Download, Owner, Paced, Provisioner, Script, Scripts, Source, Upload};
pub use resolv::ResolvConf;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// A partition and its place in the image's tree.
#[derive(Debug, Clone)]
pub struct Mount<'d> {
    /// The block device.
    pub device: &'d Path,
    /// Where it belongs inside the image: absolute, without `..`; one mount must be on `/`.
    pub target: PathBuf,
    /// The kernel's name of the file system, such as `ext4` or `vfat`.
    pub kind: String,
    /// Options of the file system by key and value, without which something else would be seen: `subvol` and `@` of
    /// btrfs. Most need none.
    pub options: Vec<(String, String)>,
}

/// A program to run inside the image.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program, looked up in `PATH` unless there is a `/` in it, and its arguments.
    pub argv: Vec<OsString>,
    /// Variables beside the defaults, and instead of those of the same name.
    ///
    /// The defaults are `PATH` (the usual six folders), `HOME=/root`, `LANG=C.UTF-8`, and `TERM=linux` with a
    /// terminal, `TERM=dumb` and `DEBIAN_FRONTEND=noninteractive` without. Nothing is taken from this process.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory inside the image.
    pub directory: PathBuf,
    /// Whether the program talks to this process's own stdin, stdout and stderr, as an interactive shell does.
    ///
    /// It is then in the terminal's foreground until it ends. Otherwise stdin is empty, and stdout and
    /// stderr come as [`Output`].
    pub terminal: bool,
}

impl Command {
    /// A command without variables of its own, in `/`, without a terminal.
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Command {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            directory: "/".into(),
            terminal: false,
        }
    }
}

/// What a running command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'a> {
    /// A line of stdout without its newline; one over 16 KiB comes in pieces.
    Stdout(&'a [u8]),
    /// A line of stderr, likewise.
    Stderr(&'a [u8]),
    /// Nothing: said several times a second, so that a silent command can be cancelled.
    Waiting,
}

/// Sees output as it comes, and ends what is going on by `Break`.
pub type OutputTick<'a> = &'a mut dyn FnMut(Output<'_>) -> ControlFlow<()>;

/// What is to be made at a path.
pub enum Node<'a> {
    /// A directory; one that exists is kept as it is.
    Directory,
    /// A regular file with this content.
    File(&'a mut dyn Read),
    /// A symbolic link to this target, which need not exist.
    Link(&'a Path),
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Node::Directory => formatter.write_str("Directory"),
            Node::File(_) => formatter.write_str("File(..)"),
            Node::Link(target) => formatter.debug_tuple("Link").field(target).finish(),
        }
    }
}

/// One name in a directory of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it names.
    pub kind: EntryKind,
    /// The permission bits (0 to 0o7777).
    pub mode: u32,
}

/// What an [`Entry`] names; a link is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link to this target.
    Link(PathBuf),
    /// A device node, socket or pipe.
    Special,
}

/// Something that runs commands inside an image and moves files in and out: [`Root`], or a far end of a pipe.
///
/// Paths are the image's own: `/` is its root, and no link in it leads outside.
pub trait ChrootRunner {
    /// Runs `command` to its end and kills whatever it left running.
    ///
    /// A program that is missing ends with 127, and one that is not executable with 126, after a line of
    /// stderr that says so.
    ///
    /// # Errors
    ///
    /// [`Error::Execute`] if the program is not one for this machine, [`Error::Start`] if its surroundings
    /// cannot be made, [`Error::Cancelled`] after a `Break`. A command that fails is an `Ok` with its status.
    fn run(&mut self, command: &Command, tick: OutputTick<'_>) -> Result<ExitStatus, Error>;

    /// Makes `node` at `path`, owned by root, with the permission bits `mode` (0 to 0o7777; a link has none).
    ///
    /// Missing parents are made with 0755. A file is replaced in one step once its content is there, behind a
    /// link if one stands at `path`; a link replaces what stands there; neither replaces a directory.
    ///
    /// # Errors
    ///
    /// [`Error::Create`]
    fn create(&mut self, path: &Path, node: Node<'_>, mode: u32) -> Result<(), Error>;

    /// Writes the content of the regular file at `path` to `into`.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also if there is no regular file
    fn read(&mut self, path: &Path, into: &mut dyn Write) -> Result<(), Error>;

    /// Whether there is a directory at `path`, links followed.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if that cannot be told; that there is nothing is a `false`
    fn is_directory(&mut self, path: &Path) -> Result<bool, Error>;

    /// What is in the directory at `path`, in no order, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// [`Error::Read`]
    fn list(&mut self, path: &Path) -> Result<Vec<Entry>, Error>;

    /// Gives the file, directory or link (not its target) at `path` to the user and the group with these numbers.
    ///
    /// Its permission bits stay, setuid and setgid among them.
    ///
    /// # Errors
    ///
    /// [`Error::Own`]
    fn own(&mut self, path: &Path, user: u32, group: u32) -> Result<(), Error>;

    /// Removes the file, link (not its target) or empty directory at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Remove`], also if there is nothing
    fn remove(&mut self, path: &Path) -> Result<(), Error>;

    /// A path by which this machine's own programs see the image as long as this runner lives, where they can.
    ///
    /// It leads into everything that is mounted for the image, which has a `/proc` only after
    /// [`Builder::proc`], as each command mounts one of its own. To these programs, absolute links in the image lead to files of the machine, unless they `chroot`.
    fn seen_at(&self) -> Option<PathBuf> {
        None
    }
}
