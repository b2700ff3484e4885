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
}
