//! The parts of the xz format around its blocks: headers, footers and the index. Section numbers are those of
//! <https://tukaani.org/xz/xz-file-format.txt>.

use flate2::Crc;

/// Size of a stream's header and of its footer, sections 2.1.1 and 2.1.2.
pub(super) const HEADER: usize = 12;

/// Header magic of a stream.
pub(super) const MAGIC: &[u8; 6] = b"\xfd7zXZ\0";

/// Footer magic of a stream.
const FOOTER_MAGIC: &[u8; 2] = b"YZ";

/// The largest value of a multibyte integer, section 1.2.
const LARGEST: u64 = (1 << 63) - 1;

/// The smallest unpadded size there is, section 4.3.
const SMALLEST_BLOCK: u64 = 5;

/// The two bytes in header and footer that name the integrity check, section 2.1.1.2.
pub(super) type Flags = [u8; 2];

/// What the index says of a block, section 4.3; both in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// Size in the file without the padding at its end.
    pub(super) unpadded: u64,
    /// Size of the data.
    pub(super) unpacked: u64,
}

impl Record {
    /// Size in the file; `None` if no file can be that large.
    pub(super) fn padded(self) -> Option<u64> {
        self.unpadded.checked_next_multiple_of(4)
    }
}

/// Reads a stream's header; `None` if it is none, or names a check that is not assigned.
pub(super) fn parse_header(bytes: &[u8; HEADER]) -> Option<Flags> {
    let (magic, rest) = bytes.split_first_chunk()?;
    let (flags, crc) = rest.split_first_chunk()?;
    (magic == MAGIC && crc == crc32(flags) && is_known(*flags)).then_some(*flags)
}

/// Reads a stream's footer: the size of the index in bytes, and the flags.
pub(super) fn parse_footer(bytes: &[u8; HEADER]) -> Option<(u64, Flags)> {
    let (crc, rest) = bytes.split_first_chunk::<4>()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (flags, magic) = rest.split_first_chunk()?;
    let sound = magic == FOOTER_MAGIC && *crc == crc32(&bytes[4..10]) && is_known(*flags);
    sound.then(|| ((u64::from(u32::from_le_bytes(*size)) + 1) * 4, *flags))
}

/// None, CRC32, CRC64 and SHA-256, section 3.4. Others cannot be verified here.
fn is_known(flags: Flags) -> bool {
    matches!(flags, [0, 0 | 1 | 4 | 10])
}

/// Reads a whole index, section 4.
pub(super) fn parse_index(bytes: &[u8]) -> Option<Vec<Record>> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    if !bytes.len().is_multiple_of(4) || *crc != crc32(content) {
        return None;
    }
    let mut rest = content.strip_prefix(&[0])?;
    let count = integer(&mut rest)?;
    let mut records = Vec::new();
    for _ in 0..count {
        // Each takes two bytes at least, so that a lying count ends here.
        let record = Record { unpadded: integer(&mut rest)?, unpacked: integer(&mut rest)? };
        if record.unpadded < SMALLEST_BLOCK {
            return None;
        }
        records.push(record);
    }
    (rest.len() < 4 && rest.iter().all(|byte| *byte == 0)).then_some(records)
}

/// What the header of a block tells beside its filters, sections 3.1 and 5.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    /// Its own size in bytes.
    pub(super) size: usize,
    /// The sizes of the block's chunks and of its data in bytes, where they are told. Who packs on several threads tells both.
    pub(super) packed: Option<u64>,
    pub(super) unpacked: Option<u64>,
    /// The memory that the dictionary of LZMA2 takes, in bytes.
    pub(super) dictionary: u64,
}

/// Reads a block's header from the first bytes of the block; `None` if it is cut or is not understood. Whether its checksum is
/// right is left to the decoder.
pub(super) fn parse_block_header(block: &[u8]) -> Option<BlockHeader> {
    const LZMA2: u64 = 0x21;
    const PACKED_SIZE: u8 = 0x40;
    const UNPACKED_SIZE: u8 = 0x80;
    let size = block_header_size(*block.first()?)?;
    let (flags, mut rest) = block.get(..size)?.get(1..)?.split_first()?;
    let packed = if flags & PACKED_SIZE != 0 { Some(integer(&mut rest)?) } else { None };
    let unpacked = if flags & UNPACKED_SIZE != 0 { Some(integer(&mut rest)?) } else { None };
    for _ in 0..=flags & 3 {
        let (id, length) = (integer(&mut rest)?, integer(&mut rest)?);
        let (properties, others) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = others;
        let dictionary = match (id, properties) {
            (LZMA2, [40]) => u64::from(u32::MAX),
            (LZMA2, [bits @ 0..40]) => (2 | u64::from(bits & 1)) << (bits / 2 + 11),
            (LZMA2, _) => return None,
            _ => continue,
        };
        return Some(BlockHeader { size, packed, unpacked, dictionary });
    }
    None
}

/// The size of a block's header by its first byte, section 3.1.1; `None` if an index stands there.
pub(super) fn block_header_size(first: u8) -> Option<usize> {
    (first > 0).then(|| (usize::from(first) + 1) * 4)
}

/// The size of the check behind a block in bytes, section 2.1.1.2.
pub(super) fn check_size(flags: Flags) -> u64 {
    match flags[1] & 0xf {
        0 => 0,
        id => 4 << ((id - 1) / 3),
    }
}

/// The header of a stream with these flags.
pub(super) fn header(flags: Flags) -> Vec<u8> {
    [MAGIC.as_slice(), &flags, &crc32(&flags)].concat()
}

/// What follows the blocks of a stream: index and footer.
pub(super) fn tail(flags: Flags, records: &[Record]) -> Vec<u8> {
    let mut bytes = vec![0];
    push_integer(&mut bytes, records.len() as u64);
    for record in records {
        push_integer(&mut bytes, record.unpadded);
        push_integer(&mut bytes, record.unpacked);
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let crc = crc32(&bytes);
    bytes.extend(crc);
    let words = u32::try_from(bytes.len() / 4 - 1).unwrap_or(u32::MAX);
    let footer = [words.to_le_bytes().as_slice(), &flags].concat();
    bytes.extend(crc32(&footer));
    bytes.extend(footer);
    bytes.extend(FOOTER_MAGIC);
    bytes
}

/// Takes a multibyte integer from the front, section 1.2.
pub(super) fn integer(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for position in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            // The shortest form is the only one.
            return (position == 0 || *byte != 0).then_some(value);
        }
    }
    None
}

pub(super) fn push_integer(bytes: &mut Vec<u8>, value: u64) {
    debug_assert!(value <= LARGEST);
    let mut rest = value;
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

pub(super) fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

#[cfg(test)]
mod tests;
