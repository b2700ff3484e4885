//! The two text formats of binfmt_misc, as pure functions: the line that registers a handler, and what a
//! handler's file says (`Documentation/admin-guide/binfmt-misc.rst` and `fs/binfmt_misc.c` of the kernel).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Arch;
use crate::elf::{KIND_EXECUTABLE, KIND_SHARED, identity};

/// As many bytes of a program as tell its architecture: up to and with e_machine.
const HEAD: usize = 20;

/// The bytes that begin every program of `arch`, and the mask of the bits that count.
///
/// What does not count: EI_OSABI, EI_ABIVERSION and the padding, which readers are to ignore by the ELF
/// specification (static programs of GNU systems and AppImages do use them), and the lowest bit of e_type,
/// which is all that tells ET_EXEC (2) from ET_DYN (3).
pub(crate) fn magic(arch: Arch) -> ([u8; HEAD], [u8; HEAD]) {
    let (class, machine) = identity(arch);
    let mut magic = head(KIND_EXECUTABLE, 0, class, machine);
    let mut mask = [0xff; HEAD];
    mask[7..16].fill(0);
    magic[7..16].fill(0);
    mask[16] = 0xfe;
    (magic, mask)
}

fn head(kind: u16, os_abi: u8, class: u8, machine: u16) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1, 1, os_abi]);
    head[16..18].copy_from_slice(&kind.to_le_bytes());
    head[18..20].copy_from_slice(&machine.to_le_bytes());
    head
}

/// The line to write to `register`: `:name:M::magic:mask:interpreter:flags`, its delimiter a byte that the
/// interpreter's path does not hold; none when it holds all that could serve.
pub(crate) fn register_line(name: &str, arch: Arch, interpreter: &Path, flags: &str) -> Option<Vec<u8>> {
    let path = interpreter.as_os_str().as_bytes();
    // Letters, digits, `-`, `_` and backslash occur in the other fields; these do not.
    let delimiter = *b":|;,!%+=@~".iter().find(|byte| !path.contains(byte))?;
    let (magic, mask) = magic(arch);
    let fields = [name.as_bytes(), b"M", b"", &escape(&magic), &escape(&mask), path, flags.as_bytes()];
    let mut line = Vec::new();
    for field in fields {
        line.push(delimiter);
        line.extend_from_slice(field);
    }
    Some(line)
}

fn escape(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()).collect()
}

/// What a handler's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handler {
    pub(crate) enabled: bool,
    pub(crate) interpreter: PathBuf,
    pub(crate) flags: String,
    /// None where it goes by the file's extension.
    magic: Option<Magic>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Magic {
    offset: usize,
    bytes: Vec<u8>,
    mask: Vec<u8>,
}

impl Handler {
    /// Reads a handler's file; none when it has no interpreter, or numbers that are none.
    pub(crate) fn parse(text: &[u8]) -> Option<Handler> {
        let mut lines = text.split(|&byte| byte == b'\n');
        let enabled = lines.next()? == b"enabled";
        let (mut interpreter, mut flags, mut offset, mut magic, mut mask) = (None, "", 0, None, None);
        for line in lines {
            let space = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
            let (key, value) = line.split_at(space);
            let value = value.strip_prefix(b" ").unwrap_or_default();
            match key {
                b"interpreter" => interpreter = Some(PathBuf::from(OsStr::from_bytes(value))),
                b"flags:" => flags = str::from_utf8(value).ok()?,
                b"offset" => offset = str::from_utf8(value).ok()?.parse().ok()?,
                b"magic" => magic = Some(unhex(value)?),
                b"mask" => mask = Some(unhex(value)?),
                _ => {}
            }
        }
        let magic = magic.map(|bytes| {
            let mask = mask.unwrap_or_else(|| vec![0xff; bytes.len()]);
            Magic { offset, bytes, mask }
        });
        Some(Handler { enabled, interpreter: interpreter?, flags: flags.to_owned(), magic })
    }

    /// Whether it takes all programs of `arch`: fixed and position-independent, plain and GNU ABI.
    pub(crate) fn takes_all(&self, arch: Arch) -> bool {
        self.enabled && samples(arch).iter().all(|sample| self.matches(sample))
    }

    /// Whether it takes any program of `arch`.
    pub(crate) fn takes_any(&self, arch: Arch) -> bool {
        self.enabled && samples(arch).iter().any(|sample| self.matches(sample))
    }

    fn matches(&self, head: &[u8]) -> bool {
        let Some(Magic { offset, bytes, mask }) = &self.magic else { return false };
        let Some(end) = offset.checked_add(bytes.len()) else { return false };
        let Some(found) = head.get(*offset..end) else { return false };
        found.iter().zip(bytes).zip(mask).all(|((found, wanted), mask)| (found ^ wanted) & mask == 0)
    }
}

fn samples(arch: Arch) -> Vec<[u8; HEAD]> {
    let (class, machine) = identity(arch);
    let kinds = [KIND_EXECUTABLE, KIND_SHARED];
    kinds.iter().flat_map(|&kind| [0, 3].map(|os_abi| head(kind, os_abi, class, machine))).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests;
