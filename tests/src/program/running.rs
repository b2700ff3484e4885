//! The program while it runs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Ended;

/// A run of the program that has been started, with its output in pipes.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    seen: Vec<u8>,
}

impl Running {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, seen: Vec::new() }
    }

    /// Waits until a line on its standard error is `line`, such as one that a step writes.
    #[track_caller]
    pub fn until(&mut self, line: &str) {
        loop {
            let start = self.seen.len();
            let length = self.stderr.read_until(b'\n', &mut self.seen).unwrap();
            let text = String::from_utf8_lossy(&self.seen);
            assert!(length > 0, "it ended without saying `{line}`: {text}");
            if self.seen[start..].trim_ascii_end() == line.as_bytes() {
                return;
            }
        }
    }

    /// Sends it a signal.
    pub fn send(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        self.stderr.read_to_end(&mut self.seen).unwrap();
        let mut stdout = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        Ended(Output { status, stdout, stderr: std::mem::take(&mut self.seen) })
    }
}

impl Drop for Running {
    /// A test that fails leaves nothing running: what the program has started ends with it.
    fn drop(&mut self) {
        // Either fails only where the program has ended and been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
