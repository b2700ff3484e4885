//! Lists that have to be signed.

use std::collections::HashMap;

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, DetachedSignature, EncryptionCaps, KeyType, SecretKeyParamsBuilder,
    SignedPublicKey, SignedSecretKey, SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::ser::Serialize;
use pgp::types::Password;
use rand::thread_rng;

use super::*;

fn key() -> SignedSecretKey {
    key_of(KeyType::Ed25519Legacy)
}

fn key_of(kind: KeyType) -> SignedSecretKey {
    let subkey = SubkeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_sign(true)
        .can_encrypt(EncryptionCaps::None)
        .build()
        .unwrap();
    let mut parameters = SecretKeyParamsBuilder::default();
    parameters
        .key_type(kind)
        .can_certify(true)
        .can_sign(true)
        .can_encrypt(EncryptionCaps::None)
        .primary_user_id("Publisher <publisher@example.org>".into())
        .subkeys(vec![subkey]);
    parameters.build().unwrap().generate(thread_rng()).unwrap()
}

fn sign(key: &SignedSecretKey, hash: HashAlgorithm, list: &[u8]) -> DetachedSignature {
    DetachedSignature::sign_binary_data(thread_rng(), &key.primary_key, &Password::empty(), hash, list)
        .unwrap()
}

fn list() -> String {
    format!("{}  a.img\n", digest(&body()).hex())
}

fn clear_signed(key: &SignedSecretKey) -> String {
    let message =
        CleartextSignedMessage::sign(thread_rng(), &list(), &key.primary_key, &Password::empty()).unwrap();
    message.to_armored_string(ArmorOptions::default()).unwrap()
}

/// Serves `files`, and fetches an image against `/sums`, which has to be signed by one of `keys`.
fn fetched(files: Vec<(&'static str, Vec<u8>)>, keys: &[&SignedSecretKey]) -> Result<(), Error> {
    let files: HashMap<_, _> = files.into_iter().collect();
    let server = Server::new(move |exchange| {
        let answer = match (exchange.path(), files.get(exchange.path())) {
            ("/a.img", _) => ok(&body()),
            (_, Some(file)) => ok(file),
            _ => bare("404 Not Found", ""),
        };
        exchange.say(&answer);
    });
    let bench = Bench::new();
    let keyring = bench.folder.path().join("keyring.lock");
    let public: Vec<u8> =
        keys.iter().flat_map(|key| SignedPublicKey::from((*key).clone()).to_bytes().unwrap()).collect();
    fs::write(&keyring, public).unwrap();
    let bench = Bench { fetcher: fetcher(bench.folder.path()).keyring(&keyring)?, folder: bench.folder };
    bench.fetch(&server.source("/a.img"), &Checksum::List(server.source("/sums"))).map(|_| ())
}

#[test]
fn a_list_signed_beside_or_within_is_taken() {
    let (key, other) = (key(), key());
    let signature = sign(&key, HashAlgorithm::Sha512, list().as_bytes());
    let (binary, armoured) =
        (signature.to_bytes().unwrap(), signature.to_armored_bytes(ArmorOptions::default()).unwrap());
    for files in [
        vec![("/sums", list().into()), ("/sums.gpg", binary.clone())],
        vec![("/sums", list().into()), ("/sums.asc", armoured)],
        vec![("/sums", list().into()), ("/sums.sign", binary.clone())],
        // A page for what is not there does not hide what is.
        vec![("/sums", list().into()), ("/sums.gpg", b"<html>".to_vec()), ("/sums.sig", binary)],
        vec![("/sums", clear_signed(&key).into())],
    ] {
        fetched(files, &[&other, &key]).unwrap();
    }
}

#[test]
fn a_signing_subkey_signs_for_its_key() {
    let key = key();
    let subkey = &key.secret_subkeys[0].key;
    let signature = DetachedSignature::sign_binary_data(
        thread_rng(),
        subkey,
        &Password::empty(),
        HashAlgorithm::Sha256,
        list().as_bytes(),
    )
    .unwrap();
    let files = || vec![("/sums", list().into()), ("/sums.sig", signature.to_bytes().unwrap())];
    fetched(files(), &[&key]).unwrap();
    // A subkey that another key claims without its consent counts for nothing.
    let mut thief = self::key();
    thief.secret_subkeys = key.secret_subkeys.clone();
    let error = fetched(files(), &[&thief]).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
}

#[test]
fn a_list_that_is_not_signed_is_refused() {
    let error = fetched(vec![("/sums", list().into())], &[&key()]).unwrap_err();
    assert!(matches!(error, Error::Unsigned { .. }) && error.is_checksum(), "{error}");
    assert!(error.hint().unwrap().contains(".gpg"));
}

#[test]
fn a_wrong_signature_is_refused() {
    let (own, other) = (key(), key());
    let good = sign(&own, HashAlgorithm::Sha256, list().as_bytes()).to_bytes().unwrap();
    let forged = format!("{}  a.img\n", digest(b"forged").hex());
    let clear = clear_signed(&own);
    let altered = clear.replace(&digest(&body()).hex(), &digest(b"forged").hex());
    for (files, keys) in [
        (vec![("/sums", forged.clone().into()), ("/sums.gpg", good.clone())], &own),
        (vec![("/sums", list().into()), ("/sums.gpg", good.clone())], &other),
        (vec![("/sums", list().into()), ("/sums.gpg", good[..good.len() - 9].to_vec())], &own),
        (vec![("/sums", list().into()), ("/sums.gpg", b"no signature".to_vec())], &own),
        (vec![("/sums", altered.into())], &own),
        (vec![("/sums", clear.clone().into())], &other),
        (vec![("/sums", clear[..clear.len() / 2].to_owned().into())], &own),
    ] {
        let error = fetched(files, &[keys]).unwrap_err();
        assert!(matches!(error, Error::Signature { .. }) && error.is_checksum(), "{error}");
    }
}

#[test]
fn what_stands_around_the_signed_text_does_not_count() {
    let key = key();
    let forged = format!("{}  a.img\n", digest(b"forged").hex());
    // Before it, the list is not clear-signed at all; behind it, it is damaged.
    let error =
        fetched(vec![("/sums", format!("{forged}{}", clear_signed(&key)).into())], &[&key]).unwrap_err();
    assert!(matches!(error, Error::Unsigned { .. }), "{error}");
    let error =
        fetched(vec![("/sums", format!("{}{forged}", clear_signed(&key)).into())], &[&key]).unwrap_err();
    assert!(matches!(error, Error::Signature { .. }), "{error}");
}

#[test]
fn a_weak_digest_does_not_count() {
    // With the newer kinds of keys nobody can even make one.
    let key = key_of(KeyType::Rsa(2048));
    let signature = sign(&key, HashAlgorithm::Sha1, list().as_bytes()).to_bytes().unwrap();
    let error = fetched(vec![("/sums", list().into()), ("/sums.gpg", signature)], &[&key]).unwrap_err();
    assert!(error.to_string().contains("forged"), "{error}");
}

#[test]
fn a_keyring_without_keys_is_told() {
    let error = fetched(vec![], &[]).unwrap_err();
    assert!(matches!(error, Error::NoKey { .. }) && error.hint().is_some(), "{error}");
}

#[test]
fn a_digest_given_directly_needs_no_signature() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    let keyring = bench.folder.path().join("keyring.lock");
    let armour = ArmorOptions::default;
    let blocks: Vec<String> =
        (0..2).map(|_| SignedPublicKey::from(key()).to_armored_string(armour()).unwrap()).collect();
    fs::write(&keyring, blocks.concat()).unwrap();
    let fetcher = fetcher(bench.folder.path()).keyring(&keyring).unwrap();
    assert!(format!("{fetcher:?}").matches('"').count() > 4, "two armoured blocks are two keys: {fetcher:?}");
    fetcher.fetch(&server.source("/a.img"), &right(), None, &mut |_, _| ControlFlow::Continue(())).unwrap();
}
