//! Every stage on this kernel, and every signal that ends programs.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use arm_image_tests::program::{Ended, Running, tool};
use nix::sys::signal::Signal;

use crate::judge::{Judge, with_image};

/// When the signal comes.
enum Moment {
    /// As this system call begins for the nth time in the first thread; only of calls with this path or one of its files,
    /// if any.
    Call(&'static str, Option<&'static str>, u32),
    /// As this system call begins for the nth time in a thread that the program makes.
    InThread(&'static str, u32),
    /// Once this line is said.
    Says(&'static str),
}
use Moment::{Call, InThread, Says};

/// What is built.
enum Work {
    /// These steps by options.
    Options(&'static [&'static str]),
    /// These provisioners of a template.
    Template(&'static str),
}
use Work::{Options, Template};

const CONTROL: Option<&str> = Some("/dev/mapper/control");
const TRUE: Work = Options(&["--run", "true"]);
const DOWNLOAD: Work = Template(
    "provisioner \"file\" {\n direction = \"download\"\n source = \"/etc/fstab\"\n destination = \"down\"\n}\n",
);

/// A stage, and the moments in it.
const ROWS: &[(&str, Work, Moment)] = &[
    ("unpack", TRUE, Call("ftruncate", None, 1)),
    ("table", TRUE, Call("ftruncate", None, 2)),
    ("emulation", TRUE, Call("memfd_create", None, 1)),
    ("map: the whole image", TRUE, Call("ioctl", Some("/dev/loop0"), 1)),
    ("map: before a table is loaded", TRUE, Call("ioctl", CONTROL, 7)),
    ("map: before a device works", TRUE, Call("ioctl", CONTROL, 8)),
    ("map: before a device is removed with its last close", TRUE, Call("ioctl", CONTROL, 9)),
    ("map: the second partition", TRUE, Call("ioctl", CONTROL, 13)),
    ("grow", TRUE, Call("fsmount", None, 1)),
    ("mount: the root", TRUE, InThread("move_mount", 1)),
    ("mount: one of many", TRUE, InThread("move_mount", 9)),
    ("mount: the last", TRUE, InThread("pivot_root", 1)),
    ("provision: run", Options(&["--run", "sleep 700 & echo begun; sleep 600"]), Says("begun")),
    ("provision: script", Options(&["--script", "script"]), Says("begun")),
    ("provision: upload", Options(&["--copy", "up:/etc/up"]), Call("openat", Some("up"), 1)),
    ("provision: download", DOWNLOAD, Call("statx", Some("down"), 1)),
    // Once it is known that the source is no folder.
    ("provision: download, as its content comes", DOWNLOAD, Call("openat2", Some("/etc/fstab"), 2)),
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
        Call("unlink", None, 1),
    ),
    ("teardown: writing the first file system back", TRUE, Call("syncfs", None, 1)),
    ("teardown: writing the second back", TRUE, Call("syncfs", None, 2)),
    ("teardown: unmapping", TRUE, Call("ioctl", CONTROL, 15)),
    ("write out", TRUE, Call("fsync", None, 1)),
    ("rename", TRUE, Call("rename", None, 1)),
];

/// Ends a build with these arguments at `moment` by `signal`.
fn end(judge: &Judge, arguments: Vec<String>, moment: &Moment, signal: Signal) -> Ended {
    let command = judge.place.command(arguments);
    let mut strace = tool("strace");
    let (name, path, count) = match moment {
        Says(line) => {
            let mut running = Running::start(command);
            running.until(line);
            running.send(signal);
            return running.wait();
        }
        Call(name, path, count) => (name, *path, count),
        InThread(name, count) => {
            strace.arg("-f");
            (name, None, count)
        }
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    strace.arg("-qq").arg("-o").arg(log.path()).arg("-e").arg(format!("trace={name}"));
    if let Some(path) = path {
        // It compares with what the program says, which may be relative or not.
        strace.arg("-P").arg(path).arg("-P").arg(judge.place.path(path));
    }
    strace.arg("-e").arg(format!("inject={name}:signal={}:when={count}", signal.as_str()));
    let ended = Ended(around(strace, &command).output().unwrap());
    let said = std::fs::read_to_string(log.path()).unwrap();
    assert!(said.contains(signal.as_str()), "the moment did not come: {said}{ended:?}");
    ended
}

/// `command`, run by `by`.
fn around(mut by: Command, command: &Command) -> Command {
    by.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        by.current_dir(folder);
    }
    let changes: Vec<(OsString, Option<OsString>)> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    for (name, value) in changes {
        match value {
            Some(value) => by.env(name, value),
            None => by.env_remove(name),
        };
    }
    by
}

fn all(image: &Path, mapper: &str, signal: Signal, rows: &mut dyn Iterator<Item = &(&str, Work, Moment)>) {
    let mut judge = Judge::new(image);
    judge.material("script", "#!/bin/sh\nsleep 700 &\necho begun\nsleep 600\n");
    judge.material("up", "up\n");
    judge.material("down", "what was there before\n");
    let mut count = 0;
    for (stage, work, moment) in rows {
        let arguments = match work {
            Options(more) => judge.build(mapper, more),
            Template(provisioner) => {
                judge.template(provisioner);
                ["build", "t.pkr.hcl", "--isolation", "host", "--mapper", mapper].map(str::to_owned).to_vec()
            }
        };
        let ended = end(&judge, arguments, moment, signal);
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
        let of_dm = |moment: &Moment| matches!(moment, Call(_, path, _) if *path == CONTROL);
        all(image, "loop", Signal::SIGKILL, &mut ROWS.iter().filter(|(_, _, moment)| !of_dm(moment)));
    });
}
