//! [`wrap`] puts arguments into a static program: whoever runs the result runs the program with these arguments first.
//!
//! binfmt_misc starts an emulator without any arguments of the user's, and from inside an image, where no path leads to
//! the emulator. So the two become one file:
//!
//! ```no_run
//! use std::fs::{self, File};
//!
//! let qemu = fs::read("/usr/bin/qemu-arm-static")?;
//! let wrapped = arm_image_qemu_wrapper::wrap(qemu, &["-cpu", "cortex-a7"])?;
//! wrapped.write_to(&File::create("qemu-arm-cortex-a7")?)?; // to be made executable, and registered with flag F
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How
//!
//! The wrapper is a program of some hundred bytes of code, static and without the standard library (`program/`), that
//! is made together with this crate. [`wrap`] appends it to the program as one more segment and makes it the place
//! where the program begins. There it finds what the kernel has put on the stack, inserts the arguments behind
//! `argv[0]`, and goes on where the program used to begin. No second exec takes place, so all that the kernel told
//! holds for the program: the open file of flag `O`, the `argv[0]` of flag `P`, the rights of flag `C`. It works in any
//! chroot inside any other.
//!
//! Where the kernel says that the program has rights its caller has not (`AT_SECURE`), the wrapper removes all
//! environment variables whose names begin with `QEMU_`: they let qemu load files of the caller's choice.
//!
//! With a [file](wrap_with_file), the arguments are those that the file holds in the root of the program that is started:
//! one handler of the kernel's then serves many images, each with arguments of its own, and leaves all others alone.
//!
//! # Format
//!
//! What is appended begins at a multiple of 64 KiB, both in the file and in memory, so there may be a hole before it:
//!
//! | bytes | content |
//! | --- | --- |
//! | about 1500 | the wrapper, an ELF file of its own, mapped to be read and executed; in its code the slot (next table) |
//! | | zeros up to 64 KiB; what follows is mapped to be read and written |
//! | | the arguments in their order, each with a NUL at its end; all other bytes are allowed |
//! | | the path of the file, if any, with a NUL at its end |
//! | | zeros up to a multiple of 8, and some 64 KiB of them more: the wrapper writes there |
//! | 56 each | the program headers: those of the program, and the two of these segments |
//!
//! | bytes of the slot | content, little-endian |
//! | --- | --- |
//! | 16 | the magic: 0x7f, `arm-image args`, 0 |
//! | 8 | from the slot to where the program begins; 0 in a wrapper that wraps nothing, which ends with code 127 |
//! | 8 | from the slot to the arguments |
//! | 8 | the count of the arguments |
//! | 8 | from the slot to the path of the file; 0 where there is none |
//! | 8 | from the slot to where the wrapper may write |

mod implant;
#[path = "../program/slot.rs"]
mod slot;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use implant::Implanted;

/// The wrapper that wraps nothing yet; empty where there is none for this kind of machine.
const WRAPPER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/qemu-wrapper"));

/// As much as all arguments together may have, in bytes with their NULs.
pub const LIMIT: usize = slot::LIMIT;

/// Why a program cannot be wrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is a wrapper for x86-64 and 64-bit ARM with Linux only.
    #[error("there is no wrapper for this kind of machine")]
    NoWrapper,
    /// An argument has a NUL in it, which would end it for the program.
    #[error("argument `{}` has a NUL byte in it", argument.display())]
    Nul {
        /// The argument.
        argument: std::ffi::OsString,
    },
    /// The arguments are longer together than [`LIMIT`].
    #[error("the arguments have {length} bytes, but at most {LIMIT} are possible")]
    TooLong {
        /// Their bytes, with their NULs.
        length: usize,
    },
    /// This is no program that can be wrapped.
    #[error("the program cannot be wrapped: {reason}")]
    Program {
        /// What it lacks.
        reason: &'static str,
    },
}

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Program { .. } => Some("take a static qemu-user made for this machine".to_owned()),
            _ => None,
        }
    }
}

/// Wraps `program`, a static program of this machine, around `arguments`: they will come right after its `argv[0]`.
///
/// # Errors
/// When the program or the arguments are such that it cannot be done.
pub fn wrap<A: AsRef<OsStr>>(program: Vec<u8>, arguments: &[A]) -> Result<Wrapped, Error> {
    wrapped(program, &strings(arguments)?, arguments.len(), None)
}

/// Wraps `program` likewise around the arguments that are found whenever it is started: in the file at the path `file`, as
/// [`strings`] writes them. Without such a file, or with one that holds anything else, there are none.
///
/// The path is looked up in the root of the process, so of a program in a chroot inside of that.
///
/// # Errors
/// When the program or the path are such that it cannot be done.
pub fn wrap_with_file(program: Vec<u8>, file: &Path) -> Result<Wrapped, Error> {
    let file = file.as_os_str();
    if file.as_bytes().contains(&0) {
        return Err(Error::Nul { argument: file.to_owned() });
    }
    wrapped(program, b"", 0, Some(file.as_bytes()))
}

/// Arguments as they are stored: each with a NUL at its end.
///
/// # Errors
/// When one has a NUL in it, or they are longer together than [`LIMIT`].
pub fn strings<A: AsRef<OsStr>>(arguments: &[A]) -> Result<Vec<u8>, Error> {
    let mut strings = Vec::new();
    for argument in arguments.iter().map(AsRef::as_ref) {
        if argument.as_bytes().contains(&0) {
            return Err(Error::Nul { argument: argument.to_owned() });
        }
        strings.extend_from_slice(argument.as_bytes());
        strings.push(0);
    }
    if strings.len() > LIMIT {
        return Err(Error::TooLong { length: strings.len() });
    }
    Ok(strings)
}

fn wrapped(program: Vec<u8>, strings: &[u8], count: usize, file: Option<&[u8]>) -> Result<Wrapped, Error> {
    if WRAPPER.is_empty() {
        return Err(Error::NoWrapper);
    }
    let implanted = implant::implant(program, WRAPPER, strings, count, file);
    implanted.map(Wrapped).map_err(|reason| Error::Program { reason })
}

/// A program with its arguments.
pub struct Wrapped(Implanted);

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not its megabytes.
        formatter.debug_struct("Wrapped").field("offset", &self.0.offset).finish_non_exhaustive()
    }
}

impl Wrapped {
    /// Writes it to an empty file, with a hole where the program's memory has no content.
    ///
    /// # Errors
    /// As writing to the file fails.
    pub fn write_to(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.0.program, 0)?;
        file.write_all_at(&self.0.segment, self.0.offset)
    }
}

#[cfg(test)]
#[path = "../program/stack.rs"]
mod stack;

#[cfg(test)]
mod tests;
