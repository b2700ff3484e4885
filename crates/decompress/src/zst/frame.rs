//! What stands around the data of a frame. Section numbers are those of RFC 8878.

/// Magic and size of a frame to be skipped, section 3.1.2.
pub(super) const SKIPPABLE_HEADER: usize = 8;

/// The longest header of a frame with data, with its magic.
pub(super) const LONGEST_HEADER: usize = 18;

/// The size of a block's header, section 3.1.1.2.
pub(super) const BLOCK_HEADER: usize = 3;

/// The size of the checksum at the end of a frame.
pub(super) const CHECKSUM: usize = 4;

/// The header of a frame with data, section 3.1.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Its own size in bytes, with the magic.
    pub(super) size: usize,
    /// The memory its decoder needs, in bytes.
    pub(super) window: u64,
    /// The size of the data in bytes, where it is told.
    pub(super) content: Option<u64>,
    pub(super) has_checksum: bool,
}

/// The size in bytes of what is to be skipped, with its header, if such a frame starts here.
pub(super) fn skippable(bytes: &[u8]) -> Option<u64> {
    let [a, b, c, d, size @ ..] = bytes.first_chunk::<SKIPPABLE_HEADER>()?;
    let size = u64::from(u32::from_le_bytes(*size));
    (u32::from_le_bytes([*a, *b, *c, *d]) & !0xf == 0x184d_2a50).then_some(size + SKIPPABLE_HEADER as u64)
}

/// Reads the header of a frame with data; `None` if it is none, or is cut.
pub(super) fn parse_header(bytes: &[u8]) -> Option<Header> {
    let (descriptor, rest) = bytes.strip_prefix(super::MAGIC)?.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    let (window, rest) = rest.split_at_checked(usize::from(!is_single_segment))?;
    let (_, rest) = rest.split_at_checked(dictionary_size(*descriptor))?;
    let content = match rest.get(..content_size(*descriptor))? {
        [] => None,
        [a] => Some(u64::from(*a)),
        [a, b] => Some(u64::from(u16::from_le_bytes([*a, *b])) + 256),
        field => Some(field.iter().rev().fold(0, |content, byte| content << 8 | u64::from(*byte))),
    };
    let window = match window {
        [byte] => {
            let base = 1_u64 << (10 + (byte >> 3));
            base + base / 8 * u64::from(byte & 7)
        }
        _ => content?,
    };
    Some(Header { size: header_size(*descriptor), window, content, has_checksum: descriptor & 4 != 0 })
}

/// The size of a frame's header with its magic, from its fifth byte, section 3.1.1.1.1.
pub(super) fn header_size(descriptor: u8) -> usize {
    let window = usize::from(descriptor & 0x20 == 0);
    4 + 1 + window + dictionary_size(descriptor) + content_size(descriptor)
}

fn dictionary_size(descriptor: u8) -> usize {
    [0, 1, 2, 4][usize::from(descriptor & 3)]
}

fn content_size(descriptor: u8) -> usize {
    match descriptor >> 6 {
        0 => usize::from(descriptor & 0x20 != 0),
        flag => 1 << flag,
    }
}

/// The header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Its size in the file behind the header, in bytes.
    pub(super) packed: usize,
    pub(super) is_last: bool,
}

/// Reads the header of a block; `None` if its type is reserved.
pub(super) fn parse_block(bytes: [u8; BLOCK_HEADER]) -> Option<Block> {
    let [a, b, c] = bytes;
    let field = u32::from_le_bytes([a, b, c, 0]);
    let packed = match field >> 1 & 3 {
        1 => 1, // one byte that is repeated
        3 => return None,
        _ => usize::try_from(field >> 3).ok()?,
    };
    Some(Block { packed, is_last: field & 1 == 1 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        BLOCK_HEADER, Block, Header, LONGEST_HEADER, header_size, parse_block, parse_header, skippable,
    };

    proptest! {
        #[test]
        fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let _ = (skippable(&bytes), parse_header(&bytes));
            bytes.splice(..0, *b"\x28\xb5\x2f\xfd");
            if let Some(header) = parse_header(&bytes) {
                prop_assert!(header.size <= LONGEST_HEADER && header.size == header_size(bytes[4]));
                prop_assert!(header.size <= bytes.len());
            }
            if let Some(bytes) = bytes.first_chunk::<BLOCK_HEADER>() {
                let _ = parse_block(*bytes);
            }
        }

        #[test]
        fn headers_are_those_the_library_writes(size in 0..300_000_usize, checksum in any::<bool>(), level in 1..20) {
            let mut encoder = zstd::bulk::Compressor::new(level).unwrap();
            encoder.include_checksum(checksum).unwrap();
            let frame = encoder.compress(&vec![1; size]).unwrap();
            let header = parse_header(&frame).unwrap();
            prop_assert_eq!(header.content, Some(size as u64));
            prop_assert_eq!(header.has_checksum, checksum);
            let mut at = header.size;
            loop {
                let block = parse_block(*frame[at..].first_chunk().unwrap()).unwrap();
                at += BLOCK_HEADER + block.packed;
                if block.is_last {
                    break;
                }
            }
            prop_assert_eq!(at + if checksum { 4 } else { 0 }, frame.len());
        }
    }

    #[test]
    fn fields_have_the_values_of_the_format() {
        let header = |bytes: &[u8]| parse_header(&[b"\x28\xb5\x2f\xfd", bytes].concat());
        // Section 3.1.1.1.2: the smallest window is 1 KiB, the largest 3.75 TiB.
        let least = Header { size: 6, window: 1 << 10, content: None, has_checksum: false };
        assert_eq!(header(&[0, 0]), Some(least));
        assert_eq!(header(&[0, 0xff]), Some(Header { window: (15 << 41) / 8, ..least }));
        let two = Header { size: 7, window: 256 + 0x0201, content: Some(256 + 0x0201), has_checksum: true };
        assert_eq!(header(&[0x64, 1, 2]), Some(two));
        assert_eq!(header(&[0x64, 1]), None);
        assert_eq!(parse_block([0b0000_0101, 1, 0]), Some(Block { packed: 32, is_last: true }));
        assert_eq!(parse_block([0b0000_0010, 1, 0]), Some(Block { packed: 1, is_last: false }));
        assert_eq!(parse_block([0b0000_0110, 1, 0]), None);
        assert_eq!(skippable(b"\x5f\x2a\x4d\x18\x10\0\0\0"), Some(24));
        assert_eq!(skippable(b"\x60\x2a\x4d\x18\x10\0\0\0"), None);
    }
}
