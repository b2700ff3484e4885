//! The ways to start qemu, and several at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use arm_image_qemu::{Arch, Error, Options, Start, enable, enable_with, explain};
use arm_image_tests::in_guest;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use crate::{add, handlers, register, remove, root, root_with, run_in_chroot, searching};

/// Shows the file at the same path in the root.
fn bind(file: &Path, root: &TempDir) {
    let place = root.path().join(file.strip_prefix("/").unwrap());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, "").unwrap();
    mount(Some(file), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

fn unbind(file: &Path, root: &TempDir) {
    umount2(&root.path().join(file.strip_prefix("/").unwrap()), MntFlags::empty()).unwrap();
}

#[test]
fn privileged_a_qemu_inside_the_image_serves_where_the_kernel_may_not_hold_it() {
    in_guest("start::privileged_a_qemu_inside_the_image_serves_where_the_kernel_may_not_hold_it", || {
        let register = register();
        let root = root(Arch::Arm64);
        let works = || run_in_chroot(&root).status.code() == Some(7);

        let emulation = enable_with(Arch::Arm64, &searching(), &Start::Inside).unwrap();
        let qemu = emulation.inside().unwrap().to_owned();
        assert!(!works(), "the path leads nowhere");
        bind(&qemu, &root);
        assert!(works());
        emulation.close().unwrap();
        assert!(!works());

        // A host's own, of the kind that works outside of images only, is not replaced.
        add(&register, "theirs", &qemu, "OP");
        let emulation = enable_with(Arch::Arm64, &Options::default(), &Start::Inside).unwrap();
        assert_eq!(emulation.inside(), Some(qemu.as_path()));
        assert!(emulation.describe().starts_with("the host's handler theirs"));
        assert!(works());
        emulation.close().unwrap();
        remove(&register, "theirs");

        // Nor one that works everywhere: then there is nothing to be made visible.
        unbind(&qemu, &root);
        add(&register, "theirs", &qemu, "OPF");
        let emulation = enable_with(Arch::Arm64, &Options::default(), &Start::Inside).unwrap();
        assert_eq!(emulation.inside(), None);
        assert!(works());
        emulation.close().unwrap();
        assert_eq!(handlers(&register), ["theirs"]);
    });
}

#[test]
fn privileged_many_at_once_do_not_collide_nor_touch_the_hosts() {
    in_guest("start::privileged_many_at_once_do_not_collide_nor_touch_the_hosts", || {
        const COUNT: usize = 4;
        let register = register();
        add(&register, "theirs", Path::new("/usr/bin/qemu-aarch64-static"), "OPF");
        let before = fs::read(register.join("theirs")).unwrap();
        let (together, root) = (Barrier::new(COUNT), root(Arch::Arm64));
        for round in 0..3 {
            let one = |number: usize| {
                let start = match number % 2 {
                    0 => Start::Plain,
                    _ => Start::Arguments(vec!["-R".into(), "1G".into()]),
                };
                together.wait();
                let emulation = enable_with(Arch::Arm64, &searching(), &start).unwrap();
                let description = emulation.describe();
                together.wait();
                // All are there; whichever is newest wins, and goes while others use it.
                let ran = run_in_chroot(&root).status.code();
                emulation.close().unwrap();
                assert_eq!(run_in_chroot(&root).status.code(), Some(7), "round {round}");
                (description, ran)
            };
            let one = &one;
            let results: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..COUNT).map(|number| scope.spawn(move || one(number))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(results.iter().all(|(_, code)| *code == Some(7)), "{results:?}");
            let names: BTreeSet<_> =
                results.iter().map(|(description, _)| description.split(' ').nth(2)).collect();
            assert_eq!(names.len(), COUNT, "{results:?}");
        }
        assert_eq!(handlers(&register), ["theirs"]);
        assert_eq!(fs::read(register.join("theirs")).unwrap(), before);
    });
}

#[test]
fn privileged_a_crash_under_qemu_is_explained() {
    in_guest("start::privileged_a_crash_under_qemu_is_explained", || {
        let emulation = enable(Arch::Arm64, &searching()).unwrap();
        // udf #0, which is undefined for ever; and mov x0, #0 with ldr x0, [x0], which reads from address 0.
        for (code, word) in
            [([0, 0].as_slice(), "instruction"), (&[0xd280_0000, 0xf940_0000], "versions of qemu")]
        {
            let root = root_with(Arch::Arm64, code, 0o755);
            let output = run_in_chroot(&root);
            let told = explain(Arch::Arm64, output.status, &output.stderr);
            assert!(told.is_some_and(|told| told.contains(word)), "{output:?}");
        }
        emulation.close().unwrap();
    });
}

#[test]
fn privileged_the_version_is_told() {
    in_guest("start::privileged_the_version_is_told", || {
        let emulation = enable(Arch::Armv7, &searching()).unwrap();
        let output =
            std::process::Command::new("/usr/bin/qemu-arm-static").arg("--version").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(emulation.version(), text.lines().next());
        emulation.close().unwrap();
    });
}

#[test]
fn privileged_arguments_that_cannot_be_are_refused_with_the_reason() {
    in_guest("start::privileged_arguments_that_cannot_be_are_refused_with_the_reason", || {
        let register = register();
        let start = Start::Arguments(vec!["a\0b".into()]);
        let error = enable_with(Arch::Arm64, &searching(), &start).unwrap_err();
        assert!(matches!(&error, Error::Wrap { .. }), "{error}");
        assert_eq!(handlers(&register), Vec::<String>::new());
    });
}
