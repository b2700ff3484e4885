//! From a source to a raw image in a file.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Write},
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use arm_image_decompress::{Unpacked, Unpacker};
use arm_image_fetch::{
    Cache, Checksum, Digest, Fetched, Fetcher, Hashing, HttpFetcher, Key, LocalFetcher, Source, Unpacking,
};

use arm_image_presets::Obstacle;

use crate::{Error, Event, OnEvent, Stage, build::tell, plan::Origin, size::humane, sweep::Scratch};

/// How often a wait lets the caller look up.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Gets and verifies the first of the origin's sources that can be had, and tells where it is: in the cache, or where it
/// always was.
///
/// # Errors
///
/// Where it cannot be had, or is not what its checksum says.
pub fn fetch(origin: &Origin, scratch: &Path, on: OnEvent<'_>) -> Result<PathBuf, Error> {
    tell(on, Event::Stage(Stage::Fetch, &format!("getting {}", origin.first())))?;
    if let Some(path) = local(origin, on)? {
        return Ok(path);
    }
    with_cache(origin, scratch, |cache| {
        let tick: arm_image_fetch::Tick<'_> = &mut |done, total| on(Event::Bytes(done, total));
        Ok(fetcher(origin, cache)?.fetch_any(&origin.sources, &origin.checksum, None, tick)?.path)
    })
}

/// Unpacks the archive at `path`, or copies the raw image there, to `output`, leaving runs of zeros as holes; `unpacker` says
/// which member of an archive, and how much at most.
///
/// # Errors
///
/// Where the archive is damaged or of a kind that cannot be unpacked, or the output cannot be written.
pub fn unpack(unpacker: &Unpacker, path: &Path, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    tell_of(&unpack_file(unpacker, path, &path.display().to_string(), output, on)?, on)
}

/// As [`unpack`], for an archive that the user knows by another `name` than that of the file in the cache.
fn unpack_file(
    unpacker: &Unpacker,
    path: &Path,
    name: &str,
    output: &File,
    on: OnEvent<'_>,
) -> Result<Unpacked, Error> {
    tell(on, Event::Stage(Stage::Unpack, &format!("unpacking {name}")))?;
    let input = crate::open(path)?;
    unpacker
        .unpack(&input, output, &mut |done, total| on(Event::Bytes(done, total)))
        .map_err(|cause| not_unpacked(Path::new(name), cause))
}

/// Why nothing came out of `path`: perhaps what it holds is no image at all.
fn not_unpacked(path: &Path, cause: arm_image_decompress::Error) -> Error {
    let obstacle = match &cause {
        arm_image_decompress::Error::Choice { members, .. } => {
            Obstacle::of_members(members.iter().map(String::as_str))
        }
        _ => None,
    };
    match obstacle {
        Some(cause) => Error::Obstacle { path: path.into(), cause },
        None => Error::Unpack { path: path.into(), cause },
    }
}

fn tell_of(unpacked: &Unpacked, on: OnEvent<'_>) -> Result<(), Error> {
    let member = unpacked.member.as_ref().map_or_else(String::new, |name| format!(", member {name}"));
    tell(on, Event::Note(&format!("{} image of {}{member}", unpacked.format, humane(unpacked.size))))?;
    match &unpacked.note {
        Some(note) => tell(on, Event::Warning(note)),
        None => Ok(()),
    }
}

/// Fetches, verifies and unpacks into the empty file `output`, all of it over the same bytes at once where they come from
/// a network. The cache, where there is one, keeps both the archive and the image.
pub(crate) fn obtain(origin: &Origin, scratch: &Path, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    tell(on, Event::Stage(Stage::Fetch, &format!("getting {}", origin.first())))?;
    // A list that is not to be had is told of before gigabytes are.
    let expected = expected_image(origin, scratch, on)?;
    match local(origin, on)? {
        Some(path) => {
            unpack(&origin.unpacker, &path, output, on)?;
            verify(origin, expected.as_ref(), output, on)
        }
        None => with_cache(origin, scratch, |cache| download(origin, expected.as_ref(), cache, output, on)),
    }
}

/// What the unpacked image must hash to, where that is asked for.
fn expected_image(origin: &Origin, scratch: &Path, on: OnEvent<'_>) -> Result<Option<Digest>, Error> {
    match &origin.image_checksum {
        Checksum::None => Ok(None),
        Checksum::Digest(digest) => Ok(Some(digest.clone())),
        list @ Checksum::List(_) => with_cache(origin, scratch, |cache| {
            let names = origin.image_names();
            Ok(fetcher(origin, cache)?.digest(&names, list, &mut |_, _| on(Event::Waiting))?)
        }),
    }
}

/// Checks the unpacked image, where that is asked for.
fn verify(origin: &Origin, expected: Option<&Digest>, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    let Some(expected) = expected else { return Ok(()) };
    tell(on, Event::Stage(Stage::Verify, "verifying the unpacked image"))?;
    let failed = |cause| Error::File { operation: "read", path: "the unpacked image".into(), cause };
    let total = output.metadata().map_err(failed)?.len();
    let mut hashing = Hashing::new(expected.algorithm(), io::sink());
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    while at < total {
        let count = output.read_at(&mut buffer, at).map_err(failed)?;
        if count == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        hashing.write_all(&buffer[..count]).map_err(failed)?;
        at += count as u64;
        tell(on, Event::Bytes(at, Some(total)))?;
    }
    let (_, got) = hashing.finish();
    if got == *expected {
        return Ok(());
    }
    let expected = expected.clone();
    Err(arm_image_fetch::Error::Mismatch { of: format!("the image in {}", origin.first()), got, expected }
        .into())
}

/// Runs `work` with the origin's cache, or with one that is gone afterwards.
fn with_cache<T>(
    origin: &Origin,
    scratch: &Path,
    work: impl FnOnce(Cache) -> Result<T, Error>,
) -> Result<T, Error> {
    let temporary = origin.cache.is_none().then(|| Scratch::make(scratch)).transpose()?;
    let folder = origin.cache.as_deref().or(temporary.as_ref().map(Scratch::path)).unwrap_or(scratch);
    work(match origin.owner {
        Some((user, group)) => Cache::open_owned(folder, user, group)?,
        None => Cache::open(folder)?,
    })
}

/// The source itself where nothing of the origin comes from a network: then there is nothing to be kept in a cache.
fn local(origin: &Origin, on: OnEvent<'_>) -> Result<Option<PathBuf>, Error> {
    let of_network = matches!(origin.checksum, Checksum::List(Source::Url(_)));
    match &origin.sources[..] {
        [source @ Source::Path(_)] if !of_network && origin.keyring.is_none() => {
            let tick: arm_image_fetch::Tick<'_> = &mut |done, total| on(Event::Bytes(done, total));
            Ok(Some(LocalFetcher.fetch(source, &origin.checksum, None, tick)?))
        }
        _ => Ok(None),
    }
}

fn fetcher(origin: &Origin, cache: Cache) -> Result<HttpFetcher, Error> {
    let fetcher = HttpFetcher::new(cache).offline(origin.offline);
    Ok(match &origin.keyring {
        Some(keyring) => fetcher.keyring(keyring)?,
        None => fetcher,
    })
}

fn download(
    origin: &Origin,
    image: Option<&Digest>,
    cache: Cache,
    output: &File,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let fetcher = fetcher(origin, cache.clone())?;
    let expected = fetcher.digest(&origin.sources, &origin.checksum, &mut |_, _| on(Event::Waiting))?;
    // Which member was chosen is nothing that the cache knows an image by.
    let shared = origin.cache.is_some() && origin.unpacker.member.is_none();
    if let Some(digest) = expected.as_ref().filter(|_| shared)
        && let Some(kept) = cache.unpacked(&Key::of(digest))
    {
        reuse(origin, &kept, output, on)?;
        return verify(origin, image, output, on);
    }
    let checksum = expected.map_or(Checksum::None, Checksum::Digest);
    let (fetched, unpacked) = fetch_and_unpack(origin, &fetcher, &checksum, output, on)?;
    let made = take(origin, image, &cache, &fetched, unpacked, shared, output, on);
    if let (Err(error), Some(key)) = (&made, &fetched.key)
        && checksum == Checksum::None
        && error.exit_code() != 1
        && !error.is_cancelled()
    {
        // No digest has vouched for these bytes: the server's word that they are unchanged is not to bring them again.
        cache.forget(key)?;
    }
    made
}

/// Makes an image of what was fetched, unless one is there already, verifies it, and keeps it.
#[expect(clippy::too_many_arguments, reason = "the second half of one function")]
fn take(
    origin: &Origin,
    image: Option<&Digest>,
    cache: &Cache,
    fetched: &Fetched,
    unpacked: Option<Unpacked>,
    shared: bool,
    output: &File,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let key = fetched.key.as_ref().filter(|_| shared);
    let mut place = None;
    if let Some(key) = key {
        // Whoever unpacks the same now is waited for.
        match cache.unpacking(key, fetched.file(), &mut |_, _| on(Event::Waiting)) {
            Ok(made) => place = Some(made),
            Err(error) => not_kept(error.into(), on)?,
        }
    }
    let kept = key.and_then(|key| cache.unpacked(key));
    let unpacked = match (unpacked, &kept) {
        (None, Some(kept)) => {
            reuse(origin, kept, output, on)?;
            return verify(origin, image, output, on);
        }
        (None, None) => {
            unpack_file(&origin.unpacker, &fetched.path, &fetched.source.to_string(), output, on)?
        }
        (Some(unpacked), _) => unpacked,
    };
    tell_of(&unpacked, on)?;
    verify(origin, image, output, on)?;
    match place {
        // A raw image is in the cache as it is.
        Some(place) if kept.is_none() && unpacked.format != "raw" => keep(place, output, on),
        _ => Ok(()),
    }
}

/// Takes the `image` that an earlier build left in the cache.
fn reuse(origin: &Origin, image: &File, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    tell(on, Event::Stage(Stage::Unpack, "copying the image, unpacked earlier, from the cache"))?;
    copy(&origin.unpacker, image, output, Path::new(&origin.first()), on)
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

/// Copies a raw image, by reflink where the file system can; `path` names it in errors.
pub(crate) fn copy(
    unpacker: &Unpacker,
    from: &File,
    to: &File,
    path: &Path,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    unpacker
        .unpack(from, to, &mut |done, total| on(Event::Bytes(done, total)))
        .map(|_| ())
        .map_err(|cause| Error::Unpack { path: path.into(), cause })
}

/// Fetches into the cache, and unpacks into `output` what comes from the network, while it comes. There is no `Unpacked`
/// where nothing came, or where the format cannot be unpacked from a stream; damage shows again where the file is unpacked.
fn fetch_and_unpack(
    origin: &Origin,
    fetcher: &HttpFetcher,
    checksum: &Checksum,
    output: &File,
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
            let _ = result.send(origin.unpacker.unpack_stream(&mut reader, output, &mut tick));
        });
        let mut hopeless = None;
        let tick: arm_image_fetch::Tick<'_> = &mut |done, total| match unpacked.try_recv() {
            Ok(Err(cause)) if is_hopeless(&cause) => {
                hopeless = Some(cause);
                ControlFlow::Break(())
            }
            _ => on(Event::Bytes(done, total)),
        };
        let fetched = fetcher.fetch_any(&origin.sources, checksum, Some(&mut writer), tick);
        if let Some(cause) = hopeless {
            return Err(not_unpacked(Path::new(&origin.first()), cause));
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
