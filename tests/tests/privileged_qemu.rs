//! Programs of another architecture, run through real qemu-user and a real binfmt_misc.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arm_image_qemu::{Arch, Error, Options, enable, find_binary, stale};
use arm_image_tests::in_guest;
use arm_image_tests::machine_code::{NAME_ARM, NAME_ARM64, program};
use nix::mount::{MsFlags, mount};
use tempfile::TempDir;

#[path = "privileged_qemu/rights.rs"]
mod rights;
#[path = "privileged_qemu/start.rs"]
mod start;

/// A root folder that holds nothing but the program `/hello` of this architecture, which tells its `argv[0]`.
fn root(arch: Arch) -> TempDir {
    let code = if arch == Arch::Arm64 { NAME_ARM64 } else { NAME_ARM };
    root_with(arch, &code, 0o755)
}

fn root_with(arch: Arch, code: &[u32], mode: u32) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = root.path().join("hello");
    fs::write(&path, program(arch, code)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    root
}

fn run_in_chroot(root: &TempDir) -> Output {
    Command::new("chroot").arg(root.path()).arg("/hello").output().unwrap()
}

/// binfmt_misc, mounted by the test to look at it from outside the library; not where the library looks.
fn register() -> PathBuf {
    let folder = Path::new("/tmp/binfmt");
    fs::create_dir(folder).unwrap();
    mount(Some("none"), folder, Some("binfmt_misc"), MsFlags::empty(), None::<&str>).unwrap();
    folder.to_owned()
}

fn handlers(register: &Path) -> Vec<String> {
    let names =
        fs::read_dir(register).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "register" && name != "status").collect()
}

/// Registers an arm64 handler as a system would.
fn add(register: &Path, name: &str, interpreter: &Path, flags: &str) {
    let magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    let line = format!(":{name}:M::{magic}:{mask}:{}:{flags}", interpreter.display());
    fs::write(register.join("register"), line).unwrap();
}

fn remove(register: &Path, name: &str) {
    fs::write(register.join(name), "-1").unwrap();
}

fn searching() -> Options {
    Options { search: vec!["/usr/bin".into()], ..Options::default() }
}

#[test]
fn privileged_own_handlers_run_programs_in_a_chroot_and_go() {
    in_guest("privileged_own_handlers_run_programs_in_a_chroot_and_go", || {
        let register = register();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for arch in [Arch::Arm64, Arch::Armv7, Arch::Armv6] {
            assert_eq!(
                Arch::from_elf(&program(arch, if arch == Arch::Arm64 { &NAME_ARM64 } else { &NAME_ARM })),
                Some(if arch == Arch::Arm64 { arch } else { Arch::Armv7 })
            );
            let root = root(arch);
            let emulation = enable(arch, &searching()).unwrap();
            let description = emulation.describe();
            let mark = format!("own handler arm-image-{}-", std::process::id());
            assert!(
                description.starts_with(&mark) && description.contains("/usr/bin/qemu-a"),
                "{description}"
            );
            assert_eq!(handlers(&register).len(), 1);
            let output = run_in_chroot(&root);
            assert_eq!(
                (output.status.code(), output.stdout.as_slice()),
                (Some(7), b"/hello".as_slice()),
                "{output:?}"
            );
            emulation.close().unwrap();
            assert_eq!(handlers(&register), Vec::<String>::new());
        }
        assert_eq!(
            fs::read_to_string("/proc/self/mountinfo").unwrap(),
            mounts,
            "nothing was mounted in sight"
        );
    });
}

#[test]
fn privileged_several_emulations_live_side_by_side_and_dropping_ends_each() {
    in_guest("privileged_several_emulations_live_side_by_side_and_dropping_ends_each", || {
        let register = register();
        let root = root(Arch::Arm64);
        let first = enable(Arch::Arm64, &searching()).unwrap();
        let second = enable(Arch::Arm64, &searching()).unwrap();
        assert_ne!(first.describe(), second.describe(), "the second does not lean on the first");
        drop(first);
        assert_eq!(run_in_chroot(&root).status.code(), Some(7));
        assert!(stale().unwrap().is_empty(), "this process lives");
        drop(second);
        assert_eq!(handlers(&register), Vec::<String>::new());
    });
}

#[test]
fn privileged_a_program_sees_the_name_it_was_called_by() {
    in_guest("privileged_a_program_sees_the_name_it_was_called_by", || {
        let root = root(Arch::Arm64);
        let emulation = enable(Arch::Arm64, &searching()).unwrap();
        let output = Command::new(root.path().join("hello")).arg0("-other").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "-other");
        emulation.close().unwrap();
    });
}

#[test]
fn privileged_the_hosts_handler_is_used_where_it_serves() {
    in_guest("privileged_the_hosts_handler_is_used_where_it_serves", || {
        let register = register();
        let qemu = find_binary(Arch::Arm64, &searching()).unwrap();
        let is_own = |options: &Options| {
            let emulation = enable(Arch::Arm64, options).unwrap();
            let own = emulation.describe().starts_with("own handler");
            emulation.close().unwrap();
            own
        };

        add(&register, "theirs", &qemu, "OPCF");
        let before = fs::read(register.join("theirs")).unwrap();
        let emulation = enable(Arch::Arm64, &Options::default()).unwrap();
        let description = format!("the host's handler theirs using {} ", qemu.display());
        assert!(emulation.describe().starts_with(&description), "{}", emulation.describe());
        assert!(emulation.version().unwrap().starts_with("qemu-aarch64 version "));
        assert_eq!(run_in_chroot(&root(Arch::Arm64)).status.code(), Some(7));
        emulation.close().unwrap();
        assert_eq!(handlers(&register), ["theirs"], "it is not ours to remove");
        let explicit = Options { binary: Some(qemu.clone()), ..Options::default() };
        assert!(is_own(&explicit), "a qemu was asked for by name");

        fs::write(register.join("theirs"), "0").unwrap();
        assert!(is_own(&searching()), "it is disabled");
        fs::write(register.join("theirs"), "1").unwrap();

        add(&register, "unfixed", &qemu, "P");
        assert!(is_own(&searching()), "one without F may win");
        let emulation = enable(Arch::Arm64, &searching()).unwrap();
        assert_eq!(run_in_chroot(&root(Arch::Arm64)).status.code(), Some(7), "ours is newest and wins");
        emulation.close().unwrap();
        assert_ne!(run_in_chroot(&root(Arch::Arm64)).status.code(), Some(7), "theirs is in force again");
        remove(&register, "unfixed");

        add(&register, "dynamic", Path::new("/bin/true"), "F");
        assert!(is_own(&searching()), "its loader is missing in the image");
        remove(&register, "dynamic");

        assert!(!is_own(&searching()));
        add(&register, "lesser", &qemu, "OPF");
        assert!(is_own(&searching()), "one may win that gives setuid programs no rights");
        remove(&register, "lesser");
        assert_eq!(fs::read(register.join("theirs")).unwrap(), before, "nothing of it has changed");
        remove(&register, "theirs");
        add(&register, "theirs", &qemu, "OPF");
        assert!(is_own(&searching()), "setuid programs would not get their rights");
        assert!(!is_own(&Options::default()), "but without a qemu of our own it has to do");
        remove(&register, "theirs");
    });
}

#[test]
fn privileged_what_a_killed_run_left_is_found_and_removed() {
    in_guest("privileged_what_a_killed_run_left_is_found_and_removed", || {
        let register = register();
        let qemu = find_binary(Arch::Arm64, &searching()).unwrap();
        let living = enable(Arch::Arm64, &searching()).unwrap();
        let own = handlers(&register).remove(0);
        let fields: Vec<&str> = own.split('-').collect();
        let [_, _, process, start, namespace, _] = fields[..] else { panic!("{own}") };

        // This process's id at another start stands for a process that is gone.
        let dead = format!("arm-image-{process}-{start}0-{namespace}-arm64");
        let foreign = format!("arm-image-{process}-{start}0-{namespace}0-arm64");
        for name in [dead.as_str(), foreign.as_str(), "arm-image-mine", "theirs"] {
            add(&register, name, &qemu, "F");
        }
        let found = stale().unwrap();
        assert_eq!(found.iter().map(arm_image_qemu::Stale::name).collect::<Vec<_>>(), [dead.as_str()]);
        for stale in found {
            stale.remove().unwrap();
        }
        assert!(stale().unwrap().is_empty());
        let mut left = handlers(&register);
        left.sort();
        let mut expected = vec![own, foreign.clone(), "arm-image-mine".to_owned(), "theirs".to_owned()];
        expected.sort();
        assert_eq!(left, expected);
        living.close().unwrap();
        for name in [foreign.as_str(), "arm-image-mine", "theirs"] {
            remove(&register, name);
        }
    });
}

#[test]
fn privileged_what_cannot_work_is_refused_with_the_reason() {
    in_guest("privileged_what_cannot_work_is_refused_with_the_reason", || {
        let register = register();
        let given = |path: &str| Options { binary: Some(path.into()), ..Options::default() };
        let error = enable(Arch::Arm64, &Options::default()).unwrap_err();
        assert!(matches!(error, Error::NoBinary { arch: Arch::Arm64 }), "{error}");
        let error = enable(Arch::Arm64, &given("/usr/bin/qemu-arm-static")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/usr/bin/qemu-arm-static` is qemu-arm, but arm64 programs need qemu-aarch64"
        );
        let error = enable(Arch::Arm64, &given("/bin/true")).unwrap_err();
        assert!(matches!(error, Error::DynamicBinary { .. }), "{error}");
        fs::write(register.join("status"), "0").unwrap();
        let error = enable(Arch::Arm64, &searching()).unwrap_err();
        assert!(matches!(error, Error::Disabled), "{error}");
        fs::write(register.join("status"), "1").unwrap();
        assert_eq!(handlers(&register), Vec::<String>::new());
    });
}
