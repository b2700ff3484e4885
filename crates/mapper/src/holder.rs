//! Who holds a device: looked up only when a report needs it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{OFlags, major, minor};

/// The mounts of device `number`, the devices on top of it, and the programs that have it open for writing.
///
/// Programs that merely read, such as a probing udev, cannot harm the image and are left out. What `/proc` or `/sys`
/// does not show us is left out as well.
pub(crate) fn holders(number: u64) -> Vec<String> {
    let (major, minor) = (major(number), minor(number));
    let mut mounts = BTreeMap::new();
    let mut holders = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let folder = process.path();
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let by = || {
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            format!("process {id} (`{}`)", name.trim_end())
        };
        let mountinfo = fs::read_to_string(folder.join("mountinfo")).unwrap_or_default();
        for point in mount_points(&mountinfo, major, minor) {
            // Most processes share one mount table: each mount point is reported once.
            mounts.entry(point).or_insert_with(by);
        }
        if writes(&folder, number) {
            holders.push(format!("open for writing in {}", by()));
        }
    }
    holders.extend(mounts.into_iter().map(|(point, by)| format!("mounted at `{point}` in {by}")));
    for device in
        fs::read_dir(format!("/sys/dev/block/{major}:{minor}/holders")).into_iter().flatten().flatten()
    {
        holders.push(format!("under device `{}`", device.file_name().display()));
    }
    holders
}

/// Whether the process of `folder`, in `/proc`, has the block device `number` open for writing.
fn writes(folder: &Path, number: u64) -> bool {
    fs::read_dir(folder.join("fd")).into_iter().flatten().flatten().any(|descriptor| {
        let is_device = fs::metadata(descriptor.path())
            .is_ok_and(|metadata| metadata.file_type().is_block_device() && metadata.rdev() == number);
        is_device
            && fs::read_to_string(folder.join("fdinfo").join(descriptor.file_name()))
                .is_ok_and(|information| is_for_writing(&information))
    })
}

/// Reads the octal `flags:` of proc_pid_fdinfo(5).
fn is_for_writing(information: &str) -> bool {
    let flags = information.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| OFlags::from_bits_retain(flags).intersects(OFlags::WRONLY | OFlags::RDWR))
}

/// The mount points of a device in a text of proc_pid_mountinfo(5): field 3 is the device, field 5 the mount point.
fn mount_points(mountinfo: &str, major: u32, minor: u32) -> Vec<String> {
    let device = format!("{major}:{minor}");
    let points = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(2);
        (fields.next()? == device).then(|| fields.nth(1).map(str::to_owned))?
    });
    points.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOUNTINFO: &str = "\
        21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        40 21 254:16 /sub /mnt/a\\040b rw shared:7 - ext4 /dev/dm-16 rw\n\
        41 21 254:1 / /mnt/c rw - vfat /dev/dm-1 rw\n";

    #[test]
    fn mount_points_are_those_of_the_very_device() {
        assert_eq!(mount_points(MOUNTINFO, 254, 1), ["/mnt/c"]);
        assert_eq!(mount_points(MOUNTINFO, 254, 16), ["/mnt/a\\040b"]);
        assert!(mount_points(MOUNTINFO, 254, 2).is_empty());
    }

    #[test]
    fn flags_tell_writers_from_readers() {
        assert!(is_for_writing("pos:\t0\nflags:\t02100002\nmnt_id:\t9\n"));
        assert!(is_for_writing("flags:\t0100001\n"));
        assert!(!is_for_writing("pos:\t0\nflags:\t02100000\n"));
        assert!(!is_for_writing("flags: none\n"));
        assert!(!is_for_writing(""));
    }

    #[test]
    fn the_root_of_this_machine_is_found_by_its_device() {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = mountinfo.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
        let (major, minor) = root.split(' ').nth(2).unwrap().split_once(':').unwrap();
        let number = rustix::fs::makedev(major.parse().unwrap(), minor.parse().unwrap());
        assert!(holders(number).iter().any(|holder| holder.starts_with("mounted at `/` in process ")));
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text: String) {
            let _ = (mount_points(&text, 7, 0), is_for_writing(&text));
        }
    }
}
