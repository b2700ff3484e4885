//! The wrapper: puts the arguments stored in its image before those it was called with, and goes on as the program
//! that it is wrapped around. `../build.rs` makes it; `../src/lib.rs` says how it is used.
//!
//! It has no data to write to and no address to relocate, so it runs wherever in memory the library has put it.
#![no_std]
#![no_main]
// A copying loop stays one: there is no C library whose memcpy could be called.
#![no_builtins]
#![expect(unsafe_code, reason = "what the kernel hands to a new program is known by its address only")]

mod slot;
mod stack;
mod system;

use slot::{Buffer, Slot};

// To begin with: `begin` tells where the new stack begins. From there on `fill` makes it, its own frame below, and
// tells where to go on. The register that is cleared last would hold a function for the program to call at its end.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "lea rsi, [rip + 7f]",
    "call {begin}",
    "mov rdi, rsp",
    "mov rsi, rax",
    "lea rdx, [rip + 7f]",
    "mov rsp, rax",
    "call {fill}",
    "xor edx, edx",
    "jmp rax",
    ".balign 16",
    "7:",
    ".ascii \"\\177arm-image args\\000\"",
    ".quad 0, 0, 0, 0, 0",
    begin = sym begin,
    fill = sym fill,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "adr x1, 7f",
    "bl {begin}",
    "mov x1, x0",
    "mov x0, sp",
    "adr x2, 7f",
    "mov sp, x1",
    "bl {fill}",
    "mov x16, x0",
    "mov x0, #0",
    "mov x29, #0",
    "mov x30, #0",
    "br x16",
    ".balign 16",
    "7:",
    ".ascii \"\\177arm-image args\\000\"",
    ".quad 0, 0, 0, 0, 0",
    begin = sym begin,
    fill = sym fill,
);

/// Tells where the new stack begins, once it is known which arguments come into it.
unsafe extern "C" fn begin(old: usize, slot: &Slot) -> usize {
    if slot.entry == 0 {
        exit();
    }
    let address = (&raw const *slot).addr();
    // SAFETY: the library has put the buffer where the slot says, to be written to by nothing else.
    let buffer: &mut Buffer =
        unsafe { &mut *core::ptr::with_exposed_provenance_mut(address.wrapping_add(slot.buffer as usize)) };
    (buffer.strings, buffer.count) = (address.wrapping_add(slot.strings as usize), slot.count as usize);
    if slot.file != 0 {
        // SAFETY: the library has put the path there, with a NUL at its end.
        let length = unsafe { system::read_file(address.wrapping_add(slot.file as usize), &mut buffer.content) };
        if let Some(count) = stack::count(&buffer.content, length) {
            (buffer.strings, buffer.count) = (buffer.content.as_ptr().addr(), count);
        }
    }
    stack::begin(old, buffer.count)
}

/// Makes the new stack and tells where the wrapped program begins.
unsafe extern "C" fn fill(old: *const usize, new: *mut usize, slot: &Slot) -> usize {
    let address = (&raw const *slot).addr();
    // SAFETY: `begin` has filled it in.
    let buffer: &Buffer =
        unsafe { &*core::ptr::with_exposed_provenance(address.wrapping_add(slot.buffer as usize)) };
    // SAFETY: `_start` has it all from the kernel; the strings are where `begin` says.
    unsafe { stack::fill(old, new, core::ptr::with_exposed_provenance(buffer.strings), buffer.count) };
    address.wrapping_add(slot.entry as usize)
}

/// Called by itself, the wrapper can only say so: by exit code 127, as a shell that finds no program.
fn exit() -> ! {
    loop {
        system::exit(127);
    }
}

/// Nothing in here can panic, but every program has to say what would happen.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit()
}
