//! The command line: what clap reads, and nothing of what it does.

pub(crate) mod build;
mod downloads;
mod enter;
mod images;
mod packer;
mod program;
mod templates;
mod values;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use build::{Build, OnError, Steps};
pub(crate) use downloads::{Cache, CacheCommand, CacheWork, Fetch};
pub(crate) use enter::{Enter, Isolated, Mapped, Resolv};
pub(crate) use images::{Archive, Inspect, Map, NewSize, Resize, Shell, Unpack};
pub(crate) use packer::translated;
pub(crate) use program::{Cleanup, Completions, Listing, Man};
pub(crate) use templates::{Validate, Variables};

/// Customise ARM operating system images, so that an SD card comes out ready.
#[derive(Debug, Parser)]
#[command(
    name = "arm-image",
    version,
    max_term_width = 80,
    after_help = "\
Example:
  arm-image build --source raspios.img.xz --checksum none --size +1G \\
      --run 'apt-get update && apt-get install -y vim' --output card.img

Exit codes: 0 ok, 1 internal, 2 usage, 3 plan, 4 fetch, 5 checksum,
6 image or archive, 7 mapping, mounting or privilege, 8 a step failed,
9 cleanup failed, 128+n signal n."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) talk: Talk,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the program talks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Talk {
    /// How progress is shown: a bar on a terminal, lines elsewhere
    #[arg(long, global = true, value_enum, value_name = "HOW")]
    pub(crate) progress: Option<Progress>,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Say nothing but errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Whether to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// A bar that redraws itself
    Bar,
    /// A line per stage and per 10 %
    Plain,
    /// One JSON object a line
    Json,
    /// Nothing
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Where standard error is a terminal and NO_COLOR is not set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a customised image from a source image
    Build(Box<Build>),
    /// Tell what is in an image, without root
    Inspect(Inspect),
    /// Download an image and verify it; prints its path
    Fetch(Fetch),
    /// Unpack an archive, told by its magic bytes, to a sparse image
    Unpack(Unpack),
    /// Grow or shrink an image, its last partition and the file system in it
    Resize(Resize),
    /// Open a shell, or run one command, inside an image
    Shell(Shell),
    /// Map an image's partitions for the time a command runs
    Map(Map),
    /// Check a template and print what it would do; touches nothing
    Validate(Validate),
    /// Tell what the cache holds, or clean it
    Cache(CacheCommand),
    /// List the known kinds of images
    #[command(after_help = "Example:\n  arm-image presets")]
    Presets(Listing),
    /// Tell what this machine can do, what is missing, and what mends it
    #[command(after_help = "Example:\n  arm-image doctor")]
    Doctor(Listing),
    /// Remove what a killed run left behind, ours only
    Cleanup(Cleanup),
    /// Print the completions for a shell
    Completions(Completions),
    /// Print the manual page, or write one for each command to a folder
    Man(Man),
}
