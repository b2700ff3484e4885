//! xz and lzma without C, by lzma-rust2.

use std::io;

use lzma_rust2::{Action, LzmaStream, Status, StreamResult, XzStream};

use crate::streams::Step;

/// The most memory a decoder may take, in KiB. `xz -9` asks for 65 MiB; only odd settings come near this.
const MEMORY_LIMIT: u32 = 1 << 20;

/// A decoder for a single stream.
pub(crate) enum Decoder {
    Xz(Box<XzStream>),
    Lzma(Box<LzmaStream>),
}

impl Decoder {
    #[expect(clippy::unnecessary_wraps, reason = "as the one in C has it")]
    pub(crate) fn xz() -> Result<Self, String> {
        const SEVERAL_STREAMS: bool = false;
        Ok(Self::Xz(Box::new(XzStream::new_mem_limit(SEVERAL_STREAMS, MEMORY_LIMIT))))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the one in C has it")]
    pub(crate) fn lzma() -> Result<Self, String> {
        Ok(Self::Lzma(Box::new(LzmaStream::new_mem_limit(MEMORY_LIMIT, None))))
    }

    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let (result, unused) = match self {
            Self::Xz(stream) => (stream.process(input, output, Action::Run), 0),
            Self::Lzma(stream) => {
                let result = stream.process(input, output, Action::Run);
                (result, stream.unused_input().len())
            }
        };
        match result {
            Ok(StreamResult { bytes_consumed, bytes_produced, status }) => Step {
                consumed: bytes_consumed.saturating_sub(unused),
                produced: bytes_produced,
                ended: Ok(status == Status::StreamEnd),
            },
            // It does not say how much of the input it read before it saw the damage: all of it, at most.
            Err(error) => Step { consumed: input.len(), produced: 0, ended: Err(reason(&error)) },
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::OutOfMemory => "unpacking it would take more than 1 GiB of memory".to_owned(),
        _ => error.to_string(),
    }
}
