//! Where a decoder puts the image's bytes: large buffers, written by whoever has the time.

use std::io::{self, Read};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, scope};

use glob::Pattern;

use crate::{Error, HEAD, SparseFile, Unpacked, detect};

/// Image bytes are gathered to this size before they are searched for zeros and written.
pub(crate) const OUTPUT_BUFFER: usize = 1 << 20;

/// How many buffers go round between a decoder and its writer: one in each hand, and one on the way.
const BUFFERS: usize = 3;

/// Something that takes what a decoder produces.
pub(crate) trait Sink {
    /// Room for what comes next; never empty.
    fn space(&mut self) -> &mut [u8];

    /// Takes the first `count` bytes of the room as the image's next.
    fn advance(&mut self, count: usize) -> Result<(), Error>;
}

/// Writes the image's bytes in order, from any offset on.
pub(crate) struct Writer<'a, 'f> {
    format: &'static str,
    output: &'a SparseFile<'f>,
    at: u64,
}

impl<'a, 'f> Writer<'a, 'f> {
    pub(crate) fn new(format: &'static str, output: &'a SparseFile<'f>, at: u64) -> Self {
        Self { format, output, at }
    }

    /// Where the next byte goes.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.at == 0 {
            refuse_nested(self.format, bytes)?;
        }
        self.output.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// Fails if the first bytes of what was unpacked are an archive again, or something else known that is no image.
pub(crate) fn refuse_nested(format: &'static str, image: &[u8]) -> Result<(), Error> {
    // No image is shorter than a sector, and of a few bytes nothing can be said.
    match image.get(..HEAD).map_or("raw", |head| detect(head).name()) {
        "raw" => Ok(()),
        found => Err(Error::Nested { format, found }),
    }
}

/// A buffer, and how much of it is filled.
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; OUTPUT_BUFFER], filled: 0 }
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

/// Writes on the decoder's own thread: for decoders that have the other cores busy already.
pub(crate) struct Direct<'a, 'f> {
    writer: Writer<'a, 'f>,
    buffer: Buffer,
}

impl<'a, 'f> Direct<'a, 'f> {
    pub(crate) fn new(writer: Writer<'a, 'f>) -> Self {
        Self { writer, buffer: Buffer::new() }
    }

    /// Writes what is left, and returns where the next byte would go.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        self.flush()?;
        Ok(self.writer.at())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.writer.write(self.buffer.filled())?;
        self.buffer.filled = 0;
        Ok(())
    }
}

impl Sink for Direct<'_, '_> {
    fn space(&mut self) -> &mut [u8] {
        &mut self.buffer.bytes[self.buffer.filled..]
    }

    fn advance(&mut self, count: usize) -> Result<(), Error> {
        self.buffer.filled += count;
        if self.buffer.filled == self.buffer.bytes.len() { self.flush() } else { Ok(()) }
    }
}

/// Hands full buffers to a thread that writes them, and gets them back empty.
pub(crate) struct HandOver {
    buffer: Buffer,
    full: SyncSender<Buffer>,
    empty: Receiver<Buffer>,
    /// Whether the writer is gone; only its error says why.
    abandoned: bool,
}

impl HandOver {
    fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.filled == 0 {
            return Ok(());
        }
        let Ok(mut empty) = self.empty.recv() else { return Err(self.abandon()) };
        empty.filled = 0;
        let full = std::mem::replace(&mut self.buffer, empty);
        self.full.send(full).map_err(|_| self.abandon())
    }

    fn abandon(&mut self) -> Error {
        self.abandoned = true;
        Error::Cancelled // never seen: `write_beside` reports the writer's error in its place
    }
}

impl Sink for HandOver {
    fn space(&mut self) -> &mut [u8] {
        &mut self.buffer.bytes[self.buffer.filled..]
    }

    fn advance(&mut self, count: usize) -> Result<(), Error> {
        self.buffer.filled += count;
        if self.buffer.filled == self.buffer.bytes.len() { self.flush() } else { Ok(()) }
    }
}

/// Does `work` here, and writes what it hands over on a thread beside it; a tar is taken for the image in it that matches
/// `pattern`. Returns what was written, and what the work returned.
pub(crate) fn write_beside<T>(
    format: &'static str,
    output: &SparseFile<'_>,
    pattern: &Pattern,
    work: impl FnOnce(&mut HandOver) -> Result<T, Error>,
) -> Result<(Unpacked, T), Error> {
    scope(|scope| {
        let (full, to_write) = sync_channel(BUFFERS);
        let (written, empty) = channel();
        for _ in 1..BUFFERS {
            let _ = written.send(Buffer::new()); // the receiver is here
        }
        let handed = Handed { full: to_write, empty: written, current: None, read: 0 };
        let thread = Builder::new()
            .name("image writer".to_owned())
            .spawn_scoped(scope, move || handed.write(format, output, pattern))
            .map_err(|source| Error::Thread { source })?;
        let mut sink = HandOver { buffer: Buffer::new(), full, empty, abandoned: false };
        let worked = work(&mut sink).and_then(|value| sink.flush().map(|()| value));
        let abandoned = sink.abandoned;
        drop(sink); // tells the writer that nothing more comes
        let written = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        match worked {
            Err(error) if !abandoned => Err(error),
            Err(_) => Err(written.err().unwrap_or(Error::Cancelled)),
            Ok(value) => Ok((written?, value)),
        }
    })
}

/// The writer's end of the hand-over.
struct Handed {
    full: Receiver<Buffer>,
    empty: Sender<Buffer>,
    /// The buffer that is being read, and how much of it was.
    current: Option<Buffer>,
    read: usize,
}

impl Handed {
    fn write(
        mut self,
        format: &'static str,
        output: &SparseFile<'_>,
        pattern: &Pattern,
    ) -> Result<Unpacked, Error> {
        self.current = self.full.recv().ok();
        let head = self.current.as_ref().and_then(|buffer| buffer.filled().get(..HEAD));
        if head.is_some_and(|head| detect(head).name() == crate::tar::NAME) {
            return crate::tar::unpack(&mut self, format, pattern, output);
        }
        let mut writer = Writer::new(format, output, 0);
        while let Some(buffer) = self.current.take() {
            writer.write(buffer.filled())?;
            output.has_arrived(writer.at());
            self.next(buffer);
        }
        Ok(Unpacked::new(format, writer.at()))
    }

    fn next(&mut self, done: Buffer) {
        let _ = self.empty.send(done); // a decoder that is done wants no more buffers
        self.current = self.full.recv().ok();
        self.read = 0;
    }
}

impl Read for Handed {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let Some(buffer) = self.current.take() else { return Ok(0) };
        let left = &buffer.filled()[self.read..];
        let count = left.len().min(target.len());
        target[..count].copy_from_slice(&left[..count]);
        self.read += count;
        if self.read == buffer.filled {
            self.next(buffer);
        } else {
            self.current = Some(buffer);
        }
        Ok(count)
    }
}
