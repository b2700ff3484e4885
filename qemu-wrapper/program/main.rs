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

use slot::Slot;

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
    ".quad 0, 0, 0",
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
    ".quad 0, 0, 0",
    begin = sym begin,
    fill = sym fill,
);

extern "C" fn begin(old: usize, slot: &Slot) -> usize {
    stack::begin(old, slot.count as usize)
}

/// Makes the new stack and tells where the wrapped program begins.
unsafe extern "C" fn fill(old: *const usize, new: *mut usize, slot: &Slot) -> usize {
    if slot.entry == 0 {
        exit();
    }
    let address = (&raw const *slot).addr();
    let strings = core::ptr::with_exposed_provenance(address.wrapping_add(slot.strings as usize));
    // SAFETY: `_start` has it all from the kernel; the library has put the strings where the slot says.
    unsafe { stack::fill(old, new, strings, slot.count as usize) };
    address.wrapping_add(slot.entry as usize)
}

/// Called by itself, the wrapper can only say so: by exit code 127, as a shell that finds no program.
fn exit() -> ! {
    // SAFETY: exit_group(2) does not return.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("syscall", in("rax") 231, in("rdi") 127, options(noreturn));
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!("svc #0", in("x8") 94, in("x0") 127, options(noreturn));
    }
}

/// Nothing in here can panic, but every program has to say what would happen.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit()
}
