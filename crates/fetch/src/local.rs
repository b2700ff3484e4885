//! Files of this machine.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::flow::Flow;
use crate::list::{self, LIST_LIMIT};
use crate::{Checksum, Error, Fetcher, Source, Tick};

/// Verifies files where they are, and returns their own path: nothing is copied.
///
/// The checksum list has to be a file too, and is believed as it is: [`HttpFetcher`](crate::HttpFetcher) takes files too,
/// and can ask for signed lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFetcher;

impl Fetcher for LocalFetcher {
    fn fetch(
        &self,
        source: &Source,
        checksum: &Checksum,
        tee: Option<&mut dyn Write>,
        tick: Tick<'_>,
    ) -> Result<PathBuf, Error> {
        let path = path_of(source)?;
        let expected = match checksum {
            Checksum::None => None,
            Checksum::Digest(digest) => Some(digest.clone()),
            Checksum::List(list) => {
                let entries = list::parse(&read_list(path_of(list)?, list)?);
                Some(list::choose_any(&entries, list, std::slice::from_ref(source))?)
            }
        };
        let mut flow = Flow::new(expected.as_ref().map(Digest::algorithm), tee, tick);
        pass(path, expected.as_ref(), &mut flow)?;
        flow.check_tee(path.display())?;
        Ok(path.to_owned())
    }
}

fn path_of(source: &Source) -> Result<&Path, Error> {
    match source {
        Source::Path(path) => Ok(path),
        Source::Url(_) => Err(Error::Remote { url: source.to_string() }),
    }
}

/// Compares the bytes at `path` with `expected`; without, only looks whether they are there.
pub(crate) fn verify(path: &Path, expected: Option<&Digest>, tick: Tick<'_>) -> Result<(), Error> {
    pass(path, expected, &mut Flow::new(expected.map(Digest::algorithm), None, tick))
}

/// Pushes all of `path` through `flow`, from its first byte on, if anybody cares, and compares what passed.
pub(crate) fn pass(path: &Path, expected: Option<&Digest>, flow: &mut Flow<'_>) -> Result<(), Error> {
    let file = open(path)?;
    flow.restart();
    if flow.is_watched() {
        // A device or a pipe has no length to tell.
        flow.expect(file.metadata().ok().filter(|about| about.is_file()).map(|about| about.len()));
        flow.push_file(&file, path)?;
    }
    flow.finish(expected, path.display())
}

fn open(path: &Path) -> Result<File, Error> {
    let open = || {
        let file = File::open(path)?;
        // The kernel opens folders too, and complains only on the first read.
        if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
    };
    open().map_err(|source| Error::Open { path: path.to_owned(), source })
}

/// Reads the list `list`, which is at `path`.
pub(crate) fn read_list(path: &Path, list: &Source) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(LIST_LIMIT + 1).read_to_end(&mut bytes);
    match read.map_err(|source| Error::Read { path: path.to_owned(), source })? {
        length if length as u64 > LIST_LIMIT => {
            Err(Error::ListTooLarge { list: list.to_string(), limit: LIST_LIMIT })
        }
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
