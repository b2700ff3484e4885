//! A guest that runs, seen from the host.

use std::{
    fs::File,
    io::{BufRead, BufReader, PipeWriter},
    os::unix::{fs::FileExt, net::UnixStream},
    process::Child,
};

use crate::{Builder, Error};

/// How many bytes of the console an error carries at most.
const TAIL: u64 = 4096;

/// A running kernel of one's own; dropping it kills it.
///
/// It also dies with the program that started it, however that ends.
#[derive(Debug)]
pub struct Guest {
    pub(crate) channel: UnixStream,
    pub(crate) terminal: UnixStream,
    /// What init says about itself: one `ready`, then one `exit N`, or one `failed TEXT`.
    pub(crate) status: BufReader<UnixStream>,
    pub(crate) console: File,
    /// The keeper, which ends when the lifeline is closed, and not before all processes of the guest are gone.
    pub(crate) keeper: Child,
    /// `None` once the guest is to end.
    pub(crate) lifeline: Option<PipeWriter>,
}

impl Guest {
    /// Describes a guest to start.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The host's end of the bytes that [`init`](crate::init) hands to the guest's program, in both directions.
    ///
    /// It is reliable, but slow, a few MB/s, since the guest's kernel reads it byte by byte: big files should go through the
    /// shared folder. Towards the guest, keep no more than 32 KiB unread: its kernel (6.1) has been seen to take no more for
    /// ever once its buffer was full. Reading comes to its end when the guest has ended. Shutting down one direction shuts down both.
    pub fn channel(&mut self) -> &mut UnixStream {
        &mut self.channel
    }

    /// The host's end of [`TERMINAL`](crate::TERMINAL), a real terminal line in the guest: what is written here was
    /// typed there, what is read here was printed there.
    ///
    /// For an interactive program: put one's own terminal into raw mode and copy both ways.
    pub fn terminal(&mut self) -> &mut UnixStream {
        &mut self.terminal
    }

    /// The last lines of the guest's console: kernel messages, and what its programs wrote to stdout and stderr.
    #[must_use]
    pub fn console_tail(&self) -> String {
        tail(&self.console)
    }

    /// Waits for the guest's program to return, and gives its exit code.
    ///
    /// Read the channel to its end first if more may come: the guest waits until all it wrote has been taken.
    ///
    /// # Errors
    ///
    /// [`Error::Died`] when the guest ended without an exit code.
    pub fn wait(mut self) -> Result<i32, Error> {
        let line = self.status_line()?;
        let code = line.strip_prefix("exit ").and_then(|code| code.parse().ok());
        self.end();
        code.ok_or_else(|| Error::Died { console: self.console_tail() })
    }

    /// Kills the guest and waits until all its processes are gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// Waits until init has set the guest up.
    pub(crate) fn ready(&mut self) -> Result<(), Error> {
        let line = self.status_line()?;
        match line.split_once(' ') {
            None if line == "ready" => Ok(()),
            Some(("failed", reason)) => Err(Error::SetUp { reason: reason.to_owned() }),
            _ => Err(Error::Died { console: self.console_tail() }),
        }
    }

    /// The next line of status, empty when the guest has ended.
    fn status_line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.status.read_line(&mut line).map_err(|source| Error::Line { line: "status line", source })?;
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn end(&mut self) {
        if self.lifeline.take().is_some() {
            // The keeper only ends by itself; there is nothing to learn from its status.
            let _ = self.keeper.wait();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}

/// The last whole lines of a file that others may still append to.
fn tail(file: &File) -> String {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let start = size.saturating_sub(TAIL);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
    let read = file.read_at(&mut bytes, start).unwrap_or(0);
    bytes.truncate(read);
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let whole = if start > 0 { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    whole.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_tail_starts_at_a_whole_line() {
        let mut file = tempfile::tempfile().unwrap();
        for number in 0..1000 {
            write!(file, "line {number}\r\n").unwrap();
        }
        let tail = tail(&file);
        assert!(tail.len() <= 4096);
        assert!(tail.starts_with("line "), "{tail}");
        assert!(tail.ends_with("line 999"), "{tail}");
    }

    #[test]
    fn the_tail_of_little_is_all_of_it() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"only\n").unwrap();
        assert_eq!(tail(&file), "only");
    }
}
