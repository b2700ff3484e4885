//! Programs of a few instructions, so that nothing but the kernel and qemu takes part in what they show.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what tests share")]

use arm_image_qemu::Arch;

/// An arm64 program that writes its `argv[0]` to its standard output and exits with code 7.
pub const NAME_ARM64: [u32; 12] = [
    0xf940_07e1, // ldr x1, [sp, #8]
    0xd280_0002, // mov x2, #0
    0x3862_6823, // ldrb w3, [x1, x2]
    0x3400_0063, // cbz w3, three on
    0x9100_0442, // add x2, x2, #1
    0x17ff_fffd, // b three back
    0xd280_0020, // mov x0, #1
    0xd280_0808, // mov x8, #64 (write)
    0xd400_0001, // svc #0
    0xd280_00e0, // mov x0, #7
    0xd280_0ba8, // mov x8, #93 (exit)
    0xd400_0001, // svc #0
];

/// The same for 32-bit ARM.
pub const NAME_ARM: [u32; 12] = [
    0xe59d_1004, // ldr r1, [sp, #4]
    0xe3a0_2000, // mov r2, #0
    0xe7d1_3002, // ldrb r3, [r1, r2]
    0xe353_0000, // cmp r3, #0
    0x1282_2001, // addne r2, r2, #1
    0x1aff_fffb, // bne three back
    0xe3a0_0001, // mov r0, #1
    0xe3a0_7004, // mov r7, #4 (write)
    0xef00_0000, // svc #0
    0xe3a0_0007, // mov r0, #7
    0xe3a0_7001, // mov r7, #1 (exit)
    0xef00_0000, // svc #0
];

/// An arm64 program whose exit code is the lower byte of the user in force.
pub const USER_ARM64: [u32; 4] = [
    0xd280_15e8, // mov x8, #175 (geteuid)
    0xd400_0001, // svc #0
    0xd280_0ba8, // mov x8, #93 (exit)
    0xd400_0001, // svc #0
];

/// The same for 32-bit ARM.
pub const USER_ARM: [u32; 4] = [
    0xe3a0_70c9, // mov r7, #201 (geteuid32)
    0xef00_0000, // svc #0
    0xe3a0_7001, // mov r7, #1 (exit)
    0xef00_0000, // svc #0
];

/// A 32-bit ARM program that writes the six letters of its machine, as `uname -m` does, and exits with code 7.
pub const MACHINE_ARM: [u32; 12] = [
    0xe24d_de19, // sub sp, sp, #400
    0xe1a0_000d, // mov r0, sp
    0xe3a0_707a, // mov r7, #122 (uname)
    0xef00_0000, // svc #0
    0xe28d_1f41, // add r1, sp, #260
    0xe3a0_2006, // mov r2, #6
    0xe3a0_0001, // mov r0, #1
    0xe3a0_7004, // mov r7, #4 (write)
    0xef00_0000, // svc #0
    0xe3a0_0007, // mov r0, #7
    0xe3a0_7001, // mov r7, #1 (exit)
    0xef00_0000, // svc #0
];

/// A 32-bit ARM program that lists the folder which is its argument by the C library's `readdir`, as it is for programs that
/// were not built for large files. It says on its standard error how that ended, and exits with that error's number.
pub fn lister() -> Vec<u8> {
    let code = [
        0xe59d_4008, // ldr r4, [sp, #8]
        0xe1a0_0004, // mov r0, r4
        0xe59f_c03c, // ldr ip, opendir
        0xe12f_ff3c, // blx ip
        0xe1a0_5000, // mov r5, r0
        0xe1a0_0005, // mov r0, r5
        0xe59f_c030, // ldr ip, readdir
        0xe12f_ff3c, // blx ip
        0xe350_0000, // cmp r0, #0
        0x1aff_fffa, // bne four back
        0xe59f_c024, // ldr ip, __errno_location
        0xe12f_ff3c, // blx ip
        0xe590_6000, // ldr r6, [r0]
        0xe1a0_0004, // mov r0, r4
        0xe59f_c018, // ldr ip, perror
        0xe12f_ff3c, // blx ip
        0xe1a0_0006, // mov r0, r6
        0xe59f_c010, // ldr ip, exit
        0xe12f_ff3c, // blx ip
    ];
    linked(&code, &["opendir", "readdir", "__errno_location", "perror", "exit"])
}

/// A 32-bit ARM program of this code, behind which the loader puts the addresses of these functions of the C library. Its one
/// segment holds the header, what the loader is to know, and the code.
fn linked(code: &[u32], functions: &[&str]) -> Vec<u8> {
    const BASE: u32 = 0x1_0000;
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();

    let mut names = b"\0/lib/ld-linux-armhf.so.3\0libc.so.6\0".to_vec();
    let (loader, library) = (1, 26);
    let mut symbols = vec![0; 16];
    for function in functions {
        // A function (2) for everybody (1), defined elsewhere.
        symbols.extend(words(&[length(&names), 0, 0, 0x12]));
        names.extend(function.bytes().chain([0]));
    }
    names.resize(names.len().next_multiple_of(4), 0);

    let names_at = 52 + 3 * 32;
    let symbols_at = names_at + length(&names);
    let dynamic_at = symbols_at + length(&symbols);
    let relocations_at = dynamic_at + 7 * 8;
    let start = relocations_at + 8 * u32::try_from(functions.len()).unwrap();
    let addresses_at = start + 4 * u32::try_from(code.len()).unwrap();
    let end = addresses_at + 4 * u32::try_from(functions.len()).unwrap();
    let relocations: Vec<_> = (addresses_at..end).step_by(4).zip(1_u32..).collect();

    let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0".to_vec();
    bytes.extend(words(&[1, BASE + start, 52, 0, 0x0500_0400])); // EABI 5, floats in registers
    bytes.extend([52_u16, 32, 3, 0, 0, 0].map(u16::to_le_bytes).concat());
    for (kind, at, size) in [(3, names_at + loader, 25), (1, 0, end), (2, dynamic_at, 7 * 8)] {
        // PT_INTERP, PT_LOAD, PT_DYNAMIC; readable, writable, executable.
        bytes.extend(words(&[
            kind,
            at,
            BASE + at,
            BASE + at,
            size,
            size,
            7,
            if kind == 1 { 0x1000 } else { 1 },
        ]));
    }
    bytes.extend(names);
    bytes.extend(symbols);
    // DT_NEEDED, DT_STRTAB, DT_SYMTAB, DT_REL, DT_RELSZ, DT_RELENT, DT_NULL
    for (kind, value) in [
        (1, library),
        (5, BASE + names_at),
        (6, BASE + symbols_at),
        (17, BASE + relocations_at),
        (18, start - relocations_at),
        (19, 8),
        (0, 0),
    ] {
        bytes.extend(words(&[kind, value]));
    }
    for (at, symbol) in relocations {
        bytes.extend(words(&[BASE + at, symbol << 8 | 2])); // R_ARM_ABS32
    }
    bytes.extend(words(code));
    bytes.resize(bytes.len() + 4 * functions.len(), 0);
    assert_eq!(length(&bytes), end);
    bytes
}

/// A static program of this code: an ELF header, one segment, the code.
pub fn program(arch: Arch, code: &[u32]) -> Vec<u8> {
    let (class, machine) = match arch {
        Arch::Arm64 => (2_u8, 183_u16),
        _ => (1, 40),
    };
    let wide = class == 2;
    let (header, segment) = if wide { (64_u16, 56_u16) } else { (52, 32) };
    let start = u64::from(header + segment);
    let base = 0x40_0000_u64;
    let length = start + 4 * u64::try_from(code.len()).unwrap();
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend([class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([2_u16, machine].map(u16::to_le_bytes).concat());
    bytes.extend(1_u32.to_le_bytes());
    let long =
        |bytes: &mut Vec<u8>, value: u64| bytes.extend(&value.to_le_bytes()[..if wide { 8 } else { 4 }]);
    for value in [base + start, header.into(), 0] {
        long(&mut bytes, value);
    }
    bytes.extend(if wide { 0_u32 } else { 0x0500_0000 }.to_le_bytes()); // EABI 5
    bytes.extend([header, segment, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // PT_LOAD, readable and executable: the flags stand second in 64 bits, last but one in 32.
    bytes.extend(1_u32.to_le_bytes());
    if wide {
        bytes.extend(5_u32.to_le_bytes());
    }
    for value in [0, base, base, length, length] {
        long(&mut bytes, value);
    }
    if !wide {
        bytes.extend(5_u32.to_le_bytes());
    }
    long(&mut bytes, 0x1000);
    bytes.extend(code.iter().flat_map(|word| word.to_le_bytes()));
    assert_eq!(u64::try_from(bytes.len()).unwrap(), length);
    bytes
}
