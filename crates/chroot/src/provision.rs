//! Steps that change an image.

mod copy;
mod download;
mod owner;
mod paced;
mod shell;
mod unfinished;
mod upload;

pub use copy::Copy;
pub use download::Download;
pub use owner::Owner;
pub use paced::Paced;
pub use shell::{Script, Scripts};
pub use upload::{Source, Upload};

use crate::error::told;
use crate::{ChrootRunner, Command, Error, Output, OutputTick};
use std::collections::VecDeque;
use std::fmt::Debug;

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

/// Runs a command that has to end with one of the codes `valid`; the error keeps the end of its stderr.
fn run_to_success(
    root: &mut dyn ChrootRunner,
    command: &Command,
    name: &str,
    valid: &[i32],
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
    if told(status).is_some_and(|code| valid.contains(&code)) {
        return Ok(());
    }
    Err(Error::Failed { command: name.into(), status, stderr_tail: tail.into() })
}

#[cfg(test)]
mod tests;
