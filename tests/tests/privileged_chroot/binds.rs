//! A folder of the host that is shown in the image stays as it is where the image's own files would be moved.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use arm_image_chroot::{Bind, ChrootRunner, Node, ResolvConf, Root};
use arm_image_tests::in_guest;

use crate::image::{Image, sh};

/// What is in a folder: names, numbers and content.
fn state(folder: &Path) -> Vec<(String, u64, String)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let content = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino(), content)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn privileged_chroot_changes_nothing_in_a_folder_of_the_host() {
    in_guest("binds::privileged_chroot_changes_nothing_in_a_folder_of_the_host", || {
        let host = tempfile::tempdir().unwrap();
        let (etc, sbin) = (host.path().join("etc"), host.path().join("sbin"));
        let source = host.path().join("servers");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        for full in [true, false] {
            for folder in [&etc, &sbin] {
                let _ = fs::remove_dir_all(folder);
                fs::create_dir(folder).unwrap();
            }
            fs::write(sbin.join("invoke-rc.d"), "").unwrap();
            if full {
                fs::write(etc.join("resolv.conf"), "the host's\n").unwrap();
                fs::write(etc.join("ld.so.preload"), "/lib/hosts.so\n").unwrap();
                let policy = sbin.join("policy-rc.d");
                fs::write(&policy, "#!/bin/sh\nexit 0\n").unwrap();
                fs::set_permissions(policy, Permissions::from_mode(0o755)).unwrap();
            }
            let before = [state(&etc), state(&sbin)];
            for mode in [ResolvConf::BindHost, ResolvConf::CopyHost, ResolvConf::Delete] {
                for (restore, read_only) in [(false, false), (true, false), (false, true)] {
                    let image = Image::new();
                    let bind = |source: &Path, target: &str| Bind {
                        source: source.into(),
                        target: target.into(),
                        read_only,
                    };
                    let builder = Root::builder()
                        .resolv_conf(mode)
                        .resolv_conf_source(&source)
                        .restore_resolv_conf(restore)
                        .bind(bind(&etc, "/etc"))
                        .bind(bind(&sbin, "/usr/sbin"));
                    let mut root = builder.mount(&image.mounts()).unwrap();
                    // What would be left if this process were killed now.
                    assert_eq!([state(&etc), state(&sbin)], before, "{mode:?}");
                    // Another build at the same time.
                    let other = Image::new();
                    let second = builder.mount(&other.mounts()).unwrap();
                    let seen = "cat /etc/resolv.conf 2>/dev/null || echo none; cat /etc/ld.so.preload 2>/dev/null || echo none;
                        if [ -e /usr/sbin/policy-rc.d ]; then sh /usr/sbin/policy-rc.d; echo $?; else echo none; fi";
                    let expected = match (full, mode) {
                        (false, _) => "none\nnone\nnone\n",
                        (true, ResolvConf::Delete) => "the host's\n101\n",
                        (true, _) => "nameserver 192.0.2.1\n101\n",
                    };
                    assert_eq!(sh(&mut root, seen), expected, "{mode:?}");
                    root.close().unwrap();
                    second.close().unwrap();
                    assert_eq!([state(&etc), state(&sbin)], before, "{mode:?}");
                }
            }
        }
    });
}

#[test]
fn privileged_chroot_keeps_scripts_out_of_a_folder_of_the_host() {
    in_guest("binds::privileged_chroot_keeps_scripts_out_of_a_folder_of_the_host", || {
        let run = tempfile::tempdir().unwrap();
        for target in ["/run", "/run/arm-image"] {
            let bind = Bind { source: run.path().into(), target: target.into(), read_only: false };
            let builder = Root::builder().bind(bind);
            let images = [Image::new(), Image::new()];
            // Builds at the same time that show the same folder.
            let mut roots = images.each_ref().map(|image| builder.mount(&image.mounts()).unwrap());
            let script = Path::new("/run/arm-image/script");
            for (root, mut text) in roots.iter_mut().zip(["echo one", "echo other"].map(str::as_bytes)) {
                root.create(script, Node::File(&mut text), 0o755).unwrap();
            }
            let [one, other] = &mut roots;
            assert_eq!(
                [sh(one, ". /run/arm-image/script"), sh(other, ". /run/arm-image/script")],
                ["one\n", "other\n"]
            );
            for root in roots {
                root.close().unwrap();
            }
            for entry in fs::read_dir(run.path()).unwrap() {
                // Something to mount on.
                fs::remove_dir(entry.unwrap().path()).unwrap();
            }
        }
        // Where there is nothing to mount on, commands do without.
        let bind = Bind { source: run.path().into(), target: "/run".into(), read_only: true };
        let image = Image::new();
        let mut root = Root::builder().bind(bind).mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, "ls -A /run; echo done"), "done\n");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_takes_nothing_for_a_killed_runs_that_is_none() {
    in_guest("binds::privileged_chroot_takes_nothing_for_a_killed_runs_that_is_none", || {
        let host = tempfile::tempdir().unwrap();
        let source = host.path().join("servers");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        let image = Image::with(|tree| {
            fs::create_dir_all(tree.join("usr/sbin/.arm-image-policy-rc.d/inner")).unwrap();
            fs::create_dir_all(tree.join("etc/.arm-image-resolv.conf/inner")).unwrap();
            fs::create_dir_all(tree.join("etc/.arm-image-ld.so.preload/inner")).unwrap();
            fs::write(tree.join("usr/sbin/invoke-rc.d"), "").unwrap();
            fs::write(tree.join("usr/sbin/policy-rc.d"), "exit 0\n").unwrap();
            fs::write(tree.join("etc/resolv.conf"), "image's own\n").unwrap();
            fs::write(tree.join("etc/ld.so.preload"), "/lib/own.so\n").unwrap();
        });
        let mut root = Root::builder().resolv_conf_source(&source).mount(&image.mounts()).unwrap();
        let seen = "cat /etc/resolv.conf /etc/ld.so.preload; sh /usr/sbin/policy-rc.d; echo $?";
        assert_eq!(sh(&mut root, seen), "nameserver 192.0.2.1\n101\n");
        root.close().unwrap();
        let mut root =
            Root::builder().resolv_conf(ResolvConf::Off).services(true).mount(&image.mounts()).unwrap();
        let look = "cat /etc/resolv.conf /usr/sbin/policy-rc.d; ls -d /etc/.arm-image-*/inner /usr/sbin/.arm-image-*/inner";
        let expected = "image's own\nexit 0\n/etc/.arm-image-ld.so.preload/inner\n/etc/.arm-image-resolv.conf/inner\n\
            /usr/sbin/.arm-image-policy-rc.d/inner\n";
        assert_eq!(sh(&mut root, look), expected);
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_shows_the_resolv_conf_that_is_asked_for_in_every_mode() {
    in_guest("binds::privileged_chroot_shows_the_resolv_conf_that_is_asked_for_in_every_mode", || {
        let host = tempfile::tempdir().unwrap();
        let [source, asked] = ["resolv.conf", "asked"].map(|name| host.path().join(name));
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        fs::write(&asked, "nameserver 192.0.2.9\n").unwrap();
        let bind = Bind { source: asked, target: "/etc/resolv.conf".into(), read_only: true };
        for link in [false, true] {
            let image = Image::with(|tree| {
                let own = tree.join("etc/resolv.conf");
                if link {
                    symlink("../run/stub", own).unwrap()
                } else {
                    fs::write(own, "image's own\n").unwrap()
                }
            });
            let look = "busybox readlink /etc/resolv.conf || cat /etc/resolv.conf; ls -A /etc";
            let mut root = image.root();
            let before = sh(&mut root, look);
            root.close().unwrap();
            for mode in [ResolvConf::Off, ResolvConf::BindHost, ResolvConf::CopyHost, ResolvConf::Delete] {
                let builder = Root::builder().resolv_conf(mode).resolv_conf_source(&source);
                let mut root = builder.bind(bind.clone()).mount(&image.mounts()).unwrap();
                assert_eq!(sh(&mut root, "cat /etc/resolv.conf"), "nameserver 192.0.2.9\n", "{mode:?}");
                root.close().unwrap();
                let mut root = image.root();
                assert_eq!(sh(&mut root, look), before, "{mode:?}");
                root.close().unwrap();
            }
        }
    });
}
