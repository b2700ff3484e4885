use proptest::prelude::*;

use super::*;

/// What the kernel shows of a handler; the layout was read from a 6.18 kernel.
fn shown(state: &str, interpreter: &str, flags: &str, magic: &[u8], mask: &[u8]) -> Vec<u8> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (magic, mask) = (hex(magic), hex(mask));
    format!("{state}\ninterpreter {interpreter}\nflags: {flags}\noffset 0\nmagic {magic}\nmask {mask}\n")
        .into_bytes()
}

/// Reads a register line as the kernel does: the first byte is the delimiter, `\xHH` stands for a byte.
fn as_kernel(line: &[u8]) -> Vec<Vec<u8>> {
    let fields = line[1..].split(|byte| *byte == line[0]);
    let unescape = |field: &[u8]| match field.strip_prefix(b"\\x") {
        Some(rest) => {
            unhex(&rest.iter().copied().filter(|byte| !b"\\x".contains(byte)).collect::<Vec<_>>()).unwrap()
        }
        None => field.to_vec(),
    };
    fields.map(unescape).collect()
}

#[test]
fn the_line_is_what_the_kernel_documents() {
    let line =
        register_line("arm-image-1-2-3-arm64", Arch::Arm64, Path::new("/usr/bin/qemu"), "OPF").unwrap();
    let expected = concat!(
        r":arm-image-1-2-3-arm64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
        r":\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff:/usr/bin/qemu:OPF"
    );
    assert_eq!(String::from_utf8(line).unwrap(), expected);
}

#[test]
fn a_handler_takes_its_architecture_and_no_other() {
    for own in Arch::ALL {
        let (magic, mask) = magic(own);
        let handler = Handler::parse(&shown("enabled", "/q", "OPF", &magic, &mask)).unwrap();
        for arch in Arch::ALL {
            let same = identity(own) == identity(arch);
            assert_eq!((handler.takes_all(arch), handler.takes_any(arch)), (same, same), "{own} {arch}");
        }
    }
}

#[test]
fn a_debian_handler_is_understood() {
    // As qemu-user-static of Debian 12 registers it.
    let magic = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0";
    let mask = b"\xff\xff\xff\xff\xff\xff\xff\0\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    let text = shown("enabled", "/usr/libexec/qemu-binfmt/aarch64-binfmt-P", "POF", magic, mask);
    let handler = Handler::parse(&text).unwrap();
    assert!(handler.takes_all(Arch::Arm64));
    assert!(!handler.takes_any(Arch::Armv7));
    assert_eq!(handler.flags, "POF");
    assert_eq!(handler.interpreter, Path::new("/usr/libexec/qemu-binfmt/aarch64-binfmt-P"));
    assert!(!Handler::parse(&shown("disabled", "/q", "POF", magic, mask)).unwrap().takes_any(Arch::Arm64));
}

#[test]
fn a_handler_of_some_programs_only_is_told_apart() {
    let (magic, mut mask) = magic(Arch::Arm64);
    mask[16] = 0xff;
    let handler = Handler::parse(&shown("enabled", "/q", "F", &magic, &mask)).unwrap();
    assert!(handler.takes_any(Arch::Arm64));
    assert!(!handler.takes_all(Arch::Arm64), "it leaves position-independent programs out");
}

#[test]
fn other_kinds_of_handler_take_nothing() {
    let extension = b"enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n";
    assert!(!Handler::parse(extension).unwrap().takes_any(Arch::Arm64));
    assert_eq!(Handler::parse(b""), None);
    assert_eq!(Handler::parse(b"enabled\n"), None);
    assert_eq!(Handler::parse(b"enabled\ninterpreter /q\nflags: \noffset 0\nmagic 7f4\n"), None);
    let huge = b"enabled\ninterpreter /q\nflags: \noffset 18446744073709551615\nmagic 7f45\n";
    assert!(!Handler::parse(huge).unwrap().takes_any(Arch::Arm64));
}

proptest! {
    #[test]
    fn the_kernel_reads_back_what_was_meant(
        arch in proptest::sample::select(Arch::ALL.to_vec()), path in "/[a-zA-Z0-9:|;,!%+=@. _-]{0,60}",
    ) {
        let Some(line) = register_line("name", arch, Path::new(&path), "OF") else {
            prop_assert!(b":|;,!%+=@~".iter().all(|byte| path.as_bytes().contains(byte)));
            return Ok(());
        };
        let (magic, mask) = magic(arch);
        let expected: Vec<&[u8]> = vec![b"name", b"M", b"", &magic, &mask, path.as_bytes(), b"OF"];
        prop_assert_eq!(as_kernel(&line), expected);
    }

    #[test]
    fn the_magic_takes_every_program_of_its_architecture(
        arch in proptest::sample::select(Arch::ALL.to_vec()), ident in any::<[u8; 9]>(), shared in any::<bool>(),
    ) {
        let (class, machine) = identity(arch);
        let mut program = head(if shared { KIND_SHARED } else { KIND_EXECUTABLE }, 0, class, machine);
        program[7..16].copy_from_slice(&ident);
        let (magic, mask) = magic(arch);
        let handler = Handler::parse(&shown("enabled", "/q", "F", &magic, &mask)).unwrap();
        prop_assert!(handler.matches(&program));
        let parsed = crate::elf::arch(&program).map(identity);
        prop_assert_eq!(parsed, Some(identity(arch)), "the parser and the magic agree");
    }

    #[test]
    fn random_text_never_panics(text in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = Handler::parse(&text);
    }

    #[test]
    fn nearly_right_text_never_panics(
        offset in "[0-9]{0,22}", magic in "[0-9a-fg]{0,48}", mask in "[0-9a-f]{0,48}",
    ) {
        let text = format!("enabled\ninterpreter /q\nflags: F\noffset {offset}\nmagic {magic}\nmask {mask}\n");
        if let Some(handler) = Handler::parse(text.as_bytes()) {
            let _ = (handler.takes_all(Arch::Arm64), handler.takes_any(Arch::Armv6));
        }
    }
}
