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

/// Applies the patches in order, flushes, and reads them back; puts the former bytes back when one of them fails.
///
/// A patch that changes nothing is not written, so a table that is read and written again leaves the disk untouched.
/// Patches must not overlap.
pub(crate) fn apply(storage: &mut dyn Storage, patches: &[Patch]) -> Result<(), Error> {
    let mut undo = Vec::new();
    for patch in patches {
        undo.push(Patch { offset: patch.offset, bytes: present(storage, patch)? });
    }
    let outcome = write_and_compare(storage, patches, &undo);
    if outcome.is_err() {
        for former in undo.iter().rev() {
            // The first failure is what the caller has to know; a disk that refuses this too cannot be helped.
            if present(storage, former).is_ok_and(|bytes| bytes != former.bytes) {
                let _ = overwrite(storage, former);
            }
        }
    }
    outcome
}

/// The bytes that lie where the patch is to go.
fn present(storage: &mut dyn Storage, patch: &Patch) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; patch.bytes.len()];
    fill(storage, patch.offset, &mut bytes).map_err(|source| Error::Read { offset: patch.offset, source })?;
    Ok(bytes)
}

fn write_and_compare(storage: &mut dyn Storage, patches: &[Patch], undo: &[Patch]) -> Result<(), Error> {
    for (patch, former) in patches.iter().zip(undo) {
        if patch.bytes != former.bytes {
            overwrite(storage, patch)?;
        }
    }
    for patch in patches {
        if present(storage, patch)? != patch.bytes {
            return Err(Error::ReadBack { offset: patch.offset });
        }
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
