//! What the program tells of itself and its machine, and tidies up.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo arm-image cleanup --dry-run")]
pub(crate) struct Cleanup {
    /// Only tell what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  arm-image completions bash > /etc/bash_completion.d/arm-image")]
pub(crate) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  arm-image man /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The folder to write the pages to
    pub(crate) dir: Option<PathBuf>,
}
