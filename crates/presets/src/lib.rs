//! A [`Preset`] is what is known beforehand of a family of images; a [`RootReader`] reads what an image says of itself.
//!
//! The image's own word counts for more: mount points come from its [`fstab`], and a preset is used only where
//! that is missing or not understood. What a root says of itself ([`detect`]) goes before what the partitions are
//! called ([`recognise`]), and that before what the file is called ([`guess`]). Where all this leads to no system,
//! an [`Obstacle`] says why.
//!
//! ```
//! use arm_image_presets::{OsRelease, detect, find, guess};
//!
//! let preset = find("ubuntu").ok_or("no such preset")?;
//! assert_eq!(preset.mounts, [(1, "/boot/firmware"), (2, "/")]);
//!
//! // By content: os-release, and whether certain files are there.
//! let os = OsRelease::parse("ID=debian\nVERSION_ID=\"12\"\n");
//! let preset = detect(&os, &|path| path == "/etc/rpi-issue").ok_or("not detected")?;
//! assert_eq!(preset.name, "raspberrypi");
//!
//! // By name, before anything is downloaded: a hint only.
//! let preset = guess("2024-11-19-raspios-bookworm-arm64-lite.img.xz").ok_or("not guessed")?;
//! assert_eq!(preset.name, "raspberrypi");
//! # Ok::<(), &str>(())
//! ```

mod error;
pub mod fstab;
mod obstacle;
mod os_release;
mod root;
mod superblock;
mod table;

pub use error::Error;
use fstab::Candidate;
pub use obstacle::{Obstacle, Volume};
pub use os_release::OsRelease;
pub use root::RootReader;
use serde::Serialize;

/// What is known of a family of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Preset {
    /// The name to ask for it by: lower case, digits and hyphens.
    pub name: &'static str,
    /// What it is, in a few words.
    pub description: &'static str,
    /// Partition numbers, from 1, and where they are mounted; for images whose fstab does not tell. Empty where
    /// such images cannot be entered, or their layouts differ too much; the note says which.
    pub mounts: &'static [(u32, &'static str)],
    /// Parts of URLs and file names in lower case, any of which hints at it.
    pub urls: &'static [&'static str],
    /// The `ID`s of os-release(5) that such an image may have; empty where the content of the root tells nothing.
    pub os_ids: &'static [&'static str],
    /// Files and folders in the root, all of which must be there; empty where the `ID` tells enough.
    pub files: &'static [&'static str],
    /// What any one of its partitions may be known by, for images whose root cannot be read.
    pub marks: &'static [Mark],
    /// The `VERSION_ID`s it covers, major and minor: from the first on, and below the second.
    pub versions: (Version, Version),
    /// Which processor qemu should show to the image's 32-bit ARM programs (its variable `QEMU_CPU`); without one
    /// it shows the most able. Not for 64-bit programs, whose qemu does not know it.
    pub qemu_cpu: Option<&'static str>,
    /// What a user has to know, in a few words.
    pub note: Option<&'static str>,
}

/// A name of a partition that tells whose image it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Mark {
    /// The label of its file system.
    Label(&'static str),
    /// Its name in a GPT.
    PartLabel(&'static str),
    /// The beginning of its PARTUUID, in lower case: of an MBR, the disk's id and a hyphen.
    PartUuid(&'static str),
}

impl Mark {
    fn is_on(self, partition: &Candidate<'_>) -> bool {
        match self {
            Mark::Label(label) => partition.label == Some(label),
            Mark::PartLabel(name) => partition.partlabel == Some(name),
            Mark::PartUuid(start) => {
                partition.partuuid.is_some_and(|id| id.to_ascii_lowercase().starts_with(start))
            }
        }
    }
}

/// A `VERSION_ID`: major and minor; a missing minor is 0.
pub type Version = (u32, u32);

impl Preset {
    fn covers(&self, os: &OsRelease, exists: &dyn Fn(&str) -> bool) -> bool {
        let (from, below) = self.versions;
        // A rolling release has no VERSION_ID; only presets for all versions cover it.
        let in_range = match os.version() {
            Some(version) => from <= version && version < below,
            None => self.versions == table::ANY,
        };
        in_range && self.os_ids.contains(&os.id.as_str()) && self.files.iter().all(|path| exists(path))
    }
}

/// All presets, the more special before the more general.
#[must_use]
pub fn presets() -> &'static [Preset] {
    table::PRESETS
}

/// The preset of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    presets().iter().find(|preset| preset.name == name)
}

/// Guesses the preset from a URL or file name; a hint only, since anyone may name a file anything.
#[must_use]
pub fn guess(name: &str) -> Option<&'static Preset> {
    let name = name.to_ascii_lowercase();
    presets().iter().find(|preset| preset.urls.iter().any(|part| name.contains(part)))
}

/// Detects the preset from an image's content: its os-release, and `exists`, which tells whether the root has
/// the file at an absolute path (a symlink counts by what it leads to).
#[must_use]
pub fn detect(os: &OsRelease, exists: &dyn Fn(&str) -> bool) -> Option<&'static Preset> {
    presets().iter().find(|preset| preset.covers(os, exists))
}

/// Recognises the preset by the names of an image's partitions: for images whose root cannot be read.
///
/// ```
/// use arm_image_presets::{fstab::Candidate, recognise};
/// let partition = Candidate { number: 3, partlabel: Some("hassos-system0"), ..Candidate::default() };
/// assert_eq!(recognise(&[partition]).map(|preset| preset.name), Some("homeassistant"));
/// ```
#[must_use]
pub fn recognise(partitions: &[Candidate<'_>]) -> Option<&'static Preset> {
    let marked = |mark: &Mark| partitions.iter().any(|partition| mark.is_on(partition));
    presets().iter().find(|preset| preset.marks.iter().any(marked))
}
