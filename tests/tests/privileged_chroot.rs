//! A root with a real kernel's ext4 and vfat: what runs in it sees only it, and nothing of it stays.
//!
//! The image's programs are one static busybox, the host's own (Debian's `busybox-static`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]
#![expect(clippy::print_stdout, reason = "a child tells its parent where it is")]
#![expect(clippy::print_stderr, reason = "what the image says belongs to the test's output")]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command as HostCommand, Stdio};
use std::time::{Duration, Instant};

use arm_image_chroot::{
    ChrootRunner, Command, Copy, Error, Mount, Node, Options, Output, Provisioner, ResolvConf, Root, Script,
    Shell,
};
use arm_image_tests::in_guest;
use tempfile::TempDir;

/// Set for the child that is to be killed: the two devices, with a space between.
const CHILD_DEVICES: &str = "ARM_IMAGE_TEST_CHROOT_DEVICES";

/// Two file systems on loop devices, as a Raspberry Pi's image has them, detached at the end.
struct Image {
    devices: [PathBuf; 2],
    folder: TempDir,
}

impl Image {
    fn new() -> Image {
        Image::with(|_| {})
    }

    /// `arrange` changes the root's tree before its file system is made.
    fn with(arrange: impl FnOnce(&Path)) -> Image {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        for name in ["bin", "etc", "root", "boot/firmware", "proc", "sys", "dev", "run", "tmp"] {
            fs::create_dir_all(tree.join(name)).unwrap();
        }
        fs::copy("/bin/busybox", tree.join("bin/busybox")).unwrap();
        for name in
            ["sh", "cat", "sleep", "setsid", "yes", "head", "printf", "ls", "mount", "pwd", "tty", "kill"]
        {
            symlink("busybox", tree.join("bin").join(name)).unwrap();
        }
        arrange(&tree);
        let (root, boot) = (folder.path().join("root"), folder.path().join("boot"));
        File::create(&root).unwrap().set_len(32 << 20).unwrap();
        File::create(&boot).unwrap().set_len(8 << 20).unwrap();
        tool("mkfs.ext4", &["-q", "-F", "-d"], &[&tree, &root]);
        tool("mkfs.vfat", &[], &[&boot]);
        let attach = |file: &Path| PathBuf::from(tool("losetup", &["--find", "--show"], &[file]).trim());
        Image { devices: [attach(&root), attach(&boot)], folder }
    }

    fn mounts(&self) -> [Mount<'_>; 2] {
        let mount =
            |device, target: &str, kind: &str| Mount { device, target: target.into(), kind: kind.into() };
        [mount(&self.devices[1], "/boot/firmware", "vfat"), mount(&self.devices[0], "/", "ext4")]
    }

    /// Mounts without touching name servers, which need no part in most tests.
    fn root(&self) -> Root<'_> {
        Root::mount(&self.mounts(), &Options { resolv_conf: ResolvConf::Off, ..Options::default() }).unwrap()
    }

    fn are_free(&self) -> bool {
        self.devices
            .iter()
            .all(|device| OpenOptions::new().read(true).custom_flags(libc::O_EXCL).open(device).is_ok())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        for device in &self.devices {
            let _ = HostCommand::new("losetup").arg("-d").arg(device).status();
        }
    }
}

fn tool(program: &str, arguments: &[&str], paths: &[&Path]) -> String {
    let output = HostCommand::new(program).args(arguments).args(paths).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `script` by `sh -c` and hands back its stdout.
fn sh(root: &mut Root<'_>, script: &str) -> String {
    let mut text = String::new();
    let status = root
        .run(&Command::new(["sh", "-c", script]), &mut |output| {
            match output {
                Output::Stdout(line) => text += &format!("{}\n", String::from_utf8_lossy(line)),
                Output::Stderr(line) => eprintln!("stderr: {}", String::from_utf8_lossy(line)),
                Output::Waiting => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(status.success(), "{script}: {status}");
    text
}

fn go_on(_: Output<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Whether any process has `argument` among its arguments.
fn is_running(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cmdline"));
    processes
        .filter_map(|path| fs::read(path).ok())
        .any(|line| line.split(|&byte| byte == 0).any(|word| word == argument.as_bytes()))
}

fn text(root: &mut Root<'_>, path: &str) -> String {
    let mut bytes = Vec::new();
    root.read(Path::new(path), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn privileged_chroot_leaves_the_embedder_as_it_was() {
    in_guest("privileged_chroot_leaves_the_embedder_as_it_was", || {
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

#[test]
fn privileged_chroot_shows_only_the_image() {
    in_guest("privileged_chroot_shows_only_the_image", || {
        let image = Image::new();
        let marker = image.folder.path().join("tree");
        let mut root = image.root();
        assert!(root.is_sealed());
        let mounts = sh(&mut root, "cat /proc/self/mountinfo");
        let mut points: Vec<_> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        points.sort_unstable();
        points.retain(|point| *point != "/proc/sysrq-trigger");
        let expected =
            ["/", "/boot/firmware", "/dev", "/dev/pts", "/proc", "/proc/sys", "/run", "/sys", "/tmp"];
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
    in_guest("privileged_chroot_keeps_what_is_written_on_both_file_systems", || {
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
        assert_eq!(sh(&mut root, "ls /tmp /run/lock | busybox wc -l"), "3\n");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_tells_every_way_to_end() {
    in_guest("privileged_chroot_tells_every_way_to_end", || {
        let image = Image::new();
        let mut root = image.root();
        let mut end = |argv: &[&str]| root.run(&Command::new(argv.iter().copied()), &mut go_on);
        assert_eq!(end(&["sh", "-c", "exit 7"]).unwrap().code(), Some(7));
        assert_eq!(end(&["sh", "-c", "kill -9 $$"]).unwrap().signal(), Some(libc::SIGKILL));
        assert_eq!(end(&["sh", "-c", "kill -11 $$"]).unwrap().signal(), Some(libc::SIGSEGV));
        let cause = |error: &Error| match error {
            Error::Execute { source, .. } => source.raw_os_error(),
            other => panic!("{other:?}"),
        };
        assert_eq!(cause(&end(&["nowhere"]).unwrap_err()), Some(libc::ENOENT));
        assert_eq!(cause(&end(&["/etc"]).unwrap_err()), Some(libc::EACCES));
        root.create(Path::new("/opt/alien"), Node::File(&mut &b"\x7fELF?"[..]), 0o755).unwrap();
        let error = root.run(&Command::new(["/opt/alien"]), &mut go_on).unwrap_err();
        assert_eq!(cause(&error), Some(libc::ENOEXEC));
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
        let shell = Shell { script: Script::File(script), env: vec![("NAME".into(), "Kilroy".into())] };
        let error = shell.provision(&mut root, &mut go_on).unwrap_err();
        assert_eq!((error.code(), error.stderr_tail()), (Some(100), &["Kilroy was here".to_owned()][..]));
        assert_eq!(sh(&mut root, "ls /tmp"), "");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_streams_long_output_whole() {
    in_guest("privileged_chroot_streams_long_output_whole", || {
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
    in_guest("privileged_chroot_kills_daemons_cancelled_and_panicking_runs", || {
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
fn privileged_chroot_sigkill_of_the_owner_leaves_nothing() {
    if let Ok(devices) = std::env::var(CHILD_DEVICES) {
        let (root, boot) = devices.split_once(' ').unwrap();
        hold(Path::new(root), Path::new(boot));
    }
    in_guest("privileged_chroot_sigkill_of_the_owner_leaves_nothing", || {
        let image = Image::new();
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for _ in 0..5 {
            let devices = format!("{} {}", image.devices[0].display(), image.devices[1].display());
            let mut child = HostCommand::new(std::env::current_exe().unwrap())
                .args(["--exact", "privileged_chroot_sigkill_of_the_owner_leaves_nothing", "--nocapture"])
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
        Mount { device: root, target: "/".into(), kind: "ext4".into() },
        Mount { device: boot, target: "/boot/firmware".into(), kind: "vfat".into() },
    ];
    let options = Options { resolv_conf: ResolvConf::Off, ..Options::default() };
    let mut root = Root::mount(&mounts, &options).unwrap();
    let script = "(setsid sleep 74747 &); echo the command is up; sleep 74747";
    let _ = root.run(&Command::new(["sh", "-c", script]), &mut |output| {
        if let Output::Stdout(line) = output {
            println!("{}", String::from_utf8_lossy(line));
        }
        ControlFlow::Continue(())
    });
    panic!("nobody killed this process");
}

#[test]
fn privileged_chroot_binds_resolv_conf_and_writes_neither_side() {
    in_guest("privileged_chroot_binds_resolv_conf_and_writes_neither_side", || {
        let host = tempfile::tempdir().unwrap();
        let source = host.path().join("resolv.conf");
        let victim = host.path().join("victim");
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        fs::write(&victim, "host's own\n").unwrap();
        let options = Options { resolv_conf_source: source.clone(), ..Options::default() };
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
            let mut root = Root::mount(&image.mounts(), &options).unwrap();
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
    in_guest("privileged_chroot_copies_or_deletes_resolv_conf_inside_only", || {
        let host = tempfile::tempdir().unwrap();
        let (source, victim) = (host.path().join("resolv.conf"), host.path().join("victim"));
        fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
        fs::write(&victim, "host's own\n").unwrap();
        for (resolv_conf, expected) in
            [(ResolvConf::CopyHost, "nameserver 192.0.2.1\n"), (ResolvConf::Delete, "none\n")]
        {
            let image = Image::with(|tree| symlink(&victim, tree.join("etc/resolv.conf")).unwrap());
            let options = Options { resolv_conf, resolv_conf_source: source.clone(), ..Options::default() };
            Root::mount(&image.mounts(), &options).unwrap().close().unwrap();
            let mut root = image.root();
            assert_eq!(sh(&mut root, "cat /etc/resolv.conf 2>/dev/null || echo none"), expected);
            assert_eq!(fs::read_to_string(&victim).unwrap(), "host's own\n");
            root.close().unwrap();
        }
    });
}

#[test]
fn privileged_chroot_follows_mount_point_links_inside_only() {
    in_guest("privileged_chroot_follows_mount_point_links_inside_only", || {
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
    in_guest("privileged_chroot_says_what_keeps_a_device_and_what_cannot_be_mounted", || {
        let image = Image::new();
        let root = image.root();
        let mut leaked = root.directory(Path::new("/boot/firmware")).unwrap();
        let error = root.close().unwrap_err();
        assert!(matches!(&error, Error::Busy { device } if *device == image.devices[1]), "{error:?}");
        assert!(leaked.read(&mut [0]).is_err(), "a directory");
        drop(leaked);
        assert!(image.are_free());

        let mount = |device, kind: &str| [Mount { device, target: "/".into(), kind: kind.into() }];
        let options = Options::default();
        let error = Root::mount(&mount(&image.devices[1], "ext4"), &options).unwrap_err();
        assert!(error.to_string().starts_with("failed to mount `/dev/loop"), "{error}");
        let error = Root::mount(&mount(&image.devices[0], "nosuchfs"), &options).unwrap_err();
        assert!(error.hint().unwrap().contains("modprobe nosuchfs"), "{error:?}");
        let error = Root::mount(&mount(Path::new("/dev/nowhere"), "ext4"), &options).unwrap_err();
        assert!(matches!(error, Error::Mount { .. }));
        assert!(image.are_free(), "at once after a failure, too");
    });
}
