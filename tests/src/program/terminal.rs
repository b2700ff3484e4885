//! A person at a terminal, played by a test.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, cfmakeraw, tcgetattr};

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
}

impl Terminal {
    /// Starts `command` with the terminal as its standard input, output and error.
    pub fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        let line = File::from(pair.slave);
        let before = tcgetattr(&line).unwrap();
        command.stdin(line.try_clone().unwrap());
        command.stdout(line.try_clone().unwrap()).stderr(line.try_clone().unwrap());
        let child = command.spawn().unwrap();
        let keys = File::from(pair.master);
        let mut picture = keys.try_clone().unwrap();
        let (to, shown) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = picture.read(&mut bytes) {
                if to.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keys, line, before, shown, seen: String::new() }
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
