//! What can go wrong, each with its object.

use std::io;
use std::path::PathBuf;

/// Why a root file system could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes hold no ext2, ext3 or ext4 file system.
    #[error("no ext2, ext3 or ext4 file system")]
    NotExt,
    /// The bytes could not be read.
    #[error("failed to read {length} bytes at byte {offset} of the file system")]
    Read {
        /// Where, in bytes from the start of the file system.
        offset: u64,
        /// How many.
        length: usize,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The superblock contradicts itself or the partition it lies in.
    #[error("the ext4 superblock is damaged: {reason}")]
    Superblock {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file system cannot be opened: it is damaged, or has features that are not understood.
    #[error("failed to open the ext4 file system")]
    Open {
        /// The cause.
        #[source]
        source: ext4_view::Ext4Error,
    },
    /// A file cannot be read.
    #[error("failed to read `{}` in the image", path.display())]
    File {
        /// Its path in the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: ext4_view::Ext4Error,
    },
    /// A file or folder is larger than it can sensibly be.
    #[error("`{}` in the image has {size} bytes, more than {limit}", path.display())]
    TooLarge {
        /// Its path in the image.
        path: PathBuf,
        /// Its size in bytes, as the file system says.
        size: u64,
        /// How many bytes are allowed.
        limit: u64,
    },
    /// The file system is so damaged that the library reading it gave up.
    #[error("the ext4 file system is damaged beyond reading")]
    Damaged,
}

impl Error {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let incompatible =
            |source: &ext4_view::Ext4Error| matches!(source, ext4_view::Ext4Error::Incompatible(_));
        Some(match self {
            Error::Open { source } if incompatible(source) => {
                "only the kernel can read it: name the mount points and the architecture yourself".to_owned()
            }
            Error::NotExt => return None,
            _ => "check the image with e2fsck -fn".to_owned(),
        })
    }
}
