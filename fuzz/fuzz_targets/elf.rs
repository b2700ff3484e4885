//! Any bytes are a program, or none; they never make the reader panic, hang or disagree with itself.
#![no_main]
use arm_image_qemu::Arch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = Arch::from_elf(data);
    assert_eq!(whole, Arch::of_system([data]));
    let (first, second) = data.split_at(data.len() / 2);
    if let Some(arch) = Arch::of_system([first, second, data]) {
        assert_eq!(arch.to_string().parse().ok(), Some(arch));
    }
    arm_image_qemu::fuzzing::linkage(data);
});
