//! Name servers: the image gets them, and neither side is spoiled.

use std::fs;
use std::os::unix::fs::symlink;

use arm_image_chroot::{Error, ResolvConf, Root};
use arm_image_tests::in_guest;

use crate::image::{Image, sh, tool};

#[test]
fn privileged_chroot_binds_resolv_conf_and_writes_neither_side() {
    in_guest("resolv::privileged_chroot_binds_resolv_conf_and_writes_neither_side", || {
        let host = tempfile::tempdir().unwrap();
        let source = host.path().join("resolv.conf");
        let victim = host.path().join("victim");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        fs::write(&victim, "host's own\n").unwrap();
        let builder = Root::builder().resolv_conf_source(&source);
        // What the image has, as the target of a link; nothing; or a file.
        let links = [
            "/run/systemd/resolve/stub-resolv.conf",
            "../run/resolvconf/resolv.conf",
            victim.to_str().unwrap(),
        ];
        for link in links.map(Some).into_iter().chain([None, Some("file")]) {
            let image = Image::with(|tree| match link {
                Some("file") => fs::write(tree.join("etc/resolv.conf"), "image's own\n").unwrap(),
                Some(target) => symlink(target, tree.join("etc/resolv.conf")).unwrap(),
                None => {}
            });
            let mut root = builder.mount(&image.mounts()).unwrap();
            assert_eq!(sh(&mut root, "cat /etc/resolv.conf"), "nameserver 192.0.2.1\n", "{link:?}");
            sh(&mut root, "echo spoiled >>/etc/resolv.conf");
            root.close().unwrap();
            assert_eq!(fs::read_to_string(&source).unwrap(), "nameserver 192.0.2.1\n");
            assert_eq!(fs::read_to_string(&victim).unwrap(), "host's own\n");

            let mut root = image.root();
            let now = sh(
                &mut root,
                "busybox readlink /etc/resolv.conf || cat /etc/resolv.conf 2>/dev/null || echo none",
            );
            let expected = match link {
                Some("file") => "image's own\n".to_owned(),
                Some(target) => format!("{target}\n"),
                None => "none\n".to_owned(),
            };
            assert_eq!(now, expected, "the image is as before");
            root.close().unwrap();
        }
    });
}

#[test]
fn privileged_chroot_copies_or_deletes_resolv_conf_inside_only() {
    in_guest("resolv::privileged_chroot_copies_or_deletes_resolv_conf_inside_only", || {
        let host = tempfile::tempdir().unwrap();
        let (source, victim) = (host.path().join("resolv.conf"), host.path().join("victim"));
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        fs::write(&victim, "host's own\n").unwrap();
        for (resolv_conf, expected) in
            [(ResolvConf::CopyHost, "nameserver 192.0.2.1\n"), (ResolvConf::Delete, "none\n")]
        {
            let image = Image::with(|tree| symlink(&victim, tree.join("etc/resolv.conf")).unwrap());
            let builder = Root::builder().resolv_conf(resolv_conf).resolv_conf_source(&source);
            builder.mount(&image.mounts()).unwrap().close().unwrap();
            let mut root = image.root();
            assert_eq!(sh(&mut root, "cat /etc/resolv.conf 2>/dev/null || echo none"), expected);
            assert_eq!(fs::read_to_string(&victim).unwrap(), "host's own\n");
            root.close().unwrap();
        }
    });
}

#[test]
fn privileged_chroot_brings_back_the_images_own_resolv_conf() {
    in_guest("resolv::privileged_chroot_brings_back_the_images_own_resolv_conf", || {
        let host = tempfile::tempdir().unwrap();
        let source = host.path().join("resolv.conf");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        let look = "busybox stat -c '%i %F %a %Y %N' /etc/resolv.conf 2>/dev/null; busybox ls -A /etc";
        for link in [Some("/run/systemd/resolve/stub-resolv.conf"), Some("file"), None] {
            let image = Image::with(|tree| match link {
                Some("file") => fs::write(tree.join("etc/resolv.conf"), "image's own\n").unwrap(),
                Some(target) => symlink(target, tree.join("etc/resolv.conf")).unwrap(),
                None => {}
            });
            let mut root = image.root();
            let before = sh(&mut root, look);
            root.close().unwrap();
            for (mode, expected) in
                [(ResolvConf::CopyHost, "nameserver 192.0.2.1\n"), (ResolvConf::Delete, "none\n")]
            {
                let builder = Root::builder().resolv_conf(mode).resolv_conf_source(&source);
                let builder = builder.restore_resolv_conf(true);
                let mut root = builder.mount(&image.mounts()).unwrap();
                assert_eq!(sh(&mut root, "cat /etc/resolv.conf 2>/dev/null || echo none"), expected);
                // Whatever a program makes of it.
                sh(&mut root, "busybox rm -f /etc/resolv.conf; echo other >/etc/resolv.conf");
                root.close().unwrap();
                let mut root = image.root();
                assert_eq!(sh(&mut root, look), before, "{mode:?} {link:?}");
                root.close().unwrap();
            }
        }
    });
}

/// What programs do to the file, and what the image has in the end: `own` where it is the image's own again.
const CHANGES: [(&str, &str); 6] = [
    ("busybox true", "own"),
    ("echo theirs >/etc/resolv.conf", "own"),
    ("busybox rm /etc/resolv.conf", "none"),
    ("busybox ln -sf ../run/stub /etc/resolv.conf", "../run/stub"),
    ("echo theirs >/etc/new; busybox mv /etc/new /etc/resolv.conf", "theirs"),
    // The new file may get the number of the old one, unless somebody sees to it.
    ("busybox rm /etc/resolv.conf; echo theirs >/etc/resolv.conf", "theirs"),
];

#[test]
fn privileged_chroot_lets_programs_replace_resolv_conf() {
    in_guest("resolv::privileged_chroot_lets_programs_replace_resolv_conf", || {
        let host = tempfile::tempdir().unwrap();
        let source = host.path().join("resolv.conf");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        let look = "busybox readlink /etc/resolv.conf || cat /etc/resolv.conf 2>/dev/null || echo none";
        for own in [Some("image's own"), None] {
            let image = Image::with(|tree| {
                if let Some(own) = own {
                    fs::write(tree.join("etc/resolv.conf"), format!("{own}\n")).unwrap();
                }
            });
            for (change, left) in CHANGES {
                let mut root = Root::builder().resolv_conf_source(&source).mount(&image.mounts()).unwrap();
                assert_eq!(sh(&mut root, "cat /etc/resolv.conf"), "nameserver 192.0.2.1\n");
                sh(&mut root, change);
                root.close().unwrap();
                let mut root = image.root();
                let expected = if left == "own" { own.unwrap_or("none") } else { left };
                assert_eq!(sh(&mut root, look), format!("{expected}\n"), "{change}");
                let names = sh(&mut root, "busybox ls -A /etc");
                assert!(!names.contains(".arm-image"), "{change}: {names}");
                sh(&mut root, "busybox rm -f /etc/resolv.conf");
                if let Some(own) = own {
                    sh(&mut root, &format!("echo \"{own}\" >/etc/resolv.conf"));
                }
                root.close().unwrap();
            }
        }
    });
}

#[test]
fn privileged_chroot_covers_a_resolv_conf_that_cannot_be_moved() {
    in_guest("resolv::privileged_chroot_covers_a_resolv_conf_that_cannot_be_moved", || {
        let host = tempfile::tempdir().unwrap();
        let source = host.path().join("resolv.conf");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        let image = Image::with(|tree| fs::write(tree.join("etc/resolv.conf"), "image's own\n").unwrap());
        let builder = Root::builder().resolv_conf_source(&source);
        // Immutable, as some keep others from writing to it; the other flag is that of every file on ext4.
        let flags = |flags: &str| {
            let request = format!("set_inode_field /etc/resolv.conf flags {flags}");
            tool("debugfs", &["-w", "-R", &request], &[&image.devices[0]]);
        };
        flags("0x80010");
        let mut root = builder.mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, "cat /etc/resolv.conf"), "nameserver 192.0.2.1\n");
        root.close().unwrap();
        let mut root = image.root();
        let refused = "cat /etc/resolv.conf; busybox rm /etc/resolv.conf 2>/dev/null || echo refused";
        assert_eq!(sh(&mut root, refused), "image's own\nrefused\n");
        root.close().unwrap();
        flags("0x80000");
        let mut root = image.root();
        // Nor where there is no room for another file.
        sh(&mut root, "busybox dd if=/dev/zero of=/full bs=4k 2>/dev/null; :");
        root.close().unwrap();
        let mut root = builder.mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, "cat /etc/resolv.conf"), "nameserver 192.0.2.1\n");
        root.close().unwrap();
        let mut root = image.root();
        assert_eq!(sh(&mut root, "cat /etc/resolv.conf; busybox ls -A /etc"), "image's own\nresolv.conf\n");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_finds_the_resolv_conf_that_a_killed_run_put_aside() {
    in_guest("resolv::privileged_chroot_finds_the_resolv_conf_that_a_killed_run_put_aside", || {
        let image = Image::with(|tree| {
            fs::write(tree.join("etc/.arm-image-resolv.conf"), "image's own\n").unwrap();
            fs::write(tree.join("etc/resolv.conf"), "of the run that was killed\n").unwrap();
        });
        let builder = Root::builder().resolv_conf(ResolvConf::Delete).restore_resolv_conf(true);
        builder.mount(&image.mounts()).unwrap().close().unwrap();
        let mut root = image.root();
        let found = sh(&mut root, "cat /etc/resolv.conf; busybox ls -A /etc");
        assert_eq!(found, "image's own\nresolv.conf\n");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_brings_back_what_is_no_file_at_all_or_leaves_it_alone() {
    in_guest("resolv::privileged_chroot_brings_back_what_is_no_file_at_all_or_leaves_it_alone", || {
        let host = tempfile::tempdir().unwrap();
        let source = host.path().join("resolv.conf");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        let look = "busybox stat -c '%i %F %a %N' /etc/resolv.conf; busybox ls -A /etc /etc/resolv.conf";
        for make in ["mkfifo", "mkdir -m 700"] {
            let image = Image::with(|tree| {
                tool("sh", &["-c", &format!("{make} \"$0\"/etc/resolv.conf")], &[tree]);
            });
            let mut root = image.root();
            let before = sh(&mut root, look);
            root.close().unwrap();
            for mode in [ResolvConf::BindHost, ResolvConf::CopyHost, ResolvConf::Delete] {
                let builder = Root::builder().resolv_conf(mode).resolv_conf_source(&source);
                let mounted = builder.restore_resolv_conf(true).mount(&image.mounts());
                if make == "mkfifo" {
                    let mut root = mounted.unwrap();
                    let inside = "test -e /etc/resolv.conf && cat /etc/resolv.conf || echo none";
                    let expected =
                        if mode == ResolvConf::Delete { "none\n" } else { "nameserver 192.0.2.1\n" };
                    assert_eq!(sh(&mut root, inside), expected, "{mode:?}");
                    root.close().unwrap();
                } else {
                    assert!(matches!(mounted, Err(Error::ResolvConf { .. })), "{mode:?}");
                }
                let mut root = image.root();
                assert_eq!(sh(&mut root, look), before, "{make} {mode:?}");
                root.close().unwrap();
            }
        }
    });
}
