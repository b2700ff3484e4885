//! What a run that is killed leaves in the image itself, the next one mends.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command as HostCommand, Stdio};

use arm_image_chroot::{ChrootRunner, Command, Mount, Output, ResolvConf, Root};
use arm_image_tests::in_guest;
use arm_image_tests::program::wait_for;

use crate::image::{Image, sh, tool};

/// The device of the image that the killed process has mounted; set in that process only.
const DEVICE: &str = "ARM_IMAGE_TEST_KILLED";

const LOOK: &str = "for file in /etc/resolv.conf /etc/ld.so.preload /usr/sbin/policy-rc.d; do
        echo $file; cat $file 2>/dev/null
    done; busybox ls -A /etc /usr/sbin";

fn look(image: &Image) -> String {
    let builder = Root::builder().resolv_conf(ResolvConf::Off).services(true);
    let mut root = builder.mount(&image.mounts()).unwrap();
    let seen = sh(&mut root, LOOK);
    root.close().unwrap();
    seen
}

#[test]
fn privileged_chroot_mends_what_a_killed_run_left() {
    if let Ok(device) = std::env::var(DEVICE) {
        hold(Path::new(&device));
    }
    in_guest("killed::privileged_chroot_mends_what_a_killed_run_left", || {
        for own in [true, false] {
            let image = Image::with(|tree| {
                fs::create_dir_all(tree.join("usr/sbin")).unwrap();
                fs::write(tree.join("usr/sbin/invoke-rc.d"), "").unwrap();
                if own {
                    fs::write(tree.join("etc/resolv.conf"), "image's own\n").unwrap();
                    fs::write(tree.join("etc/ld.so.preload"), "/lib/own.so\n").unwrap();
                    let policy = tree.join("usr/sbin/policy-rc.d");
                    fs::write(&policy, "#!/bin/sh\nexit 0\n").unwrap();
                    fs::set_permissions(policy, Permissions::from_mode(0o755)).unwrap();
                }
            });
            let in_image =
                |path: &str| tool("debugfs", &["-R", &format!("cat {path}")], &[&image.devices[0]]);
            let before = [in_image("/etc/resolv.conf"), in_image("/etc/ld.so.preload"), look(&image)];
            let mut child = HostCommand::new(std::env::current_exe().unwrap())
                .args(["--exact", "killed::privileged_chroot_mends_what_a_killed_run_left", "--nocapture"])
                .env(DEVICE, &image.devices[0])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            assert!(output.lines().any(|line| line.unwrap().contains("the command is up")));
            child.kill().unwrap();
            child.wait().unwrap();
            wait_for("the devices", || image.are_free().then_some(()));
            tool("e2fsck", &["-p"], &[&image.devices[0]]);
            assert_ne!(in_image("/etc/resolv.conf"), before[0], "the kill has left something");
            let after = look(&image);
            assert_eq!([in_image("/etc/resolv.conf"), in_image("/etc/ld.so.preload"), after], before);
        }
    });
}

/// The child of the test above: mounts, sees that all is in the image, and waits to be killed.
fn hold(device: &Path) -> ! {
    let mounts = [Mount { device, target: "/".into(), kind: "ext4".into(), options: Vec::new() }];
    let source = std::env::temp_dir().join("resolv.conf");
    fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
    let mut root = Root::builder().resolv_conf_source(source).sync(true).mount(&mounts).unwrap();
    let script = "busybox sync; echo the command is up; sleep 1000";
    let _ = root.run(&Command::new(["sh", "-c", script]), &mut |output| {
        if let Output::Stdout(line) = output {
            println!("{}", String::from_utf8_lossy(line));
        }
        ControlFlow::Continue(())
    });
    panic!("nobody killed this process");
}
