//! What a build is to do, as plain data.

mod step;

use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use arm_image_chroot::{Bind, ResolvConf};
use arm_image_decompress::Unpacker;
use arm_image_fetch::{Checksum, Source};
use arm_image_presets::Preset;
pub use arm_image_presets::fstab::Mount as MountPoint;
use arm_image_qemu::Arch;
use serde::{Deserialize, Serialize};

pub use step::{Local, Step, Work};

use crate::{Error, Size, packages};

/// Everything that [`build`](crate::build) needs to know.
///
/// [`Plan::new`] fills in what most people want; the fields are public to be changed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the image is made from.
    pub origin: Origin,
    /// Where the finished image goes; until it is finished it is called `OUTPUT.partial`.
    pub output: PathBuf,
    /// The size to grow the image to, with its last partition and the file system in it.
    pub size: Option<Size>,
    /// Makes the image as small as what is in it, in the end.
    pub shrink: bool,
    /// How to look at the image and to enter it.
    pub enter: Enter,
    /// What to do inside, in this order.
    pub steps: Vec<Step>,
    /// What to do inside when one of them fails, before anything becomes of the image.
    pub on_failure: Vec<Step>,
    /// What becomes of the unfinished image when a step fails.
    pub on_error: OnError,
}

impl Plan {
    /// A build of the first of `sources` that can be had, checked against `checksum`, into `output`, that changes nothing yet.
    pub fn new(sources: impl Into<Vec<Source>>, checksum: Checksum, output: impl Into<PathBuf>) -> Self {
        Plan {
            origin: Origin::new(sources, checksum),
            output: output.into(),
            size: None,
            shrink: false,
            enter: Enter::default(),
            steps: Vec::new(),
            on_failure: Vec::new(),
            on_error: OnError::Cleanup,
        }
    }
}

/// What becomes of the unfinished image when a step fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It is removed.
    #[default]
    Cleanup,
    /// A shell is opened in it on this process's terminal, and it is removed when that ends.
    Shell,
    /// It stays as `OUTPUT.partial`, after any failure, as that has left it: [`on_failure`](Plan::on_failure) is not done.
    Keep,
    /// The same, but `on_failure` is done.
    KeepAfterCleanup,
}

impl OnError {
    /// Whether the unfinished image stays.
    pub(crate) fn keeps(self) -> bool {
        matches!(self, OnError::Keep | OnError::KeepAfterCleanup)
    }
}

impl Plan {
    /// All that may have to be done inside.
    pub(crate) fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.on_failure)
    }

    /// The files of this machine that it reads.
    pub(crate) fn inputs(&self) -> Vec<&Path> {
        let origin = &self.origin;
        let lists = [&origin.checksum, &origin.image_checksum].into_iter().filter_map(|sum| match sum {
            Checksum::List(list) => Some(list),
            _ => None,
        });
        let local = origin.sources.iter().chain(lists).filter_map(|source| match source {
            Source::Path(path) => Some(path.as_path()),
            Source::Url(_) => None,
        });
        let steps = self.all_steps().flat_map(|step| step.work.sources());
        local.chain(origin.keyring.as_deref()).chain(steps).collect()
    }
}

/// Where an image comes from, and how it is verified, unpacked and kept.
///
/// [`Origin::new`] fills in what most people want; the fields are public to be changed.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The image or archive, and where else the same may be had, in the order to try them. It is never modified.
    pub sources: Vec<Source>,
    /// What it must hash to.
    pub checksum: Checksum,
    /// What the image must hash to once it is unpacked.
    pub image_checksum: Checksum,
    /// The OpenPGP keys of which one must have signed the checksum lists; `None`: they need not be signed.
    pub keyring: Option<PathBuf>,
    /// How it is unpacked.
    pub unpacker: Unpacker,
    /// Where downloads, and the images that were in them, are kept; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// Uses only what the cache holds.
    pub offline: bool,
    /// The user and group that shall own what is made, in the cache and as the output, where it is not this process's.
    pub owner: Option<(u32, u32)>,
}

impl Origin {
    /// The first of `sources` that can be had, checked against `checksum`, and kept nowhere.
    pub fn new(sources: impl Into<Vec<Source>>, checksum: Checksum) -> Self {
        Origin {
            sources: sources.into(),
            checksum,
            image_checksum: Checksum::None,
            keyring: None,
            unpacker: Unpacker::default(),
            cache: None,
            offline: false,
            owner: None,
        }
    }

    /// The names by which a checksum list may know the unpacked image: that of the first source without what its
    /// compression added, and the same as `.img`.
    pub(crate) fn image_names(&self) -> Vec<Source> {
        let name = self.sources.first().and_then(Source::file_name).unwrap_or_default();
        let stem = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        vec![Source::Path(stem.into()), Source::Path(format!("{stem}.img").into())]
    }

    /// The source by whose name the image is known.
    pub(crate) fn first(&self) -> String {
        self.sources.first().map(ToString::to_string).unwrap_or_default()
    }
}

/// What archives of one image are called, after the image.
const COMPRESSED: [&str; 8] = [".tar.gz", ".tar.xz", ".xz", ".gz", ".bz2", ".zst", ".lzma", ".zip"];

/// How an image is mounted and entered. The default asks the image itself for everything.
#[derive(Debug, Clone, Default)]
pub struct Enter {
    /// Which partitions are mounted where; empty: the image's fstab, then its preset.
    pub mounts: Vec<MountPoint>,
    /// The architecture of the image's programs; `None`: read from its shell.
    pub arch: Option<Arch>,
    /// The kind of image; `None`: detected.
    pub preset: Option<&'static Preset>,
    /// The qemu to use; `None`: the host's handler, else the static qemu found in `search`.
    pub qemu: Option<PathBuf>,
    /// Arguments of qemu's own, before the program's; any bytes but NUL. They are for the image's programs only.
    pub qemu_arguments: Vec<OsString>,
    /// Folders in which programs of the host are looked for, such as those of `PATH`.
    pub search: Vec<PathBuf>,
    /// What becomes of the image's resolv.conf.
    pub resolv_conf: ResolvConf,
    /// Whether the image's own resolv.conf comes back in the end, where it was replaced or deleted.
    pub restore_resolv_conf: bool,
    /// Whether programs that ask for their data to be on the disk wait until they are; it takes longer.
    pub sync: bool,
    /// Whether packages may start services in the image.
    pub services: bool,
    /// What of this machine the image is shown; in a guest, folders only.
    pub binds: Vec<Bind>,
    /// The folder that the packages are kept in which apt downloads in the image, for the next image. It is made if it is
    /// missing. What an image finds there is a copy, which its apt checks as what it downloads.
    pub apt_cache: Option<PathBuf>,
    /// Where the privileged half runs.
    pub isolation: Isolation,
    /// How partitions become block devices.
    pub mapper: Mapper,
}

impl Enter {
    /// Finds mount points and arguments that cannot be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (index, MountPoint { number, target, options }) in self.mounts.iter().enumerate() {
            let refused = |problem: String| Error::Plan {
                problem,
                hint: "write --mount N=PATH, such as --mount 2=/ --mount 1=/boot/firmware".to_owned(),
            };
            if !is_clean(target) || is_private(target) {
                return Err(refused(format!(
                    "partition {number} cannot be mounted at `{}`",
                    target.display()
                )));
            }
            // A partition is seen in two places only where these are two parts of it.
            let twice = |other: &MountPoint| {
                other.target == *target || other.number == *number && other.options == *options
            };
            if self.mounts[..index].iter().any(twice) {
                return Err(refused(format!("partition {number} or `{}` is named twice", target.display())));
            }
        }
        for Bind { source, target, .. } in &self.binds {
            let refused = |problem: String| Error::Plan {
                problem: format!("`{}` cannot be shown in the image: {problem}", source.display()),
                hint: "write --bind SRC:DST, such as --bind packages:/var/cache/apt/archives".to_owned(),
            };
            source.metadata().map_err(|cause| refused(cause.to_string()))?;
            if !is_clean(target) || target == Path::new("/") {
                return Err(refused(format!("`{}` is no place for it", target.display())));
            }
        }
        if let Some(folder) = &self.apt_cache {
            let refused = |problem: &str| Error::Plan {
                problem: format!("packages cannot be kept in `{}`: {problem}", folder.display()),
                hint: "write --apt-cache DIR, with a folder of this machine".to_owned(),
            };
            if folder.exists() && !folder.is_dir() {
                return Err(refused("it is no folder"));
            }
            if self.binds.iter().any(|bind| bind.target == Path::new(packages::ARCHIVES)) {
                return Err(refused("another folder is shown to apt already"));
            }
        }
        if self.qemu.is_some() {
            // Whatever it is to run, it has to be static.
            let options = arm_image_qemu::Options { binary: self.qemu.clone(), ..Default::default() };
            arm_image_qemu::find_binary(self.arch.unwrap_or(Arch::Arm64), &options)?;
        }
        arm_image_qemu::arguments(&self.qemu_arguments).map(drop).map_err(|cause| Error::Plan {
            problem: crate::chain(&cause),
            hint: "give qemu fewer or shorter arguments, and no zero bytes".to_owned(),
        })
    }
}

/// Whether `target` names a place in the image without detours.
fn is_clean(target: &Path) -> bool {
    target.is_absolute() && !target.components().any(|part| part == Component::ParentDir)
}

/// Whether `target` is in one of the folders that every chroot gets of its own.
pub(crate) fn is_private(target: &Path) -> bool {
    ["/dev", "/proc", "/run", "/sys", "/tmp"].iter().any(|folder| target.starts_with(folder))
}

/// Where the privileged half of the work runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// [`Isolation::Host`] where it can, [`Isolation::Guest`] elsewhere, and where a qemu that is asked for would run other
    /// programs of this machine, too.
    #[default]
    Auto,
    /// In this process: as root, on a kernel that has what it takes.
    Host,
    /// In a throw-away kernel of its own, without privilege.
    Guest,
}

/// How partitions become block devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mapper {
    /// [`Mapper::Dm`] where it can, [`Mapper::Loop`] elsewhere.
    #[default]
    Auto,
    /// device-mapper.
    Dm,
    /// A loop device for each partition.
    Loop,
}
