//! No disk of the host can be opened in the image, and nothing there names one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use arm_image_tests::in_guest;

use crate::image::{Image, sh, tool};

const DEVICES: &str = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero";

#[test]
fn privileged_chroot_opens_no_disk_of_the_host() {
    in_guest("disks::privileged_chroot_opens_no_disk_of_the_host", || {
        let image = Image::new();
        let number = fs::metadata(&image.devices[0]).unwrap().rdev();
        let (major, minor) = (libc::major(number), libc::minor(number));
        let mut root = image.root();
        let mut make = |node: &str, what: &str| {
            let script = format!(
                "busybox mknod {node} {what} 2>/dev/null || {{ echo refused; exit; }}
                 head -c 1 {node} >/dev/null 2>&1 && echo open || echo closed; busybox rm {node}"
            );
            sh(&mut root, &script)
        };
        for folder in ["/root", "/dev", "/dev/shm", "/tmp", "/run", "/boot/firmware"] {
            let node = format!("{folder}/node");
            assert_eq!(make(&node, &format!("b {major} {minor}")), "refused\n", "{folder}");
        }
        // No node works there, be it one as harmless as this.
        for folder in ["/dev", "/dev/shm", "/tmp", "/run"] {
            assert_eq!(make(&format!("{folder}/node"), "c 1 5"), "closed\n", "{folder}");
        }
        // debootstrap makes sure that such a one does; one for memory does not.
        assert_eq!(make("/root/node", "c 1 5"), "open\n");
        assert_eq!(make("/root/node", "c 1 1"), "closed\n");
        let devices =
            "for name in null zero full random urandom tty; do test -c /dev/$name || echo $name; done
            head -c 3 /dev/zero | busybox wc -c; echo x >/dev/null && echo y >/dev/full || echo full";
        assert_eq!(sh(&mut root, devices), "3\nfull\n");
        assert_eq!(sh(&mut root, "busybox ls -1 /dev | busybox tr '\\n' ' '").trim(), DEVICES);
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_names_no_disk_of_the_host() {
    in_guest("disks::privileged_chroot_names_no_disk_of_the_host", || {
        let image = Image::new();
        let name = image.devices[0].file_name().unwrap();
        for folder in ["/sys/block", "/sys/class/block"] {
            assert!(Path::new(folder).join(name).exists(), "{folder} names it on the host");
        }
        assert!(fs::read_to_string("/proc/partitions").unwrap().contains(name.to_str().unwrap()));
        let mut root = image.root();
        let folders = "/sys/block /sys/class/block /sys/dev/block /sys/devices/virtual/block";
        let files = "/proc/partitions /proc/diskstats /proc/swaps /proc/mdstat";
        assert_eq!(sh(&mut root, &format!("busybox find {folders} -mindepth 1 2>/dev/null; :")), "");
        assert_eq!(sh(&mut root, &format!("cat {files} 2>/dev/null; :")), "");
        // Nor by its name or its numbers wherever else the kernel lists what is mounted.
        let number = fs::metadata(&image.devices[0]).unwrap().rdev();
        let number = format!("{}:{}", libc::major(number), libc::minor(number));
        let name = name.to_str().unwrap();
        let find = |folder: &str, find: &str| {
            format!(
                "{find} {folder} -name '[0-9]*' -path '/proc/*' -prune -o '(' -name {name} -o -name {number} ')' -print"
            )
        };
        for folder in ["/sys/fs/ext4", "/sys/class/bdi", "/proc/fs/ext4"] {
            assert_ne!(tool("sh", &["-c", &find(folder, "find")], &[]), "", "{folder} names it on the host");
        }
        assert_eq!(sh(&mut root, &find("/sys /proc", "busybox find")), "");
        let read =
            format!("busybox grep -l {name} $(busybox find /proc -maxdepth 1 -type f ! -name 'k*'); :");
        assert_eq!(sh(&mut root, &read), "");
        // What people look for disks with.
        assert_eq!(sh(&mut root, "busybox blkid; busybox fdisk -l; busybox losetup -a"), "");
        // A program cannot hide things there either.
        assert_eq!(sh(&mut root, "echo x 2>/dev/null >/sys/block/x || echo refused"), "refused\n");
        root.close().unwrap();
        assert!(Path::new("/sys/block").join(name).exists(), "the host's own is as before");
    });
}
