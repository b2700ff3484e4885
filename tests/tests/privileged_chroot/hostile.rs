//! What odd images, and programs that reach for what is the host's, get to see and to change: nothing.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use arm_image_chroot::{ChrootRunner, Command, Error, ResolvConf, Root};
use arm_image_tests::in_guest;
use arm_image_tests::program::kernel::mount_binfmt;
use arm_image_tests::program::names_in;
use nix::unistd::{Gid, setgroups};

use crate::image::{Image, go_on, sh, tool};

const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

#[test]
fn privileged_chroot_keeps_packages_from_registering_handlers_with_the_kernel() {
    in_guest("hostile::privileged_chroot_keeps_packages_from_registering_handlers_with_the_kernel", || {
        mount_binfmt();
        let before = names_in(Path::new(BINFMT));
        let image = Image::new();
        let mut root = image.root();
        // As Debian's `update-binfmts` does it.
        let register = format!(
            "test -e {BINFMT}/register || busybox mount -t binfmt_misc none {BINFMT} || exit 9
             cat {BINFMT}/status; ls -A {BINFMT}; echo ':theirs:M::magic::/bin/sh:' >{BINFMT}/register"
        );
        for _ in 0..2 {
            assert_eq!(sh(&mut root, &register), "enabled\nregister\nstatus\n");
        }
        assert_eq!(names_in(Path::new(BINFMT)), before);
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_shows_nothing_of_what_started_it() {
    in_guest("hostile::privileged_chroot_shows_nothing_of_what_started_it", || {
        let own = ["environ", "cmdline"].map(|name| fs::read(format!("/proc/self/{name}")).unwrap());
        assert!(own.iter().all(|words| words.iter().any(|&byte| byte != 0)));
        setgroups(&[20, 27].map(Gid::from_raw)).unwrap();
        let image = Image::new();
        let mut root = image.root();
        let look = "cat /proc/*/environ /proc/1/cmdline | busybox tr '\\0' '\\n' | busybox grep -v \
            -e '^$' -e ^PATH= -e ^HOME= -e ^LANG= -e ^TERM= -e ^DEBIAN_FRONTEND= -e ^SYSTEMD_OFFLINE= \
            -e ^PWD= -e ^SHLVL=; busybox grep Groups: /proc/self/status";
        assert_eq!(sh(&mut root, look).split_whitespace().collect::<Vec<_>>(), ["Groups:"]);
        root.close().unwrap();
        let now = ["environ", "cmdline"].map(|name| fs::read(format!("/proc/self/{name}")).unwrap());
        assert_eq!(now, own, "it is still there for this process");
    });
}

#[test]
fn privileged_chroot_opens_no_device_that_an_image_has_for_a_file() {
    in_guest("hostile::privileged_chroot_opens_no_device_that_an_image_has_for_a_file", || {
        // A disk of the host, from which a name could be read.
        let disk = tempfile::NamedTempFile::new().unwrap();
        fs::write(disk.path(), format!("of-the-host\n{}", "\n".repeat(4096))).unwrap();
        let device = tool("losetup", &["--find", "--show"], &[disk.path()]);
        let device = Path::new(device.trim());
        let number = fs::metadata(device).unwrap().rdev();
        let (major, minor) = (libc::major(number).to_string(), libc::minor(number).to_string());
        let image = Image::with(|tree| {
            fs::create_dir_all(tree.join("usr/sbin")).unwrap();
            fs::write(tree.join("usr/sbin/invoke-rc.d"), "").unwrap();
            for path in ["etc/hostname", "usr/sbin/policy-rc.d"] {
                let path = tree.join(path);
                tool("sh", &["-c", &format!("mknod \"$0\" b {major} {minor}")], &[&path]);
                assert!(fs::metadata(path).unwrap().file_type().is_block_device());
            }
        });
        let mut root = image.root();
        assert_eq!(
            sh(&mut root, "busybox hostname; test -f /usr/sbin/policy-rc.d && echo file"),
            "localhost\nfile\n"
        );
        let mut content = Vec::new();
        let error = root.read(Path::new("/etc/hostname"), &mut content).unwrap_err();
        assert!(matches!(error, Error::Read { .. }) && content.is_empty(), "{error:?}");
        root.close().unwrap();
        let mut root =
            Root::builder().services(true).resolv_conf(ResolvConf::Off).mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, "test -b /usr/sbin/policy-rc.d && echo as before"), "as before\n");
        root.close().unwrap();
        tool("losetup", &["-d"], &[device]);
    });
}

#[test]
fn privileged_chroot_leaves_no_folder_where_a_link_of_the_image_led_to_none() {
    in_guest("hostile::privileged_chroot_leaves_no_folder_where_a_link_of_the_image_led_to_none", || {
        let image = Image::with(|tree| {
            fs::create_dir_all(tree.join("usr/sbin")).unwrap();
            fs::write(tree.join("usr/sbin/invoke-rc.d"), "").unwrap();
            symlink("/srv/deep/er/policy", tree.join("usr/sbin/policy-rc.d")).unwrap();
            symlink("/opt/deep/er/resolv.conf", tree.join("etc/resolv.conf")).unwrap();
        });
        let source = tempfile::NamedTempFile::new().unwrap();
        let mut root = Root::builder().resolv_conf_source(source.path()).mount(&image.mounts()).unwrap();
        assert_eq!(
            sh(&mut root, "test -x /usr/sbin/policy-rc.d && test -f /etc/resolv.conf && echo both"),
            "both\n"
        );
        root.close().unwrap();
        assert!(
            !Path::new("/srv/deep").exists() && !Path::new("/opt/deep").exists(),
            "not on the host either"
        );
        let mut root =
            Root::builder().services(true).resolv_conf(ResolvConf::Off).mount(&image.mounts()).unwrap();
        assert_eq!(
            sh(&mut root, "ls -d /srv /opt 2>/dev/null; busybox readlink /usr/sbin/policy-rc.d"),
            "/srv/deep/er/policy\n"
        );
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_is_not_kept_waiting_by_a_pipe_for_dev_null() {
    in_guest("hostile::privileged_chroot_is_not_kept_waiting_by_a_pipe_for_dev_null", || {
        let image = Image::new();
        let mut root = image.root();
        sh(&mut root, "busybox umount /dev/null; busybox rm /dev/null; busybox mkfifo /dev/null");
        let error = root.run(&Command::new(["sh"]), &mut go_on).unwrap_err();
        assert_eq!(error.to_string(), "failed to open `/dev/null` to run `sh`");
        root.close().unwrap();
        assert!(image.are_free());
    });
}
