//! Steps that change an image.

use crate::{ChrootRunner, Command, Error, Node, Output, OutputTick};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A failed command's stderr is kept to this many lines.
const TAIL: usize = 10;

/// A step that changes an image.
pub trait Provisioner: Debug {
    /// What the step does, in a few words on one line.
    fn describe(&self) -> String;

    /// Does it.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] if a command of the step fails, [`Error::Cancelled`] after a `Break`, and what
    /// the methods of `root` report.
    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error>;
}

/// What a [`Shell`] step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// This text. Without a `#!` line it is run by `/bin/sh -e`, which ends at the first command that fails.
    Inline(String),
    /// A file on the host. Its `#!` line names its interpreter in the image; without one it is run by `/bin/sh`.
    File(PathBuf),
}

/// Runs a script inside the image.
///
/// It is put into the image's private `/tmp` for as long as it runs.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The script.
    pub script: Script,
    /// Variables for it, as in [`Command::env`].
    pub env: Vec<(OsString, OsString)>,
}

impl Provisioner for Shell {
    fn describe(&self) -> String {
        match &self.script {
            Script::Inline(text) => abridged(text),
            Script::File(path) => path.display().to_string(),
        }
    }

    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        let (name, text) = match &self.script {
            Script::Inline(text) => (OsStr::new("inline"), text.as_bytes().to_vec()),
            Script::File(path) => {
                let text = fs::read(path).map_err(|source| Error::Source { path: path.clone(), source })?;
                (path.file_name().unwrap_or(OsStr::new("script")), text)
            }
        };
        let mut place = OsString::from("/tmp/arm-image-");
        place.push(name);
        let mut argv = vec![place.clone()];
        // A program without a first line of its own may still be one the kernel knows by its first bytes.
        if !text.starts_with(b"#!") && !text.starts_with(b"\x7fELF") {
            let interpreter: &[&str] =
                if matches!(self.script, Script::Inline(_)) { &["/bin/sh", "-e"] } else { &["/bin/sh"] };
            argv.splice(0..0, interpreter.iter().map(OsString::from));
        }
        let command = Command { env: self.env.clone(), ..Command::new(argv) };
        let place = Path::new(&place);
        root.create(place, Node::File(&mut text.as_slice()), 0o755)?;
        let ran = run_to_success(root, &command, &self.describe(), tick);
        // A failed command is the error to tell; and a script may have removed itself, or all of /tmp.
        let _ = root.remove(place);
        ran
    }
}

/// The first line of `text` that does something, cut to a readable length.
fn abridged(text: &str) -> String {
    const LONGEST: usize = 72;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or_default();
    let mut short: String = first.chars().take(LONGEST).collect();
    if lines.next().is_some() || short.len() < first.len() {
        short.push('…');
    }
    short
}

/// Runs a command whose failure is an error that keeps the end of its stderr.
fn run_to_success(
    root: &mut dyn ChrootRunner,
    command: &Command,
    name: &str,
    tick: OutputTick<'_>,
) -> Result<(), Error> {
    let mut tail = VecDeque::new();
    let status = root.run(command, &mut |output| {
        if let Output::Stderr(line) = output {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(String::from_utf8_lossy(line).into_owned());
        }
        tick(output)
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { command: name.into(), status, stderr_tail: tail.into() })
}

/// Copies a file or a directory tree from the host into the image.
///
/// It goes by the rules of `cp -r`: if `to` is a directory, or ends in a slash, the source is put into it
/// under its own name; a source that ends in `/.` stands for the content of the directory. Permission bits
/// are kept, the owner is root. Symbolic links are copied as links, except for `from` itself; device nodes,
/// sockets and pipes are an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// On the host.
    pub from: PathBuf,
    /// In the image.
    pub to: PathBuf,
}

impl Provisioner for Copy {
    fn describe(&self) -> String {
        format!("copy {} to {}", self.from.display(), self.to.display())
    }

    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        let from = self.from.as_os_str().as_bytes();
        let content_only = from == b"." || from.ends_with(b"/.");
        let into = self.to.as_os_str().as_bytes().ends_with(b"/") || root.is_directory(&self.to)?;
        let to = match self.from.file_name() {
            Some(name) if into && !content_only => self.to.join(name),
            _ => self.to.clone(),
        };
        let metadata = fs::metadata(&self.from).map_err(unreadable(&self.from))?;
        copy(&self.from, &metadata, &to, root, tick)
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Source { path: path.into(), source }
}

fn copy(
    from: &Path,
    metadata: &fs::Metadata,
    to: &Path,
    root: &mut dyn ChrootRunner,
    tick: OutputTick<'_>,
) -> Result<(), Error> {
    if tick(Output::Waiting).is_break() {
        return Err(Error::Cancelled);
    }
    let mode = metadata.permissions().mode() & 0o7777;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).map_err(unreadable(from))?;
        root.create(to, Node::Link(&target), mode)
    } else if kind.is_dir() {
        root.create(to, Node::Directory, mode)?;
        let mut names = fs::read_dir(from)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
            .map_err(unreadable(from))?;
        // In the same order each time, so that the same build gives the same image.
        names.sort();
        for name in names {
            let from = from.join(&name);
            let metadata = fs::symlink_metadata(&from).map_err(unreadable(&from))?;
            copy(&from, &metadata, &to.join(&name), root, tick)?;
        }
        Ok(())
    } else if kind.is_file() {
        let file = File::open(from).map_err(unreadable(from))?;
        let mut content = Ticking { file, tick, cancelled: false, failed: None };
        let created = root.create(to, Node::File(&mut content), mode);
        match (content.cancelled, content.failed) {
            (true, _) => Err(Error::Cancelled),
            (_, Some(source)) => Err(unreadable(from)(source)),
            _ => created,
        }
    } else {
        Err(Error::Special { path: from.into() })
    }
}

/// A file that ticks as it is read, and keeps what went wrong on the reading side.
struct Ticking<'a> {
    file: File,
    tick: OutputTick<'a>,
    cancelled: bool,
    failed: Option<io::Error>,
}

impl Read for Ticking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let ControlFlow::Break(()) = (self.tick)(Output::Waiting) {
            self.cancelled = true;
            return Err(io::Error::other("cancelled"));
        }
        match self.file.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.failed = Some(error);
                Err(io::Error::other("the source cannot be read"))
            }
            result => result,
        }
    }
}

#[cfg(test)]
#[path = "provision/tests.rs"]
mod tests;
