//! Private parsers, for the fuzz targets.

#[cfg(feature = "signatures")]
use crate::signature::Keyring;
use crate::{Digest, Error, Source, list};

/// The digest that the list `bytes` gives for the file `name`.
///
/// # Errors
///
/// Where there is none, or more than one.
pub fn choose(bytes: &[u8], name: &str) -> Result<Digest, Error> {
    list::choose(&list::parse(bytes), &Source::Path("list".into()), name)
}

/// Reads `bytes` as a clear-signed list, as a signature beside one, and as a keyring; says whether it signs anything.
#[must_use]
pub fn signs(bytes: &[u8]) -> bool {
    #[cfg(feature = "signatures")]
    {
        let keyring = Keyring::parse(bytes);
        keyring.open(bytes).is_some_and(|opened| opened.is_ok()) || keyring.check(b"list", bytes).is_ok()
    }
    #[cfg(not(feature = "signatures"))]
    {
        let _ = bytes;
        false
    }
}
