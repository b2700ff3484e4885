//! Checksum lists: how they are got, and which digest they ask for.

use reqwest::Url;

use super::HttpFetcher;
use super::get::What;
use crate::cache::Key;
use crate::digest::Digest;
use crate::download::Network;
use crate::flow::Flow;
use crate::patience::Patience;
#[cfg(feature = "signatures")]
use crate::signature::{self, Keyring};
use crate::source::shown;
use crate::{Checksum, Error, Source, Tick, list, local};

impl HttpFetcher {
    /// The digest that `checksum` asks of all of `sources`; `None` if it asks for none.
    ///
    /// Who calls this first can look whether [`Cache::unpacked`](crate::Cache::unpacked) makes the rest unnecessary. A list
    /// is searched for the name of each source in order, then for the names to which redirects lead (`…/latest`).
    ///
    /// A [`Source::Path`] is only a name here, and need not be there: this is how to ask a list for the digest of an
    /// unpacked image, `raspios.img`, where the source is `raspios.img.xz`.
    ///
    /// # Errors
    ///
    /// Those of fetching a list, of its signature, and of what it has to say.
    pub fn digest(
        &self,
        sources: &[Source],
        checksum: &Checksum,
        tick: Tick<'_>,
    ) -> Result<Option<Digest>, Error> {
        let list = match checksum {
            Checksum::None => return Ok(None),
            Checksum::Digest(digest) => return Ok(Some(digest.clone())),
            Checksum::List(list) => list,
        };
        // The size of a list is not progress; only the wish to stop counts.
        let mut only_stop = |_, _| tick(0, None);
        let flow = &mut Flow::new(None, None, &mut only_stop);
        let entries = list::parse(&self.list(list, flow)?);
        let failure = match list::choose_any(&entries, list, sources) {
            Err(error @ (Error::NotInList { .. } | Error::NoName { .. })) => error,
            chosen => return chosen.map(Some),
        };
        for source in sources {
            let Source::Url(url) = source else { continue };
            let chosen = if self.offline {
                self.recorded(url, &entries)
            } else {
                self.resolve(url, flow)?.and_then(|end| list::choose_any(&entries, list, &[end]).ok())
            };
            if chosen.is_some() {
                return Ok(chosen);
            }
        }
        Err(failure)
    }

    /// The list `list`, or that part of it that is signed, where it has to be.
    fn list(&self, list: &Source, flow: &mut Flow<'_>) -> Result<Vec<u8>, Error> {
        let bytes = self.small(list, flow)?;
        #[cfg(feature = "signatures")]
        if let Some(keyring) = &self.keyring {
            return self.signed(keyring, list, bytes, flow);
        }
        Ok(bytes)
    }

    #[cfg(feature = "signatures")]
    fn signed(
        &self,
        keyring: &Keyring,
        list: &Source,
        bytes: Vec<u8>,
        flow: &mut Flow<'_>,
    ) -> Result<Vec<u8>, Error> {
        let refused = |problem| Error::Signature { list: list.to_string(), problem };
        if let Some(opened) = keyring.open(&bytes) {
            return opened.map_err(refused);
        }
        let mut failure = Error::Unsigned { list: list.to_string() };
        for place in signature::places(list) {
            match self.small(&place, flow) {
                // A server may have a page for what it does not have: go on to the next.
                Ok(signature) => match keyring.check(&bytes, &signature) {
                    Ok(()) => return Ok(bytes),
                    Err(problem) => failure = refused(problem),
                },
                Err(Error::Open { .. } | Error::Offline { .. } | Error::ListTooLarge { .. }) => {}
                Err(Error::Status { status, .. }) if status.is_client_error() => {}
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    /// The bytes of a small file: a list, or its signature.
    fn small(&self, list: &Source, flow: &mut Flow<'_>) -> Result<Vec<u8>, Error> {
        match list {
            Source::Path(path) => local::read_list(path, list),
            Source::Url(url) => local::read_list(&self.get(url, What::List, flow)?.0, list),
        }
    }

    /// Where the redirects from `url` end; `None` if there is nothing.
    fn resolve(&self, url: &Url, flow: &mut Flow<'_>) -> Result<Option<Source>, Error> {
        let network = Network::new(self.manner)?;
        let mut patience = Patience::new(self.manner.first_wait);
        loop {
            match network.resolve(url, flow) {
                Ok(end) => return Ok(Some(Source::Url(end))),
                Err(error) => match patience.wait(error, 0, flow) {
                    Err(error) if error.is_of_source() => return Ok(None),
                    waited => waited?,
                },
            }
        }
    }

    /// The digest among `entries` of what was fetched from `url` before.
    fn recorded(&self, url: &Url, entries: &[list::Entry]) -> Option<Digest> {
        let held = self.cache.entries().ok()?;
        let is_held = |digest: &&Digest| {
            let key = Key::of(digest);
            held.iter().any(|held| held.key == key && held.url.as_deref() == Some(&shown(url)))
        };
        entries.iter().map(|entry| &entry.digest).find(is_held).cloned()
    }
}
