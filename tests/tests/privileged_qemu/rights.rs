//! Users, rights and names under emulation, in real systems too.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arm_image_qemu::{Arch, Start, enable, enable_with};
use arm_image_tests::program::{program as arm_image, stdout_of, tool};
use arm_image_tests::{images, in_guest};
use nix::mount::{MsFlags, mount};

use crate::{add, register, root_with, searching};
use arm_image_tests::machine_code::{MACHINE_ARM, USER_ARM, USER_ARM64};

const NOBODY: u32 = 65534;

/// Runs a program in a chroot as a user without any rights.
fn as_nobody(root: &Path, argv: &[&str]) -> Command {
    let mut command = Command::new("chroot");
    command.args(["--userspec=65534:65534".as_ref(), root.as_os_str()]).args(argv);
    command
}

/// The guest's `/tmp` is of the kind that takes no notice of setuid bits, as it should be; an image's root is not.
fn heed_setuid_bits() {
    mount(None::<&str>, "/tmp", None::<&str>, MsFlags::MS_REMOUNT, None::<&str>).unwrap();
}

#[test]
fn privileged_setuid_programs_have_their_rights_and_no_others() {
    in_guest("rights::privileged_setuid_programs_have_their_rights_and_no_others", || {
        heed_setuid_bits();
        for (arch, code) in [(Arch::Arm64, USER_ARM64), (Arch::Armv7, USER_ARM)] {
            let emulation = enable(arch, &searching()).unwrap();
            let user = |mode: u32, owner: u32, variable: &str| {
                let root = root_with(arch, &code, mode);
                chown(root.path().join("hello"), Some(owner), Some(owner)).unwrap();
                // chown(2) takes the bit away.
                fs::set_permissions(root.path().join("hello"), fs::Permissions::from_mode(mode)).unwrap();
                as_nobody(root.path(), &["/hello"]).env(variable, "1").output().unwrap()
            };
            let lower = i32::from(NOBODY.to_le_bytes()[0]);
            let plain = user(0o755, 0, "QEMU_STRACE");
            assert_eq!(plain.status.code(), Some(lower), "{arch}");
            assert!(!plain.stderr.is_empty(), "qemu obeys its variables");
            let setuid = user(0o4755, 0, "QEMU_STRACE");
            assert_eq!(setuid.status.code(), Some(0), "{arch}");
            assert_eq!(setuid.stderr, b"", "{arch}: none of them reaches it where rights were gained");
            assert_eq!(user(0o4755, 7, "OTHER").status.code(), Some(7), "{arch}");
            assert_eq!(user(0o4111, 0, "OTHER").status.code(), Some(0), "{arch}: it may be run but not read");
            assert_eq!(user(0o111, 0, "OTHER").status.code(), Some(lower), "{arch}: likewise");
            emulation.close().unwrap();
        }
    });
}

#[test]
fn privileged_the_hosts_handler_without_rights_is_not_changed_by_ours() {
    in_guest("rights::privileged_the_hosts_handler_without_rights_is_not_changed_by_ours", || {
        heed_setuid_bits();
        let register = register();
        add(&register, "theirs", Path::new("/usr/bin/qemu-aarch64-static"), "OPF");
        let before = fs::read(register.join("theirs")).unwrap();
        let root = root_with(Arch::Arm64, &USER_ARM64, 0o4755);
        let user = || as_nobody(root.path(), &["/hello"]).status().unwrap().code();
        assert_ne!(user(), Some(0), "theirs");
        let emulation = enable(Arch::Arm64, &searching()).unwrap();
        assert_eq!(user(), Some(0), "ours");
        emulation.close().unwrap();
        assert_ne!(user(), Some(0), "theirs again");
        assert_eq!(fs::read(register.join("theirs")).unwrap(), before);
    });
}

#[test]
fn privileged_the_processor_is_chosen_by_environment_for_some_and_by_argument_for_all() {
    const NAME: &str =
        "rights::privileged_the_processor_is_chosen_by_environment_for_some_and_by_argument_for_all";
    in_guest(NAME, || {
        let root = root_with(Arch::Armv7, &MACHINE_ARM, 0o755);
        let machine = |cpu: Option<&str>| {
            let mut command = Command::new("chroot");
            command.arg(root.path()).arg("/hello");
            cpu.map(|cpu| command.env("QEMU_CPU", cpu));
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        let emulation = enable(Arch::Armv6, &searching()).unwrap();
        assert_eq!(machine(Some("arm1176")), "armv6l");
        assert_eq!(machine(Some("cortex-a8")), "armv7l");
        assert_ne!(machine(None), "armv6l");
        emulation.close().unwrap();

        let start = Start::Arguments(["-cpu", "arm1176"].map(Into::into).into());
        let emulation = enable_with(Arch::Armv6, &searching(), &start).unwrap();
        assert_eq!(machine(None), "armv6l");
        emulation.close().unwrap();
    });
}

/// Mounts the root, which is the second partition of the image, and nothing else.
fn mounted(image: &Path) -> PathBuf {
    let table: serde_json::Value =
        serde_json::from_str(&stdout_of(tool("sfdisk").arg("-J").arg(image))).unwrap();
    let offset = table["partitiontable"]["partitions"][1]["start"].as_u64().unwrap() * 512;
    let folder = PathBuf::from("/tmp/image");
    fs::create_dir(&folder).unwrap();
    let options = format!("ro,loop,offset={offset}");
    let mounted = tool("mount").args(["-o", &options]).arg(image).arg(&folder).status().unwrap();
    assert!(mounted.success());
    folder
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{:?} {output:?}", output.status.signal());
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a real busybox tells of how it was called, which is how it knows what to do.
fn busybox(image: &Path, arch: Arch, machine: &str) {
    let root = mounted(image);
    let odd = "two  \"words\"\n\\ 'x'";
    let start = Start::Arguments(["-E".to_owned(), format!("ODD={odd}")].map(Into::into).into());
    let emulation = enable_with(arch, &searching(), &start).unwrap();
    let run = |argv: &[&str]| text(&Command::new("chroot").arg(&root).args(argv).output().unwrap());
    assert_eq!(run(&["/bin/sh", "-c", "echo \"$ODD\""]).trim_end_matches('\n'), odd);
    assert_eq!(run(&["/bin/sh", "-c", "echo $0 $1", "zero", "--version"]), "zero --version\n");
    assert_eq!(run(&["/bin/sh", "-c", "exec uname -m"]), format!("{machine}\n"));
    assert_eq!(run(&["/bin/busybox", "echo", "-n", "-strace"]), "-strace");
    let login = Command::new(root.join("bin/busybox")).arg0("-ash").args(["-c", "echo $0"]).output();
    assert_eq!(text(&login.unwrap()), "-ash\n", "a login shell knows that it is one");
    // A chroot in a chroot, in which there is no /proc either: no path has to lead to qemu.
    assert_eq!(run(&["/bin/busybox", "chroot", "/", "/bin/busybox", "echo", "deep"]), "deep\n");
    emulation.close().unwrap();
}

#[test]
fn privileged_a_real_arm64_busybox_knows_its_name_and_qemu_its_arguments() {
    let image = images::raspios_arm64_tiny();
    in_guest("rights::privileged_a_real_arm64_busybox_knows_its_name_and_qemu_its_arguments", || {
        busybox(&image, Arch::Arm64, "aarch64");
    });
}

#[test]
fn privileged_a_real_armhf_busybox_knows_its_name_and_qemu_its_arguments() {
    let image = images::raspios_armhf_tiny();
    in_guest("rights::privileged_a_real_armhf_busybox_knows_its_name_and_qemu_its_arguments", || {
        busybox(&image, Arch::Armv7, "armv7l");
    });
}

#[test]
fn privileged_a_setuid_program_of_debian_does_what_only_root_may() {
    let image = images::raspios_arm64(&arm_image());
    in_guest("rights::privileged_a_setuid_program_of_debian_does_what_only_root_may", || {
        let root = mounted(&image);
        let emulation = enable(Arch::Arm64, &searching()).unwrap();
        // It reads /etc/shadow, which nobody else may, for the user who runs it.
        let shadow = as_nobody(&root, &["/bin/cat", "/etc/shadow"]).output().unwrap();
        assert!(!shadow.status.success());
        let output = as_nobody(&root, &["/usr/bin/passwd", "--status"]).output().unwrap();
        assert!(text(&output).starts_with("nobody "), "{output:?}");
        emulation.close().unwrap();
    });
}
