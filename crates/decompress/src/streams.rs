//! The loop that the formats made of consecutive streams share: xz, gz, bz2 and zst.

use crate::sink::{Sink, write_beside};
use crate::source::Source;
use crate::{Error, Input, SparseFile, Tick, Unpacked, Unpacker};

pub(crate) use crate::sink::{OUTPUT_BUFFER, refuse_nested};

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

    /// What to tell the user of `rest`, which follows the last stream, if it may stand there and be left out.
    fn trailer(_rest: &[u8]) -> Option<String> {
        None
    }

    /// Decodes what it can from `input` into `output`, which is not empty. `input` is empty only where the archive ends; where it
    /// is too short to take anything of it, it becomes longer.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step;
}

/// Unpacks streams of one format, one after the other, until the input ends.
pub(crate) fn unpack<C: Codec>(
    options: &Unpacker,
    input: Input<'_>,
    output: &SparseFile<'_>,
    tick: Tick<'_>,
) -> Result<Unpacked, Error> {
    let total = input.size()?;
    unpack_from::<C>(options, &mut Source::new(input.reader()), total, output, tick)
}

/// Unpacks what `source` has from its first byte on, of which there are `total` bytes, if that is known.
pub(crate) fn unpack_from<C: Codec>(
    options: &Unpacker,
    source: &mut Source<'_>,
    total: Option<u64>,
    output: &SparseFile<'_>,
    tick: Tick<'_>,
) -> Result<Unpacked, Error> {
    let pattern = options.pattern()?;
    let mut ticked = |at: u64| if tick(at, total).is_break() { Err(Error::Cancelled) } else { Ok(()) };
    let (unpacked, note) =
        write_beside(C::NAME, output, &pattern, |sink| decode_all::<C>(source, sink, &mut ticked))?;
    // Short inputs have their say, too, and the last call always shows the whole.
    ticked(source.at())?;
    Ok(Unpacked { note, ..unpacked })
}

/// Decodes one stream after the other, and returns what to tell the user of something behind them that is left out.
pub(crate) fn decode_all<C: Codec>(
    source: &mut Source<'_>,
    sink: &mut impl Sink,
    tick: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<Option<String>, Error> {
    loop {
        decode::<C>(source, sink, tick)?;
        match next_stream::<C>(source)? {
            Next::Stream => {}
            Next::End(note) => return Ok(note),
        }
    }
}

/// What comes after a stream.
pub(crate) enum Next {
    Stream,
    /// The end, perhaps after something that is no stream and of which this is to be told.
    End(Option<String>),
}

/// Decodes a single stream; `tick` is told how much of the source is consumed.
pub(crate) fn decode<C: Codec>(
    source: &mut Source<'_>,
    sink: &mut impl Sink,
    tick: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let damaged = |at, reason| Error::Damaged { format: C::NAME, at, reason };
    let mut codec = C::start().map_err(|reason| damaged(source.at(), reason))?;
    loop {
        if source.window().is_empty() {
            source.refill()?;
        }
        let step = codec.step(source.window(), sink.space());
        source.consume(step.consumed);
        sink.advance(step.produced)?;
        if step.ended.map_err(|reason| damaged(source.at(), reason))? {
            return Ok(());
        }
        if step.consumed == 0 && step.produced == 0 && !source.grow()? {
            return Err(if source.is_full() {
                damaged(source.at(), "the decoder makes nothing of it".to_owned())
            } else {
                Error::Truncated { format: C::NAME, at: source.at() + source.window().len() as u64 }
            });
        }
        tick(source.at())?;
    }
}

/// Skips padding, and tells what follows; anything unknown is an error.
pub(crate) fn next_stream<C: Codec>(source: &mut Source<'_>) -> Result<Next, Error> {
    const LONGEST_TRAILER: usize = 128 << 10;
    let end = source.at();
    if C::PADDING > 0 {
        source.skip_zeros()?;
    }
    source.refill()?;
    let trailing = Error::Trailing { format: C::NAME, at: end };
    if C::PADDING > 0 && !(source.at() - end).is_multiple_of(C::PADDING) {
        return Err(trailing);
    }
    if source.window().is_empty() {
        return Ok(Next::End(None));
    }
    if C::begins(source.window()) {
        return Ok(Next::Stream);
    }
    let rest = source.rest(LONGEST_TRAILER)?.unwrap_or_default();
    let note = C::trailer(rest).ok_or(trailing)?;
    let length = rest.len();
    source.consume(length);
    Ok(Next::End(Some(note)))
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
