//! The guard of a mounted image, and the runner that it is.

use crate::tree::Tree;
use crate::{Builder, ChrootRunner, Command, Entry, Error, Node, OutputTick, files, seccomp, spawn};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// An image's file systems, mounted where only this process and its commands can see them.
///
/// [`close`](Root::close) writes everything back and reports; dropping does the same and cannot report.
#[derive(Debug)]
pub struct Root<'d> {
    tree: Tree,
    variables: Vec<(String, String)>,
    dev_files: Vec<(String, Vec<u8>)>,
    personality32: bool,
    /// Of the commands' system calls.
    filter: Vec<libc::sock_filter>,
    devices: PhantomData<&'d Path>,
}

impl<'d> Root<'d> {
    /// Starts saying how an image is to be mounted.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn of(tree: Tree, builder: &Builder) -> Root<'d> {
        // systemctl then enables and masks, and says that it starts and stops nothing.
        let offline = (!builder.services).then(|| ("SYSTEMD_OFFLINE".to_owned(), "1".to_owned()));
        Root {
            tree,
            variables: offline.into_iter().collect(),
            dev_files: builder.dev_files.clone(),
            personality32: builder.personality32,
            filter: seccomp::program(!builder.sync),
            devices: PhantomData,
        }
    }

    /// Sets a variable for every command that does not set it itself.
    pub fn variable(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.variables.push((name.into(), value.into()));
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
        self.tree.sealed
    }

    /// Writes everything back, unmounts, and makes sure that the devices are free.
    ///
    /// # Errors
    ///
    /// The first of [`Error::Restore`], [`Error::Sync`], [`Error::Busy`]; all steps are taken in any case.
    pub fn close(mut self) -> Result<(), Error> {
        let devices: Vec<PathBuf> = self
            .tree
            .mounts
            .iter()
            .filter(|mount| mount.exclusive)
            .map(|mount| mount.device.clone())
            .collect();
        let released = self.tree.release();
        let free = devices.into_iter().try_for_each(wait_until_free);
        released.and(free)
    }

    pub(crate) fn top(&self) -> BorrowedFd<'_> {
        self.tree.mounts[0].directory.as_fd()
    }

    pub(crate) fn namespace(&self) -> BorrowedFd<'_> {
        self.tree.namespace.as_ref().expect("only `release` takes it, and nothing runs after that").as_fd()
    }

    pub(crate) fn personality32(&self) -> bool {
        self.personality32
    }

    /// Variables that tell programs about these surroundings.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub(crate) fn filter(&self) -> &[libc::sock_filter] {
        &self.filter
    }

    /// Sees that the files of [`Builder::dev_file`] are there.
    pub(crate) fn keep_dev_files(&self) -> Result<(), Error> {
        self.dev_files.iter().try_for_each(|(name, content)| {
            self.tree
                .private_dev()
                .and_then(|dev| files::keep(dev.as_fd(), name, content))
                .map_err(|source| Error::Create { path: Path::new("/dev").join(name), source })
        })
    }
}

impl ChrootRunner for Root<'_> {
    fn run(&mut self, command: &Command, tick: OutputTick<'_>) -> Result<ExitStatus, Error> {
        self.keep_dev_files()?;
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

    fn list(&mut self, path: &Path) -> Result<Vec<Entry>, Error> {
        files::list(self.top(), path).map_err(|source| Error::Read { path: path.into(), source })
    }

    fn own(&mut self, path: &Path, user: u32, group: u32) -> Result<(), Error> {
        files::give(self.top(), path, user, group).map_err(|source| Error::Own {
            path: path.into(),
            user,
            group,
            source,
        })
    }

    fn remove(&mut self, path: &Path) -> Result<(), Error> {
        files::remove(self.top(), path).map_err(|source| Error::Remove { path: path.into(), source })
    }

    fn seen_at(&self) -> Option<PathBuf> {
        // Where that fails, the next command tells.
        let _ = self.keep_dev_files();
        // The namespace has no name; a descriptor of its root has one.
        Some(format!("/proc/{}/fd/{}", std::process::id(), self.top().as_raw_fd()).into())
    }
}

/// Whether no mount holds the block device: the kernel lets it be opened exclusively.
pub(crate) fn is_free(device: &Path) -> bool {
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
