//! Steps that do their worst.

use nix::sys::signal::Signal;

use crate::judge::{Judge, with_image};

/// What a step does, and the exit code of the build: 0 where it comes to a good end all the same.
const STEPS: &[(&str, &str, i32)] = &[
    ("forks a daemon twice", "(setsid sh -c 'sleep 700 & sleep 800' > /dev/null 2>&1 &) ; sleep 900 &", 0),
    ("fills /tmp", "dd if=/dev/zero of=/tmp/fill bs=1M; test -s /tmp/fill", 0),
    ("fills the image", "dd if=/dev/zero of=/fill bs=1M", 8),
    (
        "unmounts what it finds",
        "umount -l /boot/firmware; umount -l /dev; umount -l /sys; umount -l /run; umount -l /tmp; umount -l /proc",
        0,
    ),
    (
        "mounts over what it finds",
        "mount -t tmpfs none /etc; mount -t tmpfs none /boot/firmware; mount -o bind /etc /usr",
        0,
    ),
    ("kills its parent", "kill -9 $PPID; kill -9 1; kill -9 -1", 8),
    ("stops its parent", "kill -STOP $PPID; kill -STOP 1; exit 3", 8),
    ("removes what it runs from", "rm -rf /tmp/* /tmp/.[a-z]* /run/*; exit 0", 0),
    ("closes its output and goes on", "exec > /dev/null 2>&1 < /dev/null; sleep 1; exit 5", 8),
    ("is ended by a signal", "kill -SEGV $$", 8),
];

/// What comes after such a step finds the image as an image is.
const AFTER: &str = "test -e /etc/fstab && test -w /tmp && test -e /proc/self && test -e /dev/null && test -e /boot/firmware/config.txt";

fn all(mapper: &str) -> impl Fn(&std::path::Path) {
    move |image| {
        let judge = Judge::new(image);
        for &(what, step, code) in STEPS {
            let row = format!("a step that {what}, {mapper}");
            let ended =
                judge.place.run(judge.build(mapper, &["--run", &format!("set +e; {step}"), "--run", AFTER]));
            assert_eq!(ended.0.status.code(), Some(code), "{row}: {ended:?}");
            if code == 0 {
                judge.is_sound(&row);
            }
            judge.nothing_is_left(&row, false);
        }
    }
}

#[test]
fn privileged_hostile_steps_leave_nothing_of_dm() {
    with_image("hostile::privileged_hostile_steps_leave_nothing_of_dm", all("dm"));
}

#[test]
fn privileged_hostile_steps_leave_nothing_of_loop_devices() {
    with_image("hostile::privileged_hostile_steps_leave_nothing_of_loop_devices", all("loop"));
}

#[test]
fn privileged_a_root_that_a_step_makes_read_only_fails_the_build_and_leaves_nothing() {
    let name = "hostile::privileged_a_root_that_a_step_makes_read_only_fails_the_build_and_leaves_nothing";
    with_image(name, |image| {
        let judge = Judge::new(image);
        for mapper in ["dm", "loop"] {
            let step = ["--run", "mount -o remount,ro /", "--run", "echo never > /etc/never"];
            let ended = judge.place.run(judge.build(mapper, &step));
            assert_eq!(ended.0.status.code(), Some(8), "{ended:?}");
            judge.nothing_is_left(&format!("a read-only root, {mapper}"), false);
        }
    });
}

#[test]
fn privileged_a_local_script_that_kills_the_program_or_its_keeper_leaves_nothing() {
    let name = "hostile::privileged_a_local_script_that_kills_the_program_or_its_keeper_leaves_nothing";
    with_image(name, |image| {
        let mut judge = Judge::new(image);
        // There are two keepers between.
        let parent = "parent() { cut -d ' ' -f 4 /proc/$1/stat; };";
        let grandparent =
            &format!("setsid sleep 700 & {parent} kill -9 $(parent $(parent $PPID)); sleep 600");
        let keeper = "setsid sleep 700 & sleep 800 & sleep 0.3; kill -9 $PPID; sleep 600";
        for (what, script, killed) in [
            ("kills the program", grandparent.as_str(), true),
            ("kills its keeper", keeper, false),
            ("leaves its group", "setsid sleep 600 & exit 0", false),
        ] {
            judge.template(&format!("provisioner \"shell-local\" {{\n inline = [{script:?}]\n}}\n"));
            let build = ["build", "t.pkr.hcl", "--isolation", "host", "--mapper", "dm"];
            let ended = judge.place.run(build);
            let row = format!("a local script that {what}");
            match killed {
                true => drop(ended.expect_signal(Signal::SIGKILL)),
                false if what == "leaves its group" => {
                    drop(ended.expect(0));
                    judge.is_sound(&row);
                }
                false => drop(ended.expect(8)),
            }
            judge.nothing_is_left(&row, killed);
        }
    });
}
