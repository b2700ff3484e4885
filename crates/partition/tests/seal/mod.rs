//! Damage that the checksums of a GPT do not show.

/// Makes the checksums of the primary GPT right again, so that damage gets past them.
pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let field = |bytes: &[u8], at: usize| {
        u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    let length = u64::from(field(&bytes, 592)) * u64::from(field(&bytes, 596));
    if let Some(entries) = usize::try_from(length).ok().and_then(|length| bytes.get(1024..1024 + length)) {
        let checksum = crc32fast::hash(entries).to_le_bytes();
        bytes[600..604].copy_from_slice(&checksum);
    }
    bytes[528..532].fill(0);
    let checksum = crc32fast::hash(&bytes[512..604]).to_le_bytes();
    bytes[528..532].copy_from_slice(&checksum);
    bytes
}
