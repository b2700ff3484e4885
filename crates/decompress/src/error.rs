//! What can go wrong, and what the user can do about it.

use std::io;

/// Why an input was not unpacked. The caller knows the file's name, so the texts speak of "the input".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input has no bytes at all.
    #[error("the input is empty")]
    Empty,

    /// The archive is sound but holds no bytes.
    #[error("the {format} input unpacks to nothing")]
    NothingInside {
        /// The input's format.
        format: &'static str,
    },

    /// The input ends in the middle of its data.
    #[error("the {format} input ends early, at byte {at}")]
    Truncated {
        /// The input's format.
        format: &'static str,
        /// The size of the input in bytes.
        at: u64,
    },

    /// The data contradict their format or a checksum.
    #[error("the {format} input is damaged at or before byte {at}: {reason}")]
    Damaged {
        /// The input's format.
        format: &'static str,
        /// How many bytes of the input were consumed when the damage was seen.
        at: u64,
        /// What is wrong.
        reason: String,
    },

    /// Something follows the end of the archive.
    #[error("the {format} input ends at byte {at}, but something else follows")]
    Trailing {
        /// The input's format.
        format: &'static str,
        /// Where the archive ends, in bytes.
        at: u64,
    },

    /// The input is something known that this crate does not unpack.
    #[error("the input is {found}, not a disk image")]
    Unsupported {
        /// What it is, with its article.
        found: &'static str,
        /// What the user can do about it.
        remedy: &'static str,
    },

    /// The archive holds another archive, or something else that is no image.
    #[error("the {format} input holds {found} data, not a disk image")]
    Nested {
        /// The input's format.
        format: &'static str,
        /// The name of what is inside.
        found: &'static str,
    },

    /// The format can only be read from a file, and the input is a stream.
    #[error("a {format} cannot be unpacked while it arrives")]
    NeedsFile {
        /// The input's format.
        format: &'static str,
    },

    /// A zip's table of contents cannot be read.
    #[error("the table of contents of the zip input is damaged or missing: {reason}")]
    ZipDirectory {
        /// What is wrong.
        reason: String,
    },

    /// A zip or tar holds several files, and none of them is clearly the image; or no file at all, or none that was asked for.
    #[error("cannot tell which of the files in the {format} input is the disk image: {}", list(.members))]
    Choice {
        /// The archive's format.
        format: &'static str,
        /// The names of the files, folders left out; empty if there is none.
        members: Vec<String>,
    },

    /// The image inside a zip cannot be unpacked.
    #[error("`{}` in the zip input is damaged or not supported, seen after {at} unpacked bytes: {reason}", name.escape_debug())]
    ZipMember {
        /// The member's name.
        name: String,
        /// How many bytes of the member had been unpacked.
        at: u64,
        /// What is wrong.
        reason: String,
    },

    /// The input cannot be read.
    #[error("failed to read the input at byte {at}")]
    Read {
        /// The offset in bytes.
        at: u64,
        /// The cause.
        source: io::Error,
    },

    /// The output cannot be written.
    #[error("failed to write the image at byte {at}")]
    Write {
        /// The offset in bytes.
        at: u64,
        /// The cause.
        source: io::Error,
    },

    /// The pattern for the names of members is none.
    #[error("`{glob}` is no glob pattern")]
    Glob {
        /// The pattern.
        glob: String,
        /// The cause.
        source: glob::PatternError,
    },

    /// The image is larger than it may be.
    #[error("the image is larger than {limit} bytes")]
    TooLarge {
        /// The most it may have, in bytes.
        limit: u64,
    },

    /// The output is a device or a pipe, where skipped zeros would leave what was there before.
    #[error("the output is not a regular file")]
    NotRegular,

    /// Input and output are the same file.
    #[error("input and output are the same file")]
    SameFile,

    /// The system gives no further thread.
    #[error("failed to start a thread")]
    Thread {
        /// The cause.
        source: io::Error,
    },

    /// The caller's tick said stop.
    #[error("unpacking was cancelled")]
    Cancelled,
}

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty | Self::Truncated { .. } => "the download was probably cut short: download it again",
            Self::Damaged { .. } | Self::ZipDirectory { .. } | Self::ZipMember { .. } => {
                "download it again, and compare its checksum with the one its maker publishes"
            }
            Self::Trailing { .. } => {
                "a resumed download may have been appended to a whole one: download it again"
            }
            Self::NothingInside { .. } => "the archive was made from an empty file: look for another one",
            Self::Unsupported { remedy, .. } => remedy,
            Self::Nested { .. } => "unpack the outer archive first, and name what was inside as the source",
            Self::NeedsFile { .. } => "save it to a file first: its table of contents stands at its end",
            Self::Choice { members, .. } if members.is_empty() => {
                "there is no file in it that matches: look at what it holds, and choose another archive or pattern"
            }
            Self::Choice { .. } => "choose one of them by a pattern for its name",
            Self::Write { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                "free some space, or choose another place for the output"
            }
            Self::Glob { .. } => "`*` stands for any characters, `?` for one, `[ab]` for one of several",
            Self::TooLarge { .. } => "if the archive is to be trusted, allow more",
            Self::NotRegular => "unpack to a file first",
            Self::SameFile => "choose another name for the output",
            Self::Read { .. } | Self::Write { .. } | Self::Thread { .. } | Self::Cancelled => return None,
        };
        Some(hint.to_owned())
    }
}

/// The first names, quoted and made safe for a terminal.
fn list(members: &[String]) -> String {
    const SHOWN: usize = 20;
    if members.is_empty() {
        return "there is none".to_owned();
    }
    let mut names: Vec<String> =
        members.iter().take(SHOWN).map(|name| format!("`{}`", name.escape_debug())).collect();
    if members.len() > SHOWN {
        names.push(format!("and {} more", members.len() - SHOWN));
    }
    names.join(", ")
}
