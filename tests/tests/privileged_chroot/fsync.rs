//! What would only wait for the disk does not, and everything is there in the end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use arm_image_chroot::{Error, Mount, ResolvConf, Root};
use arm_image_tests::in_guest;

use crate::image::{Image, sh, text, tool};

/// Only a kernel that was asked can tell that there is nothing to write back to in `/dev/null`.
const ASK: &str = "busybox dd if=/dev/zero of=/dev/null count=1 conv=fsync 2>/dev/null && echo held || echo asked; \
    busybox sync -d /dev/null 2>/dev/null && echo held || echo asked";

#[test]
fn privileged_chroot_holds_fsync_back_unless_asked_not_to() {
    in_guest("fsync::privileged_chroot_holds_fsync_back_unless_asked_not_to", || {
        let image = Image::new();
        let builder = Root::builder().resolv_conf(ResolvConf::Off);
        let mut root = builder.mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, ASK), "held\nheld\n");
        // Setuid programs keep working, and what is written is there after the end.
        let status = sh(&mut root, "busybox grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status");
        assert_eq!(status, "NoNewPrivs:\t0\nSeccomp:\t2\n");
        sh(&mut root, "busybox dd if=/bin/busybox of=/etc/large bs=64k conv=fsync 2>/dev/null");
        sh(&mut root, "echo small >/boot/firmware/small.txt; busybox sync");
        root.close().unwrap();

        let mut root = builder.sync(true).mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, ASK), "asked\nasked\n");
        assert_eq!(sh(&mut root, "busybox cmp /bin/busybox /etc/large && echo same"), "same\n");
        assert_eq!(text(&mut root, "/boot/firmware/small.txt"), "small\n");
        root.close().unwrap();
        tool("e2fsck", &["-fn"], &[Path::new(&image.devices[0])]);
    });
}

/// The first so many bytes of the image have their place on the disk; what comes behind them has none.
const BACKED: u64 = 10 << 20;

#[test]
fn privileged_chroot_tells_that_what_was_written_is_lost_even_if_somebody_else_heard_it() {
    in_guest(
        "fsync::privileged_chroot_tells_that_what_was_written_is_lost_even_if_somebody_else_heard_it",
        || {
            let image = Image::new();
            let disk = image.folder.path().join("disk");
            fs::create_dir(&disk).unwrap();
            tool("mount", &["-t", "tmpfs", "-o", "size=12m", "none"], &[&disk]);
            let file = disk.join("root");
            File::create(&file).unwrap().set_len(32 << 20).unwrap();
            // Without a journal, only the file's data need more room than there is.
            let tree = image.folder.path().join("tree");
            tool("mkfs.ext4", &["-q", "-F", "-O", "^has_journal", "-d"], &[&tree, &file]);
            let mut head = Vec::new();
            File::open(&file).unwrap().take(BACKED).read_to_end(&mut head).unwrap();
            OpenOptions::new().write(true).open(&file).unwrap().write_all(&head).unwrap();
            let device = PathBuf::from(tool("losetup", &["--find", "--show"], &[&file]).trim());
            let mount =
                Mount { device: &device, target: "/".into(), kind: "ext4".into(), options: Vec::new() };

            let builder = Root::builder().resolv_conf(ResolvConf::Off);
            let mut root = builder.mount(std::slice::from_ref(&mount)).unwrap();
            // The program knows nothing of it.
            sh(&mut root, "busybox dd if=/dev/zero of=/large bs=64k count=256 2>/dev/null");
            let heard = nix::unistd::syncfs(root.directory(Path::new("/")).unwrap());
            assert_eq!(heard, Err(nix::errno::Errno::EIO));
            let again = nix::unistd::syncfs(root.directory(Path::new("/")).unwrap());
            assert_eq!(again, Ok(()), "the kernel says it once");
            let error = root.close().unwrap_err();
            assert!(matches!(&error, Error::Sync { target, .. } if target == Path::new("/")), "{error:?}");
            assert!(error.hint().unwrap().contains("full"));
            tool("losetup", &["-d"], &[&device]);
            tool("umount", &[], &[&disk]);
        },
    );
}
