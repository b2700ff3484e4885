//! The command line: what clap reads, and nothing of what it does. It is long because it is the help, too.

mod packer;
mod values;

use std::{ffi::OsString, path::PathBuf};

use arm_image::{MountPoint, Size};
use arm_image_chroot::Bind;
use arm_image_fetch::{Checksum, Source};
use arm_image_qemu::Arch;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub(crate) use packer::translated;

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

/// What a template is read with.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Templates")]
pub(crate) struct Variables {
    /// Set a variable of the template; PKR_VAR_NAME in the environment
    /// does so, too
    #[arg(long, value_name = "K=V", value_parser = values::key_and_value, requires = "template")]
    pub(crate) var: Vec<(String, String)>,
    /// Set the variables that a *.pkrvars.hcl or JSON file sets
    #[arg(long, value_name = "PATH", requires = "template")]
    pub(crate) var_file: Vec<PathBuf>,
    /// Build only those whose names match, such as '*.pi'
    #[arg(long, value_name = "NAME", requires = "template")]
    pub(crate) only: Vec<String>,
    /// Leave out the builds and post-processors whose names match
    #[arg(long, value_name = "NAME", requires = "template")]
    pub(crate) except: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without --list, the plan of each build is printed, as by build --dry-run.

Example:
  arm-image validate kitchen.pkr.hcl --var hostname=kitchen")]
pub(crate) struct Validate {
    /// A file, or a folder with *.pkr.hcl in it
    pub(crate) template: PathBuf,
    #[command(flatten)]
    pub(crate) variables: Variables,
    /// List variables, locals, builds and what they do; needs no values
    #[arg(long)]
    pub(crate) list: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

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

/// How an image is entered.
#[derive(Debug, Args)]
#[command(next_help_heading = "How the image is entered")]
pub(crate) struct Enter {
    /// Mount partition N at PATH in the image, or what ,subvol=NAME behind
    /// that says of it; without any, the image's own fstab is followed
    #[arg(long, value_name = "N=PATH", value_parser = values::mount_point)]
    pub(crate) mount: Vec<MountPoint>,
    /// armv6, armv7, arm64, ... [default: read from the image's shell]
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Option<Arch>,
    /// The kind of image, see `arm-image presets` [default: detected]
    #[arg(long, value_name = "NAME", value_parser = values::preset)]
    pub(crate) preset: Option<&'static arm_image_presets::Preset>,
    /// The static qemu-user binary to run the image's programs with
    #[arg(long, value_name = "PATH")]
    pub(crate) qemu_binary: Option<PathBuf>,
    /// An argument for qemu itself, such as -cpu; repeatable
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) qemu_arg: Vec<OsString>,
    /// Show a file or folder of this machine in the image (in a guest:
    /// folders only)
    #[arg(long, value_name = "SRC:DST[:ro]", value_parser = values::bind)]
    pub(crate) bind: Vec<Bind>,
    /// Keep the packages that apt downloads in this folder, and use them
    /// again; apt checks what it takes from there
    #[arg(long, value_name = "DIR")]
    pub(crate) apt_cache: Option<PathBuf>,
    /// Let packages start services in the image
    #[arg(long)]
    pub(crate) services: bool,
    /// What becomes of the image's /etc/resolv.conf
    #[arg(long, value_enum, default_value_t = Resolv::BindHost, value_name = "MODE")]
    pub(crate) resolv_conf: Resolv,
    /// Bring the image's own /etc/resolv.conf back in the end, where it was
    /// replaced or deleted
    #[arg(long)]
    pub(crate) restore_resolv_conf: bool,
    /// Where the privileged half runs: in this kernel (needs root), or in
    /// a throw-away guest kernel (needs no privilege)
    #[arg(long, value_enum, default_value_t = Isolated::Auto, value_name = "WHERE")]
    pub(crate) isolation: Isolated,
    /// How partitions become devices: device-mapper or loop devices
    #[arg(long, value_enum, default_value_t = Mapped::Auto, value_name = "HOW")]
    pub(crate) mapper: Mapped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resolv {
    /// Left as it is
    Off,
    /// Replaced by the host's
    CopyHost,
    /// The host's is seen during the build only
    BindHost,
    /// Deleted
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolated {
    /// Host where it can, else guest
    Auto,
    /// In this machine's kernel
    Host,
    /// In a kernel of its own
    Guest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mapped {
    /// dm where it can, else loop
    Auto,
    /// device-mapper
    Dm,
    /// Loop devices
    Loop,
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
#[command(after_help = "Example:\n  arm-image inspect raspios.img.xz --json")]
pub(crate) struct Inspect {
    /// The image, compressed or not
    pub(crate) image: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

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
