//! xz, as in <https://tukaani.org/xz/xz-file-format.txt>.

use xz2::stream::{Action, Error as XzError, Status, Stream, TELL_UNSUPPORTED_CHECK};

use crate::streams::{self, Codec, Step};
use crate::{Decompressor, Error, Input, SparseFile, Tick};

/// Header magic of a stream.
const MAGIC: &[u8] = b"\xfd7zXZ\0";

/// The most memory a decoder may take, in bytes. `xz -9` asks for 65 MiB; only odd settings come near this.
const MEMORY_LIMIT: u64 = 1 << 30;

/// Streams of xz data, padded or not.
#[derive(Debug)]
pub(crate) struct Xz;

impl Decompressor for Xz {
    fn name(&self) -> &'static str {
        XzStream::NAME
    }

    fn matches(&self, head: &[u8]) -> bool {
        XzStream::begins(head)
    }

    fn unpack(&self, input: Input<'_>, output: &SparseFile<'_>, tick: Tick<'_>) -> Result<u64, Error> {
        streams::unpack::<XzStream>(input, output, tick)
    }
}

struct XzStream(Stream);

impl Codec for XzStream {
    const NAME: &'static str = "xz";
    const PADDING: u64 = 4; // section 2.2 of the format

    fn start() -> Result<Self, String> {
        // A check of a kind that this build does not know would be skipped silently without the flag.
        Stream::new_stream_decoder(MEMORY_LIMIT, TELL_UNSUPPORTED_CHECK).map(Self).map_err(reason)
    }

    fn begins(head: &[u8]) -> bool {
        crate::starts_with(head, MAGIC)
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.process(input, output, Action::Run);
        Step::since(
            before,
            (self.0.total_in(), self.0.total_out()),
            status.map_err(reason),
            Status::StreamEnd,
        )
    }
}

fn reason(error: XzError) -> String {
    match error {
        XzError::Data => "the data or a check over them are wrong",
        XzError::Format => "it is not xz",
        XzError::Options => "it uses a feature that this program does not know",
        XzError::UnsupportedCheck => "its integrity check is of an unknown kind",
        XzError::MemLimit => "unpacking it would take more than 1 GiB of memory",
        XzError::Mem => "there is not enough memory to unpack it",
        XzError::NoCheck | XzError::Program => "liblzma gave up",
    }
    .to_owned()
}
