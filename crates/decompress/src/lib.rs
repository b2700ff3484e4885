//! A [`Decompressor`] turns a downloaded archive into a raw disk image in a sparse file.
//!
//! ```
//! use std::io::Write;
//! use std::ops::ControlFlow;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A 4 MiB image, nearly all zeros, in a gzip file.
//! let mut archive = tempfile::tempfile()?;
//! let mut encoder = flate2::write::GzEncoder::new(&mut archive, flate2::Compression::fast());
//! encoder.write_all(b"boot sector")?;
//! encoder.write_all(&vec![0; (4 << 20) - 11])?;
//! encoder.finish()?;
//!
//! let image = tempfile::tempfile()?;
//! let unpacked = arm_image_decompress::unpack(&archive, &image, &mut |done, total| {
//!     // `done` of `total` bytes of the archive are behind us; `Break` would cancel.
//!     assert!(total.is_none_or(|total| done <= total));
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!((unpacked.format, unpacked.size), ("gz", 4 << 20));
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! * The format is told by the first bytes ([`detect`]), never by a file name.
//! * It is all or nothing: input that ends early, fails a checksum, is followed by something else, or holds something other
//!   than an image is an [`Error`], and the output is then empty. Damage can only be seen where the archive carries checksums:
//!   gz, bz2 and zip always do, xz and zst do unless their maker turned them off, a raw image has none.
//! * Files of several parts are taken whole: multi-stream xz with padding, multi-member gz, multi-stream bz2, multi-frame zst
//!   with skippable frames. What OpenWrt appends to a gz is left out and told of ([`Unpacked::note`]).
//! * In a zip or a tar, compressed or not, the image is the only file, else the only `*.img`, else the largest disk, or what
//!   [`Unpacker::member`] says.
//! * Runs of zeros become holes ([`SparseFile`]), so that an 8 GB image with 2 GB in it takes 2 GB.
//! * All cores work where the archive lets them: the blocks of an xz file are found in its index, those of an xz stream by walking
//!   over their chunks while they arrive (if it was packed on several threads, as `xz -T0` does), those of a bz2 file by their
//!   magic bytes, the frames of a zst file by the headers of their blocks. They are decoded side by side; everything else is
//!   decoded on one thread and written on another.
//! * No other program is called: `xz -T0` 5.4.1 takes a third more processor time, and more memory.
//! * Memory is bounded. A stream takes 3.3 MiB of buffers, and what the archive's own window asks for: `xz -9` 65 MiB, `zstd -19`
//!   8 MiB; archives that ask for more than 1 GiB are refused. Each worker on xz blocks takes 1.3 MiB and a window (8 MiB for
//!   `xz -6`), all their windows together 192 MiB at most: larger windows mean fewer workers. Of an xz stream no more than 16 MiB
//!   for each worker and one more wait to be decoded, 192 MiB at most: 70 MiB in all for two workers on `xz -6`. A worker on bz2
//!   blocks takes about 10 MiB, one on zst frames 10 MiB and a window, with the same limit. There are as many workers as cores,
//!   but no more than 16.
//! * xz takes a fifth less time on x86-64 where liblzma is compiled with its fast paths, for which its crate does not ask. In this
//!   repository `.cargo/config.toml` does. Who builds these crates elsewhere sets `CFLAGS` as it stands there, or goes without.
//! * Who only wants to look into an image ([`Unpacker::peek`]) has no more of it unpacked than is read: single blocks of an xz
//!   file, and the start of a zip, lzma or zst that tells its size.
//! * The output may be limited ([`Unpacker::max_size`]); by default it is not.

mod bz2;
mod error;
mod foreign;
mod gz;
mod input;
mod lzma;
mod options;
mod parallel;
mod peek;
mod raw;
mod sink;
mod source;
mod sparse;
mod streams;
mod tar;
mod turns;
mod xz;
mod zip;
mod zst;

#[cfg(fuzzing)]
pub mod fuzzing;

pub use error::Error;
pub use input::Input;
pub use options::Unpacker;
pub use peek::ImageReader;
pub use sparse::SparseFile;

use std::fmt::Debug;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;

/// Carries progress out and cancellation in.
///
/// It is called with the bytes of *input* consumed so far and the size of the input where that is known (never for a stream).
/// Input, because its size is known beforehand in every format, which cannot be said of the output. Of a zip only the chosen
/// member counts. Calls come at least once for each mebibyte written. After `Break` the work ends with [`Error::Cancelled`].
pub type Tick<'a> = &'a mut dyn FnMut(u64, Option<u64>) -> ControlFlow<()>;

/// How many bytes from the start of the input [`detect`] needs to tell every format it knows.
pub const HEAD: usize = 512;

/// One compression format.
pub trait Decompressor: Sync + Debug {
    /// The short name of the format: `xz`, `lzma`, `gz`, `bz2`, `zip`, `zst`, `tar` or `raw`.
    fn name(&self) -> &'static str;

    /// Whether an input that starts with `head` is of this format.
    ///
    /// `head` is the first [`HEAD`] bytes, or the whole input if that is shorter. An input cut inside its own magic bytes
    /// matches, so that it can be reported as cut instead of being taken for a raw image.
    fn matches(&self, head: &[u8]) -> bool;

    /// The size of the image in bytes, where the archive tells it beforehand: if that is a tar, it is the size of the tar.
    fn told_size(&self, _options: &Unpacker, _input: &File) -> Option<u64> {
        None
    }

    /// Unpacks the whole of `input`.
    ///
    /// `output` is fresh: ranges that are never written read as zeros. What stands in it after an error is meaningless.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::NeedsFile`] if the format cannot be read from a stream.
    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error>;
}

/// Every supported format; the last one is `raw`, which matches anything.
pub fn formats() -> &'static [&'static dyn Decompressor] {
    &[&xz::Xz, &gz::Gz, &bz2::Bz2, &zip::Zip, &zst::Zst, &tar::Tar, &lzma::Lzma, &raw::Raw]
}

/// Finds the format of an input by its first [`HEAD`] bytes.
///
/// Formats that are known but not supported (7z, lz4, qcow2 ...) have a `Decompressor` here too, though none in
/// [`formats`]: its name says what was found, and its `unpack` fails with [`Error::Unsupported`].
pub fn detect(head: &[u8]) -> &'static dyn Decompressor {
    let (raw, compressed) = formats().split_last().expect("`formats` is a constant and not empty");
    let foreign = foreign::FORMATS.iter().map(|format| -> &'static dyn Decompressor { format });
    compressed.iter().copied().chain(foreign).find(|format| format.matches(head)).unwrap_or(*raw)
}

/// What [`unpack`] found and wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpacked {
    /// The short name of the input's format, as [`Decompressor::name`] gives it.
    pub format: &'static str,
    /// The size of the image in bytes.
    pub size: u64,
    /// The name of the image in the zip or tar it was in.
    pub member: Option<String>,
    /// Something that the user may want to know: what followed the image and was left out.
    pub note: Option<String>,
}

impl Unpacked {
    /// An image of `size` bytes from an input of this format.
    pub fn new(format: &'static str, size: u64) -> Self {
        Self { format, size, member: None, note: None }
    }
}

/// Unpacks the file `input` into the regular file `output`.
///
/// `input` is read from its start wherever it is positioned; a pipe is read as by [`unpack_stream`]. `output` must be open for
/// writing, is truncated first and empty after an error. The positions of both are undefined afterwards. Nothing is synced.
///
/// # Errors
/// See [`Error`]; most are about what the input holds.
pub fn unpack(input: &File, output: &File, tick: Tick<'_>) -> Result<Unpacked, Error> {
    Unpacker::default().unpack(input, output, tick)
}

fn unpack_file(options: &Unpacker, input: &File, output: &File, tick: Tick<'_>) -> Result<Unpacked, Error> {
    if !input::has_offsets(input, output)? {
        return unpack_arriving(options, &mut &*input, output, tick);
    }
    let head = input::head(&mut Input::File(input).reader())?;
    run(options, &head, Input::File(input), output, tick)
}

/// Unpacks what `input` delivers until its end into the regular file `output`, without a temporary copy.
///
/// `output` is treated as in [`unpack`]. `input` is not read further than its end, and not to its end after an error.
///
/// # Errors
/// As [`unpack`]; also [`Error::NeedsFile`] for a zip, whose table of contents stands at its end.
pub fn unpack_stream(input: &mut dyn Read, output: &File, tick: Tick<'_>) -> Result<Unpacked, Error> {
    Unpacker::default().unpack_stream(input, output, tick)
}

fn unpack_arriving(
    options: &Unpacker,
    input: &mut dyn Read,
    output: &File,
    tick: Tick<'_>,
) -> Result<Unpacked, Error> {
    let head = input::head(input)?;
    run(options, &head, Input::Stream(&mut head.chain(input)), output, tick)
}

fn run(
    options: &Unpacker,
    head: &[u8],
    input: Input<'_>,
    output: &File,
    tick: Tick<'_>,
) -> Result<Unpacked, Error> {
    if head.is_empty() {
        return Err(Error::Empty);
    }
    let format = detect(head);
    let sparse = SparseFile::new(output)?.limited(options.max_size.unwrap_or(u64::MAX));
    let result = match format.unpack(options, input, &sparse, tick) {
        Ok(Unpacked { size: 0, format, .. }) => Err(Error::NothingInside { format }),
        Ok(unpacked) => sparse.finish(unpacked.size).map(|()| unpacked),
        Err(error) => Err(error),
    };
    if result.is_err() {
        // Half an image must not be taken for one. The first error is the one to report.
        let _ = output.set_len(0);
    }
    result
}

/// Whether `head` starts with `magic`, or is a whole input that was cut inside it.
fn starts_with(head: &[u8], magic: &[u8]) -> bool {
    head.starts_with(magic) || (!head.is_empty() && magic.starts_with(head))
}
