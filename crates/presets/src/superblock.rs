//! A look at the superblock before anything trusts it (`Documentation/filesystems/ext4/super.rst` of the kernel).

use crate::Error;

/// Where the superblock lies, in bytes from the start of the file system, and its size.
pub(crate) const OFFSET: u64 = 1024;
pub(crate) const SIZE: usize = 1024;

/// Sees that the sizes the superblock names are possible in `length` bytes, so that the memory needed to read
/// the file system is bounded by its real size.
pub(crate) fn check(superblock: &[u8; SIZE], length: u64) -> Result<(), Error> {
    let half = |offset: usize| superblock.get(offset..)?.first_chunk().copied().map(u16::from_le_bytes);
    let word = |offset: usize| superblock.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes);
    let damaged = |reason| Error::Superblock { reason };
    if half(0x38) != Some(0xef53) {
        return Err(Error::NotExt);
    }
    let block_size = match word(0x18) {
        Some(exponent @ 0..=6) => 1024_u64 << exponent,
        _ => return Err(damaged("blocks are larger than 64 KiB")),
    };
    // The high half means nothing without the feature 64bit, but is 0 then, and readers may take it unasked.
    let blocks = u64::from(word(0x150).unwrap_or(0)) << 32 | u64::from(word(0x4).unwrap_or(0));
    if blocks.checked_mul(block_size).is_none_or(|bytes| bytes > length) {
        return Err(damaged("it claims more blocks than its partition holds"));
    }
    // mke2fs makes no smaller groups, and each group costs memory.
    if word(0x20).is_none_or(|per_group| per_group < 256) {
        return Err(damaged("its block groups are too small"));
    }
    Ok(())
}

/// `s_feature_incompat` and its flag that the journal has to be replayed.
const INCOMPATIBLE: usize = 0x60;
const RECOVER: u32 = 0x4;
/// `s_feature_ro_compat` and its flag that the superblock has a checksum, `s_checksum`.
const READ_ONLY: usize = 0x64;
const CHECKSUMS: u32 = 0x400;
const CHECKSUM: usize = 0x3fc;

/// Makes the superblock say that there is nothing to replay; false if it says so already.
pub(crate) fn forget_journal(superblock: &mut [u8; SIZE]) -> bool {
    fn word(superblock: &mut [u8; SIZE], offset: usize) -> Option<&mut [u8; 4]> {
        superblock.get_mut(offset..)?.first_chunk_mut()
    }
    let Some(flags) = word(superblock, INCOMPATIBLE) else { return false };
    let value = u32::from_le_bytes(*flags);
    if value & RECOVER == 0 {
        return false;
    }
    *flags = (value & !RECOVER).to_le_bytes();
    let checksums = word(superblock, READ_ONLY).map_or(0, |flags| u32::from_le_bytes(*flags));
    if checksums & CHECKSUMS != 0 {
        let sum = crc32c(superblock.get(..CHECKSUM).unwrap_or_default());
        if let Some(place) = word(superblock, CHECKSUM) {
            *place = sum.to_le_bytes();
        }
    }
    true
}

/// CRC-32C without its last inversion, as ext4 has it.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 * (sum & 1)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain() -> [u8; SIZE] {
        let mut block = [0; SIZE];
        block[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
        block[0x4..0x8].copy_from_slice(&1000_u32.to_le_bytes());
        block[0x20..0x24].copy_from_slice(&8192_u32.to_le_bytes());
        block
    }

    #[test]
    fn what_fits_passes_and_what_does_not_is_refused() {
        assert!(check(&plain(), 1000 * 1024).is_ok());
        assert!(matches!(check(&plain(), 1000 * 1024 - 1), Err(Error::Superblock { .. })));
        assert!(matches!(check(&[0; SIZE], 1 << 30), Err(Error::NotExt)));
        for (offset, value) in [(0x18, 7_u32), (0x18, u32::MAX), (0x4, u32::MAX), (0x20, 0), (0x20, 255)] {
            let mut block = plain();
            block[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            assert!(matches!(check(&block, 1 << 30), Err(Error::Superblock { .. })), "{offset:#x} {value}");
        }
        let mut wide = plain();
        wide[0x150..0x154].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(check(&wide, u64::MAX), Err(Error::Superblock { .. })), "the product overflows");
    }

    #[test]
    fn a_superblock_forgets_its_journal_once() {
        // The check value that every table of this sum has, before it is inverted.
        assert_eq!(!crc32c(b"123456789"), 0xe306_9283);
        let mut block = plain();
        assert!(!forget_journal(&mut block));
        block[INCOMPATIBLE..INCOMPATIBLE + 4].copy_from_slice(&0x246_u32.to_le_bytes());
        assert!(forget_journal(&mut block) && !forget_journal(&mut block));
        assert_eq!(block[INCOMPATIBLE..INCOMPATIBLE + 4], 0x242_u32.to_le_bytes());
    }

    proptest! {
        #[test]
        fn random_blocks_never_panic(bytes in proptest::collection::vec(any::<u8>(), SIZE), length in any::<u64>()) {
            let mut block: [u8; SIZE] = bytes.try_into().unwrap();
            block[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
            let _ = check(&block, length);
            let _ = forget_journal(&mut block);
        }
    }
}
