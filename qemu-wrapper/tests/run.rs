//! Wrapped programs, run. In one test: another that starts a program at the same time would for a moment hold the file
//! that was just written, and the kernel does not run what someone may write to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Busybox is linked at fixed addresses, qemu position-independent, so these are both kinds of static program.
const BUSYBOX: &str = "/bin/busybox";
const QEMU: &str = "/usr/bin/qemu-aarch64-static";

fn wrapped(folder: &Path, program: &str, arguments: &[&OsStr]) -> PathBuf {
    let path = folder.join("wrapped");
    let _ = fs::remove_file(&path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path).unwrap();
    let program = fs::read(program).unwrap();
    arm_image_qemu_wrapper::wrap(program, arguments).unwrap().write_to(&file).unwrap();
    path
}

/// A program that finds its arguments in a file, which comes, changes, and goes.
fn with_file(folder: &Path, odd: &[u8]) {
    let (program, file) = (folder.join("with-file"), folder.join("the arguments"));
    let target = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&program).unwrap();
    let busybox = fs::read(BUSYBOX).unwrap();
    arm_image_qemu_wrapper::wrap_with_file(busybox, &file).unwrap().write_to(&target).unwrap();
    drop(target);
    let run =
        |arguments: &[&str]| stdout(Command::new(&program).arg0("busybox").args(arguments).output().unwrap());
    assert_eq!(run(&["echo", "plain"]), b"plain\n");
    for count in 0..8 {
        let mut stored = vec![OsStr::new("printf"), OsStr::new("<%s>")];
        stored.extend(std::iter::repeat_n(OsStr::from_bytes(odd), count));
        fs::write(&file, arm_image_qemu_wrapper::strings(&stored).unwrap()).unwrap();
        let expected = [b"<".as_slice(), odd, b">"].concat().repeat(count);
        assert_eq!(run(&["last"]), [expected.as_slice(), b"<last>"].concat(), "{count}");
    }
    // What is no such file counts as none.
    for content in ["", "printf", "printf\0<%s>"] {
        fs::write(&file, content).unwrap();
        assert_eq!(run(&["echo", "plain"]), b"plain\n", "{content:?}");
    }
    fs::write(&file, "x\0".repeat(arm_image_qemu_wrapper::LIMIT)).unwrap();
    assert_eq!(run(&["echo", "plain"]), b"plain\n");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(run(&["echo", "plain"]), b"plain\n");
}

fn stdout(output: Output) -> Vec<u8> {
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn programs_run_with_the_arguments_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let odd: Vec<u8> = (1..=255).collect();
    for count in 0..8 {
        let mut stored = vec![OsStr::new("printf"), OsStr::new("<%s>")];
        stored.extend(std::iter::repeat_n(OsStr::from_bytes(&odd), count));
        let program = wrapped(folder.path(), BUSYBOX, &stored);
        let output = Command::new(program).arg0("busybox").args(["", "the \"last\" \\"]).output().unwrap();
        let mut expected = [b"<".as_slice(), &odd, b">"].concat().repeat(count);
        expected.extend(b"<><the \"last\" \\>");
        assert_eq!(stdout(output), expected, "{count}");
    }

    let program =
        wrapped(folder.path(), BUSYBOX, &["sh", "-c", "echo $QEMU_CPU $(/bin/cat)"].map(OsStr::new));
    let input = fs::File::open("/proc/sys/kernel/ostype").unwrap();
    let output = Command::new(program).arg0("busybox").env("QEMU_CPU", "max").stdin(input).output().unwrap();
    assert_eq!(stdout(output), b"max Linux\n", "the environment stays, and a child process runs");

    with_file(folder.path(), &odd);

    let program = wrapped(folder.path(), QEMU, &["-cpu", "cortex-a53", "--version"].map(OsStr::new));
    let output = stdout(Command::new(program).output().unwrap());
    assert!(output.starts_with(b"qemu-aarch64 version "), "{}", String::from_utf8_lossy(&output));
    let program = wrapped(folder.path(), QEMU, &["-cpu", "none such"].map(OsStr::new));
    let output = Command::new(program).arg("/bin/true").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("none such"), "{output:?}");
}
