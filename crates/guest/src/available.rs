//! What has to be installed for a guest.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Error, modules};

const KERNEL: &str = "linux.uml";
const NETWORK: &str = "slirp-fullbolt";
/// Where Debian and Ubuntu install both.
const PROGRAMS: &str = "/usr/bin";

/// Whether a guest can be started here: gives the kernel, looked for in `search` and then in `/usr/bin`.
///
/// # Errors
///
/// [`Error::NoKernel`], [`Error::NoModules`], [`Error::NoModule`].
pub fn available(search: &[PathBuf]) -> Result<PathBuf, Error> {
    let kernel = find(search, KERNEL).map_err(|path| Error::NoKernel { path })?;
    modules::files(&version(&kernel)?, modules::NEEDED)?;
    Ok(kernel)
}

/// Whether a guest can have a network here: gives the program, looked for in `search` and then in `/usr/bin`.
///
/// # Errors
///
/// [`Error::NoNetwork`].
pub fn network_available(search: &[PathBuf]) -> Result<PathBuf, Error> {
    find(search, NETWORK).map_err(|path| Error::NoNetwork { path })
}

fn find(search: &[PathBuf], name: &str) -> Result<PathBuf, PathBuf> {
    let last = Path::new(PROGRAMS).join(name);
    let mut candidates = search.iter().map(|folder| folder.join(name)).chain([last.clone()]);
    candidates.find(|path| path.is_file()).ok_or(last)
}

/// The kernel's version, by which its module folder is named.
pub(crate) fn version(kernel: &Path) -> Result<String, Error> {
    let failed = |source| Error::Start { kernel: kernel.to_owned(), source };
    let output = Command::new(kernel).arg("--version").stdin(Stdio::null()).output().map_err(failed)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_folders_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("true");
        std::fs::write(&program, "").unwrap();
        assert_eq!(find(&[folder.path().to_owned()], "true"), Ok(program));
        assert_eq!(find(&[], "true"), Ok(PathBuf::from("/usr/bin/true")));
    }

    #[test]
    fn what_is_missing_is_named_with_the_package_that_has_it() {
        let path = find(&[], "no-such-program").unwrap_err();
        assert_eq!(path, Path::new("/usr/bin/no-such-program"));
        assert!(Error::NoKernel { path: path.clone() }.hint().unwrap().contains("user-mode-linux"));
        assert!(Error::NoNetwork { path }.hint().unwrap().contains("slirp"));
    }
}
