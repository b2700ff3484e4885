//! What can go wrong, and what helps.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::Digest;

/// Why bytes could not be fetched or verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is not a checksum.
    #[error(
        "`{text}` is not a checksum: {reason}; write `sha256:HEX`, `sha512:HEX`, `sha1:HEX`, `md5:HEX`, `HEX`, \
         `file:URL`, `file:PATH` or `none`"
    )]
    Syntax {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A text starts like a URL but is none.
    #[error("`{text}` is not a URL")]
    Url {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// A `file:` URL that does not name a file of this machine.
    #[error("`{text}` does not name a file of this machine")]
    FileUrl {
        /// The text.
        text: String,
    },
    /// A URL of a kind that cannot be fetched.
    #[error("`{scheme}` URLs cannot be fetched, only `http`, `https` and `file`")]
    Scheme {
        /// What stands before the `://`.
        scheme: String,
    },
    /// [`LocalFetcher`](crate::LocalFetcher) was given a URL, as the source or for the list.
    #[error("`{url}` is not on this machine")]
    Remote {
        /// The URL.
        url: String,
    },
    /// A file could not be opened.
    #[error("failed to open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder or a file in the cache could not be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An entry of the cache could not be locked.
    #[error("failed to lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The bytes could not be passed on to the caller's `tee`.
    #[error("failed to pass the bytes on")]
    Tee {
        /// The cause, from the `tee`.
        source: io::Error,
    },
    /// The thread for the network could not be started.
    #[error("failed to start the network thread")]
    Thread {
        /// The cause.
        source: io::Error,
    },
    /// The HTTP client could not be set up.
    #[error("failed to set up the HTTP client")]
    Client {
        /// The cause.
        source: reqwest::Error,
    },
    /// The TLS library could not be set up.
    #[error("failed to set up TLS")]
    Tls {
        /// The cause.
        source: rustls::Error,
    },
    /// No answer came: the name, the connection or TLS failed.
    #[error("no answer for `{url}`")]
    Request {
        /// The URL.
        url: String,
        /// The cause.
        source: reqwest::Error,
    },
    /// The server sends from one URL to the next without end.
    #[error("too many redirects from `{url}`")]
    Redirect {
        /// The URL at which it began.
        url: String,
        /// The cause.
        source: reqwest::Error,
    },
    /// The server answered, but not with the file.
    #[error("the server answered {status} for `{url}`")]
    Status {
        /// The URL, after redirects.
        url: String,
        /// The answer, as `404 Not Found`.
        status: reqwest::StatusCode,
    },
    /// The connection ended, or spoke nonsense, before the whole file had come.
    #[error("`{url}` broke off after {done} bytes")]
    Broken {
        /// The URL.
        url: String,
        /// The bytes that had come.
        done: u64,
        /// The cause.
        source: reqwest::Error,
    },
    /// Nothing came for too long.
    #[error("nothing came from `{url}` for {} seconds, after {done} bytes", waited.as_secs_f32())]
    Stalled {
        /// The URL.
        url: String,
        /// The bytes that had come.
        done: u64,
        /// How long nothing came.
        waited: Duration,
    },
    /// What should be a checksum list is larger than any.
    #[error("`{list}` is too large for a checksum list, over {limit} bytes")]
    ListTooLarge {
        /// The list.
        list: String,
        /// The most a list may hold, in bytes.
        limit: u64,
    },
    /// A file is needed that is not in the cache, and the network must not be used.
    #[error("`{url}` is not in the cache")]
    Offline {
        /// The URL.
        url: String,
    },
    /// The bytes are not the expected ones.
    #[error("`{of}` has {got}, expected {expected}")]
    Mismatch {
        /// The path or URL of the bytes.
        of: String,
        /// Their digest.
        got: Digest,
        /// The digest they should have.
        expected: Digest,
    },
    /// A checksum list holds no digest.
    #[error("`{list}` holds no checksum")]
    EmptyList {
        /// The list.
        list: String,
    },
    /// A checksum list has no digest for the file.
    #[error("`{list}` has no checksum for `{name}`")]
    NotInList {
        /// The list.
        list: String,
        /// The name looked for.
        name: String,
        /// The names it has.
        names: Vec<String>,
    },
    /// A checksum list has two different digests for the file.
    #[error("`{list}` has more than one checksum for `{name}`")]
    Ambiguous {
        /// The list.
        list: String,
        /// The name looked for.
        name: String,
    },
    /// A checksum list cannot be searched for a source that has no file name.
    #[error("`{of}` has no file name to look for in a checksum list")]
    NoName {
        /// The path or URL.
        of: String,
    },
    /// A tick asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// Whether the bytes, or the list that should judge them, were at fault; not the way to them.
    #[must_use]
    pub fn is_checksum(&self) -> bool {
        matches!(
            self,
            Self::Mismatch { .. }
                | Self::EmptyList { .. }
                | Self::NotInList { .. }
                | Self::Ambiguous { .. }
                | Self::NoName { .. }
                | Self::ListTooLarge { .. }
        )
    }

    /// What the user can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Mismatch { .. } => {
                "the file was changed or damaged, or the checksum belongs to another release: compare with the publisher's"
            }
            Self::NotInList { names, .. } => return Some(in_list(names)),
            Self::EmptyList { .. } | Self::ListTooLarge { .. } => {
                "a list has lines such as `HEX  NAME` or `SHA256 (NAME) = HEX`: check its address"
            }
            Self::Ambiguous { .. } | Self::NoName { .. } => "give the digest itself, as `sha256:HEX`",
            Self::Offline { .. } => "fetch it once with the network, or give a local file",
            Self::Remote { .. } => "download it first, or use the fetcher for HTTP",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space there, or choose a cache folder elsewhere"
            }
            Self::Write { source, .. } | Self::Lock { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                "choose a cache folder that you may write to"
            }
            Self::Status { status, .. } => match status.as_u16() {
                401 | 403 => "the server wants a login, or refuses this address",
                404 | 410 => "check the address; publishers remove old releases",
                500..=599 => "the server is in trouble: try later, or another mirror",
                _ => return None,
            },
            Self::Request { source, .. } if unknown_issuer(source) => {
                "install the system's root certificates (Debian: `ca-certificates`), or point SSL_CERT_FILE at them"
            }
            Self::Request { .. } | Self::Broken { .. } | Self::Stalled { .. } => {
                "check the network and its proxy settings, or try another mirror"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// The most names of a list that a hint shows.
const NAMES_SHOWN: usize = 8;

fn in_list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = match names.len().saturating_sub(NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("it has {}{more}", shown.join(", "))
}

/// Whether TLS failed because nobody known vouches for the server: typical of a container without root certificates.
fn unknown_issuer(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) =
            error.downcast_ref()
        {
            return true;
        }
        // An `io::Error` names as its source not what it wraps, but the source of that.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause =
            wrapped.map(|wrapped| wrapped as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    false
}
