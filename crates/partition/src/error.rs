use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::filesystem::Kind;

/// What can go wrong with a partition table or the file systems in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image could not be opened for reading and writing.
    #[error("failed to open `{}`", path.display())]
    Open {
        /// The image.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Only a plain file can be made longer.
    #[error("`{}` is not a plain file", path.display())]
    NotAFile {
        /// What was to be grown.
        path: PathBuf,
    },
    /// The disk could not be read.
    #[error("failed to read the disk at byte {offset}")]
    Read {
        /// Where on the disk.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The disk could not be written.
    #[error("failed to write the partition table at byte {offset}")]
    Write {
        /// Where on the disk.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The disk starts with neither a partition table nor a known file system.
    #[error("no partition table found")]
    NoTable,
    /// The disk has no table because one file system takes all of it.
    #[error("no partition table: the whole disk is one {kind} file system")]
    WholeDisk {
        /// What was found.
        kind: Kind,
    },
    /// The table is there, and empty.
    #[error("the partition table has no partitions")]
    NoPartitions,
    /// An MBR announces a GPT, and neither the primary nor the backup can be used.
    #[error("the GPT is damaged: {primary}, and {backup}")]
    Gpt {
        /// What is wrong with the primary header or its entries.
        primary: String,
        /// What is wrong with the backup.
        backup: String,
    },
    /// A GPT whose MBR holds partitions of its own.
    #[error("the table is a hybrid of MBR and GPT")]
    Hybrid,
    /// The list of logical partitions is broken, or loops.
    #[error("the chain of logical partitions is broken at byte {offset}")]
    ExtendedChain {
        /// Where the broken link points to.
        offset: u64,
    },
    /// The table has no such partition.
    #[error("there is no partition {number}")]
    Unknown {
        /// The number asked for.
        number: u32,
    },
    /// An entry covers no byte at all.
    #[error("partition {number} is empty")]
    Empty {
        /// Its number.
        number: u32,
    },
    /// An entry starts in the sectors that the table itself needs, or outside the extended partition it is in.
    #[error("partition {number} starts at byte {start}, where no partition may start")]
    BadStart {
        /// Its number.
        number: u32,
        /// Where it starts.
        start: u64,
    },
    /// An entry ends behind the last byte it may cover.
    #[error("partition {number} ends at byte {end}, but partitions must end by byte {limit}")]
    PastEnd {
        /// Its number.
        number: u32,
        /// Where it ends.
        end: u64,
        /// Where it must end at the latest.
        limit: u64,
    },
    /// Two entries claim the same bytes.
    #[error("partition {first} runs into partition {second}")]
    Overlap {
        /// The one that starts first.
        first: u32,
        /// The one it runs into.
        second: u32,
    },
    /// An end that is not on the border of a sector.
    #[error("byte {end} is not a multiple of the sector size, {sector}")]
    Unaligned {
        /// The end asked for.
        end: u64,
        /// Bytes a sector.
        sector: u64,
    },
    /// More than the table can express.
    #[error("an MBR cannot describe a partition that ends at byte {end}")]
    TooLarge {
        /// The end asked for.
        end: u64,
    },
    /// The disk leaves no room for the backup of the GPT.
    #[error("there is no room for the backup of the GPT on a disk of {size} bytes")]
    NoRoomForBackup {
        /// The size of the disk.
        size: u64,
    },
    /// Growing was asked to make the image smaller.
    #[error("`{}` has {length} bytes, more than the {size} asked for", path.display())]
    Shrink {
        /// The image.
        path: PathBuf,
        /// Its length.
        length: u64,
        /// The length asked for.
        size: u64,
    },
    /// The last partition is a layer that has to grow together with what is in it.
    #[error("partition {number} holds {kind}, which cannot be grown")]
    Layered {
        /// Its number.
        number: u32,
        /// [`Kind::Luks`] or [`Kind::Lvm`].
        kind: Kind,
    },
    /// The file could not be given its new length.
    #[error("failed to make `{}` {size} bytes long", path.display())]
    Length {
        /// The image.
        path: PathBuf,
        /// The length asked for.
        size: u64,
        /// Why.
        source: io::Error,
    },
    /// The table read back is not the one written.
    #[error("the partition table of `{}` reads back different from what was written", path.display())]
    Verify {
        /// The image.
        path: PathBuf,
    },
    /// Growing failed, and the length of the file could not be restored either.
    #[error("failed to restore the length of `{}` ({restore}) after an error", path.display())]
    Restore {
        /// The image.
        path: PathBuf,
        /// Why its length could not be restored.
        restore: io::Error,
        /// Why it had to be.
        source: Box<Error>,
    },
    /// There is no way known to grow this kind of file system.
    #[error("{kind} cannot be grown here")]
    CannotGrow {
        /// The kind of file system.
        kind: Kind,
    },
    /// The kernel would not mount a file system to grow it.
    #[error("failed to mount `{}` as {kind} to grow it", device.display())]
    Mount {
        /// The device.
        device: PathBuf,
        /// The kind of file system.
        kind: Kind,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused to grow a mounted file system.
    #[error("failed to grow the mounted {kind} file system to {size} bytes")]
    GrowMounted {
        /// The kind of file system.
        kind: Kind,
        /// The size asked for.
        size: u64,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("failed to run `{program}`")]
    Run {
        /// Its name.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed with {status}{}: {output}", in_brackets(.meaning))]
    Command {
        /// The command with its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What its exit code means, where the program documents that.
        meaning: String,
        /// The last lines of what it said.
        output: String,
    },
}

fn in_brackets(meaning: &str) -> String {
    if meaning.is_empty() { String::new() } else { format!(" ({meaning})") }
}

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
            Self::TooLarge { .. } => "the limit of an MBR is 2 TiB; choose a smaller size",
            Self::Shrink { .. } => "ask for a size that is at least the present one",
            Self::Layered { .. } => "grow it from within, on the running system",
            Self::GrowMounted { .. } if self.is_permission() => {
                "growing while mounted takes CAP_SYS_RESOURCE (ext4) or CAP_SYS_ADMIN; e2fsck and resize2fs do without"
            }
            Self::Run { program, source } if source.kind() == io::ErrorKind::NotFound => {
                return Some(format!("install `{program}`, on Debian and Ubuntu from the package e2fsprogs"));
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
