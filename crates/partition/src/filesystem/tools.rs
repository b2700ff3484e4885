//! Running the tools that come with a file system.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use super::{FileSystem, guard, probe};
use crate::Error;

/// Where the tools are on distributions that keep these folders off the search path of ordinary users.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// How many of a tool's last lines an error shows.
const LINES: usize = 8;

/// The name under which a tool finds what it works on: its stdin. A path may have a question mark in it, which the tools
/// would take for the start of options, and may be moved meanwhile.
const STDIN: &str = "/proc/self/fd/0";

/// A piece of a disk with a file system in it that is not mounted.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    file: File,
    range: Range<u64>,
    is_plain: bool,
    length: u64,
}

impl Target {
    /// Opens the disk, for writing too where it is to be changed.
    pub(super) fn open(path: &Path, range: Range<u64>, write: bool) -> Result<Self, Error> {
        let opened = OpenOptions::new().read(true).write(write).open(path).and_then(|mut file| {
            let length = file.seek(SeekFrom::End(0))?;
            Ok((file.metadata()?.is_file(), length, file))
        });
        let (is_plain, length, file) =
            opened.map_err(|source| Error::Open { path: path.to_owned(), source })?;
        // What is cut off at the end of the disk is not there for a file system.
        let range = range.start..range.end.min(length);
        Ok(Self { path: path.to_owned(), file, range, is_plain, length })
    }

    /// What is in it now.
    pub(super) fn probe(&mut self) -> Result<FileSystem, Error> {
        let Range { start, end } = self.range;
        probe(&mut self.file, start..end)?.ok_or(Error::NoFileSystem { start, end })
    }

    /// How many bytes there are for a file system.
    pub(super) fn room(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Whether the tools need no offset.
    pub(super) fn starts_the_disk(&self) -> bool {
        self.range.start == 0
    }

    pub(super) fn is_whole_disk(&self) -> bool {
        self.range == (0..self.length)
    }

    /// The file, unless it is a device.
    pub(super) fn plain_file(&self) -> Option<&File> {
        self.is_plain.then_some(&self.file)
    }

    /// Runs a tool on it, with this name for the piece behind its arguments and `last` after that.
    pub(super) fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        last: Option<String>,
    ) -> Result<Finished, Error> {
        let offset = match self.range.start {
            0 => String::new(),
            // The syntax of libext2fs; other tools are only called where there is no offset.
            start => format!("?offset={start}"),
        };
        let start = |program: &Path| {
            let mut command = Command::new(program);
            command.args(arguments).arg(format!("{STDIN}{offset}")).args(&last);
            // The texts are searched for words, and shown to people who look for them.
            command.env("LC_ALL", "C").stdin(self.file.try_clone()?);
            // An interrupt from the terminal is for the caller, who waits: half a resize is a broken file system.
            command.process_group(0);
            if self.is_plain {
                guard::keep_lengths(&mut command)?;
            }
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()
        };
        let mut outcome = start(Path::new(program));
        for folder in FOLDERS {
            match &outcome {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    outcome = start(&Path::new(folder).join(program));
                }
                _ => break,
            }
        }
        let output = outcome.map_err(|source| Error::Run { program, source })?;
        let name = format!("{}{offset}", self.path.display());
        let words = [program].into_iter().chain(arguments.iter().copied()).chain([name.as_str()]);
        let words = words.chain(last.as_deref()).collect::<Vec<_>>().join(" ");
        Ok(Finished { command: words, output, path: self.path.clone() })
    }
}

/// What a tool that ended has left.
#[derive(Debug)]
pub(super) struct Finished {
    command: String,
    output: Output,
    path: PathBuf,
}

impl Finished {
    pub(super) fn status(&self) -> ExitStatus {
        self.output.status
    }

    pub(super) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub(super) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// The error that it is, where it is one.
    pub(super) fn failed(self, meaning: String) -> Error {
        // e2fsck reports what it found on stdout, and what kept it from working on stderr.
        let text = self.stdout() + &self.stderr();
        let text = text.replace(STDIN, &self.path.display().to_string());
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let output = lines[lines.len().saturating_sub(LINES)..].join("\n");
        Error::Command { command: self.command, status: self.output.status, meaning, output }
    }

    /// For tools with no exit codes but success and failure.
    pub(super) fn success(self) -> Result<(), Error> {
        if self.status().success() { Ok(()) } else { Err(self.failed(String::new())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_does_not_get_the_interrupts_of_the_terminal() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let target = Target::open(image.path(), 0..0, false).unwrap();
        // "number (name) state parent group", of head itself.
        let stat = target.run("head", &["-q", "-n1", "/proc/self/stat"], None).unwrap().stdout();
        let numbers: Vec<&str> = stat.split_whitespace().collect();
        assert_eq!((numbers[1], numbers[4]), ("(head)", numbers[0]), "{stat}");
    }
}
