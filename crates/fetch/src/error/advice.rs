//! What an error means for whoever has it.

use std::error::Error as _;
use std::io;

use super::Error;

impl Error {
    /// Whether the bytes, or the list that should judge them, were at fault; not the way to them.
    #[must_use]
    pub fn is_checksum(&self) -> bool {
        if let Self::Sources { failures } = self {
            return failures.iter().all(Self::is_checksum);
        }
        matches!(
            self,
            Self::Mismatch { .. }
                | Self::EmptyList { .. }
                | Self::NotInList { .. }
                | Self::Ambiguous { .. }
                | Self::NoName { .. }
                | Self::ListTooLarge { .. }
                | Self::Unsigned { .. }
                | Self::Signature { .. }
        )
    }

    /// Whether it is the source that failed, so that another may do.
    pub(crate) fn is_of_source(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Read { .. }
                | Self::Request { .. }
                | Self::Redirect { .. }
                | Self::Status { .. }
                | Self::Broken { .. }
                | Self::Short { .. }
                | Self::Unsteady { .. }
                | Self::Stalled { .. }
                | Self::Offline { .. }
                | Self::Mismatch { .. }
        )
    }

    /// Whether the server's certificate was refused.
    pub(crate) fn is_distrust(&self) -> bool {
        matches!(self, Self::Request { source, .. }
            if tls_error(source).is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_))))
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
            Self::NoKey { .. } => {
                "export the publisher's key: `gpg --export KEY >FILE`; a keybox file is none"
            }
            Self::Unsigned { .. } => {
                "a list is signed within, or by a file beside it, with `.gpg`, `.asc`, `.sig` or `.sign` behind its name"
            }
            Self::Signature { .. } => "compare the keyring with the publisher's key; the list may be forged",
            Self::Restarted { .. } => "do it again: the file is in the cache now",
            Self::Unsteady { .. } => "try later, or another mirror",
            Self::Sources { failures } => return failures.iter().find_map(Self::hint),
            Self::Remote { .. } => "download it first, or use the fetcher for HTTP",
            Self::Write { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
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
            Self::Request { source, .. } if tls_error(source) == Some(&UNKNOWN_ISSUER) => {
                "install the system's root certificates (Debian: `ca-certificates`), or point SSL_CERT_FILE at them"
            }
            Self::Request { .. } | Self::Broken { .. } | Self::Short { .. } | Self::Stalled { .. } => {
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

/// Nobody known vouches for the server: typical of a container without root certificates.
const UNKNOWN_ISSUER: rustls::Error =
    rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);

/// What TLS complained of, if it did.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        // An `io::Error` names as its source not what it wraps, but the source of that.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause =
            wrapped.map(|wrapped| wrapped as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}
