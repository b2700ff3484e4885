//! What the user can do about an error.

use std::io;

use super::Error;
use crate::filesystem::{self, Kind};

impl Error {
    /// Whether this process lacks the privilege, so that another way may still work.
    ///
    /// Growing a mounted ext4 takes `CAP_SYS_RESOURCE`, which root in a container often lacks; e2fsck and resize2fs
    /// ([`grow_unmounted`](crate::filesystem::grow_unmounted)) do not.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Open { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Length { source, .. }
            | Self::Mount { source, .. }
            | Self::GrowMounted { source, .. }
            | Self::ShrinkMounted { source, .. }
            | Self::Trim { source }
            | Self::Run { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoTable => "is this an image of a whole disk, and is it unpacked?",
            Self::WholeDisk { .. } => {
                "an image of a single partition has nothing to grow; use the image of the whole disk"
            }
            Self::Hybrid => {
                "growing would have to keep both tables in step; leave the size as it is, or convert with gdisk"
            }
            Self::Gpt { .. } | Self::ExtendedChain { .. } => {
                "the image may be truncated; compare its checksum"
            }
            Self::PastEnd { .. } => "the image may be truncated, or the size asked for is too small",
            Self::Overlap { .. } | Self::Empty { .. } | Self::BadStart { .. } => {
                "look at the table with `sfdisk --verify`; nothing was written"
            }
            Self::TooLarge { .. } => "an MBR ends at 2 TiB, with sectors of 512 bytes; choose a smaller size",
            Self::Shrink { .. } => "ask for a size that is at least the present one",
            Self::CutsContent { kind: Kind::Luks | Kind::Lvm, .. } => {
                "nothing here makes this layer smaller; leave the size as it is"
            }
            Self::CutsContent { .. } => "make the file system smaller first",
            Self::ReadBack { .. } | Self::Verify { .. } => "the disk under the image may be failing",
            Self::Layered { .. } => "grow it from within, on the running system",
            Self::GrowMounted { .. } if self.is_permission() => {
                "growing while mounted takes CAP_SYS_RESOURCE (ext4) or CAP_SYS_ADMIN; e2fsck and resize2fs do without"
            }
            Self::CannotGrow { kind: Kind::Vfat | Kind::Exfat } => {
                "nothing grows it with what is in it; copy its files out, make it anew, and copy them back"
            }
            Self::CannotGrow { kind: Kind::Squashfs | Kind::Erofs | Kind::Iso9660 } => {
                "it is read-only and always as long as its content; add a partition behind it instead"
            }
            Self::CannotShrink { kind: Kind::Xfs } => {
                "xfs can only grow; make a smaller one and copy the files into it"
            }
            Self::CannotShrink { kind: Kind::Btrfs } => "btrfs shrinks while it is mounted",
            Self::CannotShrink { kind } if kind.is_ext() => "the ext family shrinks while it is not mounted",
            Self::CannotTrim { .. } => "mount it, and trim it there",
            Self::NeedsDevice { .. } => "map the partition to a device first",
            Self::Truncated { .. } => "the image may be truncated; compare its checksum",
            Self::UnknownToTools { features, .. } => {
                let version =
                    filesystem::tools_that_know(features).map(|version| format!("{version} or newer"));
                let version = version.as_deref().unwrap_or("of a newer release");
                return Some(format!("nothing was changed; install e2fsprogs {version}"));
            }
            Self::UnknownToKernel { .. } => "use a newer kernel",
            Self::Trim { .. } if !self.is_permission() => {
                "the file system, or the device below it, may not know how; nothing is lost but space"
            }
            Self::Command { command, status, .. }
                if command.starts_with("e2fsck") && status.code().is_some_and(|code| code & 4 != 0) =>
            {
                "the file system is damaged: compare the checksum of the image, or mend it with `e2fsck -f -y`"
            }
            Self::Run { program: program @ "resize.f2fs", source }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                return Some(format!(
                    "install `{program}`, on Debian and Ubuntu from the package f2fs-tools"
                ));
            }
            Self::Run { program, source } if source.kind() == io::ErrorKind::NotFound => {
                return Some(format!("install `{program}`, on Debian and Ubuntu from the package e2fsprogs"));
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
