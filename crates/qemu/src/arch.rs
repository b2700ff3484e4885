//! The architectures, by all their names.

use std::fmt;
use std::str::FromStr;

use crate::{Error, elf, native};

/// A processor architecture that an image's programs are made for.
///
/// ```
/// use arm_image_qemu::Arch;
/// assert_eq!("armhf".parse::<Arch>()?, Arch::Armv7);
/// assert_eq!(Arch::Arm64.to_string(), "arm64");
/// assert_eq!(Arch::Arm64.qemu_name(), "qemu-aarch64");
/// # Ok::<(), arm_image_qemu::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 32-bit ARM up to version 5: Debian's armel.
    Armv5,
    /// 32-bit ARM of version 6: Raspberry Pi 1 and Zero, and Raspberry Pi OS armhf.
    Armv6,
    /// 32-bit ARM from version 7 on: Debian's armhf.
    Armv7,
    /// 64-bit ARM.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    X86_64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Arch; 7] =
        [Arch::Armv5, Arch::Armv6, Arch::Armv7, Arch::Arm64, Arch::Riscv64, Arch::X86, Arch::X86_64];

    /// Tells the architecture from the bytes of a program or shared library.
    ///
    /// Give the whole file where it is at hand: the version of 32-bit ARM stands in the section
    /// `.ARM.attributes` near the end; without it, version 7 is assumed. None when it is no ELF program, or of
    /// another architecture (big-endian ARM among them).
    #[must_use]
    pub fn from_elf(bytes: &[u8]) -> Option<Arch> {
        elf::arch(bytes)
    }

    /// Tells the architecture of a system from several of its files, such as the shell and the C library.
    ///
    /// The first that is a program or library decides. Only where that is a 32-bit ARM one that does not say for
    /// which version (some systems strip it of all sections), the next one that says so does.
    #[must_use]
    pub fn of_system<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Option<Arch> {
        let mut found = files.into_iter().filter_map(elf::arch_if_told);
        match found.next()? {
            (arch, true) => Some(arch),
            (arch, false) => {
                let same = |&(other, told): &(Arch, bool)| told && other.is_arm32();
                Some(found.find(same).map_or(arch, |(other, _)| other))
            }
        }
    }

    /// The architecture of the running kernel; none when it is not among these.
    #[must_use]
    pub fn host() -> Option<Arch> {
        let name = rustix::system::uname();
        let machine = name.machine().to_str().ok()?;
        machine.parse().ok()
    }

    /// Whether this kernel runs such programs without help.
    ///
    /// Whether a 64-bit ARM kernel runs 32-bit programs depends on the processor and on the kernel's configuration,
    /// so a tiny one is run to find out. 32-bit x86 on 64-bit x86 is taken for granted: nearly every kernel has it,
    /// and a handler would take the host's own programs over.
    #[must_use]
    pub fn runs_natively(self) -> bool {
        Arch::host().is_some_and(|host| self.runs_on(host, native::runs_arm))
    }

    /// Whether a kernel of `host` runs such programs; `runs_arm` tells whether it runs 32-bit ARM ones, where that
    /// does not follow.
    fn runs_on(self, host: Arch, runs_arm: impl FnOnce() -> bool) -> bool {
        match (self, host) {
            (Arch::Armv5 | Arch::Armv6 | Arch::Armv7, Arch::Arm64) => runs_arm(),
            (Arch::Armv5, Arch::Armv6 | Arch::Armv7) | (Arch::Armv6, Arch::Armv7) => true,
            (Arch::X86, Arch::X86_64) => true,
            _ => self == host,
        }
    }

    fn is_arm32(self) -> bool {
        matches!(self, Arch::Armv5 | Arch::Armv6 | Arch::Armv7)
    }

    /// Whether its programs are 32-bit ones, for which `uname -m` needs the personality `PER_LINUX32`.
    #[must_use]
    pub fn is_32bit(self) -> bool {
        self.is_arm32() || self == Arch::X86
    }

    /// What `uname -m` says on such a machine.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Arch::Armv5 => "armv5tel",
            Arch::Armv6 => "armv6l",
            Arch::Armv7 => "armv7l",
            Arch::Arm64 => "aarch64",
            Arch::Riscv64 => "riscv64",
            Arch::X86 => "i686",
            Arch::X86_64 => "x86_64",
        }
    }

    /// The program of qemu-user that emulates it, without the suffix `-static` that some systems add.
    #[must_use]
    pub fn qemu_name(self) -> &'static str {
        match self {
            Arch::Armv5 | Arch::Armv6 | Arch::Armv7 => "qemu-arm",
            Arch::Arm64 => "qemu-aarch64",
            Arch::Riscv64 => "qemu-riscv64",
            Arch::X86 => "qemu-i386",
            Arch::X86_64 => "qemu-x86_64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Arch::Armv5 => "armv5",
            Arch::Armv6 => "armv6",
            Arch::Armv7 => "armv7",
            Arch::Arm64 => "arm64",
            Arch::Riscv64 => "riscv64",
            Arch::X86 => "x86",
            Arch::X86_64 => "x86_64",
        })
    }
}

/// Takes our own names, Debian's and those of `uname -m`, in either case.
impl FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Arch, Error> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "armv5" | "armv5l" | "armv5tel" | "armv5tejl" | "armel" => Arch::Armv5,
            "armv6" | "armv6l" => Arch::Armv6,
            // armv8l is what a 64-bit kernel tells a 32-bit process.
            "armv7" | "armv7l" | "armv8l" | "armhf" | "arm" => Arch::Armv7,
            "arm64" | "aarch64" => Arch::Arm64,
            "riscv64" => Arch::Riscv64,
            "x86" | "i386" | "i486" | "i586" | "i686" => Arch::X86,
            "x86_64" | "x86-64" | "amd64" => Arch::X86_64,
            _ => return Err(Error::UnknownArch { name: name.to_owned() }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back() {
        for arch in Arch::ALL {
            assert_eq!(arch.to_string().parse::<Arch>().unwrap(), arch);
            assert_eq!(arch.machine().parse::<Arch>().unwrap(), arch);
        }
        for (name, arch) in [("armhf", Arch::Armv7), ("AArch64", Arch::Arm64), ("amd64", Arch::X86_64)] {
            assert_eq!(name.parse::<Arch>().unwrap(), arch);
        }
        let error = "mips".parse::<Arch>().unwrap_err();
        assert_eq!(error.to_string(), "unknown architecture `mips`");
        assert!(error.hint().unwrap().contains("arm64"));
    }

    #[test]
    fn this_very_program_runs_natively() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(Arch::from_elf(&own).unwrap().runs_natively());
        assert_eq!(Arch::host().map(Arch::runs_natively), Some(true));
        assert!(!Arch::Riscv64.runs_natively() || Arch::host() == Some(Arch::Riscv64));
    }
    #[test]
    fn a_kernel_runs_the_older_of_its_family_and_asks_where_it_depends() {
        let unasked = |arch: Arch, host| arch.runs_on(host, || panic!("asked for {arch} on {host}"));
        for host in Arch::ALL {
            assert!(unasked(host, host));
            assert!(host == Arch::Riscv64 || !unasked(Arch::Riscv64, host));
        }
        assert!(unasked(Arch::Armv5, Arch::Armv6) && unasked(Arch::Armv6, Arch::Armv7));
        assert!(!unasked(Arch::Armv7, Arch::Armv6) && !unasked(Arch::Armv6, Arch::Armv5));
        assert!(unasked(Arch::X86, Arch::X86_64) && !unasked(Arch::X86_64, Arch::X86));
        assert!(!unasked(Arch::Arm64, Arch::Armv7) && !unasked(Arch::Armv7, Arch::X86_64));
        for arch in Arch::ALL.into_iter().filter(|arch| arch.is_arm32()) {
            assert!(arch.is_32bit() && arch.runs_on(Arch::Arm64, || true));
            assert!(!arch.runs_on(Arch::Arm64, || false));
        }
        assert!(Arch::X86.is_32bit() && !Arch::Arm64.is_32bit());
    }
}
