use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a test image could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("failed to {action} `{}`", path.display())]
    File {
        /// The verb: "create", "rename".
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A tool could not be started.
    #[error("failed to start `{tool}`")]
    Start {
        /// The program's name.
        tool: String,
        /// What the system said.
        source: io::Error,
    },
    /// A tool ran and failed.
    #[error("`{command}` failed ({status}): {output}")]
    Tool {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it printed.
        output: String,
    },
    /// A package does not hold what an image needs of it.
    #[error("package `{package}` has no {what}")]
    Package {
        /// The package's name.
        package: String,
        /// What was looked for.
        what: &'static str,
    },
    /// A full image was asked for without the program that runs its ARM half.
    #[error("`{kind}` needs the program `arm-image` to run the second half of debootstrap")]
    Program {
        /// The image's name.
        kind: &'static str,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("run `scripts/install-dependencies`".to_owned())
            }
            Error::Program { .. } => Some("build it, or name it with `--arm-image PATH`".to_owned()),
            _ => None,
        }
    }
}
