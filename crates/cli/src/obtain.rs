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
    Cache, Checksum, Fetched, Fetcher, Hashing, HttpFetcher, Key, LocalFetcher, Source, Unpacking,
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
    tell_of(&unpack_file(unpacker, path, output, on)?, on)
}

fn unpack_file(unpacker: &Unpacker, path: &Path, output: &File, on: OnEvent<'_>) -> Result<Unpacked, Error> {
    tell(on, Event::Stage(Stage::Unpack, &format!("unpacking {}", path.display())))?;
    let input = crate::open(path)?;
    unpacker
        .unpack(&input, output, &mut |done, total| on(Event::Bytes(done, total)))
        .map_err(|cause| not_unpacked(path, cause))
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
    match local(origin, on)? {
        Some(path) => unpack(&origin.unpacker, &path, output, on)?,
        None => with_cache(origin, scratch, |cache| download(origin, cache, output, on))?,
    }
    verify(origin, scratch, output, on)
}

/// Checks the unpacked image, where that is asked for.
fn verify(origin: &Origin, scratch: &Path, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    let expected = match &origin.image_checksum {
        Checksum::None => return Ok(()),
        Checksum::Digest(digest) => digest.clone(),
        list @ Checksum::List(_) => {
            let names = origin.image_names();
            let found = with_cache(origin, scratch, |cache| {
                Ok(fetcher(origin, cache)?.digest(&names, list, &mut |_, _| on(Event::Waiting))?)
            })?;
            let Some(digest) = found else { return Ok(()) };
            digest
        }
    };
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
    if got == expected {
        return Ok(());
    }
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

fn download(origin: &Origin, cache: Cache, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    let fetcher = fetcher(origin, cache.clone())?;
    let expected = fetcher.digest(&origin.sources, &origin.checksum, &mut |_, _| on(Event::Waiting))?;
    // Which member was chosen is nothing that the cache knows an image by.
    let shared = origin.cache.is_some() && origin.unpacker.member.is_none();
    if let Some(digest) = expected.as_ref().filter(|_| shared)
        && let Some(image) = cache.unpacked(&Key::of(digest))
    {
        return reuse(&origin.unpacker, &image, output, on);
    }
    let checksum = expected.map_or(Checksum::None, Checksum::Digest);
    let (fetched, unpacked) = fetch_and_unpack(origin, &fetcher, &checksum, output, on)?;
    let key = fetched.key.as_ref().filter(|_| shared);
    // Whoever unpacks the same now is waited for.
    let place = key.map(|key| cache.unpacking(key, &mut |_, _| on(Event::Waiting))).transpose()?;
    let kept = key.and_then(|key| cache.unpacked(key));
    let unpacked = match (unpacked, &kept) {
        (None, Some(image)) => return reuse(&origin.unpacker, image, output, on),
        (None, None) => unpack_file(&origin.unpacker, &fetched.path, output, on)?,
        (Some(unpacked), _) => unpacked,
    };
    tell_of(&unpacked, on)?;
    match place {
        // A raw image is in the cache as it is.
        Some(place) if kept.is_none() && unpacked.format != "raw" => keep(place, output, on),
        _ => Ok(()),
    }
}

/// Takes the `image` that an earlier build left in the cache.
fn reuse(unpacker: &Unpacker, image: &File, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    tell(on, Event::Stage(Stage::Unpack, "copying the image, unpacked earlier, from the cache"))?;
    copy(unpacker, image, output, Path::new("the unpacked image in the cache"), on)
}

/// Gives the image in `output` its place in the cache, too. That the cache cannot take it stops no build.
fn keep(place: Unpacking, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    tell(on, Event::Stage(Stage::Unpack, "keeping the unpacked image in the cache"))?;
    let path = place.path().to_owned();
    let kept = copy(&Unpacker::default(), output, place.file(), &path, on);
    match kept.and_then(|()| Ok(place.keep().map(drop)?)) {
        Err(error) if !error.is_cancelled() => {
            let told = format!("the unpacked image is not kept in the cache: {}", crate::chain(&error));
            tell(on, Event::Warning(&told))
        }
        other => other,
    }
}

/// Copies a raw image, by reflink where the file system can; `path` names it in errors.
fn copy(unpacker: &Unpacker, from: &File, to: &File, path: &Path, on: OnEvent<'_>) -> Result<(), Error> {
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
        let tick: arm_image_fetch::Tick<'_> = &mut |done, total| on(Event::Bytes(done, total));
        let fetched = fetcher.fetch_any(&origin.sources, checksum, Some(&mut writer), tick);
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

/// A pipe that holds a mebibyte, so that neither end waits for the other's every step.
fn pipe() -> Result<(PipeReader, PipeWriter), Error> {
    let failed = |cause| Error::File { operation: "make", path: "a pipe".into(), cause };
    let (reader, writer) = io::pipe().map_err(failed)?;
    // Where the user's pipes hold too much already, a small one does.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20);
    Ok((reader, writer))
}
