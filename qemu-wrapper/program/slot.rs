//! The part of the wrapper's image that the library fills in.

/// What the wrapper has to know, stored right in its code. Offsets are in bytes from the slot's own address, and wrap.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// By which the library finds the slot: these bytes occur once in the wrapper's image. `main.rs` writes them.
    pub(crate) magic: [u8; 16],
    /// Where the wrapped program begins; 0 as long as nothing is wrapped.
    pub(crate) entry: u64,
    /// Where the arguments stand: `count` strings, each ended by a NUL, one right after the other.
    pub(crate) strings: u64,
    /// How many there are.
    pub(crate) count: u64,
    /// Where the path of a file stands, ended by a NUL, that may hold other arguments; 0 where there is none.
    pub(crate) file: u64,
    /// Where a [`Buffer`] stands.
    pub(crate) buffer: u64,
}

/// As much as all arguments together may have, in bytes with their NULs.
pub(crate) const LIMIT: usize = 64 << 10;

/// What the wrapper writes to, in memory that is all zeros.
#[repr(C)]
pub(crate) struct Buffer {
    /// The address of the arguments that are inserted.
    pub(crate) strings: usize,
    /// How many there are.
    pub(crate) count: usize,
    /// Those of a file, and one byte more, which tells that there are too many.
    pub(crate) content: [u8; LIMIT + 1],
}
