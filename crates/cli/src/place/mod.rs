//! Where the privileged half of the work runs: the same code, in this kernel or in a guest's.

mod agent;
mod choose;
mod conversation;
mod guest;
mod host;
mod terminal;
mod wire;

use std::{
    ffi::OsString,
    fs::OpenOptions,
    ops::Range,
    path::{Path, PathBuf},
};

use arm_image_chroot::{Bind, ChrootRunner, ResolvConf};
use arm_image_partition::filesystem::{self, Kind};
use arm_image_qemu::Arch;
use serde::{Deserialize, Serialize};

pub use agent::serve_if_guest;
use choose::choose_for;
pub(crate) use choose::{Place, choose};
pub(crate) use host::with_devices;

use crate::{
    Enter, Error, Event, Isolation, Mapper, MountPoint, OnEvent, Part, Stage, build::tell,
    machine::may_grow_mounted, packages::Packages,
};

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
    /// Its own arguments.
    pub(crate) qemu_arguments: Vec<OsString>,
    /// The processor that it shows.
    pub(crate) processor: Option<String>,
    /// What becomes of resolv.conf.
    #[serde(with = "ResolvConfName")]
    pub(crate) resolv_conf: ResolvConf,
    /// Whether the image gets its own back.
    pub(crate) restore_resolv_conf: bool,
    /// The file that holds the host's name servers.
    pub(crate) resolv_conf_source: PathBuf,
    /// Whether programs wait until their data are on the disk.
    pub(crate) sync: bool,
    /// Whether services may start.
    pub(crate) services: bool,
    /// Whether this machine's own programs enter the image.
    pub(crate) entered: bool,
    /// What of the host the image is shown.
    pub(crate) binds: Vec<JobBind>,
    /// How to map.
    pub(crate) mapper: Mapper,
    /// Whether nothing else runs under this kernel.
    pub(crate) alone: bool,
}

/// A [`Bind`] that goes over the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobBind {
    pub(crate) source: OsString,
    target: OsString,
    read_only: bool,
}

impl From<&Bind> for JobBind {
    fn from(bind: &Bind) -> Self {
        let Bind { source, target, read_only } = bind.clone();
        JobBind { source: source.into(), target: target.into(), read_only }
    }
}

impl From<JobBind> for Bind {
    fn from(JobBind { source, target, read_only }: JobBind) -> Self {
        Bind { source: source.into(), target: target.into(), read_only }
    }
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
    /// Where it is mounted in the image, with what options, by key and value.
    pub(crate) mounts: Vec<(PathBuf, Vec<(String, String)>)>,
    /// Whether its file system is to grow to the partition's size.
    pub(crate) grow: bool,
}

fn place_of(mount: &MountPoint) -> (PathBuf, Vec<(String, String)>) {
    let pair = |option: &String| {
        let (key, value) = option.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    (mount.target.clone(), mount.options.iter().filter_map(pair).collect())
}

impl JobPart {
    /// `part`, and those of `mounts` that are of it.
    pub(crate) fn of(part: &Part, mounts: &[MountPoint]) -> JobPart {
        JobPart {
            number: part.number,
            range: part.start..part.start + part.size,
            kind: part.filesystem.clone().unwrap_or_default(),
            mounts: mounts.iter().filter(|mount| mount.number == part.number).map(place_of).collect(),
            grow: false,
        }
    }

    /// A partition whose file system, called as by mount(8), is mounted nowhere.
    pub(crate) fn alone(number: u32, range: Range<u64>, kind: String) -> JobPart {
        JobPart { number, range, kind, mounts: Vec::new(), grow: false }
    }
}

impl Job {
    /// Nothing to do, in the way that `enter` says.
    pub(crate) fn empty(enter: &Enter, arch: Option<Arch>) -> Job {
        Job {
            parts: Vec::new(),
            arch: arch.map(|arch| arch.to_string()),
            qemu: enter.qemu.clone(),
            search: enter.search.clone(),
            qemu_arguments: enter.qemu_arguments.clone(),
            processor: None,
            resolv_conf: enter.resolv_conf,
            restore_resolv_conf: enter.restore_resolv_conf,
            resolv_conf_source: "/etc/resolv.conf".into(),
            sync: enter.sync,
            services: enter.services,
            entered: false,
            binds: enter.binds.iter().map(Into::into).collect(),
            mapper: enter.mapper,
            alone: false,
        }
    }

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
    let (place, why, warning) = choose_for(enter, job)?;
    tell(on, Event::Stage(Stage::Mount, &format!("mounting the image {why}")))?;
    warning.map_or(Ok(()), |warning| tell(on, Event::Warning(&warning)))?;
    let mut packages = enter.apt_cache.as_deref().map(Packages::open).transpose()?;
    let mut job = job.clone();
    job.binds.extend(packages.iter().map(|packages| JobBind::from(&packages.bind())));
    let outcome = {
        let on: OnEvent<'_> = &mut |event| {
            if let Some(packages) = &mut packages {
                packages.look();
            }
            on(event)
        };
        match place {
            Place::Guest => guest::with_root(path, &job, enter, scratch, on, work),
            Place::Host => host::with_root(&open(path)?, &job, on, |root, on| {
                let outcome = work(root, on);
                // Taken down even if the caller has had enough.
                let told = tell(on, Event::Stage(Stage::Finish, "taking everything down"));
                outcome.and_then(|value| told.map(|()| value))
            }),
        }
    };
    if let Some(Err(error)) = packages.map(Packages::close) {
        // The image is as good without: whether the caller wants to go on is asked elsewhere.
        let _ = on(Event::Warning(&crate::chain(&error)));
    }
    outcome
}

/// Grows the file systems that `job` marks in the image at `path`.
pub(crate) fn grow(
    path: &Path,
    job: &Job,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let kinds: Vec<_> = job.parts.iter().filter_map(|part| Kind::named(&part.kind)).collect();
    if grows_in_file(enter, &kinds) {
        tell(on, Event::Stage(Stage::Resize, "growing the file system"))?;
        for part in job.parts.iter().filter(|part| part.grow) {
            filesystem::grow_unmounted(path, part.range.clone())
                .map_err(|cause| Error::Grow { number: part.number, cause })?;
        }
        return Ok(());
    }
    // A f2fs is not mounted for it: its own tool grows it on its device.
    let kinds: Vec<_> =
        job.kinds().into_iter().filter(|kind| Kind::named(kind) != Some(Kind::F2fs)).collect();
    let (place, why) = choose(enter, &kinds, None)?;
    tell(on, Event::Stage(Stage::Resize, &format!("growing the file system {why}")))?;
    match place {
        Place::Guest => guest::grow_only(path, job, enter, scratch, on),
        Place::Host => host::grow_only(&open(path)?, job),
    }
}

/// Shrinks the file system of the only partition of `job` in the image at `path`, with `margin` bytes to spare, and gives the
/// bytes it covers then.
pub(crate) fn shrink(
    path: &Path,
    job: &Job,
    margin: u64,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
) -> Result<u64, Error> {
    match choose(enter, &job.kinds(), None)?.0 {
        Place::Guest => guest::shrink_only(path, job, margin, enter, scratch, on),
        Place::Host => host::shrink_only(&open(path)?, job, margin),
    }
}

/// Whether file systems of these kinds grow in the file, by their own tools: where this kernel does not do it, and no other is
/// asked for. It takes longer than a kernel, and less than starting one.
pub(crate) fn grows_in_file(enter: &Enter, kinds: &[Kind]) -> bool {
    let names: Vec<_> = kinds.iter().map(ToString::to_string).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    enter.isolation == Isolation::Auto && kinds.iter().all(|kind| kind.is_ext()) && !is_host(enter, &names)
}

/// Whether growing a file system of this kind ends with its own tools: in the file, or as this kernel refuses it to a process
/// without the capability.
pub(crate) fn grows_by_tools(enter: &Enter, kind: Kind) -> bool {
    let refused = kind.is_ext() && !may_grow_mounted() && is_host(enter, &[&kind.to_string()]);
    refused || grows_in_file(enter, &[kind])
}

/// Whether file systems of `kinds` are mounted by this kernel.
pub(crate) fn is_host(enter: &Enter, kinds: &[&str]) -> bool {
    choose(enter, kinds, None).is_ok_and(|(place, _)| place == Place::Host)
}

fn open(path: &Path) -> Result<std::fs::File, Error> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|cause| Error::File {
        operation: "open for writing",
        path: path.into(),
        cause,
    })
}
