//! What an error means to the user: the exit code, and what to do.

use std::{io, path::Path};

use super::{Error, chain};

/// What kernels and tools say of a disk that takes nothing more. A mounted one may only hear that writing failed, and is
/// read-only after that.
const SIGNS_OF_A_FULL_DISK: [&str; 4] =
    ["No space left on device", "Disk quota exceeded", "Input/output error", "Read-only file system"];

impl Error {
    /// The exit code that the program ends with, as listed in its help.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Plan { .. } | Error::Template { .. } => 3,
            // A full disk is nothing that another source or archive would mend.
            Error::Fetch(arm_image_fetch::Error::Write { .. } | arm_image_fetch::Error::Lock { .. })
            | Error::Unpack { cause: arm_image_decompress::Error::Write { .. }, .. } => 1,
            Error::Fetch(error) if error.is_checksum() => 5,
            Error::Fetch(_) => 4,
            Error::Partition { cause: arm_image_partition::Error::Shrink { .. }, .. } => 3,
            Error::Partition { cause, .. } if is_out_of_room(cause) => 1,
            Error::Open { .. }
            | Error::Unpack { .. }
            | Error::Partition { .. }
            | Error::NotGrowable { .. }
            | Error::NotShrinkable { .. }
            | Error::Obstacle { .. }
            | Error::ShrinkSystem { .. }
            | Error::NotEnterable { .. } => 6,
            Error::Map(_) | Error::Chroot(_) | Error::Emulate(_) | Error::Guest(_) => 7,
            // The file system is at fault where its tools refuse it, and this machine where they or the kernel are not able.
            Error::Grow {
                cause:
                    arm_image_partition::Error::Command { .. }
                    | arm_image_partition::Error::Truncated { .. }
                    | arm_image_partition::Error::NoFileSystem { .. },
                ..
            } => 6,
            Error::Grow { .. } | Error::NoPlace { .. } | Error::Conversation { .. } => 7,
            Error::InGuest { code, .. } => *code,
            Error::Step { .. } | Error::PostProcessor { .. } => 8,
            Error::CleanUp { .. } => 9,
            Error::Both { first, .. } => first.exit_code(),
            Error::Full { .. } | Error::File { .. } | Error::Cancelled => 1,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Plan { hint, .. } => Some(hint.clone()),
            Error::Fetch(error) => error.hint(),
            Error::Unpack { cause, .. } => cause.hint(),
            Error::Partition { cause, path, .. } if is_out_of_room(cause) => Some(make_room(path)),
            Error::File { cause, path, .. } if is_out_of_room(cause) => Some(make_room(path)),
            Error::Partition { cause, .. } => cause.hint(),
            Error::Grow { cause, .. } | Error::ShrinkSystem { cause, .. } => cause.hint(),
            Error::NotGrowable { .. } => Some(
                "only ext2, ext3, ext4, btrfs and xfs can grow, and f2fs as root; leave the size as it is"
                    .to_owned(),
            ),
            Error::Obstacle { cause, .. } if cause.leaves_a_way() => {
                Some(format!("{} (--mount N=/ --arch ARCH)", cause.hint()))
            }
            Error::Obstacle { cause, .. } => Some(cause.hint().to_owned()),
            Error::NotShrinkable { .. } => Some("only ext2, ext3, ext4 and btrfs can shrink".to_owned()),
            Error::Map(error) => error.hint(),
            Error::Chroot(error) => error.hint(),
            Error::Emulate(error) => error.hint(),
            Error::Guest(error) => error.hint(),
            Error::InGuest { hint, .. } => hint.clone(),
            Error::NoPlace { .. } => {
                Some("`arm-image doctor` tells what is missing and what mends it".to_owned())
            }
            Error::Step { cause, explanation, .. } => explanation
                .map(str::to_owned)
                .or_else(|| cause.hint())
                .or_else(|| Some("`--on-error keep` leaves the unfinished image to look at".to_owned())),
            Error::Conversation { console, .. } if !console.is_empty() => {
                Some(format!("the guest's kernel said: {console}"))
            }
            Error::Both { first, .. } => first.hint(),
            Error::CleanUp { cause } | Error::PostProcessor { cause, .. } => cause.hint(),
            Error::Full { .. } => Some("make room for all of the image, or give another --output".to_owned()),
            Error::Open { .. }
            | Error::NotEnterable { .. }
            | Error::Conversation { .. }
            | Error::Template { .. }
            | Error::File { .. }
            | Error::Cancelled => None,
        }
    }

    /// Whether it may have come of writing to an image on a full disk. A step that fails says itself what has failed it.
    pub(crate) fn may_be_of_a_full_disk(&self) -> bool {
        match self {
            // These name what was written, or speak of another file.
            Error::Step { .. } | Error::PostProcessor { .. } | Error::Fetch(_) | Error::Unpack { .. } => {
                false
            }
            Error::Both { first, then } => first.may_be_of_a_full_disk() || then.may_be_of_a_full_disk(),
            // In words, as they come from a guest and from tools, too.
            error => SIGNS_OF_A_FULL_DISK.iter().any(|sign| chain(error).contains(sign)),
        }
    }
}

/// Whether the cause of it all, as the kernel gave it, is a full disk or quota.
fn is_out_of_room(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |error| error.source());
    chain.any(|cause| {
        let cause = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(cause, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    })
}

fn make_room(path: &Path) -> String {
    format!("make room on the disk of `{}`, or choose another place for it", path.display())
}
