//! A person at a terminal, played by a test.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, cfmakeraw, tcgetattr};
use nix::unistd::Pid;

use super::PATIENCE;

/// A program on a pseudo-terminal of 31 rows and 97 columns.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keys: File,
    line: File,
    before: Termios,
    shown: Receiver<Vec<u8>>,
    seen: String,
    screen: Option<JoinHandle<()>>,
    closed: Arc<AtomicBool>,
}

impl Terminal {
    /// Starts `command` with the terminal as its standard input, output and error.
    pub fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        // A copy is not passed on to the program, which would keep its own terminal open.
        let line = File::from(pair.slave).try_clone().unwrap();
        let keys = File::from(pair.master).try_clone().unwrap();
        let before = tcgetattr(&line).unwrap();
        command.stdin(line.try_clone().unwrap());
        command.stdout(line.try_clone().unwrap()).stderr(line.try_clone().unwrap());
        let child = command.spawn().unwrap();
        let mut picture = keys.try_clone().unwrap();
        let (to, shown) = channel();
        let closed = Arc::new(AtomicBool::new(false));
        let closes = Arc::clone(&closed);
        let screen = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !closes.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(picture.as_fd(), PollFlags::POLLIN)];
                // So often it sees whether the terminal is to close.
                if poll(&mut fds, PollTimeout::from(50_u8)) == Ok(0) {
                    continue;
                }
                let Ok(length @ 1..) = picture.read(&mut bytes) else { return };
                if to.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let (seen, screen) = (String::new(), Some(screen));
        Terminal { child, keys, line, before, shown, seen, screen, closed }
    }

    /// Presses keys.
    pub fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows `text` behind what was waited for before, and gives what came until then.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.seen.find(text) {
                let rest = self.seen.split_off(place + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = limit.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("the terminal never showed `{text}`, but: {}", self.seen),
            }
        }
    }

    /// Whether keys go through as they are, without echo and signals.
    pub fn is_raw(&self) -> bool {
        let mut raw = self.before.clone();
        cfmakeraw(&mut raw);
        tcgetattr(&self.line).unwrap().local_flags == raw.local_flags
    }

    /// Sends the program a signal.
    pub fn send(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Closes the terminal, as who closes its window does, and waits for the program's end.
    pub fn close(mut self) -> ExitStatus {
        self.closed.store(true, Ordering::Relaxed);
        self.screen.take().unwrap().join().unwrap();
        // The last descriptor of the terminal's own side.
        self.keys = File::open("/dev/null").unwrap();
        self.child.wait().unwrap()
    }

    /// Waits for the program's end, and checks that the terminal is as it was.
    pub fn finish(mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let after = tcgetattr(&self.line).unwrap();
        assert_eq!(after, self.before, "the terminal's settings");
        status
    }
}

impl Drop for Terminal {
    /// A test that fails leaves nothing running: what the program has started ends with it.
    fn drop(&mut self) {
        // Either fails only where the program has ended and been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
