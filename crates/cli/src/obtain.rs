//! From a source to a raw image in a file.

mod networked;

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use arm_image_decompress::{Unpacked, Unpacker};
use arm_image_fetch::{Cache, Checksum, Digest, Fetcher, Hashing, HttpFetcher, LocalFetcher, Source};

use arm_image_presets::Obstacle;

use crate::{Error, Event, OnEvent, Stage, build::tell, plan::Origin, size::humane, sweep::Scratch};
use networked::Making;

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
        None => with_cache(origin, scratch, |cache| {
            Making { origin, expected: expected.as_ref(), cache: &cache, output }.obtain(on)
        }),
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

/// Copies a raw image, by reflink where the file system can; `path` names it in errors.
fn copy(unpacker: &Unpacker, from: &File, to: &File, path: &Path, on: OnEvent<'_>) -> Result<(), Error> {
    unpacker
        .unpack(from, to, &mut |done, total| on(Event::Bytes(done, total)))
        .map(|_| ())
        .map_err(|cause| Error::Unpack { path: path.into(), cause })
}
