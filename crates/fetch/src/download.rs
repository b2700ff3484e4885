//! One attempt at a download over HTTP: from a URL into an unfinished file of the cache.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use tokio::runtime::Runtime;

use crate::cache::Partial;
use crate::flow::Flow;
use crate::list::LIST_LIMIT;
use crate::source::shown;
use crate::validators::{ContentRange, Origin, Validators};
use crate::{Error, patience, tls};

/// How long one address of a server may take to accept a connection, before the next is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long nothing at all may come from a server.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a tick is called while nothing comes.
const PULSE: Duration = Duration::from_millis(100);
/// More hops than any mirror network makes.
const REDIRECT_LIMIT: usize = 10;
const USER_AGENT: &str = concat!("arm-image/", env!("CARGO_PKG_VERSION"));

/// How a download is made; what tests have to vary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) stall: Duration,
    /// How long to wait before the first retry.
    pub(crate) first_wait: Duration,
    /// Whether the proxies that the environment names are used.
    pub(crate) proxy: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { stall: STALL_TIMEOUT, first_wait: patience::FIRST_WAIT, proxy: true }
    }
}

/// What is wanted.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    /// What is known of an earlier, complete answer; if it still holds, no bytes come.
    pub(crate) known: &'a Validators,
    /// Whether a checksum list is wanted: a large answer is refused.
    pub(crate) is_list: bool,
    /// Whether a digest judges the bytes in the end.
    pub(crate) is_judged: bool,
}

/// What came of it.
pub(crate) enum Answer {
    /// What is known still holds.
    Unchanged,
    /// All bytes are in the file. They came by this answer alone (`is_whole`), or some by earlier ones.
    Complete { validators: Validators, is_whole: bool },
    /// The file there is another than the one begun.
    Other,
}

/// A client, and a thread that serves the network for as long as this lives, so that reading and decrypting overlap with
/// hashing and writing, and so that ticks go on while nothing comes.
pub(crate) struct Network {
    client: Client,
    runtime: Option<Runtime>,
    stall: Duration,
}

impl Drop for Network {
    fn drop(&mut self) {
        // The resolver of the C library cannot be interrupted; a cancelled download does not wait for it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Network {
    pub(crate) fn new(manner: Manner) -> Result<Self, Error> {
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::limited(REDIRECT_LIMIT))
            // A file that is packed once more on the way has another digest and other ranges.
            .default_headers(HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            )]))
            .tls_backend_preconfigured(tls::config()?);
        let builder = if manner.proxy { builder } else { builder.no_proxy() };
        let client = builder.build().map_err(|source| Error::Client { source })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("arm-image-fetch")
            .enable_all()
            .build()
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { client, runtime: Some(runtime), stall: manner.stall })
    }

    /// Continues `partial`, which has what earlier attempts brought; all bytes pass through `flow`, once.
    ///
    /// An answer that ends before the length it announced, or before the last chunk, is an error. An answer that
    /// announces no length at all ends where the connection does: only a digest can tell whether that was the end.
    pub(crate) fn attempt(
        &self,
        request: &Request<'_>,
        partial: &mut Partial<'_>,
        flow: &mut Flow<'_>,
    ) -> Result<Answer, Error> {
        self.wait(self.transfer(request, partial, flow))
    }

    /// The URL at which the redirects from `url` end.
    pub(crate) fn resolve(&self, url: &Url, flow: &mut Flow<'_>) -> Result<Url, Error> {
        // Not every server answers HEAD; the body of this is left where it is.
        let response = self.wait(self.ask(url, HeaderMap::new(), flow))?;
        if response.status().is_success() { Ok(response.url().clone()) } else { Err(refusal(&response)) }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = self.runtime.as_ref().expect("it is only taken on drop");
        runtime.block_on(future)
    }

    async fn ask(&self, url: &Url, header: HeaderMap, flow: &mut Flow<'_>) -> Result<Response, Error> {
        let sent = self.client.get(url.clone()).headers(header).send();
        self.watch(sent, url, flow).await?.map_err(|error| {
            let (is_redirect, url, source) = (error.is_redirect(), shown(url), error.without_url());
            if is_redirect { Error::Redirect { url, source } } else { Error::Request { url, source } }
        })
    }

    async fn transfer(
        &self,
        request: &Request<'_>,
        partial: &mut Partial<'_>,
        flow: &mut Flow<'_>,
    ) -> Result<Answer, Error> {
        let url = request.url;
        let kept = partial.length();
        let resume = partial.origin().filter(|_| kept > 0);
        let resume = resume.and_then(|origin| origin.resume(url, kept, request.is_judged));
        let is_resumed = resume.is_some();
        let header = resume.unwrap_or_else(|| conditions(request.known, kept));
        let response = self.ask(url, header, flow).await?;

        let range = ContentRange::of(response.headers());
        let validators = Validators::of(response.headers());
        let total = match response.status() {
            StatusCode::PARTIAL_CONTENT => range.and_then(|range| range.total),
            StatusCode::RANGE_NOT_SATISFIABLE => Some(range.and_then(|range| range.total).unwrap_or(kept)),
            _ => response.content_length(),
        };
        let origin = Origin::new(url, response.url(), validators.clone(), total);
        match response.status() {
            StatusCode::OK => {
                flow.expect(total);
                let fits = self.receive(response, request, (0, &origin), (partial, flow)).await?;
                return Ok(if fits {
                    Answer::Complete { validators, is_whole: true }
                } else {
                    Answer::Other
                });
            }
            StatusCode::PARTIAL_CONTENT if is_resumed => {
                let is_ours = range.and_then(|range| range.start) == Some(kept);
                if !is_ours || !partial.origin().is_some_and(|begun| begun.fits(&origin)) {
                    return Ok(Answer::Other);
                }
                flow.expect(total);
                partial.catch_up(flow)?;
                self.receive(response, request, (kept, &origin), (partial, flow)).await?;
            }
            // There is nothing beyond what is here already: that may be all, if a digest can tell.
            StatusCode::RANGE_NOT_SATISFIABLE if is_resumed => {
                if total != Some(kept) || !request.is_judged {
                    return Ok(Answer::Other);
                }
                flow.expect(total);
                partial.catch_up(flow)?;
            }
            StatusCode::NOT_MODIFIED if !request.known.is_empty() && kept == 0 => {
                return Ok(Answer::Unchanged);
            }
            _ => return Err(refusal(&response)),
        }
        match total {
            Some(total) if partial.length() < total => {
                Err(Error::Short { url: shown(url), done: partial.length(), total })
            }
            Some(total) if partial.length() > total => Ok(Answer::Other),
            _ => Ok(Answer::Complete { validators, is_whole: false }),
        }
    }

    /// Takes the body of `response`, which begins with the byte `start`, into `partial`; says whether it fits to what
    /// passed the `flow` already: that is compared, not passed twice.
    async fn receive(
        &self,
        mut response: Response,
        request: &Request<'_>,
        (start, origin): (u64, &Origin),
        (partial, flow): (&mut Partial<'_>, &mut Flow<'_>),
    ) -> Result<bool, Error> {
        let (url, total) = (request.url, response.content_length());
        let mut position = start;
        if flow.done() == 0 {
            partial.begin(origin)?;
        }
        loop {
            if request.is_list && total.unwrap_or(0).max(position) > LIST_LIMIT {
                return Err(Error::ListTooLarge { list: shown(url), limit: LIST_LIMIT });
            }
            let chunk = self.watch(response.chunk(), url, flow).await?;
            let Some(chunk) = chunk.map_err(|error| Error::Broken {
                url: shown(url),
                done: position,
                source: error.without_url(),
            })?
            else {
                // One that ends before what passed already is another.
                return Ok(position >= flow.done());
            };
            let again = usize::try_from(flow.done().saturating_sub(position)).unwrap_or(usize::MAX);
            let (old, new) = chunk.split_at(again.min(chunk.len()));
            if !old.is_empty() {
                if !partial.holds(position, old)? {
                    return Ok(false);
                }
                position += old.len() as u64;
                if position == flow.done() {
                    // From here on it is a file of this version.
                    partial.adopt(origin)?;
                }
                flow.tick()?;
            }
            if !new.is_empty() {
                position += new.len() as u64;
                partial.append(new)?;
                flow.push(new)?;
            }
        }
    }

    /// Waits for `future`, but not for ever, and not after a tick asked to stop.
    async fn watch<T>(
        &self,
        future: impl Future<Output = T>,
        url: &Url,
        flow: &mut Flow<'_>,
    ) -> Result<T, Error> {
        let mut future = pin!(future);
        let start = Instant::now();
        loop {
            if let Ok(output) = tokio::time::timeout(PULSE, future.as_mut()).await {
                return Ok(output);
            }
            flow.tick()?;
            if start.elapsed() >= self.stall {
                return Err(Error::Stalled { url: shown(url), done: flow.done(), waited: self.stall });
            }
        }
    }
}

/// The header lines by which a server finds out whether a complete file is still the same.
fn conditions(known: &Validators, kept: u64) -> HeaderMap {
    let pairs = [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)];
    let pairs = pairs.into_iter().filter(|_| kept == 0);
    // What came as a header fits into one; if the record was tampered with, the file is simply downloaded again.
    pairs.filter_map(|(name, value)| Some((name, value.as_ref()?.parse().ok()?))).collect()
}

fn refusal(response: &Response) -> Error {
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    Error::Status { url: shown(response.url()), status, retry_after }
}

/// The seconds of `Retry-After`; its other form, a date, is left to the own back-off.
fn retry_after(header: &HeaderMap) -> Option<Duration> {
    let seconds = header.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
