//! Downloads, and the cache that keeps them.

use std::path::PathBuf;

use arm_image_fetch::{Checksum, Source};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  arm-image fetch https://example.org/x.img.xz --checksum sha256:HEX")]
pub(crate) struct Fetch {
    /// What to download
    #[arg(value_name = "URL")]
    pub(crate) source: Source,
    /// sha256:HEX, md5:HEX, sha1:HEX, sha512:HEX, file:URL|PATH, or none
    #[arg(long, value_name = "SUM")]
    pub(crate) checksum: Checksum,
    /// Take a checksum list only if it is signed by an OpenPGP key in this
    /// file
    #[arg(long, value_name = "PATH")]
    pub(crate) keyring: Option<PathBuf>,
    /// Copy it here too, and print this path
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Where downloads are kept [default: as for build]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Use only what the cache holds
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Where downloads are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct Cache {
    /// Where downloads are kept [default: $ARM_IMAGE_CACHE_DIR, else
    /// $XDG_CACHE_HOME/arm-image, else ~/.cache/arm-image]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Use only what the cache holds
    #[arg(long)]
    pub(crate) offline: bool,
    /// Download again, and keep nothing
    #[arg(long, conflicts_with_all = ["offline", "cache_dir"])]
    pub(crate) no_cache: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  arm-image cache clean --older-than 30")]
pub(crate) struct CacheCommand {
    /// Where downloads are kept [default: as for build]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) cache_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) work: CacheWork,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheWork {
    /// List the downloads: size in bytes, days since the last use, URL
    #[command(after_help = "Example:\n  arm-image cache list")]
    List,
    /// Delete what is not in use, and list it
    #[command(after_help = "Example:\n  arm-image cache clean --older-than 30")]
    Clean {
        /// Only what was not used for so many days
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u32>,
    },
}
