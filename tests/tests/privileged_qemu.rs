//! Programs of another architecture, run through real qemu-user and a real binfmt_misc.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arm_image_qemu::{Arch, Error, Options, enable, find_binary, stale};
use arm_image_tests::in_guest;
use nix::mount::{MsFlags, mount};
use tempfile::TempDir;

/// An arm64 program that writes its `argv[0]` to its standard output and exits with code 7.
const ARM64: [u32; 12] = [
    0xf940_07e1, // ldr x1, [sp, #8]
    0xd280_0002, // mov x2, #0
    0x3862_6823, // ldrb w3, [x1, x2]
    0x3400_0063, // cbz w3, three on
    0x9100_0442, // add x2, x2, #1
    0x17ff_fffd, // b three back
    0xd280_0020, // mov x0, #1
    0xd280_0808, // mov x8, #64 (write)
    0xd400_0001, // svc #0
    0xd280_00e0, // mov x0, #7
    0xd280_0ba8, // mov x8, #93 (exit)
    0xd400_0001, // svc #0
];

/// The same for 32-bit ARM.
const ARM: [u32; 12] = [
    0xe59d_1004, // ldr r1, [sp, #4]
    0xe3a0_2000, // mov r2, #0
    0xe7d1_3002, // ldrb r3, [r1, r2]
    0xe353_0000, // cmp r3, #0
    0x1282_2001, // addne r2, r2, #1
    0x1aff_fffb, // bne three back
    0xe3a0_0001, // mov r0, #1
    0xe3a0_7004, // mov r7, #4 (write)
    0xef00_0000, // svc #0
    0xe3a0_0007, // mov r0, #7
    0xe3a0_7001, // mov r7, #1 (exit)
    0xef00_0000, // svc #0
];

/// A static program of this code: an ELF header, one segment, the code.
fn program(arch: Arch) -> Vec<u8> {
    let (class, machine, code) = match arch {
        Arch::Arm64 => (2_u8, 183_u16, ARM64),
        _ => (1, 40, ARM),
    };
    let wide = class == 2;
    let (header, segment) = if wide { (64_u16, 56_u16) } else { (52, 32) };
    let start = u64::from(header + segment);
    let base = 0x40_0000_u64;
    let length = start + 48;
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend([class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([2_u16, machine].map(u16::to_le_bytes).concat());
    bytes.extend(1_u32.to_le_bytes());
    let long =
        |bytes: &mut Vec<u8>, value: u64| bytes.extend(&value.to_le_bytes()[..if wide { 8 } else { 4 }]);
    for value in [base + start, header.into(), 0] {
        long(&mut bytes, value);
    }
    bytes.extend(if wide { 0_u32 } else { 0x0500_0000 }.to_le_bytes()); // EABI 5
    bytes.extend([header, segment, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // PT_LOAD, readable and executable: the flags stand second in 64 bits, last but one in 32.
    bytes.extend(1_u32.to_le_bytes());
    if wide {
        bytes.extend(5_u32.to_le_bytes());
    }
    for value in [0, base, base, length, length] {
        long(&mut bytes, value);
    }
    if !wide {
        bytes.extend(5_u32.to_le_bytes());
    }
    long(&mut bytes, 0x1000);
    bytes.extend(code.map(u32::to_le_bytes).concat());
    assert_eq!(u64::try_from(bytes.len()).unwrap(), length);
    bytes
}

/// A root folder that holds nothing but the program `/hello` of this architecture.
fn root(arch: Arch) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("hello");
    fs::write(&path, program(arch)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
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
                Arch::from_elf(&program(arch)),
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

        add(&register, "theirs", &qemu, "OPF");
        let emulation = enable(Arch::Arm64, &Options::default()).unwrap();
        assert_eq!(emulation.describe(), format!("the host's handler theirs using {}", qemu.display()));
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
