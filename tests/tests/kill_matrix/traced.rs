//! Moments that are system calls: strace(1) has the kernel deliver a signal, or refuse the call, as one begins.

use std::ffi::OsString;
use std::process::Command;

use arm_image_tests::program::{Ended, Place, tool};

/// A system call of the program's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    /// This one, for the nth time in the first thread; only with this path or one of its files, if any.
    First(&'static str, Option<&'static str>, u32),
    /// This one, for the nth time in a thread that the program makes.
    InThread(&'static str, u32),
}

/// Runs the program with `arguments`; at each call happens what stands beside it, such as `signal=SIGINT` or `error=ENOSPC`.
pub(crate) fn run<'a>(
    place: &Place,
    arguments: &[String],
    calls: impl IntoIterator<Item = (Call, &'a str)>,
) -> Ended {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = tool("strace");
    strace.arg("-qq").arg("-o").arg(log.path());
    let mut names = Vec::new();
    for (call, what) in calls {
        let (name, path, count) = match call {
            Call::First(name, path, count) => (name, path, count),
            Call::InThread(name, count) => {
                strace.arg("-f");
                (name, None, count)
            }
        };
        if let Some(path) = path {
            // It compares with what the program says, which may be relative or not.
            strace.arg("-P").arg(path).arg("-P").arg(place.path(path));
        }
        strace.arg("-e").arg(format!("inject={name}:{what}:when={count}"));
        names.push((name, what));
    }
    let traced: Vec<_> = names.iter().map(|&(name, _)| name).collect();
    strace.arg("-e").arg(format!("trace={}", traced.join(",")));
    let ended = Ended(around(strace, &place.command(arguments)).output().unwrap());
    let said = std::fs::read_to_string(log.path()).unwrap();
    for (name, what) in names {
        let came = match what.split_once('=') {
            Some(("signal", signal)) => said.contains(signal),
            _ => said.lines().any(|line| line.contains(&format!("{name}(")) && line.contains("(INJECTED)")),
        };
        assert!(came, "{name} with {what} did not come: {said}{ended:?}");
    }
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
