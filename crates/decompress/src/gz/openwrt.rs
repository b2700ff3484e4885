//! What OpenWrt appends to its images: blocks for `fwtool`, each with a trailer of 16 bytes at its end (`fwimage.h` there).

/// Magic of a trailer.
const MAGIC: &[u8] = b"FWx0";

/// Magic, checksum, type and padding, and the size of the block with its trailer; numbers are big-endian.
const TRAILER: usize = 16;

/// Whether `bytes` are nothing but such blocks.
pub(super) fn is_metadata(mut bytes: &[u8]) -> bool {
    while let Some((_, trailer)) = bytes.split_last_chunk::<TRAILER>() {
        let [magic @ .., a, b, c, d] = trailer;
        let size = u32::from_be_bytes([*a, *b, *c, *d]);
        let rest = usize::try_from(size).ok().and_then(|size| bytes.len().checked_sub(size));
        match rest {
            Some(0) if magic.starts_with(MAGIC) => return true,
            Some(rest) if magic.starts_with(MAGIC) && rest <= bytes.len() - TRAILER => bytes = &bytes[..rest],
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::is_metadata;

    fn block(data: &[u8]) -> Vec<u8> {
        let size = u32::try_from(data.len() + 16).unwrap_or_default();
        [data, b"FWx0", &[1, 2, 3, 4], &[1, 0, 0, 0], &size.to_be_bytes()].concat()
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), size in any::<u32>()) {
            let _ = is_metadata(&bytes);
            bytes.extend(b"FWx0\0\0\0\0\0\0\0\0");
            bytes.extend(size.to_be_bytes());
            let _ = is_metadata(&bytes);
        }
    }

    #[test]
    fn blocks_are_told_from_anything_else() {
        let metadata = block(b"{ \"metadata_version\": \"1.1\" }");
        let signed = [metadata.clone(), block(b"signature")].concat();
        assert!(is_metadata(&metadata) && is_metadata(&signed) && is_metadata(&block(b"")));
        for wrong in [b"".as_slice(), b"x", &signed[1..], &signed[..signed.len() - 1], &[0; 16]] {
            assert!(!is_metadata(wrong), "{wrong:?}");
        }
        assert!(!is_metadata(&[b"x", signed.as_slice()].concat()));
    }
}
