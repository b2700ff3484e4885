//! An image from the network, over the same bytes at once: fetched, hashed and unpacked as they arrive, and kept in the cache.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter},
    ops::ControlFlow,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use arm_image_decompress::{Unpacked, Unpacker};
use arm_image_fetch::{Cache, Checksum, Digest, Fetched, HttpFetcher, Key, Unpacking};

use super::{copy, fetcher, not_unpacked, tell_of, unpack_file, verify};
use crate::{Error, Event, OnEvent, Stage, build::tell, plan::Origin};

/// How often a wait lets the caller look up.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What is being made.
pub(super) struct Making<'a> {
    pub(super) origin: &'a Origin,
    /// What the unpacked image must hash to, where that is asked for.
    pub(super) expected: Option<&'a Digest>,
    pub(super) cache: &'a Cache,
    /// The empty file for the image.
    pub(super) output: &'a File,
}

impl Making<'_> {
    /// Takes the image out of the cache, or fetches and unpacks it.
    pub(super) fn obtain(&self, on: OnEvent<'_>) -> Result<(), Error> {
        let fetcher = fetcher(self.origin, self.cache.clone())?;
        let digest =
            fetcher.digest(&self.origin.sources, &self.origin.checksum, &mut |_, _| on(Event::Waiting))?;
        if let Some(digest) = digest.as_ref().filter(|_| self.is_shared())
            && let Some(kept) = self.cache.unpacked(&Key::of(digest))
        {
            return self.reuse(&kept, on);
        }
        let checksum = digest.map_or(Checksum::None, Checksum::Digest);
        let (fetched, unpacked) = self.fetch_and_unpack(&fetcher, &checksum, on)?;
        let made = self.take(&fetched, unpacked, on);
        if let (Err(error), Some(key)) = (&made, &fetched.key)
            && checksum == Checksum::None
            && error.exit_code() != 1
            && !error.is_cancelled()
        {
            // No digest has vouched for these bytes: the server's word that they are unchanged is not to bring them again.
            self.cache.forget(key)?;
        }
        made
    }

    /// Whether the unpacked image comes from the cache and stays there. Which member was chosen is nothing that the cache
    /// knows an image by.
    fn is_shared(&self) -> bool {
        self.origin.cache.is_some() && self.origin.unpacker.member.is_none()
    }

    /// Makes an image of what was fetched, unless one is there already, verifies it, and keeps it.
    fn take(&self, fetched: &Fetched, unpacked: Option<Unpacked>, on: OnEvent<'_>) -> Result<(), Error> {
        let key = fetched.key.as_ref().filter(|_| self.is_shared());
        let mut place = None;
        if let Some(key) = key {
            // Whoever unpacks the same now is waited for.
            match self.cache.unpacking(key, fetched.file(), &mut |_, _| on(Event::Waiting)) {
                Ok(made) => place = Some(made),
                Err(error) => not_kept(error.into(), on)?,
            }
        }
        let kept = key.and_then(|key| self.cache.unpacked(key));
        let unpacked = match (unpacked, &kept) {
            (None, Some(kept)) => return self.reuse(kept, on),
            (None, None) => {
                let name = fetched.source.to_string();
                unpack_file(&self.origin.unpacker, &fetched.path, &name, self.output, on)?
            }
            (Some(unpacked), _) => unpacked,
        };
        tell_of(&unpacked, on)?;
        verify(self.origin, self.expected, self.output, on)?;
        match place {
            // A raw image is in the cache as it is.
            Some(place) if kept.is_none() && unpacked.format != "raw" => keep(place, self.output, on),
            _ => Ok(()),
        }
    }

    /// Takes the `image` that an earlier build left in the cache.
    fn reuse(&self, image: &File, on: OnEvent<'_>) -> Result<(), Error> {
        tell(on, Event::Stage(Stage::Unpack, "copying the image, unpacked earlier, from the cache"))?;
        copy(&self.origin.unpacker, image, self.output, Path::new(&self.origin.first()), on)?;
        verify(self.origin, self.expected, self.output, on)
    }

    /// Fetches into the cache, and unpacks into the output what comes from the network, while it comes. There is no `Unpacked`
    /// where nothing came, or where the format cannot be unpacked from a stream; damage shows again where the file is unpacked.
    fn fetch_and_unpack(
        &self,
        fetcher: &HttpFetcher,
        checksum: &Checksum,
        on: OnEvent<'_>,
    ) -> Result<(Fetched, Option<Unpacked>), Error> {
        let (reader, mut writer) = pipe()?;
        let given_up = AtomicBool::new(false);
        thread::scope(|scope| {
            let (result, unpacked) = mpsc::channel();
            let given_up = &given_up;
            scope.spawn(move || {
                let mut reader = reader;
                let mut tick = |_, _| match given_up.load(Ordering::Relaxed) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
                // Nobody waits for the result of what was given up.
                let _ = result.send(self.origin.unpacker.unpack_stream(&mut reader, self.output, &mut tick));
            });
            let mut hopeless = None;
            let tick: arm_image_fetch::Tick<'_> = &mut |done, total| match unpacked.try_recv() {
                Ok(Err(cause)) if is_hopeless(&cause) => {
                    hopeless = Some(cause);
                    ControlFlow::Break(())
                }
                _ => on(Event::Bytes(done, total)),
            };
            let fetched = fetcher.fetch_any(&self.origin.sources, checksum, Some(&mut writer), tick);
            if let Some(cause) = hopeless {
                return Err(not_unpacked(Path::new(&self.origin.first()), cause));
            }
            given_up.store(!fetched.as_ref().is_ok_and(|fetched| fetched.teed), Ordering::Relaxed);
            // The end of the pipe is the end of the archive.
            drop(writer);
            let fetched = fetched?;
            loop {
                match unpacked.recv_timeout(LOOK_UP) {
                    // What was not given the whole file may look like an image all the same.
                    Ok(unpacked) => {
                        let unpacked = unpacked.ok().filter(|_| fetched.teed);
                        return Ok((fetched, unpacked));
                    }
                    Err(RecvTimeoutError::Timeout) if on(Event::Waiting).is_break() => {
                        given_up.store(true, Ordering::Relaxed);
                        return Err(Error::Cancelled);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok((fetched, None)),
                }
            }
        })
    }
}

/// Gives the image in `output` its place in the cache, too.
fn keep(place: Unpacking, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    tell(on, Event::Stage(Stage::Unpack, "keeping the unpacked image in the cache"))?;
    let path = place.path().to_owned();
    let kept = copy(&Unpacker::default(), output, place.file(), &path, on);
    kept.and_then(|()| Ok(place.keep().map(drop)?)).or_else(|error| not_kept(error, on))
}

/// That the cache cannot take an image stops no build.
fn not_kept(error: Error, on: OnEvent<'_>) -> Result<(), Error> {
    if error.is_cancelled() {
        return Err(error);
    }
    let told = format!("the unpacked image is not kept in the cache: {}", crate::chain(&error));
    tell(on, Event::Warning(&told))
}

/// Whether what keeps an archive from being unpacked is seen at its beginning, and its end would not mend it: then the rest
/// need not be fetched.
fn is_hopeless(cause: &arm_image_decompress::Error) -> bool {
    use arm_image_decompress::Error;
    matches!(
        cause,
        Error::TooLarge { .. }
            | Error::Unsupported { .. }
            | Error::Nested { .. }
            | Error::Glob { .. }
            | Error::Write { .. }
    )
}

/// A pipe that holds a mebibyte, so that neither end waits for the other's every step.
fn pipe() -> Result<(PipeReader, PipeWriter), Error> {
    let failed = |cause| Error::File { operation: "make", path: "a pipe".into(), cause };
    let (reader, writer) = io::pipe().map_err(failed)?;
    // Where the user's pipes hold too much already, a small one does.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20);
    Ok((reader, writer))
}
