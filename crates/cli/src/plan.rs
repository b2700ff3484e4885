//! What a build is to do, as plain data.

use std::path::{Component, Path, PathBuf};

use arm_image_chroot::ResolvConf;
use arm_image_decompress::Unpacker;
use arm_image_fetch::{Checksum, Source};
use arm_image_presets::Preset;
use arm_image_qemu::Arch;
use serde::{Deserialize, Serialize};

use crate::{Error, Size};

/// Everything that [`build`](crate::build) needs to know.
///
/// [`Plan::new`] fills in what most people want; the fields are public to be changed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The image or archive to start from, and where else the same may be had, in the order to try them. It is never
    /// modified.
    pub sources: Vec<Source>,
    /// What the source must hash to.
    pub checksum: Checksum,
    /// How the source is unpacked.
    pub unpacker: Unpacker,
    /// Where the finished image goes; until it is finished it is called `OUTPUT.partial`.
    pub output: PathBuf,
    /// The size to grow the image to, with its last partition and the file system in it.
    pub size: Option<Size>,
    /// How to look at the image and to enter it.
    pub enter: Enter,
    /// What to do inside, in this order.
    pub steps: Vec<Step>,
    /// Where downloads are kept; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// Uses only what the cache holds.
    pub offline: bool,
    /// What becomes of the unfinished image when a step fails.
    pub keep_on_error: bool,
    /// The user and group that shall own the output, where it is not this process's.
    pub owner: Option<(u32, u32)>,
}

impl Plan {
    /// A build of the first of `sources` that can be had, checked against `checksum`, into `output`, that changes nothing yet.
    pub fn new(sources: impl Into<Vec<Source>>, checksum: Checksum, output: impl Into<PathBuf>) -> Self {
        Plan {
            sources: sources.into(),
            checksum,
            unpacker: Unpacker::default(),
            output: output.into(),
            size: None,
            enter: Enter::default(),
            steps: Vec::new(),
            cache: None,
            offline: false,
            keep_on_error: false,
            owner: None,
        }
    }
}

/// How an image is mounted and entered. The default asks the image itself for everything.
#[derive(Debug, Clone, Default)]
pub struct Enter {
    /// Partition numbers and where they are mounted; empty: the image's fstab, then its preset.
    pub mounts: Vec<(u32, PathBuf)>,
    /// The architecture of the image's programs; `None`: read from its shell.
    pub arch: Option<Arch>,
    /// The kind of image; `None`: detected.
    pub preset: Option<&'static Preset>,
    /// The qemu to use; `None`: the host's handler, else the static qemu found in `search`.
    pub qemu: Option<PathBuf>,
    /// Folders in which programs of the host are looked for, such as those of `PATH`.
    pub search: Vec<PathBuf>,
    /// What becomes of the image's resolv.conf.
    pub resolv_conf: ResolvConf,
    /// Where the privileged half runs.
    pub isolation: Isolation,
    /// How partitions become block devices.
    pub mapper: Mapper,
}

impl Enter {
    /// Finds mount points that cannot be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (index, (number, target)) in self.mounts.iter().enumerate() {
            let refused = |problem: String| Error::Plan {
                problem,
                hint: "write --mount N=PATH, such as --mount 2=/ --mount 1=/boot/firmware".to_owned(),
            };
            let clean = target.is_absolute() && !target.components().any(|part| part == Component::ParentDir);
            if !clean || is_private(target) {
                return Err(refused(format!(
                    "partition {number} cannot be mounted at `{}`",
                    target.display()
                )));
            }
            if self.mounts[..index].iter().any(|(other, place)| other == number || place == target) {
                return Err(refused(format!("partition {number} or `{}` is named twice", target.display())));
            }
        }
        Ok(())
    }
}

/// Whether `target` is in one of the folders that every chroot gets of its own.
pub(crate) fn is_private(target: &Path) -> bool {
    ["/dev", "/proc", "/run", "/sys", "/tmp"].iter().any(|folder| target.starts_with(folder))
}

/// Where the privileged half of the work runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// [`Isolation::Host`] where it can, [`Isolation::Guest`] elsewhere.
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

/// One thing to do inside the image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Run a command line by the image's shell.
    Run {
        /// The command line.
        line: String,
        /// Variables to set for it.
        env: Vec<(String, String)>,
    },
    /// Run a script of the host's.
    Script {
        /// Its path on the host; its first line says what runs it.
        path: PathBuf,
        /// Variables to set for it.
        env: Vec<(String, String)>,
    },
    /// Copy a file or folder of the host's into the image.
    Copy {
        /// The path on the host.
        from: PathBuf,
        /// The path in the image.
        to: PathBuf,
    },
}
