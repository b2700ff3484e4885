//! How programs run and end, and that nothing of them stays.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command as HostCommand, Stdio};
use std::time::{Duration, Instant};

use arm_image_chroot::{
    ChrootRunner, Command, Error, Mount, Node, Output, Provisioner, ResolvConf, Root, Script, Scripts,
};
use arm_image_tests::in_guest;

use crate::image::{Image, go_on, is_running, sh, tool};

/// Set for the child that is to be killed: the two devices, with a space between.
const CHILD_DEVICES: &str = "ARM_IMAGE_TEST_CHROOT_DEVICES";
#[test]
fn privileged_chroot_tells_every_way_to_end() {
    in_guest("runs::privileged_chroot_tells_every_way_to_end", || {
        let image = Image::new();
        let mut root = image.root();
        root.create(Path::new("/etc/plain"), Node::File(&mut &b"#!/bin/sh\n"[..]), 0o644).unwrap();
        let mut end = |argv: &[&str]| root.run(&Command::new(argv.iter().copied()), &mut go_on);
        assert_eq!(end(&["sh", "-c", "exit 7"]).unwrap().code(), Some(7));
        assert_eq!(end(&["sh", "-c", "kill -9 $$"]).unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(end(&["sh", "-c", "kill -11 $$"]).unwrap().signal(), Some(libc::SIGSEGV));
        // As in a shell, with a word about it.
        let mut said = Vec::new();
        let mut end = |argv: &[&str]| {
            root.run(&Command::new(argv.iter().copied()), &mut |output| {
                if let Output::Stderr(line) = output {
                    said.push(String::from_utf8(line.to_vec()).unwrap());
                }
                ControlFlow::Continue(())
            })
        };
        for (program, code) in
            [("nowhere", 127), ("/bin/nowhere", 127), ("/bin/sh/x", 127), ("/etc", 126), ("/etc/plain", 126)]
        {
            assert_eq!(end(&[program]).unwrap().code(), Some(code), "{program}");
        }
        assert_eq!(said.len(), 5);
        assert!(said[0].starts_with("nowhere: not found: "), "{said:?}");
        assert_eq!(said[4], "/etc/plain: the file is not executable");
        root.create(Path::new("/opt/alien"), Node::File(&mut &b"\x7fELF?"[..]), 0o755).unwrap();
        let error = root.run(&Command::new(["/opt/alien"]), &mut go_on).unwrap_err();
        assert!(
            matches!(&error, Error::Execute { source, .. } if source.raw_os_error() == Some(libc::ENOEXEC))
        );
        assert!(error.hint().unwrap().contains("emulation"));
        let lost = Command { directory: "/nowhere".into(), ..Command::new(["pwd"]) };
        let error = root.run(&lost, &mut go_on).unwrap_err();
        assert_eq!(error.to_string(), "failed to enter the working directory to run `pwd`");
        let there = Command {
            directory: "/boot/firmware".into(),
            ..Command::new(["sh", "-c", "test $(pwd) = /boot/firmware"])
        };
        assert!(root.run(&there, &mut go_on).unwrap().success());

        let script = image.folder.path().join("setup.sh");
        fs::write(&script, "#!/bin/sh\necho $NAME was here >&2\nexit 100\n").unwrap();
        let env = vec![("NAME".into(), "Kilroy".into())];
        let scripts = Scripts { env, ..Scripts::of([Script::File(script)]) };
        let error = scripts.provision(&mut root, &mut go_on).unwrap_err();
        assert_eq!((error.code(), error.stderr_tail()), (Some(100), &["Kilroy was here".to_owned()][..]));
        assert_eq!(sh(&mut root, "ls /tmp"), "");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_streams_long_output_whole() {
    in_guest("runs::privileged_chroot_streams_long_output_whole", || {
        let image = Image::new();
        let mut root = image.root();
        let (mut lines, mut bytes, mut last) = (0, 0, Vec::new());
        let script = "yes 0123456789 | head -n 100000; yes x | head -n 50000 >&2; head -c 300000 /dev/zero; printf end";
        let status = root.run(&Command::new(["sh", "-c", script]), &mut |output| {
            match output {
                Output::Stdout(line) => {
                    lines += u32::from(line == b"0123456789");
                    bytes += line.iter().filter(|&&byte| byte == 0).count();
                    last = line.to_vec();
                }
                Output::Stderr(line) => assert_eq!(line, b"x"),
                Output::Waiting => {}
            }
            ControlFlow::Continue(())
        });
        assert!(status.unwrap().success());
        assert_eq!((lines, bytes), (100_000, 300_000));
        assert!(last.ends_with(b"end"));
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_kills_daemons_cancelled_and_panicking_runs() {
    in_guest("runs::privileged_chroot_kills_daemons_cancelled_and_panicking_runs", || {
        let image = Image::new();
        let mut root = image.root();
        sh(&mut root, "(setsid sh -c 'sleep 71717 & sleep 71717' &) ; sleep 1");
        assert!(!is_running("71717"), "a daemon outlives no command");

        // Silent, and ignoring what it can; only once it is seen running is it cancelled.
        let stubborn = Command::new(["sh", "-c", "trap '' TERM INT HUP; sleep 72727"]);
        let result = root.run(&stubborn, &mut |output| {
            assert_eq!(output, Output::Waiting);
            if is_running("72727") { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert!(!is_running("72727"));

        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _ = root.run(&Command::new(["sleep", "73737"]), &mut |_| {
                assert!(!is_running("73737"), "seen");
                ControlFlow::Continue(())
            });
        }));
        assert!(panicked.is_err());
        assert!(!is_running("73737"));

        // A program that never ends a line can be cancelled too.
        let mut ticks = 0;
        let endless = Command::new(["sh", "-c", "while :; do printf x; sleep 0.01; done"]);
        let result = root.run(&endless, &mut |_| {
            ticks += 1;
            if ticks > 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        root.close().unwrap();
        assert!(image.are_free());
    });
}

#[test]
fn privileged_chroot_outlives_programs_that_wreck_what_they_find() {
    in_guest("runs::privileged_chroot_outlives_programs_that_wreck_what_they_find", || {
        let image = Image::new();
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let wrecks = [
            "busybox kill -9 -1",
            "busybox kill -9 1 $PPID; busybox umount -a -l",
            "busybox rm -rf /dev /run /tmp /proc /sys",
            "busybox umount -l /proc /dev /; :",
            "busybox mount -t tmpfs none /etc; busybox mount -t tmpfs none /; mount -t tmpfs none /boot/firmware",
            "(setsid sh -c 'cd /boot/firmware; exec sleep 76767' &); busybox reboot -f; exit 1",
            "busybox mount -o remount,ro /",
        ];
        for wreck in wrecks {
            let mut root = image.root();
            // However it ends.
            let _ = root.run(&Command::new(["sh", "-c", wreck]), &mut go_on);
            // The next one is as well off as ever; but for what was done to the image itself.
            assert_eq!(
                sh(&mut root, "echo x >/dev/null && ls /proc/self >/dev/null && pwd"),
                "/\n",
                "{wreck}"
            );
            root.close().unwrap();
            assert!(image.are_free(), "{wreck}");
            assert!(!is_running("76767"), "{wreck}");
            assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before, "{wreck}");
        }
        // Where the image had to be changed back and could not, that is told.
        let mut root = Root::builder().mount(&image.mounts()).unwrap();
        sh(&mut root, "busybox mount -o remount,ro /");
        let error = root.close().unwrap_err();
        assert!(
            matches!(&error, Error::Restore { path, .. } if path == Path::new("/etc/resolv.conf")),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains("read-only"));
        assert!(image.are_free());
        tool("e2fsck", &["-fn"], &[&image.devices[0]]);
    });
}

#[test]
fn privileged_chroot_sigkill_of_the_owner_leaves_nothing() {
    if let Ok(devices) = std::env::var(CHILD_DEVICES) {
        let (root, boot) = devices.split_once(' ').unwrap();
        hold(Path::new(root), Path::new(boot));
    }
    in_guest("runs::privileged_chroot_sigkill_of_the_owner_leaves_nothing", || {
        let image = Image::new();
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for _ in 0..5 {
            let devices = format!("{} {}", image.devices[0].display(), image.devices[1].display());
            let mut child = HostCommand::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "runs::privileged_chroot_sigkill_of_the_owner_leaves_nothing",
                    "--nocapture",
                ])
                .env(CHILD_DEVICES, devices)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            assert!(
                output.lines().any(|line| line.unwrap().contains("the command is up")),
                "the child got there"
            );
            // The shell says so just before it executes its last program.
            wait_until(|| is_running("74747"));
            assert!(!image.are_free());
            child.kill().unwrap();
            child.wait().unwrap();
            // The kernel kills the command as its owner dies; that takes its time.
            wait_until(|| !is_running("74747") && image.are_free());
            assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
        }
        tool("e2fsck", &["-p"], &[&image.devices[0]]);
    });
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come to that");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The child of the test above: mounts, runs, and waits to be killed.
fn hold(root: &Path, boot: &Path) -> ! {
    let mounts = [
        Mount { device: root, target: "/".into(), kind: "ext4".into(), options: Vec::new() },
        Mount { device: boot, target: "/boot/firmware".into(), kind: "vfat".into(), options: Vec::new() },
    ];
    let mut root = Root::builder().resolv_conf(ResolvConf::Off).mount(&mounts).unwrap();
    let script = "(setsid sleep 74747 &); echo the command is up; sleep 74747";
    let _ = root.run(&Command::new(["sh", "-c", script]), &mut |output| {
        if let Output::Stdout(line) = output {
            println!("{}", String::from_utf8_lossy(line));
        }
        ControlFlow::Continue(())
    });
    panic!("nobody killed this process");
}
