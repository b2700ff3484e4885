//! Where the privileged half of the work runs: the same code, in this kernel or in a guest's.

mod agent;
mod choose;
mod conversation;
mod guest;
mod host;
mod terminal;
mod wire;

use std::{
    fs::OpenOptions,
    ops::Range,
    path::{Path, PathBuf},
};

use arm_image_chroot::{ChrootRunner, ResolvConf};
use arm_image_qemu::Arch;
use serde::{Deserialize, Serialize};

pub use agent::serve_if_guest;
pub(crate) use choose::{Place, choose};
pub(crate) use host::with_devices;

use crate::{Enter, Error, Event, Mapper, OnEvent, Part, Stage, build::tell};

/// What the privileged half needs to know, wherever it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The partitions to map.
    pub(crate) parts: Vec<JobPart>,
    /// The name of the architecture of the image's programs, where any are run.
    pub(crate) arch: Option<String>,
    /// The qemu to use.
    pub(crate) qemu: Option<PathBuf>,
    /// Where to look for one.
    pub(crate) search: Vec<PathBuf>,
    /// What becomes of resolv.conf.
    #[serde(with = "ResolvConfName")]
    pub(crate) resolv_conf: ResolvConf,
    /// The file that holds the host's name servers.
    pub(crate) resolv_conf_source: PathBuf,
    /// How to map.
    pub(crate) mapper: Mapper,
}

/// How a [`ResolvConf`] goes over the wire; the chroot crate knows no serialisation.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ResolvConf")]
enum ResolvConfName {
    Off,
    CopyHost,
    BindHost,
    Delete,
}

/// One partition of a [`Job`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobPart {
    /// Its number in the table.
    pub(crate) number: u32,
    /// Its place in the image, in bytes.
    pub(crate) range: Range<u64>,
    /// Its file system, as mount(8) calls it.
    pub(crate) kind: String,
    /// Where it is mounted in the image.
    pub(crate) target: Option<PathBuf>,
    /// Whether its file system is to grow to the partition's size.
    pub(crate) grow: bool,
}

impl JobPart {
    pub(crate) fn of(part: &Part) -> JobPart {
        JobPart {
            number: part.number,
            range: part.start..part.start + part.size,
            kind: part.filesystem.clone().unwrap_or_default(),
            target: part.mount.clone(),
            grow: false,
        }
    }
}

impl Job {
    /// The architecture of the image's programs, where any are run.
    fn arch(&self) -> Result<Option<Arch>, Error> {
        Ok(self.arch.as_deref().map(str::parse).transpose()?)
    }

    /// The file systems that the kernel has to know.
    fn kinds(&self) -> Vec<&str> {
        self.parts.iter().map(|part| part.kind.as_str()).collect()
    }
}

/// Mounts the image at `path` as `job` says, in the place that `enter` asks for, for as long as `work` runs in it.
pub(crate) fn with_root<T>(
    path: &Path,
    job: &Job,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
    work: impl FnOnce(&mut dyn ChrootRunner, OnEvent<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (place, why) = choose(enter, &job.kinds(), job.arch()?)?;
    tell(on, Event::Stage(Stage::Mount, &format!("mounting the image {why}")))?;
    match place {
        Place::Guest => guest::with_root(path, job, enter, scratch, on, work),
        Place::Host => host::with_root(&open(path)?, job, on, |root, on| {
            let outcome = work(root, on);
            // Taken down even if the caller has had enough.
            let told = tell(on, Event::Stage(Stage::Finish, "taking everything down"));
            outcome.and_then(|value| told.map(|()| value))
        }),
    }
}

/// Grows the file systems that `job` marks in the image at `path`.
pub(crate) fn grow(
    path: &Path,
    job: &Job,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let (place, why) = choose(enter, &job.kinds(), None)?;
    tell(on, Event::Stage(Stage::Mount, &format!("growing the file system {why}")))?;
    match place {
        Place::Guest => guest::grow_only(path, job, enter, scratch, on),
        Place::Host => host::grow_only(&open(path)?, job),
    }
}

fn open(path: &Path) -> Result<std::fs::File, Error> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|cause| Error::File {
        operation: "open for writing",
        path: path.into(),
        cause,
    })
}
