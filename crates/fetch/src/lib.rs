//! A [`Fetcher`] turns a [`Source`] and a [`Checksum`] into a path with verified bytes.
//!
//! ```
//! use std::ops::ControlFlow;
//! use arm_image_fetch::{Checksum, Fetcher, LocalFetcher, Source};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("tiny.img");
//! # std::fs::write(&path, "abc")?;
//! let source = Source::Path(path);
//! let checksum: Checksum = "md5:900150983cd24fb0d6963f7d28e17f72".parse()?;
//! let verified = LocalFetcher.fetch(&source, &checksum, None, &mut |done, total| {
//!     // Show the progress here; `ControlFlow::Break(())` cancels.
//!     assert!(done <= total.expect("a file's size is known"));
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!(Source::Path(verified), source);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`HttpFetcher`] does the same for `http` and `https`, and keeps what it got in a [`Cache`]:
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use arm_image_fetch::{Cache, Fetcher, HttpFetcher};
//!
//! let fetcher = HttpFetcher::new(Cache::open("/var/cache/images")?);
//! let image = fetcher.fetch(
//!     &"https://example.org/raspios.img.xz".parse()?,
//!     &"file:https://example.org/SHA256SUMS".parse()?,
//!     None,
//!     &mut |_, _| ControlFlow::Continue(()),
//! )?;
//! println!("verified: {}", image.display());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! * A path is returned only after every byte was read and its digest found right. An error leaves no file that could be
//!   taken for the image: downloads live under another name until then. What came before a break is continued by the next
//!   download where something can judge the whole: the digest, or without one the server, by a strong ETag.
//! * The source is never written to, and a local file is never copied.
//! * [`HttpFetcher::fetch_any`] takes several sources for one file; [`Error::Sources`] tells why each failed.
//! * The one thing that bytes cannot prove: a `tee` has been given its bytes *before* the digest was known. What was made
//!   of them is worthless unless the fetch succeeded, and, with [`HttpFetcher::fetch_any`], unless [`Fetched::teed`].
//!
//! # Features
//!
//! `signatures` (not a default, for it takes long to build) adds `HttpFetcher::keyring`: checksum lists have to be signed
//! with OpenPGP then.
//!
//! # What is read from the environment
//!
//! Nothing by this crate. `reqwest` honours `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, and
//! `rustls-native-certs` honours `SSL_CERT_FILE` and `SSL_CERT_DIR`.

mod cache;
mod checksum;
mod digest;
mod download;
mod error;
mod flow;
mod hashing;
mod http;
mod list;
mod local;
mod patience;
#[cfg(feature = "signatures")]
mod signature;
mod source;
mod tee;
mod tls;
mod validators;

#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod server;

use std::fmt::Debug;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

pub use cache::{Cache, CacheEntry, Key, Unpacking, default_cache_dir};
pub use checksum::Checksum;
pub use digest::{Algorithm, Digest};
pub use error::Error;
pub use hashing::Hashing;
pub use http::{Fetched, HttpFetcher};
pub use local::LocalFetcher;
pub use reqwest::Url;
pub use source::Source;

/// What is called as bytes pass: with the bytes done and, where it is known, their total.
///
/// Both are bytes of the file as it is fetched, still compressed. While nothing arrives it is called with unchanged
/// numbers, several times a second, so that `ControlFlow::Break(())` ends a stalled download too.
pub type Tick<'a> = &'a mut dyn FnMut(u64, Option<u64>) -> ControlFlow<()>;

/// A way to get verified bytes.
pub trait Fetcher: Debug {
    /// Gets `source`, checks it against `checksum`, and returns the path of the verified bytes.
    ///
    /// The same bytes, all of them and in order, go to `tee` as they arrive, whether from the network or from a file.
    /// They are not verified before this returns `Ok`. [`HttpFetcher::fetch_any`] is for who can do with less: it passes on
    /// only what it downloads.
    ///
    /// # Errors
    ///
    /// [`Error::Tee`] if the tee failed, and [`Error::Restarted`] if it was given bytes of another file; the source is
    /// verified all the same then, and in the cache. [`Error::is_checksum`] tells a wrong digest and a useless checksum list from all other failures.
    fn fetch(
        &self,
        source: &Source,
        checksum: &Checksum,
        tee: Option<&mut dyn Write>,
        tick: Tick<'_>,
    ) -> Result<PathBuf, Error>;
}
