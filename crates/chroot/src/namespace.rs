//! The mount namespace an image lives in.

use crate::device::{DEV, RUN, SYS, TMP, attach, attach_in, detached, fill};
use crate::{ChrootRunner, Command, Error, Mount, Node, Options, OutputTick, files, resolv, spawn};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// An image's file systems, mounted where only this process and its commands can see them.
///
/// [`close`](Root::close) writes everything back and reports; dropping does the same and cannot report.
#[derive(Debug)]
pub struct Root<'d> {
    /// Parents before children, so the first is `/`. Gone once released.
    mounts: Vec<Mounted>,
    /// The last reference to the namespace. Gone once released.
    namespace: Option<OwnedFd>,
    sealed: bool,
    stand_in: Option<PathBuf>,
    personality32: bool,
    devices: PhantomData<&'d Path>,
}

#[derive(Debug)]
struct Mounted {
    device: PathBuf,
    target: PathBuf,
    /// The root directory of the mount, as a place (`O_PATH`).
    directory: OwnedFd,
    /// Whether nobody else used the device before.
    exclusive: bool,
}

impl<'d> Root<'d> {
    /// Mounts `mounts` as one tree, in any order given, with private `/dev`, `/sys`, `/run` and `/tmp` in it.
    ///
    /// Links in the image that lead to a mount point are followed inside the image; a directory that is
    /// missing is made. Nothing is mounted if this fails.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoot`], [`Error::Target`], [`Error::Namespace`], [`Error::Mount`], [`Error::MountPoint`],
    /// [`Error::Device`], [`Error::ResolvConfSource`], [`Error::ResolvConf`]
    pub fn mount(mounts: &[Mount<'d>], options: &Options) -> Result<Root<'d>, Error> {
        let mounts = in_order(mounts)?;
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("arm-image-mount".into())
                .spawn_scoped(scope, || apart(|| build(&mounts, options)))
                .map_err(|source| Error::Namespace { step: "start a thread", source })?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Opens a directory of the image for reading, for ioctls such as growing its file system.
    ///
    /// Drop it before closing the root: it keeps its file system busy.
    ///
    /// # Errors
    ///
    /// [`Error::Read`]
    pub fn directory(&self, path: &Path) -> Result<File, Error> {
        files::open(self.top(), path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map(File::from)
            .map_err(|source| Error::Read { path: path.into(), source })
    }

    /// Whether the host's tree is out of the image's namespace altogether.
    ///
    /// It is not where this process has an initramfs for its root, as an init has: `pivot_root` cannot move
    /// that away. The image is then mounted over it, and only a program that breaks out of a chroot on
    /// purpose could find it.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Writes everything back, unmounts, and makes sure that the devices are free.
    ///
    /// # Errors
    ///
    /// The first of [`Error::ResolvConf`], [`Error::Sync`], [`Error::Busy`]; all steps are taken in any case.
    pub fn close(mut self) -> Result<(), Error> {
        let devices: Vec<PathBuf> =
            self.mounts.iter().filter(|mount| mount.exclusive).map(|mount| mount.device.clone()).collect();
        let released = self.release();
        let free = devices.into_iter().try_for_each(wait_until_free);
        released.and(free)
    }

    pub(crate) fn top(&self) -> BorrowedFd<'_> {
        self.mounts[0].directory.as_fd()
    }

    pub(crate) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_ref().expect("only `release` takes it, and nothing runs after that").as_fd()
    }

    pub(crate) fn personality32(&self) -> bool {
        self.personality32
    }

    /// Takes everything down: closing the last descriptor of a mount namespace unmounts what is in it
    /// before the call returns, as long as no mount in it is held by another descriptor.
    fn release(&mut self) -> Result<(), Error> {
        let mut outcome = match self.stand_in.take() {
            Some(path) => resolv::remove_stand_in(self.top(), &path),
            None => Ok(()),
        };
        for mount in self.mounts.drain(..).rev() {
            outcome = outcome.and(sync(&mount));
        }
        self.namespace = None;
        outcome
    }
}

impl Drop for Root<'_> {
    fn drop(&mut self) {
        // Nobody is left to report to; `close` is for those who want to know.
        let _ = self.release();
    }
}

impl ChrootRunner for Root<'_> {
    fn run(&mut self, command: &Command, tick: OutputTick<'_>) -> Result<ExitStatus, Error> {
        spawn::run(self, command, tick)
    }

    fn create(&mut self, path: &Path, node: Node<'_>, mode: u32) -> Result<(), Error> {
        files::create(self.top(), path, node, mode)
            .map_err(|source| Error::Create { path: path.into(), source })
    }

    fn read(&mut self, path: &Path, into: &mut dyn Write) -> Result<(), Error> {
        files::read(self.top(), path, into).map_err(|source| Error::Read { path: path.into(), source })
    }

    fn is_directory(&mut self, path: &Path) -> Result<bool, Error> {
        files::is_directory(self.top(), path).map_err(|source| Error::Read { path: path.into(), source })
    }

    fn remove(&mut self, path: &Path) -> Result<(), Error> {
        files::remove(self.top(), path).map_err(|source| Error::Remove { path: path.into(), source })
    }
}

/// The mounts with parents before children, so `/` first.
fn in_order<'m, 'd>(mounts: &'m [Mount<'d>]) -> Result<Vec<&'m Mount<'d>>, Error> {
    let mut ordered: Vec<_> = mounts.iter().collect();
    // Compared by components, a path comes right before those inside it.
    ordered.sort_by(|one, other| one.target.cmp(&other.target));
    for (index, mount) in ordered.iter().enumerate() {
        let refuse = |reason| Err(Error::Target { target: mount.target.clone(), reason });
        if !mount.target.is_absolute() {
            return refuse("it is not absolute");
        }
        if mount.target.components().any(|component| component == Component::ParentDir) {
            return refuse("it climbs with `..`");
        }
        if index > 0 && ordered[index - 1].target == mount.target {
            return refuse("it is used twice");
        }
    }
    match ordered.first() {
        Some(mount) if mount.target == Path::new("/") => Ok(ordered),
        _ => Err(Error::NoRoot),
    }
}

fn step(step: &'static str) -> impl Fn(rustix::io::Errno) -> Error {
    move |error| Error::Namespace { step, source: error.into() }
}

fn open_namespace() -> Result<OwnedFd, Error> {
    rustix::fs::open("/proc/thread-self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(step("open `/proc/thread-self/ns/mnt`"))
}

/// Runs `work` on this thread in a new mount namespace, and comes back from it.
///
/// A thread that just ended there would hold the namespace for a moment longer than anyone can wait for:
/// joining returns when the thread's memory is done with, which the kernel does before its namespaces.
#[expect(unsafe_code, reason = "unshare is unsafe for what it can do to descriptors")]
fn apart<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // The embedder's signal handlers have no business in here.
    let _signals = spawn::block_signals();
    let home = open_namespace()?;
    // SAFETY: the descriptor table stays shared (no CLONE_FILES); working directory and mounts are this
    // thread's alone from here on.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS | UnshareFlags::NEWNS) }
        .map_err(step("unshare (`CLONE_NEWNS`)"))?;
    let outcome = work();
    rustix::thread::move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Mount))
        .map_err(step("return from the new namespace"))?;
    outcome
}

/// Builds the tree and makes it the root of this thread's new namespace.
fn build<'d>(mounts: &[&Mount<'d>], options: &Options) -> Result<Root<'d>, Error> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(step("make `/` private"))?;
    let namespace = open_namespace()?;

    // All devices are mounted before anything is attached, so nothing can cover their names.
    let mut mounted = Vec::with_capacity(mounts.len());
    for mount in mounts {
        let exclusive = is_free(mount.device);
        let directory = detached(&mount.kind, Some(mount.device), &[], MountAttrFlags::empty())
            .map_err(|refusal| refusal.on(mount.device, &mount.kind, &mount.target))?;
        mounted.push(Mounted {
            device: mount.device.into(),
            target: mount.target.clone(),
            directory,
            exclusive,
        });
    }
    let top = mounted[0].directory.as_fd();
    let host = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(step("open `/`"))?;
    attach(top, host.as_fd())
        .map_err(|source| Error::Namespace { step: "attach the image's root", source })?;
    drop(host);

    fill(DEV.mount(top)?.as_fd())?;
    SYS.mount(top)?;
    let run = RUN.mount(top)?;
    // Debian's packages expect it; there systemd makes it.
    files::ensure_directory(run.as_fd(), Path::new("lock"), 0o1777)
        .map_err(|source| Error::MountPoint { target: "/run/lock".into(), source })?;
    TMP.mount(top)?;
    // Each command mounts a /proc of its own there.
    files::ensure_directory(top, Path::new("/proc"), 0o555)
        .map_err(|source| Error::MountPoint { target: "/proc".into(), source })?;
    for mount in &mounted[1..] {
        attach_in(top, &mount.directory, &mount.target)?;
    }
    let stand_in = resolv::set_up(options, top, run.as_fd())?;

    rustix::process::fchdir(top).map_err(step("enter the image"))?;
    let sealed = match rustix::process::pivot_root(".", ".") {
        Ok(()) => {
            // The old root now lies on top of the new one, where `.` finds it first.
            rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(step("let go of the host's tree"))?;
            true
        }
        // An initramfs stays below for ever; commands chroot, see `is_sealed`.
        Err(rustix::io::Errno::INVAL) => false,
        Err(error) => return Err(step("pivot_root")(error)),
    };
    Ok(Root {
        mounts: mounted,
        namespace: Some(namespace),
        sealed,
        stand_in,
        personality32: options.personality32,
        devices: PhantomData,
    })
}

fn sync(mount: &Mounted) -> Result<(), Error> {
    files::open(mount.directory.as_fd(), Path::new("/"), OFlags::RDONLY | OFlags::DIRECTORY)
        .and_then(|directory| Ok(rustix::fs::syncfs(directory)?))
        .map_err(|source| Error::Sync { target: mount.target.clone(), source })
}

/// Whether no mount holds the block device: the kernel lets it be opened exclusively.
fn is_free(device: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    !matches!(rustix::fs::open(device, flags, Mode::empty()), Err(rustix::io::Errno::BUSY))
}

fn wait_until_free(device: PathBuf) -> Result<(), Error> {
    // It is free at once, but for one case: another thread of the embedder that forks at this moment has
    // copies of our descriptors until it executes its program.
    let deadline = Instant::now() + Duration::from_secs(2);
    while !is_free(&device) {
        if Instant::now() >= deadline {
            return Err(Error::Busy { device });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[cfg(test)]
#[path = "namespace/tests.rs"]
mod tests;
