//! The fetcher for everything: `http`, `https` and files.

use std::fs::File;
use std::io::Write;
#[cfg(feature = "signatures")]
use std::path::Path;
use std::path::PathBuf;

use crate::cache::{Cache, Key};
use crate::digest::Digest;
use crate::download::Manner;
use crate::flow::Flow;
#[cfg(feature = "signatures")]
use crate::signature::Keyring;
use crate::{Checksum, Error, Fetcher, Source, Tick, local};

use get::What;

mod get;
mod lists;

/// Downloads over `http` and `https` into a [`Cache`]; files of this machine it verifies where they are.
///
/// A file with a known digest is downloaded once, from whichever URL. A file without is downloaded again unless the
/// server says that it has not changed. Whoever asks for a file that another process is downloading waits for that.
///
/// Proxies are taken from the environment, redirects are followed. A connection that fails, breaks off or brings nothing
/// for half a minute, and a server that is in trouble (5xx) or too busy (429), are tried again a few times, a little later
/// each time; what is here already is not asked for again, in a later run neither, if a digest can judge the whole or the
/// server vouches for the rest by a strong ETag. A whole put together from parts that is not right is fetched afresh, once.
///
/// # Panics
///
/// [`fetch`](Fetcher::fetch) blocks, and panics when called from an asynchronous task of Tokio.
#[derive(Debug)]
pub struct HttpFetcher {
    cache: Cache,
    offline: bool,
    manner: Manner,
    #[cfg(feature = "signatures")]
    keyring: Option<Keyring>,
}

impl HttpFetcher {
    /// A fetcher that keeps its downloads in `cache`.
    #[must_use]
    pub fn new(cache: Cache) -> Self {
        Self {
            cache,
            offline: false,
            manner: Manner::default(),
            #[cfg(feature = "signatures")]
            keyring: None,
        }
    }

    /// Whether to take checksum lists only if they are signed with OpenPGP, by a key in the file `keyring`.
    ///
    /// The file holds public keys, binary or armoured, as `gpg --export` writes them. A list is clear-signed, or there is
    /// a detached signature beside it, with `.gpg`, `.asc`, `.sig` or `.sign` behind its name. Signatures with MD5, SHA-1
    /// or RIPEMD-160 do not count, nor those of revoked keys or from after a key's expiry. A digest that is given
    /// directly needs no signature.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] or [`Error::NoKey`]; an unsigned list is [`Error::Unsigned`] later, a wrong signature
    /// [`Error::Signature`].
    #[cfg(feature = "signatures")]
    pub fn keyring(self, keyring: &Path) -> Result<Self, Error> {
        Ok(Self { keyring: Some(Keyring::read(keyring)?), ..self })
    }

    /// Whether to do without the network: what is not in the cache is [`Error::Offline`], what is there is not checked
    /// for changes.
    #[must_use]
    pub fn offline(self, offline: bool) -> Self {
        Self { offline, ..self }
    }

    /// Gets one file; [`fetch_any`](Self::fetch_any) with one source.
    ///
    /// # Errors
    ///
    /// As those of [`fetch_any`](Self::fetch_any).
    pub fn fetch_entry(
        &self,
        source: &Source,
        checksum: &Checksum,
        tee: Option<&mut dyn Write>,
        tick: Tick<'_>,
    ) -> Result<Fetched, Error> {
        self.fetch_any(std::slice::from_ref(source), checksum, tee, tick)
    }

    /// Gets one file from the first of `sources` that gives it.
    ///
    /// The next is asked when one failed for good, or gave bytes with a wrong digest. With a digest, the next continues
    /// what the one before began. A checksum list is searched for the name of each source in order; all are taken for the
    /// same file.
    ///
    /// # The tee
    ///
    /// The bytes of a download go to `tee` as they come, from the first on and in order; those that an earlier run left
    /// come from the disk. Only a whole download reaches it: a file that is there already, in the cache or as a
    /// [`Source::Path`], is better read where it is. In the end [`Fetched::teed`] says whether the tee was given all of the
    /// file. If not, what was made of its bytes is worthless, whatever it looks like, and the file is at
    /// [`Fetched::path`]: the tee was given nothing, or failed, or had begun with bytes that turned out to be others.
    ///
    /// A tee that fails ends the passing on, not the download: whoever reads the other end of a pipe may stop early.
    /// While the tee blocks, nothing is downloaded and no tick is called.
    ///
    /// ```no_run
    /// use std::io::{Read, pipe};
    /// use std::ops::ControlFlow;
    /// use arm_image_fetch::{Cache, Checksum, HttpFetcher};
    ///
    /// /// Stands for what unpacks.
    /// fn count(mut input: impl Read) -> std::io::Result<u64> {
    ///     std::io::copy(&mut input, &mut std::io::sink())
    /// }
    ///
    /// let fetcher = HttpFetcher::new(Cache::open("/var/cache/images")?);
    /// let sources = ["https://example.org/raspios.img.xz".parse()?];
    /// let (reader, mut writer) = pipe()?;
    /// let (fetched, counted) = std::thread::scope(|scope| {
    ///     // It takes the reader with it, so that the writer notices when it ends.
    ///     let counted = scope.spawn(move || count(reader));
    ///     let fetched = fetcher.fetch_any(&sources, &Checksum::None, Some(&mut writer), &mut |_, _| {
    ///         ControlFlow::Continue(())
    ///     });
    ///     // This is how the reader learns that it has all.
    ///     drop(writer);
    ///     (fetched, counted.join().expect("it does not panic"))
    /// });
    /// let fetched = fetched?;
    /// let size = match fetched.teed {
    ///     true => counted?,
    ///     false => count(std::fs::File::open(&fetched.path)?)?,
    /// };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Sources`] with the error of each, if there are several and all failed; it is a
    /// [checksum error](Error::is_checksum) if all were. Errors that no other source can mend, such as a full disk, are
    /// returned as they are. [`Error::Tee`] and [`Error::Restarted`] are those of [`fetch`](Fetcher::fetch) only.
    pub fn fetch_any(
        &self,
        sources: &[Source],
        checksum: &Checksum,
        tee: Option<&mut dyn Write>,
        tick: Tick<'_>,
    ) -> Result<Fetched, Error> {
        let expected = self.digest(sources, checksum, tick)?;
        let mut flow = Flow::new(expected.as_ref().map(Digest::algorithm), tee, tick);
        self.first(sources, expected.as_ref(), &mut flow)
    }

    /// Gets the first of `sources` that can be had and is right.
    fn first(
        &self,
        sources: &[Source],
        expected: Option<&Digest>,
        flow: &mut Flow<'_>,
    ) -> Result<Fetched, Error> {
        let mut failures = Vec::new();
        for source in sources {
            let fetched = match source {
                Source::Path(path) => local::verify(path, expected, flow.ticker()).map(|()| {
                    // What another source gave before does not count.
                    flow.restart();
                    (path.clone(), None)
                }),
                Source::Url(url) => {
                    self.get(url, What::Image(expected), flow).map(|(path, file)| (path, Some(file)))
                }
            };
            match fetched {
                Ok((path, in_use)) => {
                    let key = match (source, expected) {
                        (_, Some(digest)) => Some(Key::of(digest)),
                        (Source::Url(url), None) => Some(Key::new(url, None)),
                        (Source::Path(_), None) => None,
                    };
                    let (source, teed) = (source.clone(), flow.is_teed());
                    return Ok(Fetched { path, key, source, teed, in_use });
                }
                Err(error) if error.is_of_source() => failures.push(error),
                Err(error) => return Err(error),
            }
        }
        match failures.pop() {
            None => Err(Error::NoSource),
            Some(only) if failures.is_empty() => Err(only),
            Some(last) => {
                failures.push(last);
                Err(Error::Sources { failures })
            }
        }
    }
}

/// A file that was got and verified.
///
/// A file in the cache is not cleaned away while this lives.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// By what the cache knows it; `None` for a file of this machine whose digest is not known.
    pub key: Option<Key>,
    /// The source that gave it.
    pub source: Source,
    /// Whether the `tee` was given all of its bytes, and no others.
    pub teed: bool,
    in_use: Option<File>,
}

impl Fetched {
    /// The file, where it is in the cache: the very bytes that were fetched, whatever another process has put at the
    /// path since.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        self.in_use.as_ref()
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
        let expected = self.digest(std::slice::from_ref(source), checksum, tick)?;
        let mut flow = Flow::new(expected.as_ref().map(Digest::algorithm), tee, tick);
        let fetched = self.first(std::slice::from_ref(source), expected.as_ref(), &mut flow)?;
        if flow.is_awaited() {
            flow.trust();
            local::pass(&fetched.path, None, &mut flow)?;
        }
        flow.check_tee(source)?;
        Ok(fetched.path)
    }
}

#[cfg(test)]
mod tests;
