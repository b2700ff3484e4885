//! Running the usual disk tools, by argument vectors.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Error;

/// A command with a fixed language, and with the folders of the disk tools in its search path, which an ordinary
/// user's lacks on Debian.
pub(super) fn tool(name: impl AsRef<OsStr>) -> Command {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    let mut command = Command::new(name);
    command.env("PATH", path).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs `command` to its end and returns what it printed on stdout.
pub(super) fn run(command: &mut Command) -> Result<Vec<u8>, Error> {
    run_with_input(command, b"")
}

/// Runs `command` with `input` on its stdin and returns what it printed on stdout.
pub(super) fn run_with_input(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, Error> {
    let start = |source| Error::Start { tool: name(command), source };
    // A file, not a pipe: a tool that prints a lot before it reads cannot block us.
    let mut stdin = tempfile::tempfile().map_err(start)?;
    stdin.write_all(input).and_then(|()| io::Seek::rewind(&mut stdin)).map_err(start)?;
    let output =
        command.stdin(stdin).output().map_err(|source| Error::Start { tool: name(command), source })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(failed(command, output.status, &last_lines(&printed)))
}

/// Runs `command` with its output going to our stderr, as progress for whoever watches.
pub(super) fn run_aloud(command: &mut Command) -> Result<(), Error> {
    let status = command
        .stdout(io::stderr())
        .status()
        .map_err(|source| Error::Start { tool: name(command), source })?;
    if status.success() { Ok(()) } else { Err(failed(command, status, "see above")) }
}

fn failed(command: &Command, status: std::process::ExitStatus, output: &str) -> Error {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let command = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
    Error::Tool { command, status, output: output.to_owned() }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn last_lines(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Names the operation and its object in the error of a file operation.
pub(super) fn at<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::File { action, path: path.to_owned(), source })
}

/// Makes a folder and its parents; `mode` is the folder's own, whatever the umask.
pub(super) fn folder(path: &Path, mode: u32) -> Result<(), Error> {
    at("create", path, fs::create_dir_all(path))?;
    at("set the mode of", path, fs::set_permissions(path, Permissions::from_mode(mode)))
}

/// Writes a file with exactly this mode.
pub(super) fn file(path: &Path, mode: u32, content: impl AsRef<[u8]>) -> Result<(), Error> {
    at("write", path, fs::write(path, content))?;
    at("set the mode of", path, fs::set_permissions(path, Permissions::from_mode(mode)))
}
