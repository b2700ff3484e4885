//! What a failure has to do with emulation.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::Arch;

/// Tells what in the emulation may have made a program of `arch` fail, from how it ended and the last of what it wrote
/// to its standard error; none where nothing points to that, or where the programs run natively.
///
/// A shell reports the signal that killed what it ran by its own exit code, 128 and more, and qemu by a line of text,
/// so these count as well.
#[must_use]
pub fn explain(arch: Arch, status: ExitStatus, stderr: &[u8]) -> Option<&'static str> {
    if arch.runs_natively() || status.success() {
        return None;
    }
    let says = |text: &str| stderr.windows(text.len()).any(|window| window == text.as_bytes());
    let died_of = |signal: i32| {
        status.signal() == Some(signal)
            || status.code() == Some(128 + signal)
            || says(&format!("qemu: uncaught target signal {signal} "))
    };
    if died_of(SIGILL) {
        Some(
            "qemu met an instruction that it, or the processor it was told to be, does not have: try the most able one \
             (`QEMU_CPU=max` in the step's environment), or a newer qemu",
        )
    } else if died_of(SIGSEGV) {
        Some("some versions of qemu crash in programs that are sound: try another one, best a newer")
    } else if says("can't apply global ") || says("unable to find CPU model ") {
        // The image's own architecture may not be that of all its programs, and all of them have the same variables.
        Some(
            "the processor that `QEMU_CPU` names is none of this qemu's: run programs that are not of the image's own \
             architecture by `env -u QEMU_CPU`",
        )
    } else if arch.is_32bit() && says("Value too large for defined data type") {
        // EOVERFLOW: ext4 hands out hashes as positions in a directory, of 64 bits to a 64-bit process, which qemu is.
        // No mount option and no personality changes that, but a qemu for i386 gets positions of 32 bits.
        Some(
            "an emulated 32-bit program that was not built for large files cannot list folders on ext4, as positions \
             there have 64 bits for qemu: let it work in a tmpfs such as /tmp, or take a program built for large files, \
             or a qemu that is a 32-bit program itself, where the kernel runs those",
        )
    } else {
        None
    }
}

/// The numbers are the same on all architectures that Linux is emulated on here.
const SIGILL: i32 = 4;
const SIGSEGV: i32 = 11;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOREIGN: Arch = if cfg!(target_arch = "aarch64") { Arch::Riscv64 } else { Arch::Arm64 };

    fn signal(number: i32) -> ExitStatus {
        ExitStatus::from_raw(number)
    }

    fn code(number: i32) -> ExitStatus {
        ExitStatus::from_raw(number << 8)
    }

    #[test]
    fn crashes_are_told_by_status_and_by_text() {
        let text = b"qemu: uncaught target signal 11 (Segmentation fault) - core dumped\ndpkg: error\n";
        for (status, stderr) in [(signal(11), b"".as_slice()), (code(139), b""), (code(1), text)] {
            assert!(explain(FOREIGN, status, stderr).unwrap().contains("versions of qemu"), "{status}");
        }
        let text = b"qemu: uncaught target signal 4 (Illegal instruction) - core dumped";
        for (status, stderr) in [(signal(4), b"".as_slice()), (code(132), b""), (code(2), text)] {
            assert!(explain(FOREIGN, status, stderr).unwrap().contains("instruction"), "{status}");
        }
    }

    #[test]
    fn folders_too_large_are_told_for_32_bits_only() {
        let text = b"ls: reading directory '.': Value too large for defined data type\n";
        assert!(explain(Arch::Armv5, code(2), text).is_some_and(|text| text.contains("tmpfs")));
        assert_eq!(explain(FOREIGN, code(2), text), None);
    }

    #[test]
    fn a_processor_of_another_architecture_is_told() {
        for text in [
            "qemu-arm-static: can't apply global max-arm-cpu.pauth=off: Property 'max-arm-cpu.pauth' not found\n",
            "qemu-riscv64: unable to find CPU model 'arm1176'\n",
        ] {
            let told = explain(FOREIGN, code(1), text.as_bytes());
            assert!(told.is_some_and(|told| told.contains("env -u QEMU_CPU")), "{text}");
        }
    }

    #[test]
    fn what_has_nothing_to_do_with_emulation_is_not_explained() {
        assert_eq!(explain(FOREIGN, code(0), b"qemu: uncaught target signal 11 "), None, "it was caught");
        assert_eq!(explain(FOREIGN, code(1), b"no such file"), None);
        assert_eq!(explain(FOREIGN, signal(9), b"qemu: uncaught target signal 1 "), None);
        if let Some(host) = Arch::host() {
            assert_eq!(explain(host, signal(11), b""), None);
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(raw in any::<i32>(), text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = explain(Arch::Armv7, ExitStatus::from_raw(raw), &text);
        }
    }
}
