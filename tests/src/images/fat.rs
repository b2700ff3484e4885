//! FAT file systems in files of their own, filled without mounting them.

use std::fs::{self, File};
use std::path::Path;

use super::Error;
use super::tool::{at, run, tool};

/// A FAT file system to be made.
pub(super) struct Fat {
    /// In bytes.
    pub(super) size: u64,
    /// 16 or 32.
    pub(super) bits: u8,
    /// In sectors of 512 bytes. FAT32 needs at least 65525 clusters.
    pub(super) cluster: u8,
    pub(super) label: &'static str,
    /// The volume id, which fstab calls UUID.
    pub(super) id: u32,
}

/// Makes the file `into` a FAT file system holding what the folder `files` holds.
pub(super) fn make(wanted: &Fat, files: Option<&Path>, into: &Path) -> Result<(), Error> {
    let file = at("create", into, File::create(into))?;
    at("extend", into, file.set_len(wanted.size))?;
    let mut mkfs = tool("mkfs.vfat");
    mkfs.args(["-F", &wanted.bits.to_string(), "-s", &wanted.cluster.to_string(), "-n", wanted.label]);
    run(mkfs.args(["-i", &format!("{:08x}", wanted.id)]).arg(into))?;
    let Some(files) = files else { return Ok(()) };
    let mut mcopy = tool("mcopy");
    mcopy.args(["-s", "-m", "-i"]).arg(into);
    for entry in at("list", files, fs::read_dir(files))? {
        mcopy.arg(at("list", files, entry)?.path());
    }
    run(mcopy.arg("::/")).map(drop)
}
