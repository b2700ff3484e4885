use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::*;
use crate::digest::{Algorithm, Digest};
use crate::hashing::Hasher;
use crate::list::LIST_LIMIT;
use crate::server::{Server, announced, bare, chunked, ok};

mod cached;
#[cfg(feature = "signatures")]
mod gnupg;
mod kept;
mod listed;
mod mirrored;
mod proxied;
mod redirected;
mod resumed;
mod retried;
mod shared;
#[cfg(feature = "signatures")]
mod signed;
mod teed;

/// Some bytes that do not repeat, more than fit into one read.
fn body() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn digest(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish()
}

fn right() -> Checksum {
    digest(&body()).into()
}

struct Bench {
    folder: tempfile::TempDir,
    fetcher: HttpFetcher,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fetcher = fetcher(folder.path());
        Self { folder, fetcher }
    }

    fn fetch(&self, source: &Source, checksum: &Checksum) -> Result<PathBuf, Error> {
        self.fetcher.fetch(source, checksum, None, &mut |_, _| ControlFlow::Continue(()))
    }

    fn fails(&self, source: &Source, checksum: &Checksum) -> Error {
        let error = self.fetch(source, checksum).unwrap_err();
        self.holds_no_image();
        error
    }

    /// Nothing that could be taken for an image is left.
    #[track_caller]
    fn holds_no_image(&self) {
        for name in self.names() {
            let is_other = [".lock", ".partial", ".partial.json"].iter().any(|end| name.ends_with(end));
            assert!(is_other, "{name} is left");
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// As another program would find the cache later.
    fn later(self) -> Self {
        Self { fetcher: fetcher(self.folder.path()), folder: self.folder }
    }
}

/// Patient, so that a busy machine fails no test.
fn fetcher(folder: &Path) -> HttpFetcher {
    let manner = Manner { stall: Duration::from_secs(300), first_wait: Duration::ZERO, proxy: false };
    HttpFetcher { manner, ..HttpFetcher::new(Cache::open(folder).unwrap()) }
}

#[test]
fn a_download_is_verified_passed_on_and_counted() {
    let heard = Arc::new(Mutex::new(String::new()));
    let hear = Arc::clone(&heard);
    let server = Server::new(move |exchange| {
        *hear.lock().unwrap() = exchange.head.clone();
        exchange.say(&ok(&body()));
    });
    let (bench, mut passed, mut ticks) = (Bench::new(), Vec::new(), Vec::new());
    let path = bench
        .fetcher
        .fetch(&server.source("/a.img"), &right(), Some(&mut passed), &mut |done, total| {
            ticks.push((done, total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(fs::read(path).unwrap(), body());
    assert_eq!(passed, body());
    let size = body().len() as u64;
    assert!(ticks.is_sorted());
    assert_eq!(ticks.last(), Some(&(size, Some(size))));
    let agent = concat!("user-agent: arm-image/", env!("CARGO_PKG_VERSION"), "\r\n");
    assert!(heard.lock().unwrap().contains(agent));
}

#[test]
fn wrong_bytes_are_a_mismatch_and_leave_nothing() {
    let server = Server::saying(ok(b"other bytes"));
    let error = Bench::new().fails(&server.source("/a.img"), &right());
    assert!(error.is_checksum());
    let text = error.to_string();
    for part in ["/a.img", &digest(&body()).to_string(), &digest(b"other bytes").to_string()] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn an_answer_that_is_not_the_file_names_the_url_and_the_status() {
    for status in [
        "404 Not Found",
        "403 Forbidden",
        "503 Service Unavailable",
        "206 Partial Content",
        "304 Not Modified",
    ] {
        let server = Server::saying(bare(status, ""));
        let error = Bench::new().fails(&server.source("/a.img"), &right());
        assert!(!error.is_checksum());
        let text = error.to_string();
        assert!(text.contains(status) && text.contains(&server.source("/a.img").to_string()), "{text}");
    }
}

#[test]
fn an_answer_shorter_than_announced_is_broken() {
    for checksum in [right(), Checksum::None] {
        let server = Server::saying(announced(body().len(), "", &body()[..700_000]));
        let error = Bench::new().fails(&server.source("/a.img"), &checksum);
        assert!(matches!(error, Error::Broken { done: 700_000, .. }), "{error}");
        assert!(error.to_string().contains("/a.img"));
    }
}

#[test]
fn an_answer_longer_than_announced_is_a_mismatch() {
    let server = Server::saying(announced(700_000, "", &body()));
    let error = Bench::new().fails(&server.source("/a.img"), &right());
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

#[test]
fn chunks_have_no_total_but_an_end() {
    let server = Server::saying(chunked(&body(), b"0\r\n\r\n"));
    let (bench, mut totals) = (Bench::new(), Vec::new());
    let path = bench
        .fetcher
        .fetch(&server.source("/a.img"), &Checksum::None, None, &mut |_, total| {
            totals.push(total);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(fs::read(path).unwrap(), body());
    assert!(totals.iter().all(Option::is_none));

    let server = Server::saying(chunked(&body(), b""));
    let error = Bench::new().fails(&server.source("/a.img"), &Checksum::None);
    assert!(matches!(error, Error::Broken { .. }), "{error}");
}

#[test]
fn no_connection_names_the_url() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:secret@{}/a.img", listener.local_addr().unwrap());
    drop(listener);
    let error = Bench::new().fails(&url.parse().unwrap(), &right());
    assert!(matches!(error, Error::Request { .. }) && error.hint().is_some(), "{error}");
    let debug = format!("{error} {error:?}");
    assert!(debug.contains("/a.img") && !debug.contains("secret"), "{debug}");
}

/// Reads the hello of a TLS client and answers as `config` has it; returns when either gives up.
fn shake_hands(config: rustls::ServerConfig) -> Source {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/a.img", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let _ = connection.complete_io(&mut listener.accept().unwrap().0);
    });
    url.parse().unwrap()
}

#[test]
fn a_server_for_whom_nobody_vouches_is_refused() {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into(),
            )
            .unwrap();
    let error = Bench::new().fails(&shake_hands(config), &right());
    assert!(matches!(error, Error::Request { .. }), "{error}");
    assert!(error.hint().unwrap().contains("ca-certificates"), "{error:?}");
}

#[test]
fn silence_is_a_stall() {
    let before = Server::new(|exchange| exchange.stall());
    let amid = Server::new(|exchange| {
        exchange.say(&announced(10, "", b"12345"));
        exchange.stall();
    });
    for server in [before, amid] {
        let mut bench = Bench::new();
        bench.fetcher.manner.stall = Duration::from_millis(200);
        let error = bench.fails(&server.source("/a.img"), &right());
        assert!(matches!(error, Error::Stalled { .. }), "{error}");
        assert!(error.to_string().contains("0.2 seconds"), "{error}");
    }
}

#[test]
fn a_tick_cancels_a_download() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    let error = bench
        .fetcher
        .fetch(&server.source("/a.img"), &right(), None, &mut |_, _| ControlFlow::Break(()))
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    bench.holds_no_image();
}

#[test]
fn a_tick_cancels_a_stalled_download() {
    let server = Server::new(|exchange| {
        exchange.say(&announced(10, "", b"12345"));
        exchange.stall();
    });
    let bench = Bench::new();
    let mut last = 0;
    let mut break_when_still = |done, _| {
        let still = done > 0 && done == last;
        last = done;
        if still { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let error =
        bench.fetcher.fetch(&server.source("/a.img"), &right(), None, &mut break_when_still).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    bench.holds_no_image();
}
