//! Digests, UUIDs and password hashes.

use std::fmt::Write as _;

use sha2::Digest as _;

use super::{Call, Function, rsa};
use crate::Value;
use crate::evaluate::Evaluated;
use crate::session::{Fault, Session};

/// Work for a hash of 2^14 rounds takes about a second.
const MOST_ROUNDS: u64 = 14;

pub(super) const FUNCTIONS: &[Function] = &[
    ("bcrypt", 1, 2, password),
    ("md5", 1, 1, |call| Ok(Value::String(hex(&md5::Md5::digest(call.text(0)?))))),
    ("rsadecrypt", 2, 2, rsa::decrypt),
    ("sha1", 1, 1, |call| Ok(Value::String(hex(&sha1::Sha1::digest(call.text(0)?))))),
    ("sha256", 1, 1, |call| Ok(Value::String(hex(&sha2::Sha256::digest(call.text(0)?))))),
    ("sha512", 1, 1, |call| Ok(Value::String(hex(&sha2::Sha512::digest(call.text(0)?))))),
    ("uuidv4", 0, 0, |call| Ok(Value::String(uuid4(call.evaluator.session)))),
    ("uuidv5", 2, 2, uuid5),
];

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Sixteen bytes nobody else has, from the caller's seed.
fn random(session: &Session<'_>) -> [u8; 16] {
    let mut digest = sha2::Sha256::new();
    digest.update(session.inputs.seed);
    digest.update(session.next_random().to_le_bytes());
    let digest = digest.finalize();
    std::array::from_fn(|index| digest[index])
}

fn uuid_text(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// A random UUID.
pub(crate) fn uuid4(session: &Session<'_>) -> String {
    uuid_text(random(session), 4)
}

/// The namespaces of RFC 4122, appendix C, differ in their fourth byte.
fn uuid5(call: &Call<'_>) -> Evaluated {
    let (space, name) = (call.text(0)?, call.text(1)?);
    let well_known = |fourth: u8| {
        let mut bytes = *b"\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8";
        bytes[3] = fourth;
        bytes
    };
    let space = match space.as_str() {
        "dns" => well_known(0x10),
        "url" => well_known(0x11),
        "oid" => well_known(0x12),
        "x500" => well_known(0x14),
        other => parse_uuid(other).ok_or_else(|| {
            Fault::new(format!("`{other}` is no namespace"))
                .hint("one of `dns`, `url`, `oid`, `x500`, or a UUID would do".to_owned())
        })?,
    };
    let mut digest = sha1::Sha1::new();
    digest.update(space);
    digest.update(name);
    let digest = digest.finalize();
    Ok(Value::String(uuid_text(std::array::from_fn(|index| digest[index]), 5)))
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let number = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())??;
    Some(number.to_be_bytes())
}

fn password(call: &Call<'_>) -> Evaluated {
    let rounds = if call.len() == 2 { call.size(1)? as u64 } else { 10 };
    if !(4..=MOST_ROUNDS).contains(&rounds) {
        return Err(Fault::new(format!("the cost has to be between 4 and {MOST_ROUNDS}")));
    }
    call.evaluator.session.spend(200 << rounds)?;
    let cost = u32::try_from(rounds).map_err(|_| Fault::new("the cost is out of range"))?;
    let hashed = bcrypt::hash_with_salt(call.text(0)?, cost, random(call.evaluator.session));
    let hashed = hashed.map_err(|error| Fault::new(format!("failed to hash: {error}")))?;
    Ok(Value::String(hashed.format_for_version(bcrypt::Version::TwoA)))
}
