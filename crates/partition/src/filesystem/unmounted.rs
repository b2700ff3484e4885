//! Resizing a file system that is not mounted, by the tools that come with it: in a plain file without any privilege.

use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::features;
use super::tools::{Finished, Target};
use super::{FileSystem, Kind};
use crate::Error;

/// How often resize2fs is asked for less. Whole groups of blocks go with their tables each time, and it settles after three.
const ROUNDS: usize = 8;

/// Checks the file system in the bytes `range` of an image or a device, and grows it over all of them; returns the bytes it
/// covers then.
///
/// For the ext family by e2fsck and resize2fs, which need no privilege on a plain file, and for f2fs by resize.f2fs, which
/// has to have the file or device to itself. Other bytes of the disk are not touched.
///
/// # Errors
/// [`Error::CannotGrow`] for other kinds and [`Error::NeedsDevice`] for an f2fs inside a larger disk; what [`check_tools`]
/// reports, before anything is changed; [`Error::Truncated`]; and [`Error::Command`] with what the tools said, where e2fsck
/// found damage that it does not mend by itself, or resizing failed.
pub fn grow_unmounted(disk: &Path, range: Range<u64>) -> Result<u64, Error> {
    let mut target = Target::open(disk, range, true)?;
    let found = target.probe()?;
    match found.kind {
        kind if kind.is_ext() => {
            prepare(&target, &found)?;
            resize(&target, &found, target.room())?;
        }
        kind @ Kind::F2fs if !target.is_whole_disk() => return Err(Error::NeedsDevice { kind }),
        Kind::F2fs => target.run("resize.f2fs", &[], None)?.success()?,
        kind => return Err(Error::CannotGrow { kind }),
    }
    size(&target.probe()?)
}

/// Shrinks the ext2, ext3 or ext4 in the bytes `range` of an image or a device to the least that resize2fs considers safe,
/// plus `margin` bytes for what is to be written later; returns the bytes it covers then.
///
/// It needs no privilege on a plain file, which keeps its length. A file system that is as small already is a success, and none
/// gets larger. The least is some percent above what the files need, and more than that with few but large files.
///
/// ```no_run
/// use arm_image_partition::{filesystem, last, read, shrink};
///
/// let image = std::path::Path::new("raspios.img");
/// let root = last(&read(&mut std::fs::File::open(image)?)?.partitions()).cloned().ok_or("no partitions")?;
/// let size = filesystem::shrink_unmounted(image, root.range.clone(), 64 << 20)?;
/// shrink(image, root.range.start + size)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::CannotShrink`] for other kinds (btrfs shrinks while mounted, [`shrink_device`](super::shrink_device) does that),
/// and the errors of [`grow_unmounted`].
pub fn shrink_unmounted(disk: &Path, range: Range<u64>, margin: u64) -> Result<u64, Error> {
    let mut target = Target::open(disk, range, true)?;
    let found = target.probe()?;
    if !found.kind.is_ext() {
        return Err(Error::CannotShrink { kind: found.kind });
    }
    prepare(&target, &found)?;
    let before = size(&found)?;
    let mut least = before;
    for _ in 0..ROUNDS {
        target.run("resize2fs", &["-M"], None)?.success()?;
        let now = size(&target.probe()?)?;
        if now >= least {
            break;
        }
        least = now;
    }
    let wanted = least.saturating_add(margin).min(before);
    if wanted > least {
        let small = target.probe()?;
        resize(&target, &small, wanted)?;
    }
    // resize2fs leaves small things to mend behind, such as the checksums of an `orphan_file` that it has moved. What more was
    // not resized well should not become an image.
    prepare(&target, &found)?;
    let checked = target.run("e2fsck", &["-f", "-n"], None)?;
    if !checked.status().success() {
        return Err(unsound(checked));
    }
    size(&target.probe()?)
}

/// Gives the free blocks of the ext2, ext3 or ext4 in the bytes `range` of an image file back, as holes; returns by how many
/// bytes the file takes less space then.
///
/// For a file system that is mounted there is [`trim`](super::trim).
///
/// # Errors
/// [`Error::NotAFile`] for a device, [`Error::CannotTrim`] for other kinds, and the errors of [`grow_unmounted`].
pub fn trim_unmounted(image: &Path, range: Range<u64>) -> Result<u64, Error> {
    let mut target = Target::open(image, range, true)?;
    let path = || image.to_owned();
    let file = target.plain_file().ok_or_else(|| Error::NotAFile { path: path() })?;
    let file = file.try_clone().map_err(|source| Error::Open { path: path(), source })?;
    // st_blocks counts in units of 512 bytes, whatever the block size: stat(2).
    let allocated = || match file.sync_data().and_then(|()| file.metadata()) {
        Ok(metadata) => Ok(metadata.blocks() * 512),
        Err(source) => Err(Error::Open { path: path(), source }),
    };
    let found = target.probe()?;
    if !found.kind.is_ext() {
        return Err(Error::CannotTrim { kind: found.kind });
    }
    let before = allocated()?;
    check(&target, &found, &["-f", "-p", "-E", "discard"])?;
    Ok(before.saturating_sub(allocated()?))
}

/// Makes sure that the e2fsprogs of this machine know every feature of the file system in the bytes `range` of an image or a
/// device. It changes nothing; other kinds than the ext family pass.
///
/// Images are often made with newer e2fsprogs than the machine has that is to change them: `orphan_file`, which older tools
/// call `FEATURE_C12`, is a default since 1.47.0. The tools themselves are asked, so a distribution's own patches count.
///
/// # Errors
/// [`Error::UnknownToTools`] with the names and a version that would do; [`Error::Run`] where dumpe2fs is missing;
/// [`Error::Truncated`] for a file system that is longer than `range`; [`Error::NoFileSystem`], [`Error::Open`],
/// [`Error::Read`].
pub fn check_tools(disk: &Path, range: Range<u64>) -> Result<(), Error> {
    let mut target = Target::open(disk, range, false)?;
    let found = target.probe()?;
    if found.kind.is_ext() { known_to_tools(&target, &found) } else { Ok(()) }
}

fn known_to_tools(target: &Target, found: &FileSystem) -> Result<(), Error> {
    let (size, room) = (size(found)?, target.room());
    if size > room {
        return Err(Error::Truncated { size, room });
    }
    // Forced, as it would else refuse to show what it does not know.
    let shown = target.run("dumpe2fs", &["-f", "-h"], None)?;
    let text = shown.stdout();
    let features = text.lines().find_map(|line| line.strip_prefix("Filesystem features:"));
    let Some(features) = features else { return Err(shown.failed(String::new())) };
    let features: Vec<String> = features.split_whitespace().filter_map(features::unnamed).collect();
    if features.is_empty() {
        return Ok(());
    }
    // "dumpe2fs 1.47.0 (5-Feb-2023)"
    let version = shown.stderr().split_whitespace().nth(1).unwrap_or("of an unknown version").to_owned();
    Err(Error::UnknownToTools { features, version })
}

/// What resize2fs insists on: a check that was forced. `-p` mends what is safe to mend without asking.
fn prepare(target: &Target, found: &FileSystem) -> Result<(), Error> {
    check(target, found, &["-f", "-p"])
}

fn check(target: &Target, found: &FileSystem, arguments: &[&str]) -> Result<(), Error> {
    known_to_tools(target, found)?;
    let mut checked = target.run("e2fsck", arguments, None)?;
    if has_stopped_after_replay(target, found, &checked)? {
        // debugfs has no exit codes; where this fails, the check fails like the first.
        target.run("debugfs", &["-w", "-R", "feature -needs_recovery"], None)?;
        checked = target.run("e2fsck", arguments, None)?;
    }
    // 1 is "errors corrected", a success; 2 asks for a reboot, which matters for a mounted root only.
    if matches!(checked.status().code(), Some(0..=3)) { Ok(()) } else { Err(unsound(checked)) }
}

/// Whether e2fsck has replayed the journal, and then not found its way back into the file system.
///
/// It opens the file system anew after a replay, at the start of the *file*, in every release up to 1.47.4 at least. The journal
/// is empty by then, and all that is left to do is to take away the mark that it needs a replay, and to check.
fn has_stopped_after_replay(target: &Target, found: &FileSystem, checked: &Finished) -> Result<bool, Error> {
    const OPERATIONAL_ERROR: i32 = 8;
    const NEEDS_RECOVERY: u32 = 0x4;
    let needed = found.features.is_some_and(|features| features.incompatible & NEEDS_RECOVERY != 0);
    let stopped = checked.status().code().is_some_and(|code| code & OPERATIONAL_ERROR != 0);
    if !needed || !stopped || target.starts_the_disk() {
        return Ok(false);
    }
    let shown = target.run("dumpe2fs", &["-h"], None)?.stdout();
    let start = shown.lines().find_map(|line| line.strip_prefix("Journal start:"));
    Ok(start.is_some_and(|start| start.trim() == "0"))
}

/// Runs resize2fs with a number of blocks. Without one it would take all of the disk, beyond the end of the range.
fn resize(target: &Target, found: &FileSystem, size: u64) -> Result<(), Error> {
    let block_size = found.block_size.unwrap_or(1).max(1);
    target.run("resize2fs", &[], Some((size / block_size).to_string()))?.success()
}

fn size(found: &FileSystem) -> Result<u64, Error> {
    found.size.ok_or(Error::CannotGrow { kind: found.kind })
}

fn unsound(checked: Finished) -> Error {
    let meaning = checked.status().code().map_or_else(String::new, meaning_of_e2fsck);
    checked.failed(meaning)
}

/// The exit code of e2fsck is a set of bits, listed in e2fsck(8).
fn meaning_of_e2fsck(code: i32) -> String {
    let bits = [
        (1, "errors were corrected"),
        (2, "a reboot is needed"),
        (4, "errors were left uncorrected"),
        (8, "operational error"),
        (16, "usage error"),
        (32, "cancelled"),
        (128, "shared library error"),
    ];
    bits.into_iter().filter(|(bit, _)| code & bit != 0).map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_bits_are_spelled_out() {
        assert_eq!(meaning_of_e2fsck(4), "errors were left uncorrected");
        assert_eq!(meaning_of_e2fsck(32 | 128), "cancelled, shared library error");
        assert_eq!(
            meaning_of_e2fsck(1 | 4 | 8),
            "errors were corrected, errors were left uncorrected, operational error"
        );
    }
}
