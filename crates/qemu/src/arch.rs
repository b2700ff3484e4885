//! The architectures, by all their names.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::elf;

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
    /// 32-bit ARM up to version 6: Raspberry Pi 1 and Zero, and Raspberry Pi OS armhf.
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
    pub const ALL: [Arch; 6] =
        [Arch::Armv6, Arch::Armv7, Arch::Arm64, Arch::Riscv64, Arch::X86, Arch::X86_64];

    /// Tells the architecture from the bytes of a program or shared library.
    ///
    /// Give the whole file where it is at hand: the version of 32-bit ARM stands in the section
    /// `.ARM.attributes` near the end; without it, version 7 is assumed. None when it is no ELF program, or of
    /// another architecture (big-endian ARM among them).
    #[must_use]
    pub fn from_elf(bytes: &[u8]) -> Option<Arch> {
        elf::arch(bytes)
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
    /// Where that depends on the processor or the kernel's configuration (32-bit ARM on 64-bit ARM) the answer
    /// is no: emulation is slow there but works. The exception is 32-bit x86 on 64-bit x86, which nearly every
    /// kernel has, and where a handler would take the host's own programs over.
    #[must_use]
    pub fn runs_natively(self) -> bool {
        let Some(host) = Arch::host() else { return false };
        self == host
            || matches!((self, host), (Arch::Armv6, Arch::Armv7))
            || matches!((self, host), (Arch::X86, Arch::X86_64))
    }

    /// Whether its programs are 32-bit ones, for which `uname -m` needs the personality `PER_LINUX32`.
    #[must_use]
    pub fn is_32bit(self) -> bool {
        matches!(self, Arch::Armv6 | Arch::Armv7 | Arch::X86)
    }

    /// What `uname -m` says on such a machine.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
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
            Arch::Armv6 | Arch::Armv7 => "qemu-arm",
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
            "armv6" | "armv6l" | "armel" => Arch::Armv6,
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
        assert!(
            [Arch::Armv6, Arch::Armv7, Arch::X86].into_iter().all(Arch::is_32bit) && !Arch::Arm64.is_32bit()
        );
        assert!(!Arch::Riscv64.runs_natively() || Arch::host() == Some(Arch::Riscv64));
    }
}
