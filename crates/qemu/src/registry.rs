//! The kernel's register of handlers, reached through a file descriptor of its folder.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Dir, FsWord, Mode, OFlags, fstatfs, open, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::elf::Linkage;
use crate::format::{Handler, register_line};
use crate::interpreter::Interpreter;
use crate::owner::Owner;
use crate::{Arch, Error, binary};

/// Where systems mount it.
const USUAL: &str = "/proc/sys/fs/binfmt_misc";
/// BINFMTFS_MAGIC of `linux/magic.h`.
const FILE_SYSTEM: FsWord = 0x4249_4e4d;

#[derive(Debug)]
pub(crate) struct Registry {
    folder: OwnedFd,
}

impl Registry {
    /// The one mounted at the usual place, else a detached mount of the same.
    pub(crate) fn open() -> Result<Registry, Error> {
        // Opening it as a folder also triggers systemd's automount.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(folder) = open(USUAL, flags, Mode::empty())
            && fstatfs(&folder).is_ok_and(|status| status.f_type == FILE_SYSTEM)
        {
            return Ok(Registry { folder });
        }
        Registry::detached()
    }

    /// A mount that no mount table shows and that ends with its file descriptor.
    fn detached() -> Result<Registry, Error> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let mount = || {
            let context = fsopen("binfmt_misc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(&context)?;
            fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        };
        let folder = mount().map_err(|error: Errno| Error::Mount { source: error.into() })?;
        Ok(Registry { folder })
    }

    pub(crate) fn try_clone(&self) -> Result<Registry, Error> {
        let folder = self.folder.try_clone().map_err(|source| Error::List { source })?;
        Ok(Registry { folder })
    }

    /// Sees that handlers are in force at all.
    pub(crate) fn require_enabled(&self) -> Result<(), Error> {
        let text = self.read("status").map_err(|source| Error::List { source })?;
        if text.starts_with(b"enabled") { Ok(()) } else { Err(Error::Disabled) }
    }

    /// The names of all handlers.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let failed = |error: Errno| Error::List { source: error.into() };
        let mut names = Vec::new();
        // The descriptor of a detached mount cannot itself be read.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(&self.folder, ".", flags, Mode::empty()).map_err(failed)?;
        for entry in Dir::new(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Ours are all text; a handler with another name is nothing we could show or judge.
            match entry.file_name().to_str() {
                Ok("." | ".." | "register" | "status") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    /// What is registered by this name; none where that is nothing to us, or gone.
    fn handler(&self, name: &str) -> Result<Option<Handler>, Error> {
        match self.read(name) {
            Ok(text) => Ok(Handler::parse(&text)),
            // Another process may remove its handler at any time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::ReadHandler { name: name.to_owned(), source }),
        }
    }

    /// The name of a handler that takes programs of `arch`, whether or not it would serve.
    pub(crate) fn taking(&self, arch: Arch) -> Result<Option<String>, Error> {
        for name in self.names()? {
            if self.handler(&name)?.is_some_and(|handler| handler.takes_any(arch)) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// The host's handler that runs all programs of `arch` inside a chroot; or, where qemu will be made visible there,
    /// one that would then.
    ///
    /// Which of several wins is not shown by the kernel, so all that would take such programs must serve.
    pub(crate) fn serving(&self, arch: Arch, visible: bool) -> Result<Option<Serving>, Error> {
        let mut found: Option<Serving> = None;
        for name in self.names()? {
            let Some(handler) = self.handler(&name)?.filter(|handler| handler.takes_any(arch)) else {
                continue;
            };
            let opened = handler.flags.contains('F');
            // A handler of another run of ours goes when that run ends: never build on it. It may win now; the
            // host's own handler will be in force again afterwards, but nobody knows when.
            if Owner::marked(&name)
                || !handler.takes_all(arch)
                || !(opened || visible)
                || !finds_all(&handler.interpreter, opened)
                // Two that lack F would need two places.
                || !opened && found.as_ref().is_some_and(|other| !other.opened)
            {
                return Ok(None);
            }
            let credentials = handler.flags.contains('C');
            let mut serving = Serving { name, interpreter: handler.interpreter, opened, credentials };
            if let Some(other) = found {
                // Either may win.
                let both = serving.credentials && other.credentials;
                if !other.opened {
                    serving = other;
                }
                serving.credentials = both;
            }
            found = Some(serving);
        }
        Ok(found)
    }

    /// Registers a handler and tells its name. The registry returned is the one that holds it.
    pub(crate) fn register(
        self,
        arch: Arch,
        owner: &Owner,
        interpreter: &Interpreter,
    ) -> Result<(Registry, String), Error> {
        match self.try_register(arch, owner, interpreter) {
            // Root of a user namespace may not write to the host's register, but since Linux 6.7 has one of its own.
            Err(error @ Error::Register { .. }) if error.hint().is_some() => {
                let Ok(own) = Registry::detached() else { return Err(error) };
                let name = own.try_register(arch, owner, interpreter)?;
                Ok((own, name))
            }
            result => result.map(|name| (self, name)),
        }
    }

    fn try_register(&self, arch: Arch, owner: &Owner, interpreter: &Interpreter) -> Result<String, Error> {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut count = 1_u32;
        loop {
            // One process may emulate the same architecture several times at once.
            let what = if count == 1 { arch.to_string() } else { format!("{arch}-{count}") };
            let name = owner.name(&what);
            let result = match register_line(&name, arch, &interpreter.path(), interpreter.flags) {
                Some(line) => self.write("register", &line),
                None => Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the path has too many special characters",
                )),
            };
            match result {
                Ok(()) => return Ok(name),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count = count.saturating_add(1),
                // Another thread of the embedder that forked while we wrote the file in memory has a copy of the
                // descriptor until it executes its program.
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(source) => {
                    return Err(Error::Register { name, interpreter: interpreter.qemu.clone(), source });
                }
            }
        }
    }

    /// Unregisters a handler; one that is gone already is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match self.write(name, b"-1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|source| Error::Unregister { name: name.to_owned(), source }),
        }
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = openat(&self.folder, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = Vec::new();
        File::from(file).read_to_end(&mut text)?;
        Ok(text)
    }

    /// One write of all bytes: the kernel takes each write for a whole command.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = openat(&self.folder, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        match rustix::io::write(&file, bytes)? {
            written if written == bytes.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

/// A handler of the host that serves.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) name: String,
    pub(crate) interpreter: PathBuf,
    /// Whether the kernel holds the interpreter open (`F`), so that it is found from everywhere.
    pub(crate) opened: bool,
    /// Whether setuid programs get their rights (`C`).
    pub(crate) credentials: bool,
}

/// Whether the interpreter finds all that it needs inside an image.
fn finds_all(interpreter: &Path, opened: bool) -> bool {
    match binary::linkage(interpreter) {
        Ok(linkage) => linkage == Some(Linkage::Static),
        // A container registered it from its own files: such interpreters are always static, or useless to it too.
        Err(error) => opened && error.kind() == io::ErrorKind::NotFound,
    }
}
