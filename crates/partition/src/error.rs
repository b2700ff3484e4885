//! The one list of all that can go wrong; it is long because it is one.

mod hint;

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
    /// Only a plain file can be given another length.
    #[error("`{}` is not a plain file", path.display())]
    NotAFile {
        /// What was to be resized.
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
    /// What was written is not what is there.
    #[error("the disk holds other bytes at byte {offset} than were written")]
    ReadBack {
        /// Where on the disk.
        offset: u64,
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
    /// What is in the last partition would lose its end.
    #[error("partition {number} cannot end at byte {end}: that cuts off a part of the {kind} in it")]
    CutsContent {
        /// Its number.
        number: u32,
        /// The end asked for.
        end: u64,
        /// What is in it.
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
    /// Resizing failed, and the length of the file could not be restored either.
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
    /// There is no way known to shrink this kind of file system.
    #[error("{kind} cannot be made smaller here")]
    CannotShrink {
        /// The kind of file system.
        kind: Kind,
    },
    /// There is no way known to give free blocks back without mounting this kind of file system.
    #[error("the free space of an unmounted {kind} cannot be given back")]
    CannotTrim {
        /// The kind of file system.
        kind: Kind,
    },
    /// The tool for this kind of file system does not work inside a larger disk.
    #[error("{kind} can be resized only on a device of its own")]
    NeedsDevice {
        /// The kind of file system.
        kind: Kind,
    },
    /// No file system that is known starts there.
    #[error("no known file system in bytes {start} to {end} of the disk")]
    NoFileSystem {
        /// The first byte.
        start: u64,
        /// The byte behind the last.
        end: u64,
    },
    /// A file system is longer than what it lies in.
    #[error("the file system has {size} bytes, but there are only {room} for it")]
    Truncated {
        /// The bytes that it covers by its own account.
        size: u64,
        /// The bytes of the partition, or of the disk behind its start.
        room: u64,
    },
    /// A file system was made by newer tools than those at hand.
    #[error("e2fsprogs {version} do not know {} of this file system", quoted(features))]
    UnknownToTools {
        /// The names of what they do not know.
        features: Vec<String>,
        /// The version at hand.
        version: String,
    },
    /// The kernel would not mount a file system, and is too old for it.
    #[error("Linux {}.{} cannot mount `{}` for writing: it does not know {}", release.0, release.1, device.display(), quoted(features))]
    UnknownToKernel {
        /// The device.
        device: PathBuf,
        /// The names of what it does not know.
        features: Vec<String>,
        /// The version of the kernel, `(6, 1)` for example.
        release: (u32, u32),
        /// What it said.
        source: io::Error,
    },
    /// The kernel would not mount a file system to resize it.
    #[error("failed to mount `{}` as {kind} to resize it", device.display())]
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
    /// The kernel refused to shrink a mounted file system.
    #[error("failed to shrink the mounted {kind} file system to {size} bytes")]
    ShrinkMounted {
        /// The kind of file system.
        kind: Kind,
        /// The size that was tried.
        size: u64,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused to give back the free space of a mounted file system.
    #[error("failed to give back the free space of a mounted file system")]
    Trim {
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

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
