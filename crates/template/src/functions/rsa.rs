//! Decryption by a private RSA key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::PrivateKeyParts as _;
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey};

use super::Call;
use super::encoding::utf8;
use crate::evaluate::Evaluated;
use crate::session::Fault;

/// A key of 4096 bits, the longest that is taken, has some 3300 bytes as text.
const LONGEST_KEY: usize = 8 << 10;

/// Of primes that differ by more bits than that, decryption would count in steps of the smaller up to the larger.
const MOST_BITS_APART: usize = 8;

/// `rsadecrypt(ciphertext, key)`: base64 and a key in PEM, padded as by PKCS#1 v1.5.
///
/// How long this takes tells a little about the key (RUSTSEC-2023-0071), to whoever can have many texts of his choice
/// decrypted and take the time of each. Here the key and the text are both the user's own, decrypted by his own program
/// on his own machine, and nobody is answered.
pub(super) fn decrypt(call: &Call<'_>) -> Evaluated {
    call.spend(50_000)?;
    let text = STANDARD.decode(call.text(0)?.trim());
    let text = text.map_err(|_| Fault::new("what `rsadecrypt` decrypts has to be in base64"))?;
    let pem = call.text(1)?;
    let key = key(pem.trim()).ok_or_else(|| {
        Fault::new("the key of `rsadecrypt` is no private RSA key in PEM, of at most 4096 bits and without a password")
            .hint("`ssh-keygen -p -m PEM -f KEY` turns a key of OpenSSH's into one".to_owned())
    })?;
    let plain = key.decrypt(Pkcs1v15Encrypt, &text);
    utf8(plain.map_err(|_| Fault::new("`rsadecrypt` cannot decrypt the text with this key"))?)
}

fn key(pem: &str) -> Option<RsaPrivateKey> {
    if pem.len() > LONGEST_KEY {
        return None;
    }
    let key = RsaPrivateKey::from_pkcs1_pem(pem).or_else(|_| RsaPrivateKey::from_pkcs8_pem(pem)).ok()?;
    let bits: Vec<usize> = key.primes().iter().map(|prime| prime.bits()).collect();
    matches!(bits[..], [one, other] if one.abs_diff(other) <= MOST_BITS_APART).then_some(key)
}
