//! Which processor qemu shows to programs.

use crate::Arch;
use crate::binary::{Version, parse_version};

/// The processor that qemu is best told to show to programs of `arch`, by its variable `QEMU_CPU` or its option `-cpu`; none
/// where its own choice is best, and where nobody knows whether it understands. `version` is as
/// [`Emulation::version`](crate::Emulation::version) and [`verify`](crate::verify) tell it.
///
/// For arm64 that is its own choice, which has all that there is, but for two things that cost much, that Raspberry Pis
/// lack, and that programs look for before they use them. One is pointer authentication: compilers that are told to
/// protect branches, as Debian's are since 13, put it into nearly every function, where processors without it pass over it,
/// and qemu before 10.0 computes a cipher each time. The other is SVE, whose state qemu looks at wherever one piece of code leads to another.
#[must_use]
pub fn processor(arch: Arch, version: &str) -> Option<&'static str> {
    let (_, version) = parse_version(version)?;
    // Before, there was no word for the first.
    (arch == Arch::Arm64 && version >= Version(6, 0, 0)).then_some("max,pauth=off,sve=off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_qemu_does_not_understand_is_not_said_to_it() {
        let quick = Some("max,pauth=off,sve=off");
        assert_eq!(processor(Arch::Arm64, "qemu-aarch64 version 7.2.22 (Debian 1:7.2+dfsg-7)"), quick);
        assert_eq!(processor(Arch::Arm64, "qemu-aarch64 version 6.0.0"), quick);
        assert_eq!(processor(Arch::Arm64, "qemu-aarch64 version 5.2.0"), None);
        assert_eq!(processor(Arch::Arm64, "a wrapper of my own"), None);
        assert_eq!(processor(Arch::Armv7, "qemu-arm version 7.2.22"), None);
    }
}
