use std::{path::Path, time::Instant};

use super::*;
use arm_image_chroot::{Command as Inside, Entry, Node};

/// A runner that sees nothing, as in a guest, or what is at a path.
struct Nowhere(Option<PathBuf>);

impl ChrootRunner for Nowhere {
    fn run(&mut self, _: &Inside, _: OutputTick<'_>) -> Result<ExitStatus, Error> {
        Err(Error::NoRoot)
    }
    fn create(&mut self, _: &Path, _: Node<'_>, _: u32) -> Result<(), Error> {
        Err(Error::NoRoot)
    }
    fn read(&mut self, _: &Path, _: &mut dyn Write) -> Result<(), Error> {
        Err(Error::NoRoot)
    }
    fn is_directory(&mut self, _: &Path) -> Result<bool, Error> {
        Err(Error::NoRoot)
    }
    fn list(&mut self, _: &Path) -> Result<Vec<Entry>, Error> {
        Err(Error::NoRoot)
    }
    fn own(&mut self, _: &Path, _: u32, _: u32) -> Result<(), Error> {
        Err(Error::NoRoot)
    }
    fn remove(&mut self, _: &Path) -> Result<(), Error> {
        Err(Error::NoRoot)
    }
    fn seen_at(&self) -> Option<PathBuf> {
        self.0.clone()
    }
}

fn ran(local: Local, seen_at: Option<&Path>) -> (Result<(), Error>, String) {
    let folder = tempfile::tempdir().unwrap();
    let running = Running { local, scratch: folder.path().into() };
    let mut said = String::new();
    let outcome = running.provision(&mut Nowhere(seen_at.map(Into::into)), &mut |output| {
        match output {
            Output::Stdout(line) => said += &format!("{}\n", String::from_utf8_lossy(line)),
            Output::Stderr(line) => said += &format!("! {}\n", String::from_utf8_lossy(line)),
            Output::Waiting => {}
        }
        ControlFlow::Continue(())
    });
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "temporary files go");
    (outcome, said)
}

fn inline(text: &str) -> Local {
    Local::of([Script::Inline(text.into())])
}

#[test]
fn scripts_run_here_with_their_variables_and_find_the_image() {
    let local = Local {
        env: vec![("WORD".into(), "it's".into())],
        ..inline("echo $WORD >&2; printf $ARM_IMAGE_MOUNT_PATH")
    };
    let (outcome, said) = ran(local, Some(Path::new("/somewhere")));
    outcome.unwrap();
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["! it's", "/somewhere"]);

    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("a script");
    fs::write(&script, "echo first\n").unwrap();
    let local = Local::of([Script::File(script), Script::Inline("#!/bin/cat\nsecond".into())]);
    let (outcome, said) = ran(local, None);
    outcome.unwrap();
    assert_eq!(said, "first\n#!/bin/cat\nsecond\n");
}

#[test]
fn a_program_that_is_given_the_script_runs_it_and_variables_may_lead_to_the_image() {
    let local = Local {
        interpreter: vec!["/bin/sh".into(), "-u".into()],
        env: vec![("ETC".into(), format!("{}/etc", deferred::mark("MountPath")).into())],
        ..inline("#!/bin/cat\necho $- $ETC")
    };
    let (outcome, said) = ran(local, Some(Path::new("/somewhere")));
    outcome.unwrap();
    assert_eq!(said, "u /somewhere/etc\n");
}

#[test]
fn inline_scripts_know_where_the_image_is_whatever_runs_them() {
    for script in ["echo '${ARM_IMAGE_MOUNT_PATH}/etc'", "#!/usr/bin/tail -n1\n${ARM_IMAGE_MOUNT_PATH}/etc\n"]
    {
        let (outcome, said) = ran(inline(script), Some(Path::new("/somewhere")));
        outcome.unwrap();
        assert_eq!(said, "/somewhere/etc\n", "{script}");
    }
}

#[test]
fn an_image_out_of_reach_is_not_mistaken_for_this_machine() {
    let (outcome, said) =
        ran(inline("test -n \"$ARM_IMAGE_MOUNT_PATH\"; mkdir -p \"$ARM_IMAGE_MOUNT_PATH/etc\""), None);
    assert_eq!(outcome.unwrap_err().code(), Some(1));
    assert!(said.contains("Not a directory"), "{said}");
}

#[test]
fn a_failure_keeps_the_code_and_the_end_of_stderr() {
    let (outcome, _) = ran(inline("seq 15 >&2; exit 3"), None);
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), Some(3));
    let expected: Vec<_> = (6..=15).map(|number| number.to_string()).collect();
    assert_eq!(error.stderr_tail(), expected);
    let local = Local { valid_exit_codes: vec![3], ..inline("exit 3") };
    ran(local, None).0.unwrap();
    let (outcome, _) = ran(Local::of([Script::File("/nowhere/script".into())]), None);
    assert!(outcome.unwrap_err().to_string().contains("/nowhere/script"));
}

#[test]
fn what_is_left_running_is_not_waited_for_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("for each in $(seq 20); do sleep 600 & echo $! >> {}; done", pids.display());
    let start = Instant::now();
    ran(inline(&script), None).0.unwrap();
    assert!(start.elapsed().as_secs() < 300);
    let pids = fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 20);
    assert_eq!(pids.lines().find(|pid| !is_gone(pid)), None);
}

#[test]
fn a_break_ends_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let running =
        Running { local: inline("echo begun; sleep 600; echo done"), scratch: folder.path().into() };
    let mut lines = 0;
    let outcome = running.provision(&mut Nowhere(None), &mut |output| match output {
        Output::Stdout(_) => {
            lines += 1;
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(outcome, Err(Error::Cancelled)));
    assert_eq!(lines, 1);
}

/// Whether a process has ended: what is left of it belongs to whoever adopts orphans here.
fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
}
