//! gzip, as in RFC 1952.

mod openwrt;

use flate2::{Decompress, FlushDecompress, Status};

use crate::streams::{self, Codec, Step};
use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacked, Unpacker};

/// Magic of a member, and deflate, the only compression method there is.
const MAGIC: &[u8] = b"\x1f\x8b\x08";

/// Members of gzip data.
#[derive(Debug)]
pub(crate) struct Gz;

impl Decompressor for Gz {
    fn name(&self) -> &'static str {
        GzMember::NAME
    }

    fn matches(&self, head: &[u8]) -> bool {
        GzMember::begins(head)
    }

    fn unpack(
        &self,
        options: &Unpacker,
        input: Input<'_>,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<Unpacked, Error> {
        streams::unpack::<GzMember>(options, input, output, tick)
    }
}

struct GzMember(Decompress);

impl Codec for GzMember {
    const NAME: &'static str = "gz";
    const PADDING: u64 = 0;

    fn start() -> Result<Self, String> {
        const LARGEST_WINDOW: u8 = 15; // log2 of deflate's 32 KiB
        Ok(Self(Decompress::new_gzip(LARGEST_WINDOW)))
    }

    fn begins(head: &[u8]) -> bool {
        crate::starts_with(head, MAGIC)
    }

    fn trailer(rest: &[u8]) -> Option<String> {
        openwrt::is_metadata(rest).then(|| {
            format!("{} bytes of OpenWrt's own metadata follow the image and were left out", rest.len())
        })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|error| error.message().unwrap_or("the data are wrong").to_owned());
        Step::since(before, (self.0.total_in(), self.0.total_out()), status, Status::StreamEnd)
    }
}
