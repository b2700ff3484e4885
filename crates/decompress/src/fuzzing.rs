//! What the fuzz targets reach beside the public API. There only under `cargo fuzz`.

use std::fs::File;
use std::ops::ControlFlow;

use crate::{Error, SparseFile, Unpacker, xz};

/// How an xz input was judged: the size of the image, or whether it is damage that was found.
pub type Verdict = Result<u64, Error>;

/// Parses whatever stands around the blocks of an xz file out of these bytes.
pub fn xz_structures(bytes: &[u8]) {
    xz::parse_all(bytes);
}

/// Unpacks an xz stream block by block as it arrives, with two workers, even where that is of no use.
///
/// # Errors
/// Any [`Error`].
pub fn xz_arriving(archive: &[u8], output: &File, limit: u64) -> Verdict {
    let sparse = SparseFile::new(output)?.limited(limit);
    let size = xz::unpack_arriving(archive, &sparse, &mut |_, _| ControlFlow::Continue(()))?;
    sparse.finish(size).map(|()| size)
}

/// Unpacks an xz stream with one decoder for each stream in it.
///
/// # Errors
/// Any [`Error`].
pub fn xz_in_order(archive: &[u8], output: &File, limit: u64) -> Verdict {
    let sparse = SparseFile::new(output)?.limited(limit);
    let size =
        xz::unpack_in_order(&Unpacker::default(), archive, &sparse, &mut |_, _| ControlFlow::Continue(()))?;
    sparse.finish(size).map(|()| size)
}
