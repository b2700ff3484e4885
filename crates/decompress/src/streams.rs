//! The loop that the formats made of consecutive streams share: xz, gz, bz2 and zst.

use std::io::Read;

use crate::{Error, HEAD, Input, SparseFile, Tick, detect};

/// Compressed bytes are read in this size: enough to make system calls cheap, small enough for a core's own cache.
const INPUT_BUFFER: usize = 256 << 10;

/// Image bytes are gathered to this size before they are searched for zeros and written.
pub(crate) const OUTPUT_BUFFER: usize = 1 << 20;

/// How far a decoder came in one step.
pub(crate) struct Step {
    /// Bytes of input it is done with.
    pub(crate) consumed: usize,
    /// Bytes of output it wrote.
    pub(crate) produced: usize,
    /// Whether the stream is at its verified end, or what is wrong with it.
    pub(crate) ended: Result<bool, String>,
}

impl Step {
    /// The step between two states of a decoder that counts `(input, output)` bytes and returns a status.
    pub(crate) fn since<S: PartialEq>(
        before: (u64, u64),
        after: (u64, u64),
        status: Result<S, String>,
        end: S,
    ) -> Self {
        // Neither difference can be larger than the buffer it is about.
        let difference =
            |before, after: u64| usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
        Self {
            consumed: difference(before.0, after.0),
            produced: difference(before.1, after.1),
            ended: status.map(|status| status == end),
        }
    }
}

/// A library's decoder for one stream: bytes in, bytes out, no I/O.
pub(crate) trait Codec: Sized {
    /// The format's name.
    const NAME: &'static str;
    /// Zero bytes may stand between and after streams in multiples of this number; 0 if they may not at all.
    const PADDING: u64;

    /// A decoder for a new stream.
    fn start() -> Result<Self, String>;

    /// Whether a stream can start with these bytes.
    fn begins(head: &[u8]) -> bool;

    /// Decodes what it can from `input` into `output`, which is not empty. `input` is empty only where the archive ends.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step;
}

/// Unpacks streams of one format, one after the other, until the input ends.
pub(crate) fn unpack<C: Codec>(
    input: Input<'_>,
    output: &SparseFile<'_>,
    tick: Tick<'_>,
) -> Result<u64, Error> {
    let total = input.size()?;
    let mut source = Source::new(input.reader());
    let mut sink = Sink::new(C::NAME, output);
    loop {
        let mut codec = C::start().map_err(|reason| source.damaged::<C>(reason))?;
        loop {
            if source.window().is_empty() {
                source.refill()?;
            }
            let step = codec.step(source.window(), sink.space());
            source.consume(step.consumed);
            sink.advance(step.produced)?;
            if step.ended.map_err(|reason| source.damaged::<C>(reason))? {
                break;
            }
            if step.consumed == 0 && step.produced == 0 {
                return Err(if source.window().is_empty() {
                    Error::Truncated { format: C::NAME, at: source.at }
                } else {
                    source.damaged::<C>("the decoder makes nothing of it".to_owned())
                });
            }
            if tick(source.at, total).is_break() {
                return Err(Error::Cancelled);
            }
        }
        let end = source.at;
        if C::PADDING > 0 {
            source.skip_zeros()?;
        }
        source.refill()?;
        if C::PADDING > 0 && !(source.at - end).is_multiple_of(C::PADDING) {
            return Err(Error::Trailing { format: C::NAME, at: end });
        }
        if source.window().is_empty() {
            break;
        }
        if !C::begins(source.window()) {
            return Err(Error::Trailing { format: C::NAME, at: end });
        }
    }
    let size = sink.finish()?;
    // Short inputs have their say, too, and the last call always shows the whole.
    if tick(source.at, total).is_break() {
        return Err(Error::Cancelled);
    }
    Ok(size)
}

/// A window on the input.
struct Source<'a> {
    reader: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// What is left of the buffer: the bytes read but not consumed.
    start: usize,
    end: usize,
    /// How many bytes were consumed.
    at: u64,
}

impl<'a> Source<'a> {
    fn new(reader: Box<dyn Read + 'a>) -> Self {
        Self { reader, buffer: vec![0; INPUT_BUFFER], start: 0, end: 0, at: 0 }
    }

    fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.at += count as u64;
    }

    /// Makes the window as large as a magic number at least, unless the input ends before. A window that is large enough is
    /// left alone; a slow stream is not waited for longer than needed.
    fn refill(&mut self) -> Result<(), Error> {
        const ENOUGH: usize = 16;
        if self.window().len() >= ENOUGH {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < ENOUGH {
            let at = self.at + self.end as u64;
            // One read may fill the whole buffer, or bring a single byte of a stream.
            let read = match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { at, source }),
            };
            self.end += read;
        }
        Ok(())
    }

    fn skip_zeros(&mut self) -> Result<(), Error> {
        loop {
            self.refill()?;
            let zeros = self.window().iter().take_while(|byte| **byte == 0).count();
            self.consume(zeros);
            if zeros == 0 || !self.window().is_empty() {
                return Ok(());
            }
        }
    }

    fn damaged<C: Codec>(&self, reason: String) -> Error {
        Error::Damaged { format: C::NAME, at: self.at, reason }
    }
}

/// Gathers the image's bytes and writes them in large pieces.
struct Sink<'a, 'f> {
    format: &'static str,
    output: &'a SparseFile<'f>,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes written before those in the buffer.
    at: u64,
}

impl<'a, 'f> Sink<'a, 'f> {
    fn new(format: &'static str, output: &'a SparseFile<'f>) -> Self {
        Self { format, output, buffer: vec![0; OUTPUT_BUFFER], filled: 0, at: 0 }
    }

    fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    fn advance(&mut self, count: usize) -> Result<(), Error> {
        self.filled += count;
        if self.filled == self.buffer.len() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let bytes = &self.buffer[..self.filled];
        if self.at == 0 {
            refuse_nested(self.format, bytes)?;
        }
        self.output.write_all_at(bytes, self.at)?;
        self.at += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<u64, Error> {
        self.flush()?;
        Ok(self.at)
    }
}

/// Copies bytes that need no decoding, or that a library decodes while they are read: `read` fills a buffer as far as it can,
/// given the offset, and `tick` is told how much of the image there is so far.
pub(crate) fn copy(
    format: &'static str,
    output: &SparseFile<'_>,
    mut read: impl FnMut(&mut [u8], u64) -> Result<usize, Error>,
    mut tick: impl FnMut(u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut buffer = vec![0; OUTPUT_BUFFER];
    let mut at = 0;
    loop {
        let filled = read(&mut buffer, at)?;
        if at == 0 {
            refuse_nested(format, &buffer[..filled])?;
        }
        output.write_all_at(&buffer[..filled], at)?;
        at += filled as u64;
        tick(at)?;
        if filled < buffer.len() {
            return Ok(at);
        }
    }
}

/// Fails if the first bytes of what was unpacked are an archive again, or something else known that is no image.
fn refuse_nested(format: &'static str, image: &[u8]) -> Result<(), Error> {
    // No image is shorter than a sector, and of a few bytes nothing can be said.
    match image.get(..HEAD).map_or("raw", |head| detect(head).name()) {
        "raw" => Ok(()),
        found => Err(Error::Nested { format, found }),
    }
}
