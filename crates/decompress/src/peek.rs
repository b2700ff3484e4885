//! The image in an archive, of which only what is read is unpacked.
//!
//! Who reads sits on a thread of its own and asks for bytes; the calling thread, where the tick is, unpacks as far as they are.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, scope};

use crate::xz::Layout;
use crate::{Decompressor, Error, Input, SparseFile, Tick, Unpacker, detect, input};

/// Reads the image in an archive. It is unpacked where it is read, as long as [`Unpacker::peek`] runs.
///
/// Each clone has a position of its own.
#[derive(Debug, Clone)]
pub struct ImageReader {
    image: Arc<File>,
    questions: Sender<Question>,
    size: u64,
    at: u64,
    /// Bytes that are known to be there.
    ready: Range<u64>,
}

#[derive(Debug)]
enum Question {
    /// The byte at this offset is wanted.
    Byte(u64, SyncSender<Answer>),
    /// Nobody will ask any more.
    Over,
}

#[derive(Debug)]
struct Answer {
    /// Of the image, in bytes.
    size: u64,
    /// The bytes that are there, around the wanted one.
    ready: Range<u64>,
}

fn ask(questions: &Sender<Question>, at: u64) -> io::Result<Answer> {
    let (answer, answered) = sync_channel(1);
    // Why nothing is unpacked any more is what `peek` returns.
    let gone = || io::Error::other("the image is not unpacked any further");
    questions.send(Question::Byte(at, answer)).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())
}

impl Read for ImageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.at >= self.size {
            return Ok(0);
        }
        if !self.ready.contains(&self.at) {
            self.ready = ask(&self.questions, self.at)?.ready;
        }
        let left = usize::try_from(self.ready.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let buffer = &mut buffer[..count];
        let read = match self.image.read_at(buffer, self.at)? {
            // A hole at the end of a file that has not got its size yet.
            0 => {
                buffer.fill(0);
                count
            }
            read => read,
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for ImageReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Says that it is over, also where the work panics.
struct OverAtLast(Sender<Question>);

impl Drop for OverAtLast {
    fn drop(&mut self) {
        let _ = self.0.send(Question::Over); // who is not there any more need not hear it
    }
}

pub(crate) fn peek<T: Send>(
    options: &Unpacker,
    archive: &File,
    scratch: &File,
    tick: Tick<'_>,
    work: impl FnOnce(ImageReader) -> T + Send,
) -> Result<T, Error> {
    let has_offsets = input::has_offsets(archive, scratch)?;
    let input = if has_offsets { Input::File(archive) } else { Input::Stream(&mut &*archive) };
    let head = input::head(&mut input.reader())?;
    if head.is_empty() {
        return Err(Error::Empty);
    }
    let format = detect(&head);
    if !has_offsets {
        return Err(Error::NeedsFile { format: format.name() });
    }
    let is_raw = format.name() == "raw";
    let image = if is_raw { archive } else { scratch };
    let image = Arc::new(image.try_clone().map_err(|source| Error::Read { at: 0, source })?);
    let (questions, asked) = channel();
    scope(|scope| {
        let look = move || {
            let over = OverAtLast(questions.clone());
            let first = ask(&questions, 0).ok()?;
            let reader = ImageReader { image, questions, size: first.size, at: 0, ready: first.ready };
            let done = work(reader);
            drop(over);
            Some(done)
        };
        let thread = Builder::new()
            .name("image reader".to_owned())
            .spawn_scoped(scope, look)
            .map_err(|source| Error::Thread { source })?;
        let mut server = Server { options, archive, asked, waiting: None };
        let served =
            if is_raw { server.in_place() } else { server.unpack(format, SparseFile::new(scratch), tick) };
        drop(server); // whoever still waits for an answer gets none
        let done = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        // Without an answer to the first question there is an error, too.
        served.and_then(|()| done.ok_or(Error::Cancelled))
    })
}

/// Answers the questions in turn.
struct Server<'a> {
    options: &'a Unpacker,
    archive: &'a File,
    asked: Receiver<Question>,
    /// The question that has no answer yet.
    waiting: Option<(u64, SyncSender<Answer>)>,
}

impl Server<'_> {
    /// The byte that is wanted; none when nothing will be any more.
    fn wanted(&mut self) -> Option<u64> {
        if self.waiting.is_none() {
            self.waiting = match self.asked.recv() {
                Ok(Question::Byte(at, answer)) => Some((at, answer)),
                Ok(Question::Over) | Err(_) => None,
            };
        }
        self.waiting.as_ref().map(|(at, _)| *at)
    }

    fn answer(&mut self, size: u64, ready: Range<u64>) {
        if let Some((_, answer)) = self.waiting.take() {
            let _ = answer.send(Answer { size, ready }); // who has gone away wants none
        }
    }

    /// Answers everything from an image that is all there.
    fn answer_all(&mut self, size: u64) {
        while self.wanted().is_some() {
            self.answer(size, 0..size);
        }
    }

    fn in_place(&mut self) -> Result<(), Error> {
        let size = Input::File(self.archive).size()?.unwrap_or_default();
        match self.options.max_size {
            Some(limit) if size > limit => return Err(Error::TooLarge { limit }),
            _ => self.answer_all(size),
        }
        Ok(())
    }

    fn unpack(
        &mut self,
        format: &dyn Decompressor,
        output: Result<SparseFile<'_>, Error>,
        tick: Tick<'_>,
    ) -> Result<(), Error> {
        let output = output?.limited(self.options.max_size.unwrap_or(u64::MAX));
        let total = Input::File(self.archive).size()?.unwrap_or_default();
        // Nothing but an xz file from its start to its end has such a layout.
        if let Some(layout) = Layout::of(self.archive, total).filter(|layout| layout.count() > 1) {
            match self.by_parts(&layout, total, &output, &mut *tick) {
                // The way below takes the image out of it. It is seen before anything is answered.
                Err(Error::Nested { found: crate::tar::NAME, .. }) => output.empty()?,
                result => return result,
            }
        }
        self.in_order(format, output, tick)
    }

    /// Decodes the parts of an xz file that have the bytes that are wanted.
    fn by_parts(
        &mut self,
        layout: &Layout,
        total: u64,
        output: &SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<(), Error> {
        output.room_for(layout.size())?;
        let mut decoded = vec![false; layout.count()];
        let mut done = 0;
        let mut add = |more| {
            done += more;
            if tick(done, Some(total)).is_break() { Err(Error::Cancelled) } else { Ok(()) }
        };
        while let Some(at) = self.wanted() {
            let found = layout.part_with(at);
            let (number, range) = found.ok_or(Error::NothingInside { format: "xz" })?;
            if !std::mem::replace(&mut decoded[number], true) {
                layout.unpack_part(number, self.archive, output, &mut add)?;
            }
            self.answer(layout.size(), range);
        }
        Ok(())
    }

    /// Unpacks from the start on, and holds where nothing more is wanted for now.
    fn in_order(
        &mut self,
        format: &dyn Decompressor,
        output: SparseFile<'_>,
        tick: Tick<'_>,
    ) -> Result<(), Error> {
        // One that is too large is not told: unpacking fails in its own words, or finds a smaller image in a tar.
        let told = format.told_size(self.options, self.archive);
        let told = told.filter(|size| output.room_for(*size).is_ok());
        let mut is_over = false;
        let unpacked = format.unpack(self.options, Input::File(self.archive), &output, &mut |done, total| {
            while let Some(at) = self.wanted() {
                // Nothing arrives of a tar, whose own size is the one that was told.
                let (Some(size), arrived) = (told, output.arrived()) else { return tick(done, total) };
                if at >= arrived.min(size) {
                    return tick(done, total);
                }
                self.answer(size, 0..arrived.min(size));
            }
            is_over = true;
            ControlFlow::Break(())
        });
        if is_over {
            return Ok(());
        }
        let unpacked = unpacked?;
        if unpacked.size == 0 {
            return Err(Error::NothingInside { format: unpacked.format });
        }
        output.finish(unpacked.size)?;
        self.answer_all(unpacked.size);
        Ok(())
    }
}
