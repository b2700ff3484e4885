//! What a program needs beside itself to start: its loader and shared libraries.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Error;

/// More program headers than any linker writes.
const MOST_HEADERS: u16 = 256;
const PT_INTERP: u32 = 3;

/// The loader and the shared libraries of the ELF program at `path`; empty for a static one.
///
/// The program's own loader is asked, with `--list`, which loads but does not run it; glibc's and musl's both know that
/// option. What the program opens later by itself (`dlopen`) is not in the list.
pub(crate) fn libraries(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let refused = |reason: String| Error::Program { path: path.to_owned(), reason };
    let file = File::open(path).map_err(failed)?;
    let mut head = Vec::new();
    (&file).take(64).read_to_end(&mut head).map_err(failed)?;
    let table = program_headers(&head).ok_or_else(|| refused("it is not a 64-bit ELF program".into()))?;
    let mut headers = vec![0; usize::from(table.count) * usize::from(table.entry_size)];
    file.read_exact_at(&mut headers, table.offset).map_err(failed)?;
    let Some((offset, size)) = interpreter(&headers, table.entry_size) else { return Ok(Vec::new()) };
    let mut name = vec![0; size];
    file.read_exact_at(&mut name, offset).map_err(failed)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let loader = PathBuf::from(OsStr::from_bytes(name));

    let listing = Command::new(&loader)
        .arg("--list")
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Read { path: loader.clone(), source })?;
    if !listing.status.success() {
        return Err(refused(String::from_utf8_lossy(&listing.stderr).trim().to_owned()));
    }
    let mut all = listed(&String::from_utf8_lossy(&listing.stdout)).map_err(refused)?;
    if !all.contains(&loader) {
        all.push(loader);
    }
    Ok(all)
}

#[derive(Debug, PartialEq, Eq)]
struct HeaderTable {
    offset: u64,
    entry_size: u16,
    count: u16,
}

/// Where the program headers stand (ELF-64 header, System V ABI chapter 4); `None` unless it is 64-bit little-endian.
fn program_headers(head: &[u8]) -> Option<HeaderTable> {
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let offset = u64::from_le_bytes(head.get(32..40)?.try_into().ok()?);
    let entry_size = u16::from_le_bytes(head.get(54..56)?.try_into().ok()?);
    let count = u16::from_le_bytes(head.get(56..58)?.try_into().ok()?);
    ((56..=1024).contains(&entry_size) && count <= MOST_HEADERS).then_some(HeaderTable {
        offset,
        entry_size,
        count,
    })
}

/// Offset and size of the loader's name; `None` for a static program.
fn interpreter(headers: &[u8], entry_size: u16) -> Option<(u64, usize)> {
    headers.chunks_exact(usize::from(entry_size)).find_map(|header| {
        let kind = u32::from_le_bytes(header.get(..4)?.try_into().ok()?);
        let offset = u64::from_le_bytes(header.get(8..16)?.try_into().ok()?);
        let size = u64::from_le_bytes(header.get(32..40)?.try_into().ok()?);
        // A name is at most PATH_MAX bytes.
        (kind == PT_INTERP && size <= 4096).then_some((offset, usize::try_from(size).ok()?))
    })
}

/// The paths in the loader's listing: `libc.so.6 => /lib/libc.so.6 (0x7f…)`, or a bare path before the address.
fn listed(listing: &str) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for line in listing.lines() {
        let target = line.split_once(" => ").map_or(line, |(_, target)| target).trim();
        if target == "not found" {
            return Err(format!("library not found: {}", line.trim()));
        }
        let path = target.rsplit_once(" (0x").map_or(target, |(path, _)| path);
        // linux-vdso.so.1 has no path: it comes with the kernel.
        if path.starts_with('/') {
            paths.push(PathBuf::from(path));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_listing_gives_paths_and_skips_what_has_none() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let paths = listed(listing).unwrap();
        assert_eq!(
            paths,
            [Path::new("/lib/x86_64-linux-gnu/libc.so.6"), Path::new("/lib64/ld-linux-x86-64.so.2")]
        );
    }

    #[test]
    fn a_missing_library_is_named() {
        let reason = listed("\tlibnone.so.1 => not found\n").unwrap_err();
        assert!(reason.contains("libnone.so.1"), "{reason}");
    }

    #[test]
    fn this_test_needs_the_c_library_and_its_loader() {
        let all = libraries(&std::env::current_exe().unwrap()).unwrap();
        assert!(all.iter().any(|path| path.to_string_lossy().contains("libc.so")), "{all:?}");
        assert!(all.iter().any(|path| path.to_string_lossy().contains("/ld-")), "{all:?}");
    }

    #[test]
    fn a_text_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "#!/bin/sh\n").unwrap();
        assert!(matches!(libraries(file.path()), Err(Error::Program { .. })));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1u16..1024) {
            let _ = program_headers(&bytes);
            let _ = interpreter(&bytes, size);
            let _ = listed(&String::from_utf8_lossy(&bytes));
        }
    }
}
