//! What a handler of ours starts, and with which flags.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use arm_image_qemu_wrapper::{self as wrapper, Wrapped};
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::io::Errno;

use crate::binary::{self, Version};
use crate::{Error, Start};

/// The program of a handler: what to register.
#[derive(Debug)]
pub(crate) struct Interpreter {
    /// The qemu on disk.
    pub(crate) qemu: PathBuf,
    /// As documented for the crate.
    pub(crate) flags: &'static str,
    /// What the kernel shall open in its place, until it has.
    file: Option<OwnedFd>,
}

impl Interpreter {
    /// Makes ready what is to be registered for `qemu`.
    ///
    /// With `own`, arguments matter, and a qemu that cannot be given any is refused.
    pub(crate) fn prepare(
        qemu: &Path,
        version: Option<Version>,
        start: &Start,
        own: bool,
    ) -> Result<Self, Error> {
        let file = match start {
            Start::Inside => None,
            // Not every kernel lets a file in memory be run, and a qemu may be of an unusual build: it does without.
            Start::Plain => wrap(qemu, |program| wrapper::wrap::<OsString>(program, &[])).ok(),
            Start::Arguments(arguments) => Some(wrap(qemu, |program| wrapper::wrap(program, arguments))?),
            Start::ArgumentsIn(file) => {
                let wrapped = wrap(qemu, |program| wrapper::wrap_with_file(program, file));
                if own { Some(wrapped?) } else { wrapped.ok() }
            }
        };
        let flags = match (start, &file, binary::preserves_name(version)) {
            (Start::Inside, _, true) => "OP",
            (Start::Inside, _, false) => "O",
            (_, None, true) => "OPF",
            (_, None, false) => "OF",
            (_, Some(_), true) => "OPCF",
            (_, Some(_), false) => "OCF",
        };
        Ok(Interpreter { qemu: qemu.to_owned(), flags, file })
    }

    /// Where the kernel finds it at the moment of registration.
    pub(crate) fn path(&self) -> PathBuf {
        self.file.as_ref().map_or_else(|| self.qemu.clone(), link)
    }
}

fn link(file: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// What `wrap` makes of the qemu at `path`, as a file in memory that nobody can write to any more.
fn wrap(
    path: &Path,
    wrap: impl FnOnce(Vec<u8>) -> Result<Wrapped, wrapper::Error>,
) -> Result<OwnedFd, Error> {
    let program = fs::read(path).map_err(|source| Error::ReadBinary { path: path.to_owned(), source })?;
    let wrapped = wrap(program).map_err(|source| Error::Wrap { path: path.to_owned(), source })?;
    let name = path.file_name().unwrap_or(OsStr::new("qemu"));
    in_memory(name, &wrapped).map_err(|source| Error::Memory { source })
}

fn in_memory(name: &OsStr, wrapped: &Wrapped) -> io::Result<OwnedFd> {
    let create = |flags| memfd_create(name, MemfdFlags::CLOEXEC | flags);
    // Before Linux 6.3 every such file may be run, and the flag that asks for it is unknown.
    let file = match create(MemfdFlags::EXEC) {
        Err(Errno::INVAL) => create(MemfdFlags::empty()),
        result => result,
    }?;
    let file = File::from(file);
    wrapped.write_to(&file)?;
    // The kernel runs no file that is open for writing.
    Ok(open(link(&file), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const QEMU: &str = "/usr/bin/qemu-aarch64-static";

    #[test]
    fn a_wrapped_qemu_has_the_flag_for_rights_and_a_bare_one_has_not() {
        let plain = Interpreter::prepare(QEMU.as_ref(), None, &Start::Plain, false).unwrap();
        assert_eq!(plain.flags, "OCF");
        assert!(plain.path().starts_with("/proc/self/fd"));
        let inside = Interpreter::prepare(QEMU.as_ref(), None, &Start::Inside, false).unwrap();
        assert_eq!((inside.path(), inside.flags), (QEMU.into(), "O"));
        // A script stands for a qemu of an unusual build.
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("qemu");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let bare = Interpreter::prepare(&script, None, &Start::Plain, false).unwrap();
        assert_eq!((bare.path(), bare.flags), (script.clone(), "OF"));
        let arguments = Start::Arguments(vec!["-strace".into()]);
        let error = Interpreter::prepare(&script, None, &arguments, false).unwrap_err();
        assert!(matches!(error, Error::Wrap { .. }), "{error}");
        assert!(error.hint().unwrap().contains("static qemu-user"));
        let in_file = Start::ArgumentsIn("/run/arguments".into());
        assert!(Interpreter::prepare(&script, None, &in_file, true).is_err());
        assert_eq!(Interpreter::prepare(&script, None, &in_file, false).unwrap().flags, "OF");
        assert_eq!(Interpreter::prepare(QEMU.as_ref(), None, &in_file, true).unwrap().flags, "OCF");
    }

    #[test]
    fn the_file_in_memory_holds_qemu_and_cannot_be_written_to() {
        let file = File::from(wrap(QEMU.as_ref(), |program| wrapper::wrap(program, &["-cpu"])).unwrap());
        let mut head = [0; 20];
        file.read_exact_at(&mut head, 0).unwrap();
        assert_eq!(head.as_slice(), &fs::read(QEMU).unwrap()[..20]);
        assert!(file.write_all_at(b"x", 0).is_err());
    }
}
