//! Every stage on this kernel, and every signal that ends programs.

use std::path::Path;

use arm_image_tests::program::Ended;
use nix::sys::signal::Signal;

use crate::judge::{Judge, with_image};
use crate::traced::Call::{First, InThread};
use crate::traced::{self, Call};

/// When the signal comes.
enum Moment {
    /// As this system call begins.
    At(Call),
    /// Once this line is said.
    Says(&'static str),
}
use Moment::{At, Says};

/// What is built.
enum Work {
    /// These steps by options.
    Options(&'static [&'static str]),
    /// These provisioners of a template.
    Template(&'static str),
}
use Work::{Options, Template};

const CONTROL: Option<&str> = Some("/dev/mapper/control");
const VERIFY: &str = "verify: verifying the unpacked image";
const TRUE: Work = Options(&["--run", "true"]);
const DOWNLOAD: Work = Template(
    "provisioner \"file\" {\n direction = \"download\"\n source = \"/etc/fstab\"\n destination = \"down\"\n}\n",
);

/// A stage, and the moments in it.
const ROWS: &[(&str, Work, Moment)] = &[
    ("unpack", TRUE, At(First("ftruncate", None, 1))),
    ("verify", Options(&["--image-checksum", "sha256:DIGEST", "--run", "true"]), Says(VERIFY)),
    ("table", TRUE, At(First("ftruncate", None, 2))),
    ("emulation", TRUE, At(First("memfd_create", None, 1))),
    ("map: the whole image", TRUE, At(First("ioctl", Some("/dev/loop0"), 1))),
    ("map: before a table is loaded", TRUE, At(First("ioctl", CONTROL, 7))),
    ("map: before a device works", TRUE, At(First("ioctl", CONTROL, 8))),
    ("map: before a device is removed with its last close", TRUE, At(First("ioctl", CONTROL, 9))),
    ("map: the second partition", TRUE, At(First("ioctl", CONTROL, 13))),
    ("grow", TRUE, At(First("fsmount", None, 1))),
    ("grow: whether all of it was written", TRUE, At(First("fsync", None, 1))),
    ("mount: the root", TRUE, At(InThread("move_mount", 1))),
    ("mount: one of many", TRUE, At(InThread("move_mount", 9))),
    ("mount: the last", TRUE, At(InThread("pivot_root", 1))),
    ("provision: run", Options(&["--run", "sleep 700 & echo begun; sleep 600"]), Says("begun")),
    ("provision: script", Options(&["--script", "script"]), Says("begun")),
    ("provision: upload", Options(&["--copy", "up:/etc/up"]), At(First("openat", Some("up"), 1))),
    ("provision: download", DOWNLOAD, At(First("statx", Some("down"), 1))),
    // Once it is known that the source is no folder.
    ("provision: download, as its content comes", DOWNLOAD, At(First("openat2", Some("/etc/fstab"), 2))),
    (
        "provision: on this machine",
        Template(
            "provisioner \"shell-local\" {\n inline = [\"sleep 700 & echo begun; setsid sleep 800 & sleep 600\"]\n}\n",
        ),
        Says("begun"),
    ),
    (
        "provision: a pause",
        Template("provisioner \"shell\" {\n inline = [\"true\"]\n pause_before = \"10m\"\n}\n"),
        Says("provision: true"),
    ),
    (
        "provision: what a local script leaves among the temporary files",
        Template("provisioner \"shell-local\" {\n inline = [\"true\"]\n}\n"),
        At(First("unlink", None, 1)),
    ),
    ("teardown: giving free blocks back", TRUE, At(First("syncfs", None, 1))),
    ("teardown: writing the first file system back", TRUE, At(First("syncfs", None, 3))),
    ("teardown: writing the second back", TRUE, At(First("syncfs", None, 4))),
    ("teardown: whether all was written", TRUE, At(First("fsync", None, 2))),
    ("teardown: unmapping", TRUE, At(First("ioctl", CONTROL, 15))),
    ("shrink", Options(&["--shrink", "--run", "true"]), Says("resize: shrinking the ext4 of partition 2")),
    ("write out", TRUE, At(First("fsync", None, 4))),
    ("rename", TRUE, At(First("rename", None, 1))),
];

/// Ends a build with these arguments at `moment` by `signal`.
fn end(judge: &Judge, arguments: &[String], moment: &Moment, signal: Signal) -> Ended {
    match moment {
        At(call) => traced::run(&judge.place, arguments, [(*call, &*format!("signal={signal}"))]),
        Says(line) => {
            let mut running = judge.place.start(arguments);
            running.until(line);
            running.send(signal);
            running.wait()
        }
    }
}

fn all(image: &Path, mapper: &str, signal: Signal, rows: &mut dyn Iterator<Item = &(&str, Work, Moment)>) {
    let mut judge = Judge::new(image);
    judge.material("script", "#!/bin/sh\nsleep 700 &\necho begun\nsleep 600\n");
    judge.material("up", "up\n");
    judge.material("down", "what was there before\n");
    let mut count = 0;
    for (stage, work, moment) in rows {
        let arguments = match work {
            Options(more) => {
                let build = judge.build(mapper, more);
                build.into_iter().map(|word| word.replace("DIGEST", judge.digest())).collect()
            }
            Template(provisioner) => {
                judge.template(provisioner);
                ["build", "t.pkr.hcl", "--isolation", "host", "--mapper", mapper].map(str::to_owned).to_vec()
            }
        };
        let ended = end(&judge, &arguments, moment, signal);
        let row = format!("{stage}, {mapper}, {signal}");
        // The signal comes as the image gets its name: both ends of it are right, but not one between.
        if *stage == "rename" && ended.0.status.success() {
            std::fs::remove_file(judge.place.path("o.img")).unwrap();
            judge.nothing_is_left(&row, false);
        } else {
            judge.judge(&row, signal, &ended);
        }
        count += 1;
    }
    assert!(count > 0);
    // What was ended keeps nobody from building.
    let done = judge.place.run(judge.build(mapper, &["--run", "true"])).expect(0).prints("o.img");
    assert_eq!(done.0.status.code(), Some(0));
}

#[test]
fn privileged_sigint_leaves_nothing_at_any_stage() {
    with_image("signals::privileged_sigint_leaves_nothing_at_any_stage", |image| {
        all(image, "dm", Signal::SIGINT, &mut ROWS.iter());
    });
}

#[test]
fn privileged_sigterm_leaves_nothing_at_any_stage() {
    with_image("signals::privileged_sigterm_leaves_nothing_at_any_stage", |image| {
        all(image, "dm", Signal::SIGTERM, &mut ROWS.iter());
    });
}

#[test]
fn privileged_sighup_leaves_nothing_at_any_stage() {
    with_image("signals::privileged_sighup_leaves_nothing_at_any_stage", |image| {
        all(image, "dm", Signal::SIGHUP, &mut ROWS.iter());
    });
}

#[test]
fn privileged_sigkill_leaves_nothing_at_any_stage() {
    with_image("signals::privileged_sigkill_leaves_nothing_at_any_stage", |image| {
        all(image, "dm", Signal::SIGKILL, &mut ROWS.iter());
    });
}

#[test]
fn privileged_sigkill_leaves_nothing_of_loop_devices() {
    with_image("signals::privileged_sigkill_leaves_nothing_of_loop_devices", |image| {
        let of_dm = |moment: &Moment| matches!(moment, At(First(_, path, _)) if *path == CONTROL);
        all(image, "loop", Signal::SIGKILL, &mut ROWS.iter().filter(|(_, _, moment)| !of_dm(moment)));
    });
}
