//! One download over HTTP: from a URL into a file.

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::cache::Validators;
use crate::flow::Flow;
use crate::list::LIST_LIMIT;
use crate::source::shown;
use crate::{Error, tls};

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
    /// Whether the proxies that the environment names are used.
    pub(crate) proxy: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { stall: STALL_TIMEOUT, proxy: true }
    }
}

/// What is wanted.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    /// What is known of an earlier answer; if it still holds, no bytes come.
    pub(crate) known: &'a Validators,
    /// Whether a checksum list is wanted: a large answer is refused.
    pub(crate) is_list: bool,
}

/// What came of it.
pub(crate) enum Answer {
    /// What is known still holds.
    Unchanged,
    /// All bytes are in the file.
    Complete(Validators),
}

/// Downloads `request` into `file`, which `path` names in errors; all bytes also pass through `flow`.
///
/// An answer that ends before the length it announced, or before the last chunk, is an error. An answer that announces
/// no length at all ends where the connection does: only a digest can tell whether that was the end.
///
/// The network is served by a thread that lives as long as the download, so that reading and decrypting overlap with
/// hashing and writing, and so that ticks go on while nothing comes.
pub(crate) fn download(
    manner: Manner,
    request: &Request<'_>,
    (file, path): (&mut File, &Path),
    flow: &mut Flow<'_>,
) -> Result<Answer, Error> {
    let client = client(manner)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("arm-image-fetch")
        .enable_all()
        .build()
        .map_err(|source| Error::Thread { source })?;
    let result = runtime.block_on(transfer(client, manner.stall, request, (file, path), flow));
    // The resolver of the C library cannot be interrupted; a cancelled download does not wait for it.
    runtime.shutdown_background();
    result
}

fn client(manner: Manner) -> Result<Client, Error> {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::limited(REDIRECT_LIMIT))
        .tls_backend_preconfigured(tls::config()?);
    let builder = if manner.proxy { builder } else { builder.no_proxy() };
    builder.build().map_err(|source| Error::Client { source })
}

async fn transfer(
    client: Client,
    stall: Duration,
    request: &Request<'_>,
    (file, path): (&mut File, &Path),
    flow: &mut Flow<'_>,
) -> Result<Answer, Error> {
    let url = request.url;
    let sent = client.get(url.clone()).headers(conditions(request.known)).send();
    let mut response = watch(sent, url, stall, flow).await?.map_err(|error| {
        let (is_redirect, url, source) = (error.is_redirect(), shown(url), error.without_url());
        if is_redirect { Error::Redirect { url, source } } else { Error::Request { url, source } }
    })?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if !request.known.is_empty() => return Ok(Answer::Unchanged),
        status => return Err(Error::Status { url: shown(response.url()), status }),
    }
    let total = response.content_length();
    flow.expect(total);
    loop {
        if request.is_list && total.unwrap_or(0).max(flow.done()) > LIST_LIMIT {
            return Err(Error::ListTooLarge { list: shown(url), limit: LIST_LIMIT });
        }
        let chunk = watch(response.chunk(), url, stall, flow).await?;
        let broken = |error: reqwest::Error| Error::Broken {
            url: shown(url),
            done: flow.done(),
            source: error.without_url(),
        };
        let Some(chunk) = chunk.map_err(broken)? else {
            return Ok(Answer::Complete(validators(&response)));
        };
        file.write_all(&chunk).map_err(|source| Error::Write { path: path.to_owned(), source })?;
        flow.push(&chunk)?;
    }
}

/// Waits for `future`, but not for ever, and not after a tick asked to stop.
async fn watch<T>(
    future: impl Future<Output = T>,
    url: &Url,
    stall: Duration,
    flow: &mut Flow<'_>,
) -> Result<T, Error> {
    let mut future = pin!(future);
    let start = Instant::now();
    loop {
        if let Ok(output) = tokio::time::timeout(PULSE, future.as_mut()).await {
            return Ok(output);
        }
        flow.tick()?;
        if start.elapsed() >= stall {
            return Err(Error::Stalled { url: shown(url), done: flow.done(), waited: stall });
        }
    }
}

fn conditions(known: &Validators) -> HeaderMap {
    let pairs = [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)];
    // What came as a header fits into one; if the record was tampered with, the file is simply downloaded again.
    pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.parse().ok()?))).collect()
}

fn validators(response: &Response) -> Validators {
    let text = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    Validators { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
}
