//! What would only wait for the disk does not, and everything is there in the end.

use std::path::Path;

use arm_image_chroot::{ResolvConf, Root};
use arm_image_tests::in_guest;

use crate::image::{Image, sh, text};

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
        crate::image::tool("e2fsck", &["-fn"], &[Path::new(&image.devices[0])]);
    });
}
