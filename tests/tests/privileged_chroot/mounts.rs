//! What is mounted, who sees it, and that all of it goes.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use arm_image_chroot::{Bind, ChrootRunner, Copy, Error, Mount, Node, Provisioner, ResolvConf, Root};
use arm_image_tests::in_guest;

use crate::image::{Image, go_on, sh, text, tool};

#[test]
fn privileged_chroot_leaves_the_embedder_as_it_was() {
    in_guest("mounts::privileged_chroot_leaves_the_embedder_as_it_was", || {
        let image = Image::new();
        let state = || {
            let namespace = fs::read_link("/proc/self/ns/mnt").unwrap();
            (fs::read_to_string("/proc/self/mountinfo").unwrap(), std::env::current_dir().unwrap(), namespace)
        };
        let before = state();
        for round in 0..20 {
            let mut root = image.root();
            assert_eq!(sh(&mut root, "echo hello from $HOME"), "hello from /root\n");
            assert_eq!(state(), before, "while mounted");
            assert!(!image.are_free());
            if round % 2 == 0 {
                root.close().unwrap()
            } else {
                drop(root)
            }
            assert!(image.are_free(), "at once, in round {round}");
            assert_eq!(state(), before);
        }
    });
}

/// Each is bound to its name.
const NODES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Covered where the kernel has them.
const COVERED: [&str; 21] = [
    "/proc/sys/fs/binfmt_misc",
    "/proc/sysrq-trigger",
    "/proc/partitions",
    "/proc/diskstats",
    "/proc/swaps",
    "/proc/mdstat",
    "/proc/fs",
    "/proc/scsi",
    "/sys/class/bdi",
    "/sys/class/block",
    "/sys/dev/block",
    "/sys/devices/virtual/bdi",
    "/sys/devices/virtual/block",
    "/sys/fs/bcache",
    "/sys/fs/bcachefs",
    "/sys/fs/btrfs",
    "/sys/fs/ext4",
    "/sys/fs/f2fs",
    "/sys/fs/nilfs2",
    "/sys/fs/xfs",
    "/sys/fs/zonefs",
];

#[test]
fn privileged_chroot_shows_only_the_image() {
    in_guest("mounts::privileged_chroot_shows_only_the_image", || {
        let image = Image::new();
        let marker = image.folder.path().join("tree");
        let mut root = image.root();
        assert!(root.is_sealed());
        let mounts = sh(&mut root, "cat /proc/self/mountinfo");
        let mut points: Vec<_> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        points.sort_unstable();
        points.retain(|point| !COVERED.contains(point) && !NODES.contains(point));
        let expected = [
            "/",
            "/boot/firmware",
            "/dev",
            "/dev/pts",
            "/proc",
            "/proc/sys",
            "/run",
            "/run/arm-image",
            "/sys",
            "/sys/block",
            "/tmp",
        ];
        assert_eq!(points, expected, "{mounts}");
        assert_eq!(sh(&mut root, &format!("ls {} 2>/dev/null || echo none", marker.display())), "none\n");
        assert_eq!(
            sh(
                &mut root,
                "ls /dev | grep -E 'loop|ubd|sd|vd|dm-' || echo none"
                    .replace("grep", "busybox grep")
                    .as_str()
            ),
            "none\n"
        );
        assert_eq!(sh(&mut root, "echo 1 2>/dev/null >/proc/sys/kernel/panic || echo refused"), "refused\n");
        assert_eq!(
            sh(&mut root, "echo $$ && echo x >/dev/null && ls /proc/1/fd && pwd").lines().last(),
            Some("/")
        );
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_keeps_what_is_written_on_both_file_systems() {
    in_guest("mounts::privileged_chroot_keeps_what_is_written_on_both_file_systems", || {
        let image = Image::new();
        let source = image.folder.path().join("overlay");
        fs::create_dir_all(source.join("usr/bin")).unwrap();
        fs::write(source.join("usr/bin/tool"), "#!/bin/sh\necho tool $1\n").unwrap();
        fs::set_permissions(source.join("usr/bin/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
        symlink("/etc/target", source.join("usr/link")).unwrap();
        let mut root = image.root();
        Copy { from: source.join("."), to: "/".into() }.provision(&mut root, &mut go_on).unwrap();
        fs::write(source.join("config.txt"), "arm_64bit=1\n").unwrap();
        Copy { from: source.join("config.txt"), to: "/boot/firmware/".into() }
            .provision(&mut root, &mut go_on)
            .unwrap();
        assert_eq!(sh(&mut root, "tool works"), "tool works\n");
        sh(&mut root, "echo more >>/boot/firmware/config.txt; echo name >/etc/hostname");
        assert!(root.directory(Path::new("/")).unwrap().metadata().unwrap().is_dir());
        root.close().unwrap();

        tool("e2fsck", &["-fn"], &[&image.devices[0]]);
        let mut root = image.root();
        assert_eq!(text(&mut root, "/boot/firmware/config.txt"), "arm_64bit=1\nmore\n");
        assert_eq!(text(&mut root, "/etc/hostname"), "name\n");
        let listing = sh(&mut root, "busybox stat -c '%a %u %g' /usr/bin/tool; busybox readlink /usr/link");
        assert_eq!(listing, "4755 0 0\n/etc/target\n");
        root.remove(Path::new("/etc/hostname")).unwrap();
        assert!(root.is_directory(Path::new("/usr")).unwrap());
        assert!(!root.is_directory(Path::new("/etc/hostname")).unwrap());
        // Temporary things are gone: they never were on the image.
        assert_eq!(sh(&mut root, "ls /tmp /run/lock /run/arm-image | busybox wc -l"), "5\n");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_follows_mount_point_links_inside_only() {
    in_guest("mounts::privileged_chroot_follows_mount_point_links_inside_only", || {
        let outside = tempfile::tempdir().unwrap();
        let image = Image::with(|tree| {
            fs::remove_dir_all(tree.join("boot")).unwrap();
            symlink(outside.path(), tree.join("boot")).unwrap();
            fs::create_dir_all(tree.join(outside.path().strip_prefix("/").unwrap())).unwrap();
        });
        let device = fs::metadata(outside.path()).unwrap().dev();
        let mut root = image.root();
        root.create(Path::new("/boot/firmware/file"), Node::File(&mut &b"x"[..]), 0o644).unwrap();
        assert!(sh(&mut root, "mount").contains("firmware type vfat"));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(fs::metadata(outside.path()).unwrap().dev(), device);
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_says_what_keeps_a_device_and_what_cannot_be_mounted() {
    in_guest("mounts::privileged_chroot_says_what_keeps_a_device_and_what_cannot_be_mounted", || {
        let image = Image::new();
        let root = image.root();
        let mut leaked = root.directory(Path::new("/boot/firmware")).unwrap();
        let error = root.close().unwrap_err();
        assert!(matches!(&error, Error::Busy { device } if *device == image.devices[1]), "{error:?}");
        assert!(leaked.read(&mut [0]).is_err(), "a directory");
        drop(leaked);
        assert!(image.are_free());

        let mount = |device, kind: &str| {
            [Mount { device, target: "/".into(), kind: kind.into(), options: Vec::new() }]
        };
        let builder = Root::builder();
        let error = builder.mount(&mount(&image.devices[1], "ext4")).unwrap_err();
        assert!(error.to_string().starts_with("failed to mount `/dev/loop"), "{error}");
        let error = builder.mount(&mount(&image.devices[0], "nosuchfs")).unwrap_err();
        assert!(error.hint().unwrap().contains("modprobe nosuchfs"), "{error:?}");
        let error = builder.mount(&mount(Path::new("/dev/nowhere"), "ext4")).unwrap_err();
        assert!(matches!(error, Error::Mount { .. }));
        assert!(image.are_free(), "at once after a failure, too");
    });
}

#[test]
fn privileged_chroot_shows_parts_of_one_btrfs_in_several_places() {
    in_guest("mounts::privileged_chroot_shows_parts_of_one_btrfs_in_several_places", || {
        let image = Image::new();
        let file = image.folder.path().join("btrfs");
        fs::File::create(&file).unwrap().set_len(128 << 20).unwrap();
        tool("mkfs.btrfs", &["-q"], &[&file]);
        let device = PathBuf::from(tool("losetup", &["--find", "--show"], &[&file]).trim());
        let top = image.folder.path().join("top");
        fs::create_dir(&top).unwrap();
        tool("mount", &["-t", "btrfs"], &[&device, &top]);
        for name in ["@", "@home"] {
            tool("btrfs", &["-q", "subvolume", "create"], &[&top.join(name)]);
        }
        tool("cp", &["-a"], &[&image.folder.path().join("tree/."), &top.join("@")]);
        fs::create_dir(top.join("@/home")).unwrap();
        fs::write(top.join("@home/cook"), "at home\n").unwrap();
        tool("umount", &[], &[&top]);

        let mount = |target: &str, name: &str| Mount {
            device: &device,
            target: target.into(),
            kind: "btrfs".into(),
            options: vec![("subvol".into(), name.into())],
        };
        let mounts = [mount("/home", "@home"), mount("/", "@")];
        let mut root = Root::builder().resolv_conf(ResolvConf::Off).mount(&mounts).unwrap();
        assert_eq!(
            sh(&mut root, "cat /home/cook; ls /"),
            "at home\nbin\nboot\ndev\netc\nhome\nproc\nroot\nrun\nsys\ntmp\n"
        );
        root.close().unwrap();
        tool("losetup", &["-d"], &[&device]);
    });
}

#[test]
fn privileged_chroot_keeps_what_is_to_be_in_dev_for_every_command() {
    in_guest("mounts::privileged_chroot_keeps_what_is_to_be_in_dev_for_every_command", || {
        let image = Image::with(|tree| fs::write(tree.join("etc/own"), "image's own").unwrap());
        let builder = Root::builder().resolv_conf(ResolvConf::Off).dev_file(".kept", "content\n");
        let mut root = builder.mount(&image.mounts()).unwrap();
        let read = "cat /dev/.kept && busybox rm -rf /dev/.kept";
        for damage in [
            "true",
            "busybox umount -l /dev && busybox rm -rf /dev/.kept",
            "busybox ln -s /etc/own /dev/.kept",
            "busybox ln -s ../etc/own /dev/.kept",
            "echo other > /dev/.kept",
        ] {
            assert_eq!(sh(&mut root, &format!("{read}; {damage}")), "content\n", "{damage}");
        }
        // A program of this machine's own finds it, too.
        let seen = root.seen_at().unwrap().join("dev/.kept");
        assert_eq!(fs::read_to_string(&seen).unwrap(), "content\n");
        fs::remove_file(&seen).unwrap();
        assert_eq!(sh(&mut root, "cat /dev/.kept /etc/own"), "content\nimage's own\n");
        root.close().unwrap();
        assert!(image.are_free());

        // A folder of the host's own is not written to.
        let host = tempfile::tempdir().unwrap();
        for name in ["null", "tty"] {
            fs::write(host.path().join(name), "").unwrap();
        }
        let bind = Bind { source: host.path().into(), target: "/dev".into(), read_only: false };
        let error = builder.bind(bind).mount(&image.mounts()).unwrap_err();
        assert!(matches!(&error, Error::Create { path, .. } if path == Path::new("/dev/.kept")), "{error}");
        assert_eq!(fs::read_dir(host.path()).unwrap().count(), 2);
        assert!(image.are_free());
    });
}
