//! What is done with an image that is there.

use std::{ffi::OsString, path::PathBuf};

use arm_image::Size;
use clap::Args;

use super::{Enter, Mapped, values};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  arm-image inspect raspios.img.xz --json")]
pub(crate) struct Inspect {
    /// The image, compressed or not
    pub(crate) image: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  arm-image unpack raspios.img.xz raspios.img")]
pub(crate) struct Unpack {
    /// The archive: xz, gz, bz2, zip, zst, lzma, tar, or a raw image
    #[arg(value_name = "ARCHIVE")]
    pub(crate) from: PathBuf,
    /// The image to write
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) archive: Archive,
}

/// What is taken out of an archive.
#[derive(Debug, Args)]
pub(crate) struct Archive {
    /// Which member of a zip or tar archive [default: the only image]
    #[arg(long, value_name = "GLOB")]
    pub(crate) member: Option<String>,
    /// Refuse an image that is larger unpacked (8G)
    #[arg(long, value_name = "SIZE", value_parser = values::total)]
    pub(crate) max_size: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  arm-image resize raspios.img +2G
  arm-image resize card.img min")]
pub(crate) struct Resize {
    /// The image, changed in place
    pub(crate) image: PathBuf,
    /// Size of the whole image (8G), how much to add (+2G), or `min` for
    /// the least that holds what is in it, with 64 MiB to spare
    #[arg(value_parser = values::new_size)]
    pub(crate) size: NewSize,
    #[command(flatten)]
    pub(crate) enter: Enter,
}

/// What size an image is to have: `None` is the least.
pub(crate) type NewSize = Option<Size>;

#[derive(Debug, Args)]
#[command(after_help = "\
The image is changed in place. The exit code is the command's; its input is
empty, and its output comes line by line.

Example:
  arm-image shell card.img -- apt-get install -y vim")]
pub(crate) struct Shell {
    /// The image
    pub(crate) image: PathBuf,
    /// What to run instead of an interactive shell
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) enter: Enter,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The devices exist as long as COMMAND runs, and are named in PART1, PART2, ...
The exit code is the command's. Needs root.

Example:
  sudo arm-image map card.img -- sh -c 'e2fsck -f \"$PART2\"'")]
pub(crate) struct Map {
    /// The image
    pub(crate) image: PathBuf,
    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// How partitions become devices: device-mapper or loop devices
    #[arg(long, value_enum, default_value_t = Mapped::Auto, value_name = "HOW")]
    pub(crate) mapper: Mapped,
}
