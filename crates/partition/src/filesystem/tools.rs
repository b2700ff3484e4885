//! Growing a file system that is not mounted, by the tools that come with it.

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use super::Kind;
use crate::Error;

/// Where the tools are on distributions that keep these folders off the search path of ordinary users.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// How many of a tool's last lines an error shows.
const LINES: usize = 8;

/// Checks a file system that is not mounted, and grows it over all of `device` (a block device, or a file that holds just it).
///
/// # Errors
/// [`Error::CannotGrow`] for kinds other than ext; [`Error::Run`] where e2fsck or resize2fs is missing; [`Error::Command`] with
/// what they said, where e2fsck found damage that it does not mend by itself, or resize2fs failed.
pub fn grow_unmounted(device: &Path, kind: Kind) -> Result<(), Error> {
    if !kind.is_ext() {
        return Err(Error::CannotGrow { kind });
    }
    // resize2fs insists on a check that was forced; `-p` mends what is safe to mend without asking.
    let checked = run("e2fsck", &["-f", "-p"], device)?;
    // 1 is "errors corrected", a success; 2 asks for a reboot, which matters for a mounted root only.
    if !matches!(checked.output.status.code(), Some(0..=3)) {
        let meaning = checked.output.status.code().map_or_else(String::new, meaning_of_e2fsck);
        return Err(checked.failed(meaning));
    }
    let resized = run("resize2fs", &[], device)?;
    if resized.output.status.success() { Ok(()) } else { Err(resized.failed(String::new())) }
}

/// The exit code of e2fsck is a set of bits, listed in e2fsck(8).
fn meaning_of_e2fsck(code: i32) -> String {
    let bits = [
        (1, "errors were corrected"),
        (2, "a reboot is needed"),
        (4, "errors were left uncorrected"),
        (8, "operational error"),
        (16, "usage error"),
        (32, "cancelled"),
        (128, "shared library error"),
    ];
    bits.into_iter().filter(|(bit, _)| code & bit != 0).map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

struct Finished {
    command: String,
    output: Output,
}

impl Finished {
    fn failed(self, meaning: String) -> Error {
        let status: ExitStatus = self.output.status;
        // e2fsck reports what it found on stdout, and what kept it from working on stderr.
        let text = [self.output.stdout, self.output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let output = lines[lines.len().saturating_sub(LINES)..].join("\n");
        Error::Command { command: self.command, status, meaning, output }
    }
}

fn run(program: &'static str, arguments: &[&str], device: &Path) -> Result<Finished, Error> {
    let start =
        |program: &Path| Command::new(program).args(arguments).arg(device).stdin(Stdio::null()).output();
    let mut outcome = start(Path::new(program));
    for folder in FOLDERS {
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                outcome = start(&Path::new(folder).join(program))
            }
            _ => break,
        }
    }
    let output = outcome.map_err(|source| Error::Run { program, source })?;
    let words = [program].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ");
    Ok(Finished { command: format!("{words} {}", device.display()), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_bits_are_spelled_out() {
        assert_eq!(meaning_of_e2fsck(4), "errors were left uncorrected");
        assert_eq!(
            meaning_of_e2fsck(1 | 4 | 8),
            "errors were corrected, errors were left uncorrected, operational error"
        );
    }
}
