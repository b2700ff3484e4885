//! ext4 file systems in files of their own, with the features Raspberry Pi OS uses.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Error;
use super::tool::{self, at, run, run_with_input, tool};

/// An ext4 file system to be made from a folder.
pub(super) struct Ext4<'a> {
    pub(super) uuid: &'a str,
    /// In bytes.
    pub(super) size: u64,
    pub(super) bytes_per_inode: u32,
    pub(super) root: &'a Path,
    /// What fakeroot remembers of the folder's owners and device nodes.
    pub(super) fakeroot_state: &'a Path,
}

const BLOCK: u64 = 4096;

/// Makes the file `into` an ext4 file system holding the folder, owned as fakeroot saw it.
pub(super) fn make(wanted: &Ext4<'_>, into: &Path) -> Result<(), Error> {
    let file = at("create", into, File::create(into))?;
    at("extend", into, file.set_len(wanted.size))?;
    // resize=: room in the group descriptors to grow to 256 GiB online. A root that starts this small would
    // otherwise reserve for a thousandfold of itself only.
    let extended = format!("resize=67108864,hash_seed={}", wanted.uuid);
    let mut command = tool("fakeroot");
    command.arg("-i").arg(wanted.fakeroot_state).args(["--", "mke2fs", "-q", "-F", "-t", "ext4"]);
    command.args(["-O", "^64bit,^huge_file", "-b", "4096", "-I", "256", "-L", "rootfs", "-U", wanted.uuid]);
    command.args(["-E", &extended, "-i", &wanted.bytes_per_inode.to_string()]);
    // Below 32 MiB mke2fs would make either a tiny journal or none; 4 MiB is what it takes just above.
    if wanted.size < 32 << 20 {
        command.args(["-J", "size=4"]);
    }
    run(command.arg("-d").arg(wanted.root).arg(into))?;
    Ok(())
}

/// Shrinks the file system in `file` to its content and a tenth more.
pub(super) fn shrink(file: &Path) -> Result<(), Error> {
    check(file, &["-fy", "-E", "discard"])?;
    run(tool("resize2fs").arg("-M").arg(file))?;
    let least = blocks(file)?;
    let enough = least + least.div_ceil(10);
    let handle = at("open", file, File::options().write(true).open(file))?;
    // Whole MiB, as every partition tool makes them.
    let size = (enough * BLOCK).next_multiple_of(1 << 20);
    at("extend", file, handle.set_len(size))?;
    run(tool("resize2fs").arg(file).arg((size / BLOCK).to_string()))?;
    check(file, &["-fn"])
}

/// Runs e2fsck; its exit code 1 says that it mended everything.
fn check(file: &Path, arguments: &[&str]) -> Result<(), Error> {
    match run(tool("e2fsck").args(arguments).arg(file)) {
        Err(Error::Tool { status, .. }) if status.code() == Some(1) => Ok(()),
        other => other.map(drop),
    }
}

/// The count of blocks in the superblock, `s_blocks_count_lo` of the kernel's `ext4.h`.
fn blocks(path: &Path) -> Result<u64, Error> {
    let mut count = [0; 4];
    let file = at("open", path, File::open(path))?;
    at("read", path, file.read_exact_at(&mut count, 1024 + 4))?;
    Ok(u32::from_le_bytes(count).into())
}

/// A change to a file system that is not mounted.
#[derive(Debug)]
pub(super) enum Edit {
    /// Make a folder whose parent exists.
    Folder(&'static str),
    /// Add a file that does not exist yet.
    Add(&'static str, String),
    /// Put a file in the place of one that exists.
    Replace(&'static str, String),
    /// Put a link in the place of a file that exists.
    Link(&'static str, &'static str),
    /// Add a copy of a file of this machine.
    Copy(&'static str, PathBuf),
}

/// Applies the edits to the file system in `file`, without mounting it; what is new belongs to root. Leaves files
/// beside `file`.
pub(super) fn edit(file: &Path, edits: &[Edit]) -> Result<(), Error> {
    let mut commands = String::new();
    for (number, edit) in edits.iter().enumerate() {
        match edit {
            Edit::Folder(path) => commands += &format!("mkdir {path}\n"),
            Edit::Link(path, target) => commands += &format!("rm {path}\nsymlink {path} {target}\n"),
            Edit::Copy(path, source) => commands += &write(path, source),
            Edit::Add(path, content) | Edit::Replace(path, content) => {
                if matches!(edit, Edit::Replace(..)) {
                    commands += &format!("rm {path}\n");
                }
                let source = file.with_extension(format!("edit{number}"));
                tool::file(&source, 0o644, content)?;
                commands += &write(path, &source);
            }
        }
    }
    // Without -f, debugfs reads its commands from stdin, and exits with 0 whatever became of them.
    let mut debugfs = tool("debugfs");
    run_with_input(debugfs.arg("-w").arg(file), commands.as_bytes())?;
    for edit in edits {
        let (path, content) = match edit {
            Edit::Add(path, content) | Edit::Replace(path, content) => (path, content.clone().into_bytes()),
            Edit::Copy(path, source) => (path, at("read", source, std::fs::read(source))?),
            Edit::Folder(_) | Edit::Link(..) => continue,
        };
        let found = run(tool("debugfs").args(["-R", &format!("cat {path}")]).arg(file))?;
        if found != content {
            return at("edit", Path::new(path), Err(std::io::Error::other("debugfs did not write it")));
        }
    }
    check(file, &["-fn"])
}

/// What debugfs(8) is told to write a file that belongs to root.
fn write(path: &str, source: &Path) -> String {
    let fields = [("mode", "0100644"), ("uid", "0"), ("gid", "0")];
    let fields = fields.map(|(field, value)| format!("set_inode_field {path} {field} {value}\n"));
    format!("write \"{}\" {path}\n{}", source.display(), fields.concat())
}

/// Names the file system in `file`.
pub(super) fn label(file: &Path, label: &str) -> Result<(), Error> {
    run(tool("tune2fs").args(["-L", label]).arg(file)).map(drop)
}
