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
