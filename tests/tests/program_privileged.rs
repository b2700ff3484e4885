//! The program as root on a kernel that has everything: device-mapper, loop devices, vfat, ext4, binfmt_misc. Whatever
//! happens to a run, the kernel is afterwards as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::path::{Path, PathBuf};

use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_size, facts, fat_file};
use arm_image_tests::program::kernel::{BINFMT, Kernel, mount_binfmt};
use arm_image_tests::program::{Place, names_in, sha256, wait_for};
use arm_image_tests::{images, in_guest};
use nix::kmod::{DeleteModuleFlags, delete_module};
use nix::sys::signal::Signal;

const MIB: u64 = 1 << 20;

/// Runs `body` with an image in a guest; the image is made before, as there is no network inside.
fn with_image(name: &str, make: fn() -> PathBuf, body: impl FnOnce(&Path)) {
    let image = make();
    in_guest(name, || body(&image));
}

/// A build on this kernel of `o.img` with these further arguments.
fn arguments<'a>(source: &'a str, mapper: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let build = ["build", "--source", source, "--checksum", "none", "--output", "o.img"];
    [&build, ["--isolation", "host", "--mapper", mapper].as_slice(), more].concat()
}

/// A whole build; `root` is the number of the root's partition, `boot` where the first is mounted.
fn build(place: &Place, image: &Path, mapper: &str, root: u64, boot: &str, machine: &str) {
    let source = image.with_extension("img.xz").display().to_string();
    let digest = sha256(source.as_ref());
    let copied = place.write("motd", "Welcome to the kitchen\n").display().to_string();
    let (copy, run) =
        (format!("{copied}:/etc/motd"), format!("uname -m | tee /etc/machine > {boot}/machine"));
    let more = ["--size", "+64M", "--copy", &copy, "--run", &run];
    place.run(arguments(&source, mapper, &more)).expect(0).prints("o.img").says("on this machine's kernel");
    let output = place.path("o.img");
    assert_eq!(ext4_file(&output, root, "/etc/motd"), "Welcome to the kitchen\n");
    assert_eq!(ext4_file(&output, root, "/etc/machine"), format!("{machine}\n"));
    assert_eq!(fat_file(&output, 1, "/machine"), format!("{machine}\n"));
    assert_sound(&output);
    let grown = facts(&output).1.pop().unwrap();
    assert!(grown.size - ext4_size(&output, root) < 4096, "the file system fills its partition");
    assert_eq!(fs::metadata(&output).unwrap().len(), fs::metadata(image).unwrap().len() + 64 * MIB);
    assert_eq!(sha256(source.as_ref()), digest);
    assert_eq!(names_in(&place.work()), ["motd", "o.img"]);
    assert_eq!(names_in(&place.temporary()), Vec::<String>::new());
}

fn build_leaves_nothing(image: &Path, mapper: &str) {
    mount_binfmt();
    let place = Place::new();
    let before = Kernel::look();
    build(&place, image, mapper, 2, "/boot/firmware", "aarch64");
    assert_eq!(Kernel::look(), before);
}

#[test]
fn privileged_dm_build_leaves_the_kernel_as_it_was() {
    let name = "privileged_dm_build_leaves_the_kernel_as_it_was";
    with_image(name, images::raspios_arm64_tiny, |image| build_leaves_nothing(image, "dm"));
}

#[test]
fn privileged_loop_build_leaves_the_kernel_as_it_was() {
    let name = "privileged_loop_build_leaves_the_kernel_as_it_was";
    with_image(name, images::raspios_arm64_tiny, |image| build_leaves_nothing(image, "loop"));
}

#[test]
fn privileged_armhf_builds_and_binfmt_misc_need_not_be_mounted() {
    let name = "privileged_armhf_builds_and_binfmt_misc_need_not_be_mounted";
    with_image(name, images::raspios_armhf_tiny, |image| {
        assert!(!Path::new(BINFMT).join("register").exists(), "this test is for a kernel without the mount");
        let place = Place::new();
        let before = Kernel::look();
        build(&place, image, "auto", 2, "/boot/firmware", "armv7l");
        assert_eq!(Kernel::look(), before);
        mount_binfmt();
        assert_eq!(names_in(BINFMT.as_ref()), ["register", "status"]);
    });
}

#[test]
fn privileged_gpt_builds_with_dm() {
    with_image("privileged_gpt_builds_with_dm", images::gpt_arm64_tiny, |image| {
        build(&Place::new(), image, "dm", 3, "/config", "aarch64");
    });
}

/// What ends a run before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Signal(Signal),
    FailingStep,
}

/// A run that ends early leaves the kernel as it was; a killed one leaves names, which `cleanup` takes.
fn ends(image: &Path, mapper: &str, end: End) {
    mount_binfmt();
    let place = Place::new();
    let source = image.with_extension("img.xz").display().to_string();
    let before = Kernel::look();
    // What a step leaves running in the background has to go as well.
    let step = "sleep 700 & echo begun; sleep 600; echo never";
    match end {
        End::FailingStep => {
            let step = "sleep 700 & echo the-cause >&2; exit 42";
            let ended = place.run(arguments(&source, mapper, &["--run", step])).expect(8).says("the-cause");
            assert!(ended.stderr().contains("42"), "{ended:?}");
        }
        End::Signal(signal) => {
            let mut running = place.start(arguments(&source, mapper, &["--run", step]));
            running.until("begun");
            let during = Kernel::look();
            assert!(during.processes.iter().any(|process| process.contains("sleep 700")), "{during:?}");
            assert_ne!(during.loops, before.loops);
            assert_eq!(during.dm != before.dm, mapper == "dm", "{during:?}");
            assert_eq!(during.mounts, before.mounts, "mounts are seen by the run only");
            running.send(signal);
            let ended = running.wait();
            let _ = if signal == Signal::SIGKILL {
                ended.expect_signal(signal)
            } else {
                ended.expect(128 + signal as i32)
            };
        }
    }
    if end != End::Signal(Signal::SIGKILL) {
        assert_eq!(Kernel::look(), before);
        assert_eq!(names_in(&place.work()), Vec::<String>::new());
        assert_eq!(names_in(&place.temporary()), Vec::<String>::new());
        return;
    }
    // Nobody waits for what the kernel takes down by itself, in workers of its own.
    wait_for("the kernel to be as before", || {
        let now = Kernel { handlers: before.handlers.clone(), ..Kernel::look() };
        (now == before).then_some(())
    });
    assert_eq!(names_in(&place.work()), ["o.img.partial"]);
    place.run(["cleanup"]).expect(0);
    assert_eq!(Kernel::look(), before);
    place.run(arguments(&source, mapper, &["--run", "true"])).expect(0).prints("o.img");
    assert_eq!(names_in(&place.work()), ["o.img"]);
    assert_eq!(Kernel::look(), before);
}

/// One test for an end and a mapper.
macro_rules! ends {
    ($($name:ident: $mapper:literal, $end:expr;)*) => {
        $(
            #[test]
            fn $name() {
                with_image(stringify!($name), images::raspios_arm64_tiny, |image| ends(image, $mapper, $end));
            }
        )*
    };
}

ends! {
    privileged_dm_sigkill_in_a_step_leaves_nothing: "dm", End::Signal(Signal::SIGKILL);
    privileged_loop_sigkill_in_a_step_leaves_nothing: "loop", End::Signal(Signal::SIGKILL);
    privileged_dm_sigint_in_a_step_leaves_nothing: "dm", End::Signal(Signal::SIGINT);
    privileged_loop_sigterm_in_a_step_leaves_nothing: "loop", End::Signal(Signal::SIGTERM);
    privileged_dm_failing_step_leaves_nothing: "dm", End::FailingStep;
    privileged_loop_failing_step_leaves_nothing: "loop", End::FailingStep;
}

#[test]
fn privileged_map_names_the_partitions_while_a_command_runs() {
    let name = "privileged_map_names_the_partitions_while_a_command_runs";
    with_image(name, images::raspios_arm64_tiny, |image| {
        mount_binfmt();
        let place = Place::new();
        place.copy(image, "a.img");
        let before = Kernel::look();
        for mapper in ["dm", "loop"] {
            let command = "blkid -p -o value -s TYPE $PART1 $PART2; echo $PART3; exit 5";
            let map = ["map", "a.img", "--mapper", mapper, "--", "sh", "-c", command];
            let ended = place.run(map).expect(5);
            assert_eq!(ended.stdout(), "vfat\next4\n\n", "{mapper}");
            assert_eq!(Kernel::look(), before);
            let check = ["map", "a.img", "--mapper", mapper, "--", "sh", "-c", "e2fsck -fn \"$PART2\""];
            place.run(check).expect(0);
            assert_eq!(Kernel::look(), before);
        }
    });
}

#[test]
fn privileged_a_signal_asks_the_command_of_map_to_end() {
    with_image("privileged_a_signal_asks_the_command_of_map_to_end", images::raspios_arm64_tiny, |image| {
        let place = Place::new();
        place.copy(image, "a.img");
        let before = Kernel::look();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let command = "trap 'sleep 0.3; echo ended >&2; exit 5' TERM; setsid sleep 700 & echo begun >&2; \
                           while :; do sleep 0.1; done";
            let mut running = place.start(["map", "a.img", "--mapper", "dm", "--", "sh", "-c", command]);
            running.until("begun");
            running.send(signal);
            let _ = running.wait().expect(5).says("ended");
            assert_eq!(Kernel::look(), before, "{signal}");
        }
    });
}

#[test]
fn privileged_doctor_tells_root_with_dm_root_without_and_an_ordinary_user_apart() {
    let name = "privileged_doctor_tells_root_with_dm_root_without_and_an_ordinary_user_apart";
    in_guest(name, || {
        let doctor = |place: &Place| -> (String, bool) {
            let told = place.run(["doctor", "--json"]).expect(0).stdout();
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            let checks = told["checks"].as_array().unwrap();
            let dm = checks.iter().find(|check| check["name"] == "device-mapper").unwrap();
            (told["verdict"].as_str().unwrap().to_owned(), dm["ok"].as_bool().unwrap())
        };
        let root = Place::new();
        let before = Kernel::look();
        let (verdict, dm) = doctor(&root);
        assert!(verdict.contains("(host, dm)") && dm, "{verdict}");
        // Looking changes nothing.
        assert_eq!(Kernel::look(), before);

        let user = Place::of_user(65534);
        let (verdict, _) = doctor(&user);
        assert!(verdict.contains("(guest)") && verdict.contains("ordinary user"), "{verdict}");

        delete_module(c"dm_mod", DeleteModuleFlags::empty()).unwrap();
        let (verdict, dm) = doctor(&root);
        assert!(verdict.contains("(host, loop)") && !dm, "{verdict}");
    });
}
