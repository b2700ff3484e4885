//! An image of two file systems, and what the tests ask of it.

use std::fs::{self, File, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command as HostCommand;

use arm_image_chroot::{ChrootRunner, Command, Mount, Output, ResolvConf, Root};
use tempfile::TempDir;

/// Two file systems on loop devices, as a Raspberry Pi's image has them, detached at the end.
pub(crate) struct Image {
    pub(crate) devices: [PathBuf; 2],
    pub(crate) folder: TempDir,
}

impl Image {
    pub(crate) fn new() -> Image {
        Image::with(|_| {})
    }

    /// `arrange` changes the root's tree before its file system is made.
    pub(crate) fn with(arrange: impl FnOnce(&Path)) -> Image {
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

    pub(crate) fn mounts(&self) -> [Mount<'_>; 2] {
        let mount = |device, target: &str, kind: &str| Mount {
            device,
            target: target.into(),
            kind: kind.into(),
            options: Vec::new(),
        };
        [mount(&self.devices[1], "/boot/firmware", "vfat"), mount(&self.devices[0], "/", "ext4")]
    }

    /// Mounts without touching name servers, which need no part in most tests.
    pub(crate) fn root(&self) -> Root<'_> {
        Root::builder().resolv_conf(ResolvConf::Off).mount(&self.mounts()).unwrap()
    }

    pub(crate) fn are_free(&self) -> bool {
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

pub(crate) fn tool(program: &str, arguments: &[&str], paths: &[&Path]) -> String {
    let output = HostCommand::new(program).args(arguments).args(paths).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `script` by `sh -c` and hands back its stdout.
pub(crate) fn sh(root: &mut Root<'_>, script: &str) -> String {
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

pub(crate) fn go_on(_: Output<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Whether any process has `argument` among its arguments.
pub(crate) fn is_running(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cmdline"));
    processes
        .filter_map(|path| fs::read(path).ok())
        .any(|line| line.split(|&byte| byte == 0).any(|word| word == argument.as_bytes()))
}

pub(crate) fn text(root: &mut Root<'_>, path: &str) -> String {
    let mut bytes = Vec::new();
    root.read(Path::new(path), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}
