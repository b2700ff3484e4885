//! Bits of a bzip2 stream: its magic numbers stand anywhere, not only where a byte starts.

/// Magic of a block, and of a stream's end: the digits of pi, and of its square root.
pub(super) const BLOCK: u64 = 0x3141_5926_5359;
pub(super) const END: u64 = 0x1772_4538_5090;

/// Bits of a magic number, and of the checksum that follows each.
pub(super) const MAGIC_BITS: usize = 48;
pub(super) const CRC_BITS: usize = 32;

/// Looks for both magic numbers at once.
///
/// Of a magic number that starts anywhere, two neighbouring bytes are known whole. Each way it can lie in them has a bit; the
/// tables say for every value of the first and of the second byte with which ways it agrees.
#[derive(Debug)]
pub(super) struct Finder {
    first: [u16; 256],
    second: [u16; 256],
}

impl Finder {
    pub(super) fn new() -> Self {
        let mut finder = Self { first: [0; 256], second: [0; 256] };
        for (number, magic) in [BLOCK, END].into_iter().enumerate() {
            for before in 0..8 {
                let way = 1 << (number * 8 + before);
                let bytes = (magic << (16 + before)).to_be_bytes();
                finder.first[usize::from(bytes[0])] |= way;
                finder.second[usize::from(bytes[1])] |= way;
            }
        }
        finder
    }

    /// The first bit at `from` or later where a magic number stands whole in `bytes`.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let start = from.div_ceil(8);
        let mut pairs = bytes.get(start..)?.windows(2).enumerate();
        loop {
            let (number, _) = pairs.find(|(_, pair)| {
                self.first[usize::from(pair[0])] & self.second[usize::from(pair[1])] != 0
            })?;
            let at = (start + number) * 8;
            let ways = (0..8).rev().filter_map(|before| at.checked_sub(before));
            let is_magic =
                |at: &usize| *at >= from && matches!(take(bytes, *at, MAGIC_BITS), Some(BLOCK | END));
            if let Some(found) = ways.into_iter().find(is_magic) {
                return Some(found);
            }
        }
    }
}

/// `count` bits (56 at most) from bit `at` on, as a number; `None` if they are not all there.
pub(super) fn take(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    debug_assert!(count <= 56);
    let end = at.checked_add(count)?.div_ceil(8);
    let bytes = bytes.get(at / 8..end)?;
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let behind = bytes.len() * 8 - at % 8 - count;
    Some(number >> behind & ((1 << count) - 1))
}

/// A bzip2 stream of its own around a single block: `count` bits of `bytes` from bit `at` on, made by level `level`.
pub(super) fn wrap(level: u8, bytes: &[u8], at: usize, count: usize) -> Vec<u8> {
    let mut stream = Vec::with_capacity(count / 8 + 32);
    stream.extend(b"BZh");
    stream.push(level);
    let (bytes, shift) = (bytes.get(at / 8..).unwrap_or_default(), at % 8);
    let whole = count / 8;
    if shift == 0 {
        stream.extend(&bytes[..whole]);
    } else {
        stream.extend(bytes.windows(2).take(whole).map(|pair| pair[0] << shift | pair[1] >> (8 - shift)));
    }
    // The bits that fill no byte, the magic of the end, and the checksum over all blocks, which for one block is its own.
    let left = count % 8;
    let mut rest = u128::from(take(bytes, shift + whole * 8, left).unwrap_or_default());
    rest = rest << MAGIC_BITS | u128::from(END);
    rest = rest << CRC_BITS | u128::from(take(bytes, shift + MAGIC_BITS, CRC_BITS).unwrap_or_default());
    let bits = left + MAGIC_BITS + CRC_BITS;
    let end = (rest << (128 - bits)).to_be_bytes();
    stream.extend(&end[..bits.div_ceil(8)]);
    stream
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK, END, Finder, MAGIC_BITS, take, wrap};

    /// What `find` returns, by looking at every bit.
    fn find_slowly(bytes: &[u8], from: usize) -> Option<usize> {
        (from..bytes.len() * 8).find(|at| matches!(take(bytes, *at, MAGIC_BITS), Some(BLOCK | END)))
    }

    proptest! {
        #[test]
        fn a_magic_is_found_wherever_it_is(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..100),
            places in proptest::collection::vec((any::<bool>(), 0..800_usize), 0..3),
            from in 0..900_usize,
        ) {
            for (is_end, place) in places {
                for bit in 0..MAGIC_BITS {
                    let value = if is_end { END } else { BLOCK } >> (MAGIC_BITS - 1 - bit) & 1;
                    if let Some(byte) = bytes.get_mut((place + bit) / 8) {
                        let mask = 0x80 >> ((place + bit) % 8);
                        *byte = if value == 1 { *byte | mask } else { *byte & !mask };
                    }
                }
            }
            prop_assert_eq!(Finder::new().find(&bytes, from), find_slowly(&bytes, from));
        }

        #[test]
        fn random_bits_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..50),
            at in 0..500_usize,
            count in 0..500_usize,
        ) {
            let _ = take(&bytes, at, count.min(56));
            if at + count <= bytes.len() * 8 {
                let stream = wrap(b'9', &bytes, at, count);
                for bit in 0..count {
                    prop_assert_eq!(take(&stream, 32 + bit, 1), take(&bytes, at + bit, 1));
                }
                prop_assert_eq!(take(&stream, 32 + count, MAGIC_BITS), Some(END));
            }
        }
    }

    #[test]
    fn bits_are_taken_from_the_left() {
        assert_eq!(take(&[0b1010_0101, 0b1100_0000], 1, 3).unwrap(), 0b010);
        assert_eq!(take(&[0b1010_0101, 0b1100_0000], 6, 4).unwrap(), 0b0111);
        assert_eq!(take(&[0xff], 4, 5), None);
        assert_eq!(take(&[0xff], 4, 0).unwrap(), 0);
    }
}
