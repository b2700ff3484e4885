//! Which qemu to use, and what it can do.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, Stdio};

use crate::elf::{self, Linkage};
use crate::{Arch, Error, Options};

/// So much of a program holds its program headers: linkers put them right behind the ELF header.
const HEAD: u64 = 64 << 10;

/// Finds the qemu that would run programs of `arch`: the one given, else the first static one in the folders
/// to search, under the names `qemu-aarch64-static` and `qemu-aarch64` (for arm64).
///
/// # Errors
/// When there is none; when the only ones are linked dynamically, since their libraries are missing inside an
/// image; when the one given cannot be read or is no program.
pub fn find_binary(arch: Arch, options: &Options) -> Result<PathBuf, Error> {
    if let Some(path) = &options.binary {
        let path = absolute(path).map_err(|source| Error::ReadBinary { path: path.clone(), source })?;
        return require_static(path);
    }
    let mut refused = None;
    for name in [format!("{}-static", arch.qemu_name()), arch.qemu_name().to_owned()] {
        for folder in &options.search {
            let path = folder.join(&name);
            // An entry of the search path that is missing or unreadable is passed over, as a shell does.
            if !path.is_absolute() || !path.is_file() {
                continue;
            }
            match require_static(path) {
                Ok(path) => return Ok(path),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
    }
    Err(refused.unwrap_or(Error::NoBinary { arch }))
}

fn require_static(path: PathBuf) -> Result<PathBuf, Error> {
    match linkage(&path) {
        Ok(Some(Linkage::Static)) => Ok(path),
        Ok(Some(Linkage::Dynamic(loader))) => Err(Error::DynamicBinary { path, loader }),
        Ok(None) => Err(Error::NotAProgram { path }),
        Err(source) => Err(Error::ReadBinary { path, source }),
    }
}

/// How the program at `path` is linked; none when it is no program.
pub(crate) fn linkage(path: &Path) -> io::Result<Option<Linkage>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(elf::linkage(&head))
}

/// A version of qemu: major, minor, micro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What a qemu tells of itself.
#[derive(Debug)]
pub(crate) struct Told {
    /// The program that it is, such as `qemu-arm`.
    pub(crate) name: String,
    pub(crate) version: Version,
    /// All of it.
    pub(crate) line: String,
}

/// Asks qemu for its version, and sees that it emulates `arch`; none when it does not say (a wrapper).
pub(crate) fn told(arch: Arch, path: &Path) -> Result<Option<Told>, Error> {
    let told = ask(path).map_err(|source| Error::RunBinary { path: path.to_owned(), source })?;
    match told {
        Some(Told { name, .. }) if name != arch.qemu_name() => {
            Err(Error::WrongBinary { path: path.to_owned(), found: name, arch })
        }
        told => Ok(told),
    }
}

/// Asks qemu for its version; none when it does not say.
pub(crate) fn ask(path: &Path) -> io::Result<Option<Told>> {
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    Ok(parse_version(line).map(|(name, version)| Told { name, version, line: line.to_owned() }))
}

/// Reads the line `qemu-aarch64 version 7.2.22 (…)`.
pub(crate) fn parse_version(text: &str) -> Option<(String, Version)> {
    let (name, rest) = text.split_once(" version ")?;
    let number = rest.split(|char: char| !char.is_ascii_digit() && char != '.').next()?;
    let mut parts = number.split('.').map(str::parse);
    let version = Version(parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    name.starts_with("qemu-").then(|| (name.to_owned(), version))
}

/// Whether this version of qemu on the running kernel may be given the flag `P`.
pub(crate) fn preserves_name(version: Option<Version>) -> bool {
    let kernel = rustix::system::uname().release().to_str().ok().and_then(parse_release);
    // With P the kernel puts the original argv[0] before the arguments, and since 5.12 tells the interpreter so
    // (AT_FLAGS_PRESERVE_ARGV0), which qemu reads since 6.0.
    kernel >= Some((5, 12)) && version >= Some(Version(6, 0, 0))
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|char: char| !char.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    /// The head of a program of a 64-bit machine, with or without a loader.
    fn program(loader: Option<&str>) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16] = 2;
        bytes[18] = 62;
        if let Some(loader) = loader {
            bytes[32] = 64; // program headers begin here,
            bytes[54] = 56; // are of this size,
            bytes[56] = 1; // and so many
            let mut segment = [0; 56];
            segment[0] = 3;
            segment[8] = 120;
            segment[32] = u8::try_from(loader.len()).unwrap();
            bytes.extend(segment);
            bytes.extend(loader.as_bytes());
        }
        bytes
    }

    fn searching(folders: &[&Path]) -> Options {
        Options { search: folders.iter().map(|&folder| folder.to_owned()).collect(), ..Options::default() }
    }

    #[test]
    fn the_static_name_is_preferred_to_the_order_of_folders() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(first.path().join("qemu-arm"), program(None)).unwrap();
        fs::write(second.path().join("qemu-arm-static"), program(None)).unwrap();
        let options = searching(&[first.path(), second.path()]);
        assert_eq!(find_binary(Arch::Armv6, &options).unwrap(), second.path().join("qemu-arm-static"));
        let error = find_binary(Arch::Arm64, &options).unwrap_err();
        assert_eq!(error.to_string(), "no static qemu-aarch64 found to run arm64 programs");
        assert!(error.hint().unwrap().contains("qemu-user-static"));
    }

    #[test]
    fn a_dynamic_qemu_is_passed_over_and_named_when_it_is_the_only_one() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(first.path().join("qemu-aarch64"), program(Some("/lib64/ld.so"))).unwrap();
        let error = find_binary(Arch::Arm64, &searching(&[first.path(), second.path()])).unwrap_err();
        assert!(matches!(&error, Error::DynamicBinary { loader, .. } if loader == "/lib64/ld.so"), "{error}");
        assert!(error.hint().unwrap().contains("qemu-user-static"));
        fs::write(second.path().join("qemu-aarch64"), program(None)).unwrap();
        let found = find_binary(Arch::Arm64, &searching(&[first.path(), second.path()])).unwrap();
        assert_eq!(found, second.path().join("qemu-aarch64"));
    }

    #[test]
    fn the_one_given_is_taken_or_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let given = |name: &str| Options { binary: Some(folder.path().join(name)), ..Options::default() };
        fs::write(folder.path().join("script"), "#!/bin/sh\n").unwrap();
        fs::write(folder.path().join("mine"), program(None)).unwrap();
        symlink("mine", folder.path().join("link")).unwrap();
        let error = find_binary(Arch::Arm64, &given("script")).unwrap_err();
        assert!(error.to_string().ends_with("script` is not an ELF program"), "{error}");
        let error = find_binary(Arch::Arm64, &given("absent")).unwrap_err();
        assert!(matches!(error, Error::ReadBinary { .. }), "{error}");
        for name in ["mine", "link"] {
            assert_eq!(find_binary(Arch::Arm64, &given(name)).unwrap(), folder.path().join(name));
        }
    }

    #[test]
    fn versions_are_read() {
        let debian =
            "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022\n";
        assert_eq!(parse_version(debian), Some(("qemu-aarch64".to_owned(), Version(7, 2, 22))));
        assert_eq!(
            parse_version("qemu-arm version 10.0.2\n"),
            Some(("qemu-arm".to_owned(), Version(10, 0, 2)))
        );
        assert_eq!(parse_version("GNU bash, version 5.2.15"), None);
        assert_eq!(parse_version("qemu-arm version next"), None);
        assert_eq!(parse_release("6.1.0-43-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.12"), Some((5, 12)));
        assert_eq!(parse_release("odd"), None);
    }

    #[test]
    fn an_old_or_silent_qemu_is_not_given_the_flag_it_would_misread() {
        assert!(!preserves_name(None));
        assert!(!preserves_name(Some(Version(5, 2, 0))));
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text in ".*") {
            let _ = (parse_version(&text), parse_release(&text));
        }
    }
}
