//! What is built from a source image.

use std::path::PathBuf;

use arm_image::Size;
use arm_image_fetch::{Checksum, Source};
use clap::{ArgGroup, Args, ValueEnum};

use super::{Archive, Cache, Enter, Variables, values};

#[derive(Debug, Args)]
#[command(after_help = "\
Steps (--run, --script, --copy) are carried out in the order given, as the
image's root, with the image's own programs. The first that fails ends the
build. The path of the image is printed at the end, alone on a line.
A template may have several builds, which run at the same time.

Example:
  arm-image build kitchen.pkr.hcl --var hostname=kitchen
  arm-image build --source https://example.org/raspios.img.xz \\
      --checksum file:https://example.org/raspios.img.xz.sha256 \\
      --size 8G --copy id_ed25519.pub:/root/.ssh/authorized_keys \\
      --run 'echo kitchen > /etc/hostname' --output kitchen.img")]
pub(crate) struct Build {
    /// A template of Packer's, HCL2 or JSON: a file, or a folder with
    /// *.pkr.hcl in it. It says what to build; options say how
    #[arg(value_name = "TEMPLATE", conflicts_with_all = SAID_BY_TEMPLATES)]
    pub(crate) template: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// How many builds of a template run at the same time [default: all]
    #[arg(long, value_name = "N", requires = "template", help_heading = "Templates")]
    pub(crate) parallel_builds: Option<usize>,
    /// The image or archive to start from: a path or an http(s) URL;
    /// given again, where else the same may be had
    #[arg(long, value_name = "URL|PATH", required_unless_present = "template",
        conflicts_with_all = ["var", "var_file", "only", "except", "parallel_builds"])]
    pub(crate) source: Vec<Source>,
    #[command(flatten)]
    pub(crate) verify: Verify,
    #[command(flatten)]
    pub(crate) archive: Archive,
    /// Where the image goes
    #[arg(long, value_name = "PATH", default_value = "output-arm-image/image")]
    pub(crate) output: PathBuf,
    /// Size of the whole image (8G), or how much to add (+2G)
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: Option<Size>,
    /// In the end, make the image as small as what is in it
    #[arg(long)]
    pub(crate) shrink: bool,
    #[command(flatten)]
    pub(crate) steps: Steps,
    #[command(flatten)]
    pub(crate) enter: Enter,
    #[command(flatten)]
    pub(crate) cache: Cache,
    /// Do not hold back fsync in the image: safer if the power fails, and
    /// slower
    #[arg(long)]
    pub(crate) sync: bool,
    /// What becomes of the unfinished image when a step fails
    #[arg(long, value_enum, default_value_t = OnError::Cleanup, value_name = "WHAT")]
    pub(crate) on_error: OnError,
    /// Print the plan and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the plan as JSON
    #[arg(long, requires = "dry_run")]
    pub(crate) json: bool,
}

/// The options that say what to build.
pub(crate) const SAID_BY_TEMPLATES: [&str; 17] = [
    "source",
    "checksum",
    "image_checksum",
    "member",
    "output",
    "size",
    "run",
    "script",
    "copy",
    "env",
    "mount",
    "arch",
    "preset",
    "qemu_binary",
    "qemu_arg",
    "bind",
    "resolv_conf",
];

/// What the source must be.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// sha256:HEX, md5:HEX, sha1:HEX, sha512:HEX, bare HEX, file:URL|PATH
    /// (a list such as SHA256SUMS), or none
    #[arg(long, value_name = "SUM", required_unless_present_any = ["image_checksum", "template"])]
    pub(crate) checksum: Option<Checksum>,
    /// The same for the image once it is unpacked, instead or as well
    #[arg(long, value_name = "SUM")]
    pub(crate) image_checksum: Option<Checksum>,
    /// Take a checksum list only if it is signed by an OpenPGP key in this
    /// file
    #[arg(long, value_name = "PATH")]
    pub(crate) keyring: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// It is removed
    Cleanup,
    /// A shell in it is opened, on a terminal; then it is removed
    #[value(alias = "ask")]
    Shell,
    /// It stays as OUTPUT.partial
    #[value(alias = "abort")]
    Keep,
    /// A template's error-cleanup-provisioner is run, and it stays
    RunCleanupProvisioner,
}

/// What to do inside; `main` reads the order from clap's indices.
#[derive(Debug, Args)]
#[command(next_help_heading = "Steps")]
#[command(group = ArgGroup::new("commands").args(["run", "script"]).multiple(true))]
pub(crate) struct Steps {
    /// Run a command line by the image's /bin/sh -e
    #[arg(long, value_name = "COMMAND")]
    pub(crate) run: Vec<String>,
    /// Run a script of this machine inside the image
    #[arg(long, value_name = "PATH")]
    pub(crate) script: Vec<PathBuf>,
    /// Copy a file or folder into the image
    #[arg(long, value_name = "SRC:DST", value_parser = values::source_and_target)]
    pub(crate) copy: Vec<(PathBuf, PathBuf)>,
    /// Set a variable for all commands and scripts
    #[arg(long, value_name = "K=V", value_parser = values::key_and_value, requires = "commands")]
    pub(crate) env: Vec<(String, String)>,
}
