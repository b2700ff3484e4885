//! Digests and how they are computed.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use crate::Error;
use crate::flow::BUFFER_SIZE;
use crate::hashing::Hasher;

/// A way to compute a digest, the weakest first.
///
/// MD5 and SHA-1 find transmission errors but not a forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5 (RFC 1321), 16 bytes.
    Md5,
    /// SHA-1 (FIPS 180-4), 20 bytes.
    Sha1,
    /// SHA-256 (FIPS 180-4), 32 bytes.
    Sha256,
    /// SHA-512 (FIPS 180-4), 64 bytes.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The name in lower case, as before the colon of `sha256:HEX`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of a digest, in bytes.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The digest of some bytes, and the algorithm that made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    pub(crate) algorithm: Algorithm,
    pub(crate) bytes: Vec<u8>,
}

impl Digest {
    /// The digest of all that `reader` gives. A file is read in large steps, from where it stands; holes count as zeros.
    ///
    /// ```
    /// use arm_image_fetch::{Algorithm, Digest};
    ///
    /// let digest = Digest::of(Algorithm::Md5, &b"abc"[..])?;
    /// assert_eq!(digest.to_string(), "md5:900150983cd24fb0d6963f7d28e17f72");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That of the reader.
    pub fn of(algorithm: Algorithm, mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; BUFFER_SIZE];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(length) => hasher.update(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The algorithm that made it.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes; [`Algorithm::length`] of them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes as lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The digest that `hex` spells, if it has as many digits as `algorithm` gives.
    pub(crate) fn from_hex(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let bytes = bytes_of(hex)?;
        (bytes.len() == algorithm.length()).then_some(Self { algorithm, bytes })
    }

    /// The digest that `hex` spells, its algorithm taken from the number of digits.
    pub(crate) fn from_bare_hex(hex: &str) -> Option<Self> {
        let bytes = bytes_of(hex)?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.length() == bytes.len())?;
        Some(Self { algorithm, bytes })
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// `sha256:HEX`, in lower case.
impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

/// Takes `sha256:HEX` and its like, or hexadecimal digits alone, their algorithm told by their number.
impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |reason| Error::Syntax { text: text.to_owned(), reason };
        let Some((name, hex)) = text.split_once(':') else {
            return Self::from_bare_hex(text)
                .ok_or_else(|| fail("it is not 32, 40, 64 or 128 hexadecimal digits".to_owned()));
        };
        let algorithm =
            Algorithm::named(name).ok_or_else(|| fail(format!("`{name}` is not an algorithm")))?;
        Self::from_hex(algorithm, hex.trim()).ok_or_else(|| {
            let digits = algorithm.length() * 2;
            fail(format!("{algorithm} takes {digits} hexadecimal digits"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        bytes.chunks(2).for_each(|chunk| hasher.update(chunk));
        hasher.finish()
    }

    /// The vectors for "abc" of RFC 1321 and FIPS 180-4.
    #[test]
    fn each_algorithm_gives_its_published_digest() {
        let expected = [
            "md5:900150983cd24fb0d6963f7d28e17f72",
            "sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ];
        for (algorithm, expected) in Algorithm::ALL.into_iter().zip(expected) {
            let digest = digest(algorithm, b"abc");
            assert_eq!(digest.to_string(), expected);
            assert_eq!(digest.bytes().len(), algorithm.length());
        }
    }

    #[test]
    fn digits_alone_tell_the_algorithm_by_their_number() {
        for algorithm in Algorithm::ALL {
            let digest = digest(algorithm, b"");
            assert_eq!(digest.hex().to_uppercase().parse::<Digest>().unwrap(), digest);
        }
    }

    #[test]
    fn what_is_no_digest_is_refused_with_the_reason() {
        for (text, reason) in [
            ("sha256:12ab", "sha256 takes 64 hexadecimal digits"),
            ("md5:g00150983cd24fb0d6963f7d28e17f72", "md5 takes 32 hexadecimal digits"),
            ("crc32:12345678", "`crc32` is not an algorithm"),
            ("12345", "not 32, 40, 64 or 128"),
            ("", "not 32, 40, 64 or 128"),
        ] {
            let message = text.parse::<Digest>().unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn holes_count_as_zeros() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3_000_001).unwrap();
        let expected = digest(Algorithm::Sha256, &vec![0; 3_000_001]);
        assert_eq!(Digest::of(Algorithm::Sha256, &file).unwrap(), expected);
        assert_eq!(
            Digest::of(Algorithm::Sha256, &file).unwrap(),
            digest(Algorithm::Sha256, b""),
            "it is read"
        );
    }

    proptest! {
        #[test]
        fn a_digest_survives_its_text(bytes: Vec<u8>, index in 0..4_usize) {
            let digest = digest(Algorithm::ALL[index], &bytes);
            prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        }

        #[test]
        fn any_text_is_judged_without_panic(text in ".*") {
            let _ = text.parse::<Digest>();
        }
    }
}
