//! How digests are computed.

use std::fmt;
use std::io::{self, Write};

use sha2::digest::DynDigest;

use crate::digest::{Algorithm, Digest};

/// Computes a digest while bytes pass.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    state: Box<dyn DynDigest>,
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let state: Box<dyn DynDigest> = match algorithm {
            Algorithm::Md5 => Box::new(md5::Md5::default()),
            Algorithm::Sha1 => Box::new(sha1::Sha1::default()),
            Algorithm::Sha256 => Box::new(sha2::Sha256::default()),
            Algorithm::Sha512 => Box::new(sha2::Sha512::default()),
        };
        Self { algorithm, state }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest { algorithm: self.algorithm, bytes: self.state.finalize().into() }
    }
}

/// A writer that computes the digest of what passes through it.
///
/// ```
/// use std::io::Write;
/// use arm_image_fetch::{Algorithm, Hashing};
///
/// let mut hashing = Hashing::new(Algorithm::Md5, Vec::new());
/// hashing.write_all(b"abc")?;
/// let (bytes, digest) = hashing.finish();
/// assert_eq!(bytes, b"abc");
/// assert_eq!(digest.hex(), "900150983cd24fb0d6963f7d28e17f72");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Hashing<W> {
    /// Passes everything on to `inner`.
    pub fn new(algorithm: Algorithm, inner: W) -> Self {
        Self { inner, hasher: Hasher::new(algorithm) }
    }

    /// The inner writer, and the digest of what it took.
    pub fn finish(self) -> (W, Digest) {
        (self.inner, self.hasher.finish())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: fmt::Debug> fmt::Debug for Hashing<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hashing").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_writer_does_not_take_is_not_hashed() {
        let mut small = [0; 3];
        let mut hashing = Hashing::new(Algorithm::Sha256, &mut small[..]);
        assert_eq!(hashing.write(b"abcdef").unwrap(), 3);
        assert_eq!(hashing.finish().1, Digest::of(Algorithm::Sha256, &b"abc"[..]).unwrap());
    }
}
