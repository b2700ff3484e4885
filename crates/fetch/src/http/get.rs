//! One file, from one URL, into the cache.

use std::fs::File;
use std::path::PathBuf;

use reqwest::Url;

use super::HttpFetcher;
use crate::Error;
use crate::cache::{Keep, Key, Partial};
use crate::digest::Digest;
use crate::download::{Answer, Network, Request};
use crate::flow::Flow;
use crate::patience::Patience;
use crate::source::shown;
use crate::validators::Validators;

/// What is fetched, which decides how it is judged.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
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

    fn keep(self) -> Keep {
        match self {
            Self::Image(Some(_)) => Keep::Everything,
            Self::Image(None) => Keep::Synced,
            Self::List => Keep::Nothing,
        }
    }
}

impl HttpFetcher {
    /// Gets `url` into the cache; the file is marked as in use while it is open.
    pub(super) fn get(
        &self,
        url: &Url,
        what: What<'_>,
        flow: &mut Flow<'_>,
    ) -> Result<(PathBuf, File), Error> {
        let expected = what.digest();
        let entry = self.cache.lock(&Key::new(url, expected), flow.ticker())?;
        let held = entry.held(expected, flow.ticker())?;
        if let Some(held) = &held
            && (expected.is_some() || self.offline || held.is_fresh)
        {
            flow.restart();
            return Ok((entry.path().to_owned(), entry.in_use()?));
        }
        if self.offline {
            return Err(Error::Offline { url: shown(url) });
        }
        let known = held.map(|held| held.validators).unwrap_or_default();
        let mut partial = entry.partial(what.keep())?;
        // What passed, if anything did, came from another source: it counts if its bytes are here and will be judged.
        if expected.is_none() || flow.done() == 0 || flow.done() != partial.length() {
            flow.restart();
        }
        match self.download(url, what, &known, &mut partial, flow)? {
            Some(validators) => partial.commit(shown(url), validators)?,
            None => drop(partial),
        }
        Ok((entry.path().to_owned(), entry.in_use()?))
    }

    /// Tries until `partial` is complete and right; `None` if what is `known` still holds.
    fn download(
        &self,
        url: &Url,
        what: What<'_>,
        known: &Validators,
        partial: &mut Partial<'_>,
        flow: &mut Flow<'_>,
    ) -> Result<Option<Validators>, Error> {
        let (expected, is_list) = (what.digest(), matches!(what, What::List));
        let request = Request { url, known, is_list, is_judged: expected.is_some() };
        let network = Network::new(self.manner)?;
        let mut patience = Patience::new(self.manner.first_wait);
        let mut is_afresh = false;
        loop {
            let before = partial.length();
            match network.attempt(&request, partial, flow) {
                Ok(Answer::Unchanged) => return Ok(None),
                Ok(Answer::Complete { validators, is_whole }) => match flow.finish(expected, shown(url)) {
                    Ok(()) => return Ok(Some(validators)),
                    // Put together from several answers, it may have parts of several files.
                    Err(_) if !is_whole && !is_afresh => {}
                    Err(error) => {
                        partial.clear()?;
                        return Err(error);
                    }
                },
                Ok(Answer::Other) if is_afresh => {
                    partial.clear()?;
                    return Err(Error::Unsteady { url: shown(url) });
                }
                Ok(Answer::Other) => {}
                Err(error) => {
                    patience.wait(error, partial.length().saturating_sub(before), flow)?;
                    continue;
                }
            }
            partial.clear()?;
            flow.restart();
            is_afresh = true;
        }
    }
}
