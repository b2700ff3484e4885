//! How an image is mounted and entered.

use std::{ffi::OsString, path::PathBuf};

use arm_image::MountPoint;
use arm_image_chroot::Bind;
use arm_image_qemu::Arch;
use clap::{Args, ValueEnum};

use super::values;

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
