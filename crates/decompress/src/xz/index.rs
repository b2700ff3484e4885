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

/// The memory that a block's LZMA2 dictionary takes in bytes, from the first bytes of the block, sections 3.1 and 5.3.1; `None`
/// if its header is cut or is not understood.
pub(super) fn dictionary(block: &[u8]) -> Option<u64> {
    const LZMA2: u64 = 0x21;
    const PACKED_SIZE: u8 = 0x40;
    const UNPACKED_SIZE: u8 = 0x80;
    let (size, _) = block.split_first().filter(|(size, _)| **size > 0)?;
    let header = block.get(..(usize::from(*size) + 1) * 4)?;
    let (flags, mut rest) = header.get(1..)?.split_first()?;
    for size in [PACKED_SIZE, UNPACKED_SIZE] {
        if flags & size != 0 {
            integer(&mut rest)?;
        }
    }
    for _ in 0..=flags & 3 {
        let (id, length) = (integer(&mut rest)?, integer(&mut rest)?);
        let (properties, others) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = others;
        match (id, properties) {
            (LZMA2, [40]) => return Some(u64::from(u32::MAX)),
            (LZMA2, [bits @ 0..40]) => return Some((2 | u64::from(bits & 1)) << (bits / 2 + 11)),
            (LZMA2, _) => return None,
            _ => {}
        }
    }
    None
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
fn integer(bytes: &mut &[u8]) -> Option<u64> {
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

fn push_integer(bytes: &mut Vec<u8>, value: u64) {
    debug_assert!(value <= LARGEST);
    let mut rest = value;
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

#[cfg(test)]
mod tests;
