//! Images that somebody else uses through a loop device.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use crate::Error;

/// Makes sure that no loop device shows the image at `path` to a mount or another device: two kernels, or one kernel and a tool,
/// that change one file system ruin it.
///
/// # Errors
///
/// Where there is one. What cannot be looked at, as with loop devices of other containers, is taken for unused.
pub(crate) fn check(path: &Path, image: &File) -> Result<(), Error> {
    let Ok(own) = image.metadata() else { return Ok(()) };
    for device in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        // `loop/` is there for loop devices only, and `backing_file` while there is one.
        let Ok(backing) = fs::read(device.path().join("loop/backing_file")) else { continue };
        let backing = Path::new(OsStr::from_bytes(backing.trim_ascii_end()));
        let same = fs::metadata(backing).is_ok_and(|file| (file.dev(), file.ino()) == (own.dev(), own.ino()));
        if same && is_used(&device.path()) {
            let name = device.file_name();
            let name = name.display();
            return Err(Error::Plan {
                problem: format!("`{}` is in use through /dev/{name}", path.display()),
                hint: format!("unmount it and run `losetup -d /dev/{name}`"),
            });
        }
    }
    Ok(())
}

/// Whether the block device, or a partition of it, is mounted or below another device.
fn is_used(device: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let inside = fs::read_dir(device).into_iter().flatten().flatten().map(|entry| entry.path());
    // Partitions are the folders that have a number of their own.
    let partitions = inside.filter(|folder| folder.join("partition").exists());
    partitions.chain([device.to_owned()]).any(|folder| {
        let held = fs::read_dir(folder.join("holders")).is_ok_and(|mut holders| holders.next().is_some());
        let number = fs::read_to_string(folder.join("dev")).unwrap_or_default();
        let name = folder.file_name().unwrap_or_default().display().to_string();
        held || mounts.lines().any(|mount| is_of(mount, number.trim(), &format!("/dev/{name}")))
    })
}

/// Whether a line of mountinfo (proc_pid_mountinfo(5)) is of the device. A btrfs shows a number of its own there.
fn is_of(mount: &str, number: &str, device: &str) -> bool {
    let source = mount.split_once(" - ").and_then(|(_, rest)| rest.split(' ').nth(1));
    mount.split(' ').nth(2) == Some(number) || source == Some(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_known_by_its_number_or_its_source() {
        let ext4 = "36 35 7:3 / /mnt rw,noatime master:1 - ext4 /dev/root rw,errors=continue";
        let btrfs = "36 35 0:44 / /mnt rw - btrfs /dev/loop3 rw";
        assert!(is_of(ext4, "7:3", "/dev/loop3") && is_of(btrfs, "7:3", "/dev/loop3"));
        assert!(!is_of(ext4, "7:4", "/dev/loop4") && !is_of(btrfs, "7:33", "/dev/loop33"));
    }
}
