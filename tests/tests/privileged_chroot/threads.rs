//! An embedder with threads, signal handlers and children of its own notices nothing of it all.

use std::ffi::c_int;
use std::fs;
use std::path::PathBuf;
use std::process::Command as HostCommand;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arm_image_chroot::{ChrootRunner, Command, Output};
use arm_image_tests::in_guest;
use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, sigaction,
};
use nix::sys::wait::{WaitPidFlag, waitpid};

use crate::image::{Image, go_on, sh};

static CHILDREN_HEARD: AtomicUsize = AtomicUsize::new(0);

extern "C" fn hear(_: c_int) {
    CHILDREN_HEARD.fetch_add(1, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "a handler could do what is not allowed in one; this only counts")]
fn count_children() {
    let action = SigAction::new(SigHandler::Handler(hear), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler only adds to an atomic number.
    unsafe { sigaction(Signal::SIGCHLD, &action) }.unwrap();
}

/// What a thread sees of the machine, and how it takes signals.
#[derive(Debug, PartialEq, Eq)]
struct View {
    namespaces: Vec<PathBuf>,
    folder: PathBuf,
    mounts: String,
    signals: Vec<String>,
}

fn view() -> View {
    let namespaces = ["mnt", "pid", "pid_for_children", "uts", "ipc"];
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let signals = ["SigBlk:", "SigIgn:", "SigCgt:"];
    View {
        namespaces: namespaces
            .map(|name| fs::read_link(format!("/proc/thread-self/ns/{name}")).unwrap())
            .to_vec(),
        folder: std::env::current_dir().unwrap(),
        mounts: fs::read_to_string("/proc/thread-self/mountinfo").unwrap(),
        signals: status
            .lines()
            .filter(|line| signals.iter().any(|name| line.starts_with(name)))
            .map(str::to_owned)
            .collect(),
    }
}

#[test]
fn privileged_chroot_goes_unnoticed_by_an_embedders_other_threads() {
    in_guest("threads::privileged_chroot_goes_unnoticed_by_an_embedders_other_threads", || {
        let image = Image::new();
        count_children();
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGUSR2);
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None).unwrap();
        let before = view();
        assert_eq!(before.signals.len(), 3);
        let (done, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(view(), before);
                        looks.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let mut no_children = 0;
            for round in 0..5 {
                let mut root = image.root();
                assert_eq!(sh(&mut root, "(setsid sleep 1000 &); echo out"), "out\n");
                let seen = looks.load(Ordering::Relaxed);
                let sleep = Command::new(["sh", "-c", "while :; do echo x; done"]);
                let ended = root.run(&sleep, &mut |_: Output<'_>| {
                    assert_eq!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD));
                    no_children += 1;
                    // Until the others have looked while a command runs.
                    match looks.load(Ordering::Relaxed) > seen + 4 {
                        true => std::ops::ControlFlow::Break(()),
                        false => std::ops::ControlFlow::Continue(()),
                    }
                });
                assert!(matches!(ended, Err(arm_image_chroot::Error::Cancelled)), "{ended:?}");
                if round % 2 == 0 {
                    root.close().unwrap();
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(no_children >= 5);
        });
        assert_eq!(view(), before);
        assert_eq!(CHILDREN_HEARD.load(Ordering::Relaxed), 0, "no child of ours was announced");
        assert_eq!(waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)), Err(Errno::ECHILD));

        // A child of the embedder's own stays its own.
        let mut child = HostCommand::new("sh").args(["-c", "exit 42"]).spawn().unwrap();
        let mut root = image.root();
        root.run(&Command::new(["true"]), &mut go_on).unwrap();
        root.close().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(42));
        assert_eq!(CHILDREN_HEARD.load(Ordering::Relaxed), 1);
    });
}
