//! What can go wrong, and what helps.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::Digest;

mod advice;

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
    /// The bytes could not be passed on to the caller's `tee`. They were fetched and verified all the same.
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
        /// How long the server asks to wait before the next request.
        retry_after: Option<Duration>,
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
    /// The server ended before the length that it had told.
    #[error("`{url}` ended after {done} of {total} bytes")]
    Short {
        /// The URL.
        url: String,
        /// The bytes that are there.
        done: u64,
        /// The bytes that there should be.
        total: u64,
    },
    /// A download that was begun could not be continued, nor begun again: each time the file there was another.
    #[error("`{url}` is another file at each try")]
    Unsteady {
        /// The URL.
        url: String,
    },
    /// The file is there, verified, in the cache, but other bytes were passed on to the `tee` before.
    ///
    /// The server's file changed while it was downloaded, or an earlier download was continued with bytes of another
    /// file, or a mirror had a wrong one. Call again with a fresh `tee`: the bytes come from the cache then.
    #[error("`{of}` had to be fetched afresh after bytes had been passed on")]
    Restarted {
        /// The path or URL.
        of: String,
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
    /// A keyring has no key that can be used.
    #[error("`{}` has no OpenPGP key that can be used", path.display())]
    NoKey {
        /// The keyring.
        path: PathBuf,
    },
    /// A checksum list has to be signed, but is not, nor is there a signature beside it.
    #[error("`{list}` is not signed")]
    Unsigned {
        /// The list.
        list: String,
    },
    /// The signature of a checksum list is not right.
    #[error("the signature of `{list}` does not count: {problem}")]
    Signature {
        /// The list.
        list: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No source was given.
    #[error("no source was given")]
    NoSource,
    /// Each of several sources failed.
    #[error("none of the {} sources gave the file: {}", failures.len(), told(failures))]
    Sources {
        /// Why each did, in their order.
        failures: Vec<Error>,
    },
    /// A tick asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// All failures in one line, each with its causes: several chains of causes have no place in `source`.
fn told(failures: &[Error]) -> String {
    let chain = |failure: &Error| {
        let mut text = failure.to_string();
        let mut cause = failure.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    };
    failures.iter().map(chain).collect::<Vec<_>>().join("; ")
}
