//! The packages that the image's apt downloads, kept in a folder of this machine for the next build.
//!
//! apt locks the folder that it downloads to, and keeps unfinished files in it, so several builds cannot share one. Each
//! gets a folder of its own inside the kept one, filled with copies of what is there; what comes to it is copied back.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStringExt,
            fs::{MetadataExt, OpenOptionsExt, chown, fchown},
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use arm_image_chroot::Bind;
use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, Stat, renameat_with},
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

    /// What cannot be copied is downloaded again.
    fn fill(&self) -> io::Result<()> {
        let archives = archives(&self.scratch);
        for name in packages(&self.kept)? {
            let Ok(Some(from)) = regular(&self.kept, &name) else { continue };
            let to = archives.join(&name);
            if copy(&from, &to, None).is_err() {
                let _ = fs::remove_file(to);
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
        let Packages { path, scratch, .. } = &self;
        let kept = self.keep().map_err(|cause| Error::File {
            operation: "keep packages in",
            path: path.clone(),
            cause,
        });
        let own = scratch.path().to_owned();
        drop(self);
        // A program of the image's root may have made a file that cannot be removed.
        match own.exists() {
            true => kept.and(Err(Error::File {
                operation: "remove",
                path: own,
                cause: io::ErrorKind::DirectoryNotEmpty.into(),
            })),
            false => kept,
        }
    }

    /// apt gives a file its name once it is whole. What is kept is a copy: the image's root, which may do to its own file
    /// whatever it likes, has no hand on it, nor on its mode.
    fn keep(&self) -> io::Result<()> {
        let owner = rustix::fs::fstat(&self.kept)?;
        let mut outcome = Ok(());
        for name in packages(&self.own)? {
            let there = rustix::fs::statat(&self.kept, &name, AtFlags::SYMLINK_NOFOLLOW);
            if !matches!(there, Err(Errno::NOENT)) {
                continue;
            }
            let kept = regular(&self.own, &name).and_then(|from| {
                let Some(from) = from else { return Ok(()) };
                let whole = self.scratch.path().join("copy");
                copy(&from, &whole, Some(&owner))?;
                match renameat_with(CWD, &whole, &self.kept, &name, RenameFlags::NOREPLACE) {
                    // Another build was faster.
                    Err(Errno::EXIST) => fs::remove_file(&whole),
                    renamed => Ok(renamed?),
                }
            });
            outcome = outcome.and(kept);
        }
        outcome
    }
}

/// Copies a file into a new one that everybody may read, and that belongs to whom `owner` does.
fn copy(from: &File, to: &Path, owner: Option<&Stat>) -> io::Result<()> {
    let _ = fs::remove_file(to);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(to)?;
    if rustix::fs::ioctl_ficlone(&file, from).is_err() {
        io::copy(&mut &*from, &mut file)?;
    }
    match owner {
        Some(owner) if rustix::process::geteuid().is_root() => {
            fchown(&file, Some(owner.st_uid), Some(owner.st_gid))
        }
        _ => Ok(()),
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

/// The names of packages in a folder, whatever bears them: letters, digits, and what Debian's names have besides.
fn packages(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b".+~%_:-".contains(byte);
        if name.ends_with(b".deb") && name[0].is_ascii_alphanumeric() && name.iter().all(usual) {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// The file of this name; none if it is something else, or gone.
fn regular(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<File>> {
    // A pipe in its place makes nobody wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        file => File::from(file?),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

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
    fn what_is_kept_is_out_of_the_images_reach() {
        let place = tempfile::tempdir().unwrap();
        let packages = Packages::open(place.path()).unwrap();
        let own = packages.bind().source;
        let put = |name: &str, content: &str, mode: u32| {
            fs::write(own.join(name), content).unwrap();
            fs::set_permissions(own.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        put("a_1.deb", "a", 0o600);
        put("setuid_1.deb", "shell", 0o6755);
        for odd in ["-rf.deb", "a b.deb", "a\nb.deb"] {
            put(odd, "odd", 0o644);
        }
        packages.keep().unwrap();
        put("a_1.deb", "evil", 0o4755);
        packages.close().unwrap();
        assert_eq!(names(place.path()), ["a_1.deb", "setuid_1.deb"]);
        assert_eq!(fs::read_to_string(place.path().join("a_1.deb")).unwrap(), "a");
        for name in names(place.path()) {
            assert_eq!(fs::metadata(place.path().join(name)).unwrap().mode() & 0o7777, 0o644);
        }
        // What is kept is not changed by what the next image does to its own.
        let next = Packages::open(place.path()).unwrap();
        fs::write(next.bind().source.join("a_1.deb"), "evil").unwrap();
        next.close().unwrap();
        assert_eq!(fs::read_to_string(place.path().join("a_1.deb")).unwrap(), "a");
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
