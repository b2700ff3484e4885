use proptest::prelude::*;

use super::*;

fn header(class: u8, kind: u16, machine: u16) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', class, 1, 1];
    bytes.resize(16, 0);
    bytes.extend(kind.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.resize(64, 0);
    bytes
}

/// A 32-bit ARM program whose only section holds these attributes.
fn arm_with(attributes: &[u8]) -> Vec<u8> {
    let mut section = b"A".to_vec();
    let part = 5 + attributes.len();
    section.extend(u32::try_from(4 + 6 + part).unwrap().to_le_bytes());
    section.extend(b"aeabi\0\x01");
    section.extend(u32::try_from(part).unwrap().to_le_bytes());
    section.extend(attributes);

    let mut bytes = header(1, KIND_SHARED, 40);
    bytes[32..36].copy_from_slice(&64_u32.to_le_bytes()); // e_shoff
    bytes[46..48].copy_from_slice(&40_u16.to_le_bytes()); // e_shentsize
    bytes[48..50].copy_from_slice(&1_u16.to_le_bytes()); // e_shnum
    let mut entry = [0; 40];
    entry[4..8].copy_from_slice(&SECTION_ARM_ATTRIBUTES.to_le_bytes());
    entry[16..20].copy_from_slice(&104_u32.to_le_bytes());
    entry[20..24].copy_from_slice(&u32::try_from(section.len()).unwrap().to_le_bytes());
    bytes.extend(entry);
    bytes.extend(section);
    bytes
}

#[test]
fn each_architecture_is_told_by_class_and_machine() {
    for (class, machine, expected) in [
        (1, 40, Some(Arch::Armv7)),
        (2, 183, Some(Arch::Arm64)),
        (2, 243, Some(Arch::Riscv64)),
        (1, 3, Some(Arch::X86)),
        (2, 62, Some(Arch::X86_64)),
        (1, 62, None), // x32
        (1, 243, None),
        (2, 8, None),
    ] {
        assert_eq!(arch(&header(class, KIND_EXECUTABLE, machine)), expected);
        assert_eq!(arch(&header(class, KIND_SHARED, machine)), expected);
    }
}

#[test]
fn what_is_no_program_of_ours_is_none() {
    let mut big_endian = header(1, KIND_EXECUTABLE, 40);
    big_endian[5] = 2;
    assert_eq!(arch(&big_endian), None);
    assert_eq!(arch(&header(2, 1, 183)), None, "an object file");
    assert_eq!(arch(b"#!/bin/sh\n"), None);
    assert_eq!(arch(b""), None);
    assert_eq!(arch(&header(2, KIND_SHARED, 183)[..17]), None);
}

#[test]
fn the_attributes_tell_versions_5_6_and_7() {
    // Tag_CPU_name (a string), then Tag_CPU_arch.
    let with_name = |version| [b"\x05ARM1176\0\x06".as_slice(), &[version]].concat();
    for (version, expected) in [
        (1, Arch::Armv5),
        (4, Arch::Armv5),
        (5, Arch::Armv5),
        (6, Arch::Armv6),
        (9, Arch::Armv6),
        (10, Arch::Armv7),
        (11, Arch::Armv6),
        (14, Arch::Armv7),
    ] {
        assert_eq!(arch(&arm_with(&[6, version])), Some(expected));
        assert_eq!(arch(&arm_with(&with_name(version))), Some(expected));
    }
    // Tag_compatibility and a string with an odd tag stand before it.
    assert_eq!(arch(&arm_with(b"\x20\x01gnu\0\x432.09\0\x06\x06")), Some(Arch::Armv6));
    assert_eq!(arch(&arm_with(b"\x08\x01")), Some(Arch::Armv7), "no Tag_CPU_arch");
    let whole = arm_with(&[6, 6]);
    assert_eq!(arch(&whole[..whole.len() - 1]), Some(Arch::Armv7), "the section is cut off");
}

#[test]
fn attributes_of_real_linkers_are_read() {
    // The whole section, by LLVM for its targets armv5te, arm (version 6) and armv7, and by binutils for Debian's armhf.
    let sections: [(&[u8], u64); 4] = [
        (
            b"A3\0\0\0aeabi\0\x01)\0\0\0C2.09\0\x06\x04\x08\x01\x09\x01\x0e\0\x0f\x01\x10\x01\x11\x02\x14\x01\x15\x01\x17\
              \x03\x18\x01\x19\x01\x1e\x05\x22\0&\x01",
            4,
        ),
        (
            b"A7\0\0\0aeabi\0\x01-\0\0\0C2.09\0\x06\x06\x08\x01\x09\x01\x0a\x02\x0e\0\x0f\x01\x10\x01\x11\x02\x14\x01\
              \x15\x01\x17\x03\x18\x01\x19\x01\x1c\x01\x1e\x05\x22\0&\x01",
            6,
        ),
        (
            b"A9\0\0\0aeabi\0\x01/\0\0\0C2.09\0\x06\x0a\x07A\x08\x01\x09\x02\x0a\x03\x0e\0\x0f\x01\x10\x01\x11\x02\
              \x14\x01\x15\x01\x17\x03\x18\x01\x19\x01\x1c\x01\x1e\x05\x22\x01&\x01",
            10,
        ),
        (
            b"A4\0\0\0aeabi\0\x01*\0\0\0\x057-A\0\x06\x0a\x07A\x08\x01\x09\x02\x0a\x03\x0c\x01\x12\x04\x13\x01\x14\x01\
              \x15\x01\x17\x03\x18\x01\x19\x01\x1a\x02\x1c\x01\x22\x01",
            10,
        ),
    ];
    for (section, version) in sections {
        assert_eq!(cpu_arch(section), Some(version));
    }
}

#[test]
fn a_system_is_told_by_the_first_that_says_it_in_full() {
    let (silent, six, seven) = (header(1, KIND_SHARED, 40), arm_with(&[6, 6]), arm_with(&[6, 10]));
    let (arm64, text) = (header(2, KIND_SHARED, 183), b"#!/bin/sh\n".to_vec());
    for (files, expected) in [
        (vec![&six, &seven], Some(Arch::Armv6)),
        (vec![&seven, &six], Some(Arch::Armv7)),
        (vec![&silent, &six], Some(Arch::Armv6)),
        (vec![&silent, &arm64, &six], Some(Arch::Armv6)),
        (vec![&silent, &silent], Some(Arch::Armv7)),
        (vec![&silent], Some(Arch::Armv7)),
        (vec![&text, &arm64, &six], Some(Arch::Arm64)),
        (vec![&text], None),
        (vec![], None),
    ] {
        assert_eq!(Arch::of_system(files.into_iter().map(Vec::as_slice)), expected);
    }
}

#[test]
fn an_interpreter_makes_it_dynamic() {
    let mut program = header(2, KIND_SHARED, 62);
    assert_eq!(linkage(&program), Some(Linkage::Static));
    program[32..40].copy_from_slice(&64_u64.to_le_bytes());
    program[54..56].copy_from_slice(&56_u16.to_le_bytes());
    program[56..58].copy_from_slice(&1_u16.to_le_bytes());
    assert_eq!(linkage(&program), None, "the program headers are missing");
    let mut segment = [0; 56];
    segment[..4].copy_from_slice(&SEGMENT_INTERPRETER.to_le_bytes());
    segment[8..16].copy_from_slice(&120_u64.to_le_bytes());
    segment[32..40].copy_from_slice(&8_u64.to_le_bytes());
    program.extend(segment);
    program.extend(b"/lib/ld\0");
    assert_eq!(linkage(&program), Some(Linkage::Dynamic("/lib/ld".to_owned())));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = (arch(&bytes), linkage(&bytes), cpu_arch(&bytes));
    }

    #[test]
    fn random_bytes_behind_a_header_never_panic(
        class in 1_u8..=2, tail in proptest::collection::vec(any::<u8>(), 0..512),
    ) {
        let machine = if class == 1 { 40 } else { 183 };
        let bytes = [&header(class, KIND_EXECUTABLE, machine)[..20], &tail].concat();
        let _ = (arch(&bytes), linkage(&bytes));
    }

    #[test]
    fn random_attributes_never_panic(attributes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(matches!(arch(&arm_with(&attributes)), Some(Arch::Armv5 | Arch::Armv6 | Arch::Armv7)));
    }

    #[test]
    fn flipped_bytes_never_panic(at in 0_usize..140, to in any::<u8>()) {
        let mut bytes = arm_with(b"\x05ARM1176\0\x06\x06");
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        let _ = (arch(&bytes), linkage(&bytes));
    }
}
