//! What programs find in the image: quiet services, no foreign libraries, and what of the host is shown on purpose.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use arm_image_chroot::{Bind, ChrootRunner, Error, Node, Provisioner, ResolvConf, Root, Script, Scripts};
use arm_image_tests::in_guest;

use crate::image::{Image, go_on, sh, text, tool};

/// The image's tree as a list, but for what its own file systems hide.
const LIST: &str = "cd / && busybox find . -xdev | busybox sort";

#[test]
fn privileged_chroot_starts_no_service_unless_asked() {
    in_guest("inside::privileged_chroot_starts_no_service_unless_asked", || {
        let policy = "test -x /usr/sbin/policy-rc.d || exit 55; /usr/sbin/policy-rc.d ssh start; exit $?";
        let ask = format!("({policy}); echo $? $SYSTEMD_OFFLINE");
        for own in [None, Some("#!/bin/sh\nexit 0\n")] {
            let image = Image::with(|tree| {
                // As in Debian since folders were merged.
                fs::create_dir_all(tree.join("usr/bin")).unwrap();
                symlink("bin", tree.join("usr/sbin")).unwrap();
                fs::write(tree.join("usr/bin/invoke-rc.d"), "").unwrap();
                if let Some(own) = own {
                    fs::write(tree.join("usr/bin/policy-rc.d"), own).unwrap();
                    fs::set_permissions(
                        tree.join("usr/bin/policy-rc.d"),
                        std::os::unix::fs::PermissionsExt::from_mode(0o755),
                    )
                    .unwrap();
                }
            });
            let before = listing(&image);
            let builder = Root::builder().resolv_conf(ResolvConf::Off);
            let mut root = builder.mount(&image.mounts()).unwrap();
            assert_eq!(sh(&mut root, &ask), "101 1\n");
            root.close().unwrap();
            let mut root = builder.services(true).mount(&image.mounts()).unwrap();
            assert_eq!(sh(&mut root, &ask), if own.is_some() { "0\n" } else { "55\n" });
            root.close().unwrap();
            assert_eq!(listing(&image), before);
        }
        // Scripts that see to it themselves can, and one that a killed run has left goes.
        let image = Image::with(|tree| {
            fs::create_dir_all(tree.join("usr/sbin")).unwrap();
            fs::write(tree.join("usr/sbin/invoke-rc.d"), "").unwrap();
        });
        let before = listing(&image);
        let mut root = image.root();
        let policy = crate::image::text(&mut root, "/usr/sbin/policy-rc.d");
        sh(&mut root, "echo exit 101 >/usr/sbin/policy-rc.d && busybox rm /usr/sbin/policy-rc.d");
        root.close().unwrap();
        assert_eq!(listing(&image), before);
        let mut root = Root::builder().services(true).mount(&image.mounts()).unwrap();
        root.create(Path::new("/usr/sbin/policy-rc.d"), Node::File(&mut policy.as_bytes()), 0o755).unwrap();
        root.close().unwrap();
        image.root().close().unwrap();
        assert_eq!(listing(&image), before);
        let mut root = image.root();
        sh(&mut root, "echo their own >/usr/sbin/policy-rc.d");
        root.close().unwrap();
        let mut root = Root::builder().services(true).mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, "cat /usr/sbin/policy-rc.d"), "their own\n");
        root.close().unwrap();
        // Others do not ask, and get no file for it.
        let image = Image::new();
        let mut root = image.root();
        assert_eq!(sh(&mut root, &ask), "55 1\n");
        root.close().unwrap();
    });
}

fn listing(image: &Image) -> String {
    let mut root =
        Root::builder().resolv_conf(ResolvConf::Off).services(true).mount(&image.mounts()).unwrap();
    let listing = sh(&mut root, LIST);
    root.close().unwrap();
    listing
}

#[test]
fn privileged_chroot_hides_what_every_program_would_load_first() {
    in_guest("inside::privileged_chroot_hides_what_every_program_would_load_first", || {
        let own = "/usr/lib/arm-linux-gnueabihf/libarmmem-${PLATFORM}.so\n";
        let image = Image::with(|tree| fs::write(tree.join("etc/ld.so.preload"), own).unwrap());
        let mut root = image.root();
        assert_eq!(sh(&mut root, "busybox wc -c </etc/ld.so.preload"), "0\n");
        root.close().unwrap();
        let debugfs = tool("debugfs", &["-R", "cat /etc/ld.so.preload"], &[&image.devices[0]]);
        assert_eq!(debugfs, own);
        // Packages that put another line there can.
        let mut root = image.root();
        sh(&mut root, "busybox sed -i -e /old/d /etc/ld.so.preload; echo /lib/new.so >>/etc/ld.so.preload");
        root.close().unwrap();
        let debugfs = tool("debugfs", &["-R", "cat /etc/ld.so.preload"], &[&image.devices[0]]);
        assert_eq!(debugfs, "/lib/new.so\n");
        let image = Image::new();
        let mut root = image.root();
        assert_eq!(sh(&mut root, "test -e /etc/ld.so.preload || echo none"), "none\n");
        root.close().unwrap();
    });
}

/// Takes all the room that there is.
const FILL: &str = "for folder in /tmp /dev/shm /run; do
        busybox dd if=/dev/zero of=$folder/full bs=64k 2>/dev/null && exit 9
    done; :";

#[test]
fn privileged_chroot_lets_no_program_fill_the_memory() {
    in_guest("inside::privileged_chroot_lets_no_program_fill_the_memory", || {
        let image = Image::new();
        let mut root = image.root();
        sh(&mut root, FILL);
        let used =
            sh(&mut root, "busybox du -skx /tmp /dev /run | busybox awk '{ sum += $1 } END { print sum }'");
        let memory = fs::read_to_string("/proc/meminfo").unwrap();
        let memory: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
        let used: u64 = used.trim().parse().unwrap();
        assert!((memory / 2..memory * 3 / 4).contains(&used), "{used} kB of {memory}");
        // The next step finds room for itself, and for its script.
        let script = Scripts::of([Script::Inline("test -s /tmp/full && echo filled >/etc/said".into())]);
        script.provision(&mut root, &mut go_on).unwrap();
        assert_eq!(text(&mut root, "/etc/said"), "filled\n");
        assert_eq!(sh(&mut root, "ls -A /run/arm-image"), "", "a script goes with its step");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_leaves_the_kernel_to_the_host() {
    in_guest("inside::privileged_chroot_leaves_the_kernel_to_the_host", || {
        let image = Image::new();
        let mut root = image.root();
        let status = sh(&mut root, "busybox grep -E '^Cap(Bnd|Prm|Inh)' /proc/self/status");
        for line in status.lines() {
            let set = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
            // From uapi/linux/capability.h: network and raw access, modules, boot, time, wake alarm, log.
            for (number, name) in [
                (12, "net_admin"),
                (16, "sys_module"),
                (17, "sys_rawio"),
                (22, "sys_boot"),
                (25, "sys_time"),
                (35, "wake_alarm"),
                (34, "syslog"),
            ] {
                assert_eq!(set >> number & 1, 0, "{name}: {line}");
            }
            // What packages need: owners, nodes, mounts of their own, file capabilities.
            for number in [0, 21, 27, 31] {
                assert_eq!(set >> number & 1, u64::from(!line.starts_with("CapInh")), "{number}: {line}");
            }
        }
        assert_eq!(
            sh(&mut root, "busybox date -s 2001-01-01 2>&1 >/dev/null"),
            "date: can't set date: Operation not permitted\n"
        );
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_gives_programs_a_clean_environment() {
    in_guest("inside::privileged_chroot_gives_programs_a_clean_environment", || {
        let image = Image::new();
        let mut root = image.root();
        let mut env: Vec<_> = sh(&mut root, "busybox env").lines().map(str::to_owned).collect();
        env.retain(|line| !line.starts_with("PWD=") && !line.starts_with("SHLVL="));
        env.sort();
        let expected = [
            "DEBIAN_FRONTEND=noninteractive",
            "HOME=/root",
            "LANG=C.UTF-8",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "SYSTEMD_OFFLINE=1",
            "TERM=dumb",
        ];
        assert_eq!(env, expected);
        // Nor the machine's name, which keys and mail addresses are made from.
        assert_eq!(sh(&mut root, "busybox hostname"), "localhost\n");
        sh(&mut root, "echo raspberrypi >/etc/hostname");
        assert_eq!(
            sh(&mut root, "busybox hostname; busybox hostname other; busybox hostname"),
            "raspberrypi\nother\n"
        );
        assert_eq!(sh(&mut root, "busybox hostname"), "raspberrypi\n");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_shows_what_it_is_told_to_of_the_host() {
    in_guest("inside::privileged_chroot_shows_what_it_is_told_to_of_the_host", || {
        let host = tempfile::tempdir().unwrap();
        let (packages, secret, outside) =
            (host.path().join("packages"), host.path().join("secret"), host.path().join("outside"));
        fs::create_dir_all(&packages).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(&secret, "of the host\n").unwrap();
        let image = Image::with(|tree| {
            fs::create_dir_all(tree.join("var/cache/apt")).unwrap();
            symlink(&outside, tree.join("out")).unwrap();
        });
        let before = listing(&image);
        let bind = |source: &Path, target: &str, read_only| Bind {
            source: source.into(),
            target: target.into(),
            read_only,
        };
        let builder = Root::builder()
            .resolv_conf(ResolvConf::Off)
            .bind(bind(&packages, "/var/cache/apt", false))
            .bind(bind(&secret, "/etc/deep/er/secret", true))
            .bind(bind(&packages, "/out/through", true));
        let mut root = builder.mount(&image.mounts()).unwrap();
        assert_eq!(sh(&mut root, "cat /etc/deep/er/secret; echo kept >/var/cache/apt/new"), "of the host\n");
        assert_eq!(sh(&mut root, "cat /out/through/new"), "kept\n");
        for path in ["/etc/deep/er/secret", "/out/through/other"] {
            assert_eq!(sh(&mut root, &format!("echo x 2>/dev/null >{path} || echo refused")), "refused\n");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "the link leads to a folder of the image");
        root.close().unwrap();
        assert_eq!(fs::read_to_string(packages.join("new")).unwrap(), "kept\n");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "of the host\n");
        assert_eq!(listing(&image), before, "nothing of it stays in the image");

        // What had been made is unmade when something later fails.
        let failing = builder.clone().bind(bind(&packages, "/bin/busybox/below", false));
        let error = failing.mount(&image.mounts()).unwrap_err();
        assert!(
            matches!(&error, Error::Bind { target, .. } if target == Path::new("/bin/busybox/below")),
            "{error:?}"
        );
        assert!(image.are_free());
        assert_eq!(listing(&image), before);
        let error =
            builder.bind(bind(Path::new("/nowhere"), "/mnt", false)).mount(&image.mounts()).unwrap_err();
        assert!(error.to_string().contains("`/nowhere`"), "{error}");
    });
}

#[test]
fn privileged_chroot_lets_programs_take_private_mounts_apart() {
    in_guest("inside::privileged_chroot_lets_programs_take_private_mounts_apart", || {
        let image = Image::with(|tree| {
            fs::create_dir_all(tree.join("usr/sbin")).unwrap();
            fs::write(tree.join("usr/sbin/invoke-rc.d"), "").unwrap();
        });
        let before = listing(&image);
        let mut root = image.root();
        sh(
            &mut root,
            "busybox umount /usr/sbin/policy-rc.d /tmp /dev/pts; busybox rm -f /usr/sbin/policy-rc.d; busybox umount -l /dev /run; :",
        );
        // The next one finds everything in its place: each has mounts of its own.
        assert_eq!(sh(&mut root, "echo x >/dev/null && test -d /run/lock && echo whole"), "whole\n");
        root.remove(Path::new("/usr/sbin/policy-rc.d")).ok();
        root.close().unwrap();
        assert!(image.are_free());
        assert_eq!(listing(&image), before);
    });
}
