//! xz and lzma by liblzma.

use xz2::stream::{Action, Error as XzError, Status, Stream, TELL_UNSUPPORTED_CHECK};

use crate::streams::Step;

/// The most memory a decoder may take, in bytes. `xz -9` asks for 65 MiB; only odd settings come near this.
const MEMORY_LIMIT: u64 = 1 << 30;

/// A decoder for a single stream.
pub(crate) struct Decoder(Stream);

impl Decoder {
    pub(crate) fn xz() -> Result<Self, String> {
        // A check of a kind that this build does not know would be skipped silently without the flag.
        Stream::new_stream_decoder(MEMORY_LIMIT, TELL_UNSUPPORTED_CHECK).map(Self).map_err(reason)
    }

    pub(crate) fn lzma() -> Result<Self, String> {
        Stream::new_lzma_decoder(MEMORY_LIMIT).map(Self).map_err(reason)
    }

    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.process(input, output, Action::Run);
        let after = (self.0.total_in(), self.0.total_out());
        Step::since(before, after, status.map_err(reason), Status::StreamEnd)
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
