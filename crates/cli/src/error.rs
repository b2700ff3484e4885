//! What can go wrong.

mod advice;
mod causes;

use std::{io, path::PathBuf};

pub use causes::{Causes, causes, chain};

use crate::plan::Isolation;

/// What went wrong in a build or another whole job. The stages' own errors pass through unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan cannot be carried out as it stands.
    #[error("{problem}")]
    Plan {
        /// What is wrong with it.
        problem: String,
        /// What to do instead.
        hint: String,
    },
    /// The image was not to be had or did not verify.
    #[error(transparent)]
    Fetch(#[from] arm_image_fetch::Error),
    /// The image or archive could not be opened.
    #[error("failed to open `{path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The archive did not unpack.
    #[error("failed to unpack `{path}`")]
    Unpack {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        cause: arm_image_decompress::Error,
    },
    /// The partition table or a file system is not one to work with.
    #[error("failed to {operation} `{path}`")]
    Partition {
        /// What was tried, such as `read the partition table of`.
        operation: &'static str,
        /// The image.
        path: PathBuf,
        /// Why.
        #[source]
        cause: arm_image_partition::Error,
    },
    /// The file system of a partition that has grown did not grow with it.
    #[error("failed to grow the file system of partition {number}")]
    Grow {
        /// The partition.
        number: u32,
        /// Why.
        #[source]
        cause: arm_image_partition::Error,
    },
    /// The file system of the last partition did not become smaller.
    #[error("failed to shrink the file system of partition {number}")]
    ShrinkSystem {
        /// The partition.
        number: u32,
        /// Why.
        #[source]
        cause: arm_image_partition::Error,
    },
    /// The last partition holds nothing that can shrink.
    #[error("`{path}` cannot be shrunk: partition {number}, its last, holds {found}")]
    NotShrinkable {
        /// The image.
        path: PathBuf,
        /// The partition.
        number: u32,
        /// What it holds.
        found: String,
    },
    /// The last partition holds nothing that can grow.
    #[error("`{path}` cannot be grown: partition {number}, its last, holds {found}")]
    NotGrowable {
        /// The image.
        path: PathBuf,
        /// The partition.
        number: u32,
        /// What it holds.
        found: String,
    },
    /// What is in the image, or what it is, keeps it from being entered.
    #[error("`{path}` cannot be entered")]
    Obstacle {
        /// The image.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: arm_image_presets::Obstacle,
    },
    /// There is nothing in the image that could be entered.
    #[error("`{path}` cannot be entered: {reason}")]
    NotEnterable {
        /// The image.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The partitions could not be mapped.
    #[error(transparent)]
    Map(#[from] arm_image_mapper::Error),
    /// The image could not be mounted, or a program in it not be run.
    #[error(transparent)]
    Chroot(#[from] arm_image_chroot::Error),
    /// The image's programs cannot be run on this machine.
    #[error(transparent)]
    Emulate(#[from] arm_image_qemu::Error),
    /// The guest kernel did not start or died.
    #[error(transparent)]
    Guest(#[from] arm_image_guest::Error),
    /// What happened in the guest, told by its side of this program.
    #[error("{message}")]
    InGuest {
        /// What went wrong.
        message: String,
        /// Why.
        #[source]
        causes: Option<Box<Causes>>,
        /// Its exit code.
        code: u8,
        /// What to do.
        hint: Option<String>,
    },
    /// This machine cannot do the privileged half of the work in the way asked for.
    #[error("{}: {}", match isolation {
        Isolation::Host => "this machine's kernel cannot do it",
        Isolation::Guest => "a guest kernel cannot do it",
        Isolation::Auto => "there is no kernel to do it in",
    }, .missing.join("; "))]
    NoPlace {
        /// The way asked for.
        isolation: Isolation,
        /// What is missing, a line each.
        missing: Vec<String>,
    },
    /// A step failed.
    #[error("step {number} failed")]
    Step {
        /// Its number, from 1.
        number: usize,
        /// Why.
        #[source]
        cause: Box<arm_image_chroot::Error>,
        /// What the emulation may have to do with it.
        explanation: Option<&'static str>,
    },
    /// A template has mistakes.
    #[error("{}", crate::template::listing(problems))]
    Template {
        /// What is wrong with it, and what its author should know, in the order of the places.
        problems: Vec<crate::template::Problem>,
    },
    /// A post-processor of a template failed; the image is there.
    #[error("the post-processor `{kind}` failed")]
    PostProcessor {
        /// Its type.
        kind: &'static str,
        /// Why.
        #[source]
        cause: Box<Error>,
    },
    /// Taking things down failed. The image is not used then.
    #[error("failed to take down what the build had set up")]
    CleanUp {
        /// Why.
        #[source]
        cause: Box<Error>,
    },
    /// A failure, and then another in taking things down.
    #[error("it failed, and so did undoing what had been done")]
    Both {
        /// What failed first.
        #[source]
        first: Box<Error>,
        /// What failed after it.
        then: Box<Error>,
    },
    /// The disk on which the image is made is full, or its owner's share of it, so that what was written in it is lost.
    #[error("no space is left for `{path}`")]
    Full {
        /// The unfinished image.
        path: PathBuf,
        /// What came of it.
        #[source]
        cause: Box<Error>,
    },
    /// A file of the host's could not be dealt with.
    #[error("failed to {operation} `{path}`")]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The conversation with the guest broke off.
    #[error("the guest's side of the program stopped answering")]
    Conversation {
        /// Why.
        #[source]
        cause: io::Error,
        /// The last lines of the guest's kernel.
        console: String,
    },
    /// The caller's callback asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// The command of a step that failed.
#[derive(Debug, Clone, Copy)]
pub struct FailedCommand<'a> {
    /// Its exit code, or 128 + the signal that ended it.
    pub code: i32,
    /// The last lines that it wrote to its standard error.
    pub stderr: &'a [String],
}

impl Error {
    /// What is known of the command, where a step's command failed.
    pub fn failed_command(&self) -> Option<FailedCommand<'_>> {
        match self {
            Error::Step { cause, .. } => {
                Some(FailedCommand { code: cause.code()?, stderr: cause.stderr_tail() })
            }
            Error::PostProcessor { cause, .. } => match &**cause {
                Error::Chroot(cause) => {
                    Some(FailedCommand { code: cause.code()?, stderr: cause.stderr_tail() })
                }
                _ => None,
            },
            Error::Both { first: cause, .. } | Error::Full { cause, .. } => cause.failed_command(),
            _ => None,
        }
    }

    /// `cause`, which came of taking things down; what a guest has called so already stays as it is.
    pub(crate) fn of_cleaning_up(cause: Error) -> Error {
        match cause {
            Error::InGuest { code: 9, .. } => cause,
            _ => Error::CleanUp { cause: Box::new(cause) },
        }
    }

    /// All that there is to say about the template, where it has mistakes.
    pub fn problems(&self) -> &[crate::template::Problem] {
        match self {
            Error::Template { problems } => problems,
            _ => &[],
        }
    }

    /// The failure that came after the first one, in taking things down.
    pub fn then(&self) -> Option<&Error> {
        match self {
            Error::Both { then, .. } => Some(then),
            Error::Full { cause, .. } => cause.then(),
            _ => None,
        }
    }

    /// Whether the caller's callback asked for this, however deep in the work.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Error::Cancelled => true,
            Error::Fetch(error) => matches!(error, arm_image_fetch::Error::Cancelled),
            Error::Unpack { cause, .. } => matches!(cause, arm_image_decompress::Error::Cancelled),
            Error::Chroot(error) => matches!(error, arm_image_chroot::Error::Cancelled),
            Error::Step { cause, .. } => matches!(**cause, arm_image_chroot::Error::Cancelled),
            Error::PostProcessor { cause, .. } | Error::Full { cause, .. } => cause.is_cancelled(),
            Error::Both { first, .. } => first.is_cancelled(),
            _ => false,
        }
    }
}
