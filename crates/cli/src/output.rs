//! The image while it is being made: a file that gets the output's name only when it is finished.

use std::{
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::{Error, Event, OnEvent, build::tell};

/// `OUTPUT.partial`, locked for as long as this process works on it, and removed unless it is finished or kept.
#[derive(Debug)]
pub(crate) struct Partial {
    file: File,
    path: PathBuf,
    output: PathBuf,
    remove: bool,
}

impl Partial {
    /// Makes the file beside `output`, and the folder for both. What a killed run left there is removed.
    ///
    /// `inputs` are the files that the work reads: neither the output nor the unfinished image may be one of them.
    pub(crate) fn create(output: &Path, inputs: &[&Path]) -> Result<Partial, Error> {
        refuse(output, inputs)?;
        let mut name = output.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        let file = |operation: &'static str, path: &Path| {
            let path = path.to_path_buf();
            move |cause| Error::File { operation, path, cause }
        };
        let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(file("make the folder", folder))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // A link at this name would lead to a file that is not ours to empty, a pipe to nothing at all.
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        let opened = options.open(&path).map_err(file("create", &path))?;
        let found = opened.metadata().map_err(file("look at", &path))?;
        if !found.is_file() || inputs.iter().any(|input| same(input, &found)) {
            return Err(Error::Plan {
                problem: format!(
                    "the build needs the name `{}`, which is one of its inputs or no file",
                    path.display()
                ),
                hint: "rename that, or give another --output".to_owned(),
            });
        }
        match opened.try_lock() {
            // The build that held the lock until now has removed or renamed the file: it is not at this path any more.
            Ok(()) if !same(&path, &found) => {
                return Self::create(output, inputs);
            }
            // A killed run's: a tool that it started may still write there, or somebody may have given it another name.
            Ok(()) if found.len() > 0 => {
                fs::remove_file(&path).map_err(file("remove", &path))?;
                return Self::create(output, inputs);
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Plan {
                    problem: format!("another build is writing `{}`", path.display()),
                    hint: "wait for it, or give another --output".to_owned(),
                });
            }
            Err(TryLockError::Error(cause)) => return Err(file("lock", &path)(cause)),
        }
        Ok(Partial { file: opened, path, output: output.into(), remove: true })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file where it is when this value goes.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.remove = false;
        self.path.clone()
    }

    /// Writes the file out, gives it to `owner` and then gives it the output's name, unless the caller has had enough by
    /// then.
    pub(crate) fn finish(mut self, owner: Option<(u32, u32)>, on: OnEvent<'_>) -> Result<(), Error> {
        let file = |operation| {
            let path = self.path.clone();
            move |cause| Error::File { operation, path, cause }
        };
        if let Some((user, group)) = owner {
            fchown(&self.file, Some(user), Some(group)).map_err(file("change the owner of"))?;
        }
        self.file.sync_all().map_err(file("write out"))?;
        // That may have taken long.
        tell(on, Event::Waiting)?;
        // Whoever may write to the folder may have put something else there.
        let ours = self.file.metadata().map_err(file("look at"))?;
        let there = fs::symlink_metadata(&self.path).map_err(file("look at"))?;
        if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) {
            return Err(file("find the finished image at")(io::ErrorKind::NotFound.into()));
        }
        fs::rename(&self.path, &self.output).map_err(|cause| Error::File {
            operation: "give the finished image the name",
            path: self.output.clone(),
            cause,
        })?;
        self.remove = false;
        // The rename lasts through a power cut only once the folder is written too.
        let folder = self.output.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|cause| Error::File {
            operation: "write out the folder",
            path: folder.into(),
            cause,
        })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.remove {
            // Nothing more can be done about a failure here; the next build to this output overwrites it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// An output that is the source, a folder or a device is a mistake to be told before anything is done.
pub(crate) fn refuse(output: &Path, inputs: &[&Path]) -> Result<(), Error> {
    let Ok(found) = fs::metadata(output) else { return Ok(()) };
    if !found.is_file() {
        return Err(Error::Plan {
            problem: format!("`{}` exists and is not a file", output.display()),
            hint: "give --output a file name".to_owned(),
        });
    }
    if inputs.iter().any(|input| same(input, &found)) {
        return Err(Error::Plan {
            problem: format!("the output `{}` is one of the files that the build reads", output.display()),
            hint: "give --output another name; the source is never modified".to_owned(),
        });
    }
    Ok(())
}

fn same(path: &Path, other: &Metadata) -> bool {
    fs::metadata(path).is_ok_and(|one| (one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, ops::ControlFlow};

    use super::*;

    #[test]
    fn the_name_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("new/image");
        let partial = Partial::create(&output, &[]).unwrap();
        partial.file().write_all(b"x").unwrap();
        assert!(!output.exists());
        partial.finish(None, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(fs::read(&output).unwrap(), b"x");
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_image_is_removed_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("image");
        fs::write(&output, b"old").unwrap();
        drop(Partial::create(&output, &[]).unwrap());
        assert_eq!(fs::read(&output).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_caller_may_have_enough_until_the_last_moment() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("image");
        let partial = Partial::create(&output, &[]).unwrap();
        let error = partial.finish(None, &mut |_| ControlFlow::Break(())).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("image");
        let left = folder.path().join("image.partial");
        fs::write(&left, b"left").unwrap();
        fs::hard_link(&left, folder.path().join("notes")).unwrap();
        let partial = Partial::create(&output, &[]).unwrap();
        assert_eq!(partial.file().metadata().unwrap().len(), 0);
        partial.file().write_all(b"new").unwrap();
        assert_eq!(fs::read(&left).unwrap(), b"new");
        assert_eq!(fs::read(folder.path().join("notes")).unwrap(), b"left");
    }

    #[test]
    fn two_builds_do_not_share_an_output() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("image");
        let _first = Partial::create(&output, &[]).unwrap();
        let second = Partial::create(&output, &[]).unwrap_err().to_string();
        assert!(second.contains("another build is writing"), "{second}");
    }

    #[test]
    fn the_source_is_no_output() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("image");
        fs::write(&source, b"source").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&source, &link).unwrap();
        assert!(Partial::create(&link, &[&source]).is_err());
        assert!(Partial::create(folder.path(), &[]).is_err());
        // Neither is a file that bears the name of the unfinished image.
        let partial = folder.path().join("other.partial");
        fs::hard_link(&source, &partial).unwrap();
        assert!(Partial::create(&folder.path().join("other"), &[Path::new("elsewhere"), &source]).is_err());
        assert!(partial.exists());
        std::os::unix::fs::symlink(&source, folder.path().join("third.partial")).unwrap();
        assert!(Partial::create(&folder.path().join("third"), &[]).is_err());
        assert_eq!(fs::read(&source).unwrap(), b"source");
    }
}
