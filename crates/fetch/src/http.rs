//! The fetcher for everything: `http`, `https` and files.

use std::io::Write;
use std::path::PathBuf;

use reqwest::Url;

use crate::cache::{Cache, Entry, Key};
use crate::digest::Digest;
use crate::download::{Answer, Manner, Request, download};
use crate::flow::Flow;
use crate::source::shown;
use crate::{Checksum, Error, Fetcher, Source, Tick, local};

/// Downloads over `http` and `https` into a [`Cache`]; files of this machine it verifies where they are.
///
/// A file with a known digest is downloaded once, from whichever URL. A file without is downloaded again unless the
/// server says that it has not changed. Whoever asks for a file that another process is downloading waits for that.
///
/// Proxies are taken from the environment, redirects are followed, and a server that sends nothing for half a minute is
/// given up.
///
/// # Panics
///
/// [`fetch`](Fetcher::fetch) blocks, and panics when called from an asynchronous task of Tokio.
#[derive(Debug)]
pub struct HttpFetcher {
    cache: Cache,
    offline: bool,
    manner: Manner,
}

impl HttpFetcher {
    /// A fetcher that keeps its downloads in `cache`.
    #[must_use]
    pub fn new(cache: Cache) -> Self {
        Self { cache, offline: false, manner: Manner::default() }
    }

    /// Whether to do without the network: what is not in the cache is [`Error::Offline`], what is there is not checked
    /// for changes.
    #[must_use]
    pub fn offline(self, offline: bool) -> Self {
        Self { offline, ..self }
    }

    fn get(
        &self,
        url: &Url,
        what: What<'_>,
        tee: Option<&mut dyn Write>,
        tick: Tick<'_>,
    ) -> Result<PathBuf, Error> {
        let expected = what.digest();
        let entry = self.cache.lock(&Key::new(url, expected), tick)?;
        let held = entry.held(expected, tick)?;
        if let Some(held) = &held
            && (expected.is_some() || self.offline || held.is_fresh)
        {
            return replay(entry, tee, tick);
        }
        if self.offline {
            return Err(Error::Offline { url: shown(url) });
        }

        let known = held.map(|held| held.validators).unwrap_or_default();
        let request = Request { url, known: &known, is_list: matches!(what, What::List) };
        let mut partial = entry.partial()?;
        let mut flow = Flow::new(expected.map(Digest::algorithm), tee, tick);
        match download(self.manner, &request, partial.target(), &mut flow)? {
            Answer::Complete(validators) => {
                flow.finish(expected, shown(url))?;
                partial.commit(shown(url), validators)?;
                Ok(entry.path().to_owned())
            }
            Answer::Unchanged => {
                drop(partial);
                let (tee, tick) = flow.into_parts();
                replay(entry, tee, tick)
            }
        }
    }
}

/// Gives the bytes of a sound entry to `tee`, and lets others at the entry meanwhile: nobody changes a file under its
/// final name, they only put another in its place.
fn replay(entry: Entry, tee: Option<&mut dyn Write>, tick: Tick<'_>) -> Result<PathBuf, Error> {
    let path = entry.path().to_owned();
    drop(entry);
    local::verify(&path, None, tee, tick)
}

/// What is fetched, which decides how it is judged.
#[derive(Clone, Copy)]
enum What<'a> {
    Image(Option<&'a Digest>),
    List,
}

impl<'a> What<'a> {
    fn digest(self) -> Option<&'a Digest> {
        match self {
            Self::Image(digest) => digest,
            Self::List => None,
        }
    }
}

impl Fetcher for HttpFetcher {
    fn fetch(
        &self,
        source: &Source,
        checksum: &Checksum,
        tee: Option<&mut dyn Write>,
        tick: Tick<'_>,
    ) -> Result<PathBuf, Error> {
        let expected = local::expected(source, checksum, |list| match list {
            Source::Path(path) => Ok(path.clone()),
            // The size of a list is not progress; only the wish to stop counts.
            Source::Url(url) => self.get(url, What::List, None, &mut |_, _| tick(0, None)),
        })?;
        match source {
            Source::Path(path) => local::verify(path, expected.as_ref(), tee, tick),
            Source::Url(url) => self.get(url, What::Image(expected.as_ref()), tee, tick),
        }
    }
}

#[cfg(test)]
mod tests;
