use std::{fs, os::unix::process::ExitStatusExt, path::Path, process::Stdio};

use rustix::event::{PollFd, PollFlags, poll};

use super::*;

fn shell(script: &str, folder: &Path) -> Kept {
    let mut command = Command::new("/bin/sh");
    Kept::start(command.args(["-c", script]).current_dir(folder).stdin(Stdio::null()), true).unwrap()
}

/// Waits until it has ended by itself.
fn wait(kept: &mut Kept) -> ExitStatus {
    poll(&mut [PollFd::new(kept, PollFlags::IN)], None).unwrap();
    kept.end().unwrap()
}

/// The processes whose numbers the script has written, that are still there.
fn alive(folder: &Path) -> Vec<String> {
    let pids = fs::read_to_string(folder.join("pids")).unwrap();
    let all: Vec<_> = pids.lines().collect();
    assert!(!all.is_empty());
    let there = all.into_iter().filter(|pid| Path::new("/proc").join(pid).exists());
    there.map(str::to_owned).collect()
}

#[test]
fn the_programs_own_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(wait(&mut shell("exit 7", folder.path())).code(), Some(7));
    assert_eq!(wait(&mut shell("true", folder.path())).code(), Some(0));
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV] {
        let status = wait(&mut shell(&format!("kill -{signal} $$"), folder.path()));
        assert_eq!(status.signal(), Some(signal));
    }
    let missing = Kept::start(&mut Command::new("/nowhere/program"), true).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

/// Starts processes in the group and out of it, with a parent and without.
const MANY: &str = "sleep 600 & echo $! >> pids
    setsid sh -c 'echo $$ >> pids; sleep 600 & echo $! >> pids; wait' &
    (setsid sh -c 'echo $$ >> pids; trap \"\" TERM HUP; exec sleep 600' &)
    while [ $(wc -l < pids) -lt 4 ]; do :; done";

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(wait(&mut shell(MANY, folder.path())).code(), Some(0));
    assert_eq!(alive(folder.path()), Vec::<String>::new());
}

#[test]
fn all_of_it_ends_when_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let kept = shell(&format!("{MANY}; : > begun; sleep 600"), folder.path());
    while !folder.path().join("begun").exists() {
        std::thread::yield_now();
    }
    assert_eq!(alive(folder.path()).len(), 4);
    drop(kept);
    assert_eq!(alive(folder.path()), Vec::<String>::new());
}

#[test]
fn a_program_that_kills_its_keeper_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = shell(&format!("{MANY}; kill -9 $PPID; sleep 600"), folder.path());
    assert_eq!(wait(&mut kept).signal(), Some(libc::SIGKILL));
    assert_eq!(alive(folder.path()), Vec::<String>::new());
}

#[test]
fn a_program_that_stops_its_keeper_can_be_ended() {
    let folder = tempfile::tempdir().unwrap();
    let kept = shell(&format!("{MANY}; kill -STOP $PPID; : > begun; sleep 600"), folder.path());
    while !folder.path().join("begun").exists() {
        std::thread::yield_now();
    }
    drop(kept);
    assert_eq!(alive(folder.path()), Vec::<String>::new());
}

#[test]
fn orphans_do_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    // Their parent is gone at once. They have been collected when none of the keeper's children is a zombie.
    let script = "for each in 1 2 3 4 5 6 7 8 9; do (true &); done
        while grep -lq \") Z $PPID \" /proc/[0-9]*/stat 2> /dev/null; do sleep 0.1; done";
    assert_eq!(wait(&mut shell(script, folder.path())).code(), Some(0));
}

#[test]
fn a_program_can_be_asked_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = shell("trap 'exit 5' TERM; : > begun; while :; do sleep 0.01; done", folder.path());
    while !folder.path().join("begun").exists() {
        std::thread::yield_now();
    }
    kept.ask_to_end().unwrap();
    assert_eq!(wait(&mut kept).code(), Some(5));
    kept.ask_to_end().unwrap();
}
