//! Checksum lists: bytes in, a digest out.

use crate::digest::{Algorithm, Digest};
use crate::{Error, Source};

/// The most a list may hold, in bytes. The largest of a distribution are some hundred kilobytes; a URL that leads to the
/// image itself is noticed long before it is downloaded.
pub(crate) const LIST_LIMIT: u64 = 4 << 20;

/// One line of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) digest: Digest,
    /// As the list writes it; `None` where a digest stands alone.
    pub(crate) name: Option<String>,
}

/// The entries of a list; lines that are none (comments, signatures, digests of unknown kinds) are passed over.
pub(crate) fn parse(bytes: &[u8]) -> Vec<Entry> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    text.lines().map(str::trim).filter_map(|line| tagged(line).or_else(|| plain(line))).collect()
}

/// `SHA256 (name) = HEX`, as BSD writes it, or `SHA2-256(name)= HEX`, as openssl does.
fn tagged(line: &str) -> Option<Entry> {
    let (algorithm, rest) = line.split_once('(')?;
    let (name, hex) = rest.rsplit_once(')')?;
    let algorithm = algorithm.trim().to_ascii_lowercase().replace("sha2-", "sha");
    let digest = Digest::from_hex(Algorithm::named(&algorithm)?, hex.trim().strip_prefix('=')?.trim())?;
    Some(Entry { digest, name: Some(name.to_owned()) })
}

/// `HEX  name`, `HEX *name` as the coreutils write them, or `HEX` alone.
fn plain(line: &str) -> Option<Entry> {
    let (hex, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let digest = Digest::from_bare_hex(hex)?;
    let name = rest.trim_start();
    let name = name.strip_prefix('*').unwrap_or(name);
    Some(Entry { digest, name: (!name.is_empty()).then(|| name.to_owned()) })
}

/// The digest that the list `list` gives for the file `name`.
///
/// # Errors
///
/// Where there is none, or where there are two: both errors say what the list has.
pub(crate) fn choose(entries: &[Entry], list: &Source, name: &str) -> Result<Digest, Error> {
    let named = |wanted: fn(&str) -> &str| -> Vec<&Digest> {
        let matches = entries.iter().filter(|entry| entry.name.as_deref().map(wanted) == Some(name));
        matches.map(|entry| &entry.digest).collect()
    };
    let mut candidates = named(|written| written);
    if candidates.is_empty() {
        candidates = named(last_part);
    }
    // A file with a digest alone speaks of the file beside it, whatever that is called.
    if candidates.is_empty() && entries.iter().all(|entry| entry.name.is_none()) {
        candidates = entries.iter().map(|entry| &entry.digest).collect();
    }
    let Some(strongest) = candidates.iter().max_by_key(|digest| digest.algorithm()) else {
        let names: Vec<String> = entries.iter().filter_map(|entry| entry.name.clone()).collect();
        return Err(if names.is_empty() {
            Error::EmptyList { list: list.to_string() }
        } else {
            Error::NotInList { list: list.to_string(), name: name.to_owned(), names }
        });
    };
    let rival = |digest: &&&Digest| digest.algorithm() == strongest.algorithm() && digest != &strongest;
    if candidates.iter().find(rival).is_some() {
        return Err(Error::Ambiguous { list: list.to_string(), name: name.to_owned() });
    }
    Ok((*strongest).clone())
}

/// The digest that the list `list` gives for the name of one of `sources`, the first that it has.
///
/// # Errors
///
/// That of the first source, where it has none.
pub(crate) fn choose_any(entries: &[Entry], list: &Source, sources: &[Source]) -> Result<Digest, Error> {
    let mut failure = Error::NoSource;
    for (index, source) in sources.iter().enumerate() {
        let name = source.file_name().ok_or_else(|| Error::NoName { of: source.to_string() });
        match name.and_then(|name| choose(entries, list, &name)) {
            Ok(digest) => return Ok(digest),
            Err(error) if index == 0 => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

fn last_part(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests;
