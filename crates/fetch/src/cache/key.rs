//! The names under which bytes are kept.

use std::fmt;

use reqwest::Url;

use crate::digest::{Algorithm, Digest};
use crate::hashing::Hasher;

/// The name under which bytes are kept: `ALGORITHM-HEX` of their digest, or `url-HEX` where it is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key of bytes with a known digest.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        Self(format!("{}-{}", digest.algorithm(), digest.hex()))
    }

    pub(crate) fn new(url: &Url, digest: Option<&Digest>) -> Self {
        digest.map_or_else(|| Self::of_url(url), Self::of)
    }

    fn of_url(url: &Url) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(url[..url::Position::AfterQuery].as_bytes());
        Self(format!("url-{}", hasher.finish().hex()))
    }

    /// The key, as it stands in the folder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether equal keys mean equal bytes.
    pub(crate) fn is_content(&self) -> bool {
        !self.0.starts_with("url-")
    }

    /// The key that `name` spells, if it is one.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (kind, hex) = name.split_once('-')?;
        let algorithm = if kind == "url" { Algorithm::Sha256 } else { Algorithm::named(kind)? };
        let digest = Digest::from_hex(algorithm, hex)?;
        // Only the one spelling that this crate writes: everything else in the folder is somebody else's.
        (digest.hex() == hex && (kind == "url" || kind == algorithm.name())).then(|| Self(name.to_owned()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
