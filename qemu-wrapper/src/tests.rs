use std::ffi::{CStr, OsStr};

use proptest::prelude::*;

use super::*;

/// What a program finds on its stack, with numbers in the place of the addresses of variables.
fn vectors(arguments: &[usize], environment: &[usize], secure: usize) -> Vec<usize> {
    let mut words = vec![arguments.len()];
    words.extend(arguments);
    words.push(0);
    words.extend(environment);
    words.push(0);
    words.extend([25, 1234, 23, secure, 0, 0]);
    words
}

/// Has the wrapper's own code change a stack of these words, in place as in a real program.
#[expect(unsafe_code, reason = "the code under test works on addresses")]
fn rewrite(words: &[usize], strings: &[u8], count: usize) -> Vec<usize> {
    // Aligned as a stack is, with room for what is inserted.
    let mut memory = vec![0_u128; words.len() + count + 4];
    let end: *mut usize = memory.as_mut_ptr_range().end.cast();
    // SAFETY: the words fit, and `fill` writes only between `new` and their end.
    unsafe {
        let old = end.sub((words.len() + 1) & !1);
        old.copy_from_nonoverlapping(words.as_ptr(), words.len());
        let new = old.byte_sub(old.addr() - stack::begin(old.addr(), count));
        assert_eq!(new.addr() % 16, 0);
        stack::fill(old, new, strings.as_ptr(), count);
        let length = end.offset_from_unsigned(new);
        std::slice::from_raw_parts(new, length).to_vec()
    }
}

fn address(string: &CStr) -> usize {
    string.as_ptr().expose_provenance()
}

#[test]
fn the_emulators_variables_go_only_where_rights_were_gained() {
    let all =
        [c"HOME=/", c"QEMU_LD_PREFIX=/tmp", c"QEMUX=1", c"QEMU_", c"QEM", c"MY_QEMU_CPU=1"].map(address);
    let kept = [all[0], all[2], all[4], all[5]];
    for (secure, expected) in [(0, all.as_slice()), (1, kept.as_slice())] {
        let words = rewrite(&vectors(&[1, 2], &all, secure), b"", 0);
        let expected = vectors(&[1, 2], expected, secure);
        assert_eq!(words[..expected.len()], expected);
    }
}

#[test]
fn the_wrapper_is_one_small_segment_without_relocations() {
    assert!(WRAPPER.len() < 4096, "{} bytes", WRAPPER.len());
    assert_eq!(WRAPPER.windows(16).filter(|window| window == b"\x7farm-image args\0").count(), 1);
    // The kinds of section that hold relocations: SHT_RELA and SHT_REL.
    let long =
        |at: usize| usize::try_from(u64::from_le_bytes(*WRAPPER[at..].first_chunk().unwrap())).unwrap();
    let count = usize::from(WRAPPER[60]);
    assert!(count > 1);
    for index in 0..count {
        let header = long(40) + index * 64;
        assert!(![4, 9].contains(&WRAPPER[header + 4]) || long(header + 32) == 0, "section {index}");
    }
}

#[test]
fn what_cannot_be_wrapped_is_refused_with_the_reason() {
    let none: [&OsStr; 0] = [];
    let reason = |program: &[u8]| wrap(program.to_vec(), &none).unwrap_err().to_string();
    // The second of its program headers made one that names a loader.
    let mut dynamic = WRAPPER.to_vec();
    dynamic[64 + 56] = 3;
    dynamic[64 + 56 + 1..][..3].fill(0);
    assert_eq!(reason(&dynamic), "the program cannot be wrapped: it is linked dynamically");
    assert_eq!(reason(b"#!/bin/sh\n"), "the program cannot be wrapped: it is not one of this machine");
    assert_eq!(reason(&WRAPPER[..64]), "the program cannot be wrapped: its ELF header is damaged");
    assert!(wrap(WRAPPER.to_vec(), &none).is_ok(), "it is a static program, too");
    let error = wrap(WRAPPER.to_vec(), &["a\0b"]).unwrap_err();
    assert!(matches!(error, Error::Nul { .. }), "{error}");
    let error = wrap(WRAPPER.to_vec(), &["x".repeat(LIMIT)]).unwrap_err();
    assert_eq!(error.to_string(), "the arguments have 65537 bytes, but at most 65536 are possible");
}

#[test]
fn strings_of_a_file_are_counted() {
    let count = |content: &[u8]| stack::count(&[content, b"rest"].concat(), content.len());
    assert_eq!(count(b"-cpu\0max\0"), Some(2));
    assert_eq!(count(b"\0"), Some(1));
    assert_eq!(count(b""), None);
    assert_eq!(count(b"-cpu\0max"), None, "the last one has no end");
    // There may be more where the room was not enough.
    assert_eq!(stack::count(b"a\0", 2), None);
    assert_eq!(stack::count(b"a\0", 9), None);
}

proptest! {
    #[test]
    fn arguments_come_right_after_the_name(
        arguments in proptest::collection::vec(1..usize::MAX, 1..6), strings in proptest::collection::vec("[^\0]{0,9}", 0..6),
    ) {
        let environment = [address(c"A=1"), address(c"QEMU_CPU=max")];
        let text: Vec<u8> = strings.iter().flat_map(|string| [string.as_bytes(), b"\0"].concat()).collect();
        let words = rewrite(&vectors(&arguments, &environment, 0), &text, strings.len());
        let mut at = text.as_ptr().addr();
        let mut expected = vec![arguments[0]];
        for string in &strings {
            expected.push(at);
            at += string.len() + 1;
        }
        expected.extend(&arguments[1..]);
        let expected = vectors(&expected, &environment, 0);
        prop_assert_eq!(&words[..expected.len()], expected.as_slice());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = wrap(bytes, &["-cpu", "max"]);
    }

    #[test]
    fn damaged_programs_never_panic(
        damage in proptest::collection::vec((0..200_usize, any::<u8>()), 1..12), length in 0..4096_usize,
    ) {
        // The wrapper is a static program, too.
        let mut program = WRAPPER.to_vec();
        for (at, byte) in damage {
            program[at] = byte;
        }
        program.truncate(length);
        let _ = wrap(program, &["-cpu", "max"]);
    }
}
