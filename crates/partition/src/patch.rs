//! Reading and overwriting pieces of a disk.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{Error, Storage};

/// Bytes to be put at an offset of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Reads exactly `N` bytes at `offset`.
pub(crate) fn read<const N: usize>(
    storage: &mut (impl Read + Seek + ?Sized),
    offset: u64,
) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    fill(storage, offset, &mut bytes).map_err(|source| Error::Read { offset, source })?;
    Ok(bytes)
}

/// Reads exactly as many bytes at `offset` as the buffer is long.
pub(crate) fn fill(
    storage: &mut (impl Read + Seek + ?Sized),
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    storage.seek(SeekFrom::Start(offset))?;
    storage.read_exact(buffer)
}

/// Applies the patches in order and flushes; puts the former bytes back when one of them fails.
///
/// A patch that changes nothing is not written, so a table that is read and written again leaves the disk untouched.
pub(crate) fn apply(storage: &mut dyn Storage, patches: &[Patch]) -> Result<(), Error> {
    let mut undo = Vec::new();
    for patch in patches {
        let mut former = vec![0; patch.bytes.len()];
        fill(storage, patch.offset, &mut former)
            .map_err(|source| Error::Read { offset: patch.offset, source })?;
        undo.push(Patch { offset: patch.offset, bytes: former });
    }
    for (done, patch) in patches.iter().enumerate() {
        if patch.bytes == undo[done].bytes {
            continue;
        }
        let outcome = overwrite(storage, patch);
        if outcome.is_err() {
            for former in undo[..=done].iter().rev() {
                // The first failure is what the caller has to know; a disk that refuses this too cannot be helped.
                let _ = overwrite(storage, former);
            }
        }
        outcome?;
    }
    Ok(())
}

fn overwrite(storage: &mut dyn Storage, patch: &Patch) -> Result<(), Error> {
    let outcome = (|| {
        storage.seek(SeekFrom::Start(patch.offset))?;
        storage.write_all(&patch.bytes)?;
        storage.flush()
    })();
    outcome.map_err(|source| Error::Write { offset: patch.offset, source })
}
