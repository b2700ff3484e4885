//! OpenPGP signatures of checksum lists (RFC 9580).

use std::fmt;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pgp::composed::{
    CleartextSignedMessage, Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::KeyDetails;

use crate::{Error, Source};

/// What is put behind the name of a list to get that of its signature, in the order in which they are tried.
pub(crate) const SUFFIXES: [&str; 4] = ["gpg", "asc", "sig", "sign"];

const CLEAR_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const PUBLIC_KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Some public keys, all of them trusted.
pub(crate) struct Keyring {
    keys: Vec<SignedPublicKey>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.keys.iter().map(|key| key.fingerprint().to_string())).finish()
    }
}

impl Keyring {
    /// The keys in the file `path`: binary, or any number of armoured blocks.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
        match Self::parse(&bytes) {
            keyring if keyring.keys.is_empty() => Err(Error::NoKey { path: path.to_owned() }),
            keyring => Ok(keyring),
        }
    }

    /// The keys that can be read; those of another kind sign nothing that could be checked here.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let blocks: Vec<Vec<u8>> = match text.split_once(PUBLIC_KEY) {
            Some((_, rest)) => {
                rest.split(PUBLIC_KEY).map(|block| format!("{PUBLIC_KEY}{block}").into_bytes()).collect()
            }
            None => vec![bytes.to_vec()],
        };
        let keys = blocks.iter().filter_map(|block| {
            let (keys, _) = SignedPublicKey::from_reader_many(Cursor::new(block)).ok()?;
            Some(keys.filter_map(Result::ok).collect::<Vec<_>>())
        });
        Self { keys: keys.flatten().collect() }
    }

    /// Compares `list` with one of its detached signatures; the reason if it is not signed by any key.
    pub(crate) fn check(&self, list: &[u8], signature: &[u8]) -> Result<(), String> {
        let unreadable = |error: pgp::errors::Error| format!("it cannot be read: {error}");
        let (signatures, _) =
            DetachedSignature::from_reader_many(Cursor::new(signature)).map_err(unreadable)?;
        let signatures: Vec<_> = signatures.filter_map(Result::ok).collect();
        self.any(signatures.iter().map(|signature| &signature.signature), list)
    }

    /// What a clear-signed list says, and nothing that stands around it; `None` if `list` is not clear-signed.
    pub(crate) fn open(&self, list: &[u8]) -> Option<Result<Vec<u8>, String>> {
        let text = String::from_utf8_lossy(list);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        text.starts_with(CLEAR_SIGNED).then(|| {
            let (message, _) = CleartextSignedMessage::from_string(text)
                .map_err(|error| format!("it cannot be read: {error}"))?;
            let signed = message.signed_text().into_bytes();
            self.any(message.signatures().iter(), &signed)?;
            Ok(signed)
        })
    }

    fn any<'s>(&self, signatures: impl Iterator<Item = &'s Signature>, signed: &[u8]) -> Result<(), String> {
        let mut problem = "it holds no signature".to_owned();
        for signature in signatures {
            match self.judge(signature, signed) {
                Ok(()) => return Ok(()),
                Err(reason) => problem = reason,
            }
        }
        Err(problem)
    }

    fn judge(&self, signature: &Signature, signed: &[u8]) -> Result<(), String> {
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err("it is not made for files".to_owned());
        }
        // Files can be made to order that have the same digest of these.
        if let Some(weak @ (HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)) =
            signature.hash_alg()
        {
            return Err(format!("it is made with {weak}, which can be forged"));
        }
        let Some(created) = signature.created() else {
            return Err("it does not say when it was made".to_owned());
        };
        let created = SystemTime::from(created);
        let lifetime = signature.signature_expiration_time().map(Duration::from);
        if lifetime.is_some_and(|time| !time.is_zero() && created + time < SystemTime::now()) {
            return Err("it has expired".to_owned());
        }
        for key in &self.keys {
            let subkey = signing_subkey(key, signature, signed);
            if subkey.is_none() && signature.verify(&key.primary_key, signed).is_err() {
                continue;
            }
            // A revocation is believed unseen: whoever can write one into the keyring could as well take the key out.
            if !key.details.revocation_signatures.is_empty() {
                return Err(format!("its key {} is revoked", key.fingerprint()));
            }
            let ends = [end(key), subkey.and_then(end_of_subkey)];
            if ends.into_iter().flatten().any(|end| end < created) {
                return Err(format!("its key {} had expired before", key.fingerprint()));
            }
            return Ok(());
        }
        Err("it is not made, or not for this list, by a key of the keyring".to_owned())
    }
}

/// The signing subkey of `key` that made `signature` of `signed`, if one did.
fn signing_subkey<'k>(
    key: &'k SignedPublicKey,
    signature: &Signature,
    signed: &[u8],
) -> Option<&'k SignedPublicSubKey> {
    key.public_subkeys.iter().find(|subkey| {
        let is_revoked =
            subkey.signatures.iter().any(|each| each.typ() == Some(SignatureType::SubkeyRevocation));
        let is_for_signing = subkey.signatures.iter().any(|each| each.key_flags().sign());
        !is_revoked
            && is_for_signing
            && signature.verify(&subkey.key, signed).is_ok()
            && subkey.verify_bindings(&key.primary_key).is_ok()
    })
}

/// When the primary key expires, by the newest of its signatures of itself.
fn end(key: &SignedPublicKey) -> Option<SystemTime> {
    let by_user = key.details.users.iter().flat_map(|user| {
        let own = user.signatures.iter();
        own.filter(|each| {
            each.verify_certification(&key.primary_key, pgp::types::Tag::UserId, &user.id).is_ok()
        })
    });
    let direct = key.details.direct_signatures.iter();
    let direct = direct.filter(|each| each.verify_key(&key.primary_key).is_ok());
    end_by(by_user.chain(direct), key.primary_key.created_at().into())
}

/// When a subkey, whose bindings were verified, expires by the newest of them.
fn end_of_subkey(subkey: &SignedPublicSubKey) -> Option<SystemTime> {
    end_by(subkey.signatures.iter(), subkey.key.created_at().into())
}

fn end_by<'s>(signatures: impl Iterator<Item = &'s Signature>, created: SystemTime) -> Option<SystemTime> {
    let newest = signatures.max_by_key(|each| each.created().map(|time| time.as_secs()))?;
    let lifetime = Duration::from(newest.key_expiration_time()?);
    // Zero means never (RFC 9580, section 5.2.3.13).
    (!lifetime.is_zero()).then(|| created + lifetime)
}

/// The places at which a signature of `list` may be.
pub(crate) fn places(list: &Source) -> impl Iterator<Item = Source> {
    SUFFIXES.into_iter().map(move |suffix| match list {
        Source::Path(path) => {
            let mut path = path.clone().into_os_string();
            path.push(".");
            path.push(suffix);
            Source::Path(path.into())
        }
        Source::Url(url) => {
            let mut url = url.clone();
            url.set_path(&format!("{}.{suffix}", url.path()));
            Source::Url(url)
        }
    })
}
