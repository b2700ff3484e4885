//! An image's tree in a mount namespace of its own.

use crate::cover::{Change, Undo};
use crate::device::{
    DEV, PROC, RUN, SCRIPTS, SYS, TMP, attach, attach_in, detached, fill, hide_disks, mount_id,
};
use crate::{Bind, Builder, Error, Mount, files, namespace, resolv, spawn};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// What was mounted so far, and what is to be undone before all of it goes.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Parents before children, so the first is `/`. Gone once released.
    pub(crate) mounts: Vec<Mounted>,
    /// The last reference to the namespace. Gone once released.
    pub(crate) namespace: Option<OwnedFd>,
    /// Whether the host's tree is out of it.
    pub(crate) sealed: bool,
    /// The number of the mount that is its private `/dev`.
    dev: u64,
    undo: Vec<Undo>,
}

#[derive(Debug)]
pub(crate) struct Mounted {
    pub(crate) device: PathBuf,
    target: PathBuf,
    /// The root directory of the mount, as a place (`O_PATH`).
    pub(crate) directory: OwnedFd,
    /// The same, open from the beginning: by this the kernel tells of every write that failed since then. By one that is
    /// opened in the end it does not, once somebody else has asked.
    held: OwnedFd,
    /// Whether nobody else used the device before.
    pub(crate) exclusive: bool,
}

impl Tree {
    /// Takes everything down: closing the last descriptor of a mount namespace unmounts what is in it
    /// before the call returns, as long as no mount in it is held by another descriptor.
    pub(crate) fn release(&mut self) -> Result<(), Error> {
        let mut outcome = Ok(());
        while let (Some(undo), Some(top)) = (self.undo.pop(), self.mounts.first()) {
            outcome = outcome.and(undo.run(top.directory.as_fd()));
        }
        for mount in self.mounts.drain(..).rev() {
            outcome = outcome.and(sync(&mount));
        }
        self.namespace = None;
        outcome
    }

    /// The private `/dev`, as a place. That of the host is never taken for it, which a [`Bind`] may show there.
    pub(crate) fn private_dev(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let dev = files::open(self.mounts[0].directory.as_fd(), Path::new("/dev"), flags)?;
        match mount_id(dev.as_fd())? == self.dev {
            true => Ok(dev),
            false => Err(io::Error::other("something else is mounted at `/dev`")),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Nobody is left to report to; `Root::close` is for those who want to know.
        let _ = self.release();
    }
}

/// See [`Builder::mount`].
pub(crate) fn mount(mounts: &[Mount<'_>], builder: &Builder) -> Result<Tree, Error> {
    let mounts = in_order(mounts)?;
    let mut tree = Tree::default();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("arm-image-mount".into())
            .spawn_scoped(scope, || apart(|| build(&mut tree, &mounts, builder)))
            .map_err(|source| Error::Namespace { step: "start a thread", source })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    // After a failure the tree is dropped here, outside the namespace: what is to be undone can be undone only here.
    Ok(tree)
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
fn build(tree: &mut Tree, mounts: &[&Mount<'_>], builder: &Builder) -> Result<(), Error> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(step("make `/` private"))?;
    tree.namespace = Some(open_namespace()?);

    // All devices are mounted before anything is attached, so nothing can cover their names.
    for mount in mounts {
        let exclusive = namespace::is_free(mount.device);
        let options: Vec<_> =
            mount.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let directory = detached(&mount.kind, Some(mount.device), &options, MountAttrFlags::empty())
            .map_err(|refusal| refusal.on(mount.device, &mount.kind, &mount.target))?;
        let held = files::open(directory.as_fd(), Path::new("/"), OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|source| Error::MountPoint { target: mount.target.clone(), source })?;
        tree.mounts.push(Mounted {
            device: mount.device.into(),
            target: mount.target.clone(),
            directory,
            held,
            exclusive,
        });
    }
    let binds = builder.binds.iter().map(Bind::open).collect::<Result<Vec<_>, _>>()?;
    let top = tree.mounts[0].directory.as_fd();
    let host = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(step("open `/`"))?;
    attach(top, host.as_fd())
        .map_err(|source| Error::Namespace { step: "attach the image's root", source })?;
    drop(host);

    let dev = DEV.mount(top)?;
    fill(dev.as_fd())?;
    tree.dev = mount_id(dev.as_fd()).map_err(|source| Error::Device { name: "", source })?;
    SYS.mount(top)?;
    hide_disks(top)?;
    let run = RUN.mount(top)?;
    // Debian's packages expect it; there systemd makes it.
    files::ensure_directory(run.as_fd(), Path::new("lock"), 0o1777)
        .map_err(|source| Error::MountPoint { target: "/run/lock".into(), source })?;
    TMP.mount(top)?;
    // Each command mounts a /proc of its own there.
    files::ensure_directory(top, Path::new("/proc"), 0o555)
        .map_err(|source| Error::MountPoint { target: "/proc".into(), source })?;
    if builder.proc {
        PROC.mount(top)?;
    }
    for mount in &tree.mounts[1..] {
        attach_in(top, &mount.directory, &mount.target)?;
    }
    let mut change = Change { root: top, run: run.as_fd(), hosts: Vec::new(), undo: &mut tree.undo };
    change.heal()?;
    for (bind, mount) in builder.binds.iter().zip(&binds) {
        bind.attach(mount.as_fd(), &mut change)?;
    }
    // After them: a folder of the host that is shown as `/run` gets to hold no script, and other builds find none in it.
    match SCRIPTS.mount(top) {
        // Only such a folder can be read-only. Commands run all the same, and scripts tell that there is no place for them.
        Err(Error::MountPoint { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
        mounted => drop(mounted?),
    }
    resolv::set_up(builder, &mut change)?;
    change.forget_preload()?;
    if !builder.services {
        change.forbid_services()?;
    }

    rustix::process::fchdir(top).map_err(step("enter the image"))?;
    tree.sealed = match rustix::process::pivot_root(".", ".") {
        Ok(()) => {
            // The old root now lies on top of the new one, where `.` finds it first.
            rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(step("let go of the host's tree"))?;
            true
        }
        // An initramfs stays below for ever; commands chroot, see `is_sealed`.
        Err(rustix::io::Errno::INVAL) => false,
        Err(error) => return Err(step("pivot_root")(error)),
    };
    Ok(())
}

fn sync(mount: &Mounted) -> Result<(), Error> {
    rustix::fs::syncfs(&mount.held)
        .map_err(|error| Error::Sync { target: mount.target.clone(), source: error.into() })
}

#[cfg(test)]
#[path = "tree/tests.rs"]
mod tests;
