//! The packages that the image's apt downloads, kept in a folder of this machine for the next build.
//!
//! apt locks the folder that it downloads to, and keeps unfinished files in it, so several builds cannot share one. Each
//! gets a folder of its own inside the kept one, filled with links to what is there; what comes to it is linked back.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::{MetadataExt, chown},
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use arm_image_chroot::Bind;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
};

use crate::{Error, sweep, sweep::Scratch};

/// Where apt keeps them.
pub(crate) const ARCHIVES: &str = "/var/cache/apt/archives";

/// How often the folder is looked at: many images empty it as soon as everything is installed, which takes longer.
const INTERVAL: Duration = Duration::from_secs(1);

/// One build's folder for packages, removed with its value.
#[derive(Debug)]
pub(crate) struct Packages {
    path: PathBuf,
    kept: OwnedFd,
    own: OwnedFd,
    scratch: Scratch,
    looked: Instant,
}

impl Packages {
    /// Takes the kept folder at `path`, which is made if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Packages, Error> {
        let failed = |cause| Error::File { operation: "keep packages in", path: path.into(), cause };
        make(path).map_err(failed)?;
        // What an earlier run left is no reason not to do this one.
        let _ = sweep::remove_stale(path);
        let scratch = Scratch::make(path)?;
        let archives = archives(&scratch);
        // As apt wants it; the user that it downloads as has to come through.
        let made = fs::create_dir(&archives).and_then(|()| {
            fs::set_permissions(&archives, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            Ok((folder(path)?, folder(&archives)?))
        });
        let (kept, own) = made.map_err(failed)?;
        let packages = Packages { path: path.into(), kept, own, scratch, looked: Instant::now() };
        packages.fill().map_err(failed)?;
        Ok(packages)
    }

    /// What the image is shown.
    pub(crate) fn bind(&self) -> Bind {
        Bind { source: archives(&self.scratch), target: ARCHIVES.into(), read_only: false }
    }

    fn fill(&self) -> io::Result<()> {
        for name in packages(&self.kept)? {
            if regular(&self.kept, &name)?.is_none() {
                continue;
            }
            match rustix::fs::linkat(&self.kept, &name, &self.own, &name, AtFlags::empty()) {
                Ok(()) => {}
                // Another user's, or a file system without links.
                Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::MLINK) => {
                    // What cannot be read is downloaded again.
                    let _ = fs::copy(self.path.join(&name), archives(&self.scratch).join(&name));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Keeps what has come, if it is time to look.
    pub(crate) fn look(&mut self) {
        if self.looked.elapsed() >= INTERVAL {
            self.looked = Instant::now();
            // The end tells.
            let _ = self.keep();
        }
    }

    /// Keeps what has come since.
    pub(crate) fn close(self) -> Result<(), Error> {
        self.keep().map_err(|cause| Error::File { operation: "keep packages in", path: self.path, cause })
    }

    /// apt gives a file its name once it is whole.
    fn keep(&self) -> io::Result<()> {
        let owner = rustix::fs::fstat(&self.kept)?;
        for name in packages(&self.own)? {
            match rustix::fs::statat(&self.kept, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {}
                _ => continue,
            }
            // The image's programs may put anything there, at any time: what is kept is the very file that was looked at.
            let Some(file) = regular(&self.own, &name)? else { continue };
            let file_path = format!("/proc/self/fd/{}", file.as_raw_fd());
            if rustix::process::geteuid().is_root() {
                let (user, group) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
                rustix::fs::chownat(&file, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
                rustix::fs::chmod(&file_path, Mode::from_raw_mode(0o644))?;
            }
            match rustix::fs::linkat(CWD, &file_path, &self.kept, &name, AtFlags::SYMLINK_FOLLOW) {
                // Another build was faster.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(Errno::PERM | Errno::OPNOTSUPP) => {
                    let copy = self.scratch.path().join("copy");
                    fs::copy(&file_path, &copy).and_then(|_| fs::rename(&copy, self.path.join(&name)))?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn archives(scratch: &Scratch) -> PathBuf {
    scratch.path().join("archives")
}

/// Makes the folder for whom the one that it is in belongs to: behind sudo that is not this process's user.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = fs::metadata(parent)?;
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        chown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

fn folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// The names of packages in a folder, whatever bears them.
fn packages(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if name.as_bytes().ends_with(b".deb") && !name.as_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    Ok(names)
}

/// The file of this name, as a place; none if it is something else, or gone.
fn regular(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => file?,
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    Ok((kind == FileType::RegularFile).then_some(file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_comes_is_kept_and_what_goes_stays() {
        let place = tempfile::tempdir().unwrap();
        let kept = place.path().join("new/kept");
        let (first, second) = (Packages::open(&kept).unwrap(), Packages::open(&kept).unwrap());
        let (one, other) = (first.bind().source, second.bind().source);
        assert_ne!(one, other);
        fs::write(one.join("a_1_arm64.deb"), "a").unwrap();
        fs::write(other.join("a_1_arm64.deb"), "not again").unwrap();
        fs::create_dir(one.join("partial")).unwrap();
        fs::write(one.join("partial/b_1_arm64.deb"), "half").unwrap();
        fs::write(one.join("lock"), "").unwrap();
        first.close().unwrap();
        second.close().unwrap();
        assert_eq!(names(&kept), ["a_1_arm64.deb"]);
        assert_eq!(fs::read_to_string(kept.join("a_1_arm64.deb")).unwrap(), "a");

        let next = Packages::open(&kept).unwrap();
        let folder = next.bind().source;
        assert_eq!(names(&folder), ["a_1_arm64.deb"]);
        // As `apt-get clean` does.
        fs::remove_file(folder.join("a_1_arm64.deb")).unwrap();
        next.close().unwrap();
        assert_eq!(names(&kept), ["a_1_arm64.deb"]);
    }

    #[test]
    fn a_package_that_is_deleted_after_its_installation_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let mut packages = Packages::open(place.path()).unwrap();
        let path = packages.bind().source.join("a.deb");
        fs::write(&path, "a").unwrap();
        packages.looked -= INTERVAL;
        packages.look();
        fs::remove_file(path).unwrap();
        packages.close().unwrap();
        assert_eq!(names(place.path()), ["a.deb"]);
    }

    #[test]
    fn nothing_but_files_comes_in_or_goes_out() {
        let place = tempfile::tempdir().unwrap();
        let (kept, secret) = (place.path().join("kept"), place.path().join("secret"));
        fs::write(&secret, "secret").unwrap();
        fs::create_dir(&kept).unwrap();
        symlink(&secret, kept.join("link.deb")).unwrap();
        fs::create_dir(kept.join("folder.deb")).unwrap();
        let packages = Packages::open(&kept).unwrap();
        let own = packages.bind().source;
        assert_eq!(names(&own), Vec::<String>::new());
        symlink(&secret, own.join("other.deb")).unwrap();
        symlink("/dev/null", own.join("null.deb")).unwrap();
        fs::create_dir(own.join("inner.deb")).unwrap();
        fs::write(own.join(".hidden.deb"), "x").unwrap();
        packages.close().unwrap();
        assert_eq!(names(&kept), ["folder.deb", "link.deb"]);
    }

    #[test]
    fn what_a_killed_run_left_goes() {
        let place = tempfile::tempdir().unwrap();
        let left = place.path().join(format!("{}left", crate::SCRATCH_PREFIX));
        fs::create_dir_all(left.join("archives/partial")).unwrap();
        fs::write(left.join("lock"), "").unwrap();
        let living = Packages::open(place.path()).unwrap();
        let next = Packages::open(place.path()).unwrap();
        assert!(living.bind().source.exists() && next.bind().source.exists() && !left.exists());
    }
}
