//! The few fields of the Executable and Linkable Format that tell whose program it is, read from untrusted bytes.
//!
//! Offsets are those of the System V ABI, chapter "Object Files"; the attributes those of "ELF for the Arm
//! Architecture" and "Addenda to, and Errata in, the ABI for the Arm Architecture".

use crate::Arch;

pub(crate) const KIND_EXECUTABLE: u16 = 2; // ET_EXEC
pub(crate) const KIND_SHARED: u16 = 3; // ET_DYN: position-independent programs too
const SEGMENT_INTERPRETER: u32 = 3; // PT_INTERP
const SECTION_ARM_ATTRIBUTES: u32 = 0x7000_0003; // SHT_ARM_ATTRIBUTES
const TAG_CPU_ARCH: u64 = 6;

/// EI_CLASS and e_machine of each architecture; all are little-endian (EI_DATA 1).
pub(crate) fn identity(arch: Arch) -> (u8, u16) {
    match arch {
        Arch::Armv5 | Arch::Armv6 | Arch::Armv7 => (1, 40),
        Arch::Arm64 => (2, 183),
        Arch::Riscv64 => (2, 243),
        Arch::X86 => (1, 3),
        Arch::X86_64 => (2, 62),
    }
}

pub(crate) fn arch(bytes: &[u8]) -> Option<Arch> {
    Some(arch_if_told(bytes)?.0)
}

/// The architecture, and whether the file says it in full: 32-bit ARM ones without attributes leave the version
/// open, and 7 is assumed.
pub(crate) fn arch_if_told(bytes: &[u8]) -> Option<(Arch, bool)> {
    let file = Elf::read(bytes)?;
    let machine = file.half(18)?;
    let candidates = [Arch::Armv7, Arch::Arm64, Arch::Riscv64, Arch::X86, Arch::X86_64];
    let arch = candidates.into_iter().find(|&arch| identity(arch) == (file.class, machine))?;
    if arch != Arch::Armv7 {
        return Some((arch, true));
    }
    // Tag_CPU_arch counts versions in order of publication: up to 5 (v5TEJ), up to 9 (v6K); 10 is v7, and 11 and 12
    // are v6-M and v6S-M.
    Some(match file.arm_version() {
        Some(0..=5) => (Arch::Armv5, true),
        Some(6..=9 | 11 | 12) => (Arch::Armv6, true),
        Some(_) => (Arch::Armv7, true),
        None => (Arch::Armv7, false),
    })
}

/// How a program finds its libraries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// It needs nothing but the kernel.
    Static,
    /// It needs this loader, which the kernel looks for inside the chroot.
    Dynamic(String),
}

/// Reads the linkage from the start of a program; none when this is no little-endian ELF program, or the
/// program headers are not within `bytes`.
pub(crate) fn linkage(bytes: &[u8]) -> Option<Linkage> {
    let file = Elf::read(bytes)?;
    let (table, size, count) = match file.class {
        1 => (u64::from(file.word(28)?), file.half(42)?, file.half(44)?),
        _ => (file.long(32)?, file.half(54)?, file.half(56)?),
    };
    for index in 0..u64::from(count) {
        let header = place(table, index, size)?;
        if file.word(header)? != SEGMENT_INTERPRETER {
            continue;
        }
        let (start, length) = match file.class {
            1 => (file.word(header.checked_add(4)?)?.into(), file.word(header.checked_add(16)?)?.into()),
            _ => (file.long(header.checked_add(8)?)?, file.long(header.checked_add(32)?)?),
        };
        let name = file.slice(start, length)?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        return Some(Linkage::Dynamic(String::from_utf8_lossy(name).into_owned()));
    }
    Some(Linkage::Static)
}

fn place(table: u64, index: u64, size: u16) -> Option<usize> {
    usize::try_from(table.checked_add(index.checked_mul(size.into())?)?).ok()
}

struct Elf<'a> {
    bytes: &'a [u8],
    class: u8,
}

impl<'a> Elf<'a> {
    fn read(bytes: &'a [u8]) -> Option<Elf<'a>> {
        let [0x7f, b'E', b'L', b'F', class @ (1 | 2), 1, ..] = *bytes else { return None };
        let file = Elf { bytes, class };
        matches!(file.half(16)?, KIND_EXECUTABLE | KIND_SHARED).then_some(file)
    }

    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk().copied()
    }

    fn half(&self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    fn word(&self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn long(&self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    fn slice(&self, start: u64, length: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.bytes.get(start..end)
    }

    /// Tag_CPU_arch, where this is a 32-bit file with a readable section of attributes.
    fn arm_version(&self) -> Option<u64> {
        if self.class != 1 {
            return None;
        }
        let (table, size, count) = (self.word(32)?, self.half(46)?, self.half(48)?);
        let header = (0..u64::from(count)).find_map(|index| {
            let header = place(table.into(), index, size)?;
            (self.word(header.checked_add(4)?)? == SECTION_ARM_ATTRIBUTES).then_some(header)
        })?;
        let start = self.word(header.checked_add(16)?)?;
        let length = self.word(header.checked_add(20)?)?;
        cpu_arch(self.slice(start.into(), length.into())?)
    }
}

/// Finds Tag_CPU_arch among the attributes of the file as a whole.
fn cpu_arch(section: &[u8]) -> Option<u64> {
    // Format version, then one subsection a vendor: length (itself included), name, parts.
    let mut rest = section.strip_prefix(b"A")?;
    while !rest.is_empty() {
        let vendor = split_counted(&mut rest, 0)?;
        let Some(mut parts) = vendor.strip_prefix(b"aeabi\0") else { continue };
        while let Some((&scope, after)) = parts.split_first() {
            // The length of a part counts the byte of its scope too; scope 1 is the whole file.
            let mut body = after;
            let attributes = split_counted(&mut body, 1)?;
            parts = body;
            if scope == 1 {
                return find_cpu_arch(attributes);
            }
        }
    }
    None
}

/// Takes a 32-bit length and the bytes it counts; the length covers itself and `before` bytes ahead of it.
fn split_counted<'a>(rest: &mut &'a [u8], before: usize) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?.checked_sub(before.checked_add(4)?)?;
    let (body, following) = after.split_at_checked(length)?;
    *rest = following;
    Some(body)
}

fn find_cpu_arch(mut attributes: &[u8]) -> Option<u64> {
    while !attributes.is_empty() {
        let tag = number(&mut attributes)?;
        match tag {
            TAG_CPU_ARCH => return number(&mut attributes),
            // Tag_compatibility has both; names of processors and odd tags above 32 are strings.
            32 => {
                number(&mut attributes)?;
                skip_string(&mut attributes)?;
            }
            4 | 5 => skip_string(&mut attributes)?,
            33.. if tag % 2 == 1 => skip_string(&mut attributes)?,
            _ => {
                number(&mut attributes)?;
            }
        }
    }
    None
}

/// An unsigned number of seven bits a byte, low bits first (ULEB128).
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn skip_string(rest: &mut &[u8]) -> Option<()> {
    let end = rest.iter().position(|&byte| byte == 0)?;
    *rest = rest.get(end.checked_add(1)?..)?;
    Some(())
}

#[cfg(test)]
mod tests;
