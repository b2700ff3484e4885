//! The steps of a build.

use std::{ffi::OsString, path::Path, time::Duration};

use arm_image_chroot::{Copy, Download, Paced, Provisioner, Script, Scripts, Source, Upload};

use crate::local::Running;

/// One thing to do, and how much time it is given.
///
/// ```
/// use std::time::Duration;
/// use arm_image::{Step, Work};
/// use arm_image_chroot::{Script, Scripts};
///
/// let upgrade = Scripts {
///     env: vec![("LANG".into(), "C".into())],
///     ..Scripts::of([Script::Inline("apt-get update".into()), Script::File("upgrade.sh".into())])
/// };
/// let steps = [
///     Step::run("echo kitchen > /etc/hostname"),
///     Step { timeout: Some(Duration::from_secs(600)), retries: 2, ..Step::of(Work::Scripts(upgrade)) },
/// ];
/// # let _ = steps;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub work: Work,
    /// How long to wait before it.
    pub pause_before: Duration,
    /// How long to wait after it.
    pub pause_after: Duration,
    /// How long an attempt may take; what it runs is then killed.
    pub timeout: Option<Duration>,
    /// How many attempts there are after the first, as long as they fail.
    pub retries: u32,
    /// Whether the files that it starts from need not be there before the build begins: a step before makes them.
    pub generated: bool,
}

impl Step {
    /// `work` as it is, without pauses, limit or further attempts.
    pub fn of(work: Work) -> Step {
        Step {
            work,
            pause_before: Duration::ZERO,
            pause_after: Duration::ZERO,
            timeout: None,
            retries: 0,
            generated: false,
        }
    }

    /// Runs `line` by the image's `/bin/sh -e`, as root.
    pub fn run(line: impl Into<String>) -> Step {
        Step::of(Work::Scripts(Scripts::of([Script::Inline(line.into())])))
    }

    /// The step as something that does it; temporary files go to `scratch`. A breakpoint is the caller's to do.
    pub(crate) fn provisioner(&self, scratch: &Path) -> Option<Paced> {
        let step: Box<dyn Provisioner> = match &self.work {
            Work::Scripts(scripts) => Box::new(scripts.clone()),
            Work::Copy(copy) => Box::new(copy.clone()),
            Work::Upload(upload) => Box::new(upload.clone()),
            Work::Download(download) => Box::new(download.clone()),
            Work::Local(local) => Box::new(Running { local: local.clone(), scratch: scratch.into() }),
            Work::Breakpoint(_) => return None,
        };
        Some(Paced {
            step,
            pause_before: self.pause_before,
            pause_after: self.pause_after,
            timeout: self.timeout,
            retries: self.retries,
        })
    }
}

/// What a [`Step`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Runs scripts inside the image.
    Scripts(Scripts),
    /// Copies a file or folder of the host's into the image, by the rules of `cp -r`.
    Copy(Copy),
    /// Puts a file or folder into the image, by the rules of Packer's file provisioner.
    Upload(Upload),
    /// Copies a file or folder of the image's to the host, likewise.
    Download(Download),
    /// Runs scripts on this machine.
    Local(Local),
    /// Stands still until the caller has had its look, and says this.
    Breakpoint(String),
}

impl Work {
    /// The paths on this machine that it starts from.
    pub(crate) fn sources(&self) -> Vec<&Path> {
        match self {
            Work::Scripts(Scripts { scripts, .. }) | Work::Local(Local { scripts, .. }) => scripts
                .iter()
                .filter_map(|script| match script {
                    Script::File(path) => Some(path.as_path()),
                    Script::Inline(_) => None,
                })
                .collect(),
            Work::Copy(Copy { from, .. }) | Work::Upload(Upload { from: Source::Path(from), .. }) => {
                vec![from]
            }
            Work::Upload(_) | Work::Download(_) | Work::Breakpoint(_) => Vec::new(),
        }
    }
}

/// Runs scripts on this machine while the image is mounted, one after the other, up to the first that fails.
///
/// They find the image by the variable `ARM_IMAGE_MOUNT_PATH`, which inline ones have as `${ARM_IMAGE_MOUNT_PATH}` whatever runs them, and can enter it by `chroot`, as ansible does by
/// `--connection chroot --inventory "$ARM_IMAGE_MOUNT_PATH,"`. In a guest kernel the image is out of their reach, and
/// the variable names a path below `/dev/null`, where nothing can be.
///
/// What a script has started ends with it, and so does all of that with this process, even by SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The scripts; without a `#!` line they are run by `/bin/sh`, and inline ones by `/bin/sh -e`.
    pub scripts: Vec<Script>,
    /// What each is given to, with its path as the last word, instead of what its first line names.
    pub interpreter: Vec<OsString>,
    /// Variables for them, beside those of this process. Where a value has the
    /// [mark](arm_image_template::deferred::mark) of `MountPath` in it, they find the image's path there.
    pub env: Vec<(OsString, OsString)>,
    /// The exit codes that are success.
    pub valid_exit_codes: Vec<i32>,
}

impl Local {
    /// These scripts, without variables, with 0 as the only success.
    pub fn of(scripts: impl IntoIterator<Item = Script>) -> Local {
        Local {
            scripts: scripts.into_iter().collect(),
            interpreter: Vec::new(),
            env: Vec::new(),
            valid_exit_codes: vec![0],
        }
    }
}
