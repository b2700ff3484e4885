//! Downloads that broke off.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::server::{Exchange, part};

pub(super) const ETAG: &str = "ETag: \"one\"\r\n";
const CUT: usize = 700_000;

/// A server that breaks off its first answer, and gives the others as `then` does; `heard` are the headers of those.
pub(super) fn cutting(
    header: &'static str,
    then: impl Fn(&mut Exchange) + Send + Sync + 'static,
) -> (Server, Heard) {
    let (heard, count) = (Heard::default(), AtomicUsize::new(0));
    let hear = Arc::clone(&heard);
    let server = Server::new(move |exchange| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            return exchange.say(&announced(body().len(), header, &body()[..CUT]));
        }
        hear.lock().unwrap().push(exchange.head.clone());
        then(exchange);
    });
    (server, heard)
}

pub(super) type Heard = Arc<Mutex<Vec<String>>>;

/// Gives what is asked for.
pub(super) fn obeys(exchange: &mut Exchange) {
    let answer = match exchange.start() {
        Some(start) => part(&body(), start, ETAG),
        None => announced(body().len(), ETAG, &body()),
    };
    exchange.say(&answer);
}

/// A cache with the first bytes of a download that a tick ended.
pub(super) fn begun(source: &Source, checksum: &Checksum) -> Bench {
    let bench = Bench::new();
    let error = bench
        .fetcher
        .fetch(source, checksum, None, &mut |done, _| {
            if done >= CUT as u64 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    bench.holds_no_image();
    bench.later()
}

impl Bench {
    /// Fetches with a tee, which has to get the very bytes.
    #[track_caller]
    fn passes(&self, source: &Source, checksum: &Checksum, expected: &[u8]) {
        let mut passed = Vec::new();
        let go = &mut |_, _| ControlFlow::Continue(());
        let path = self.fetcher.fetch(source, checksum, Some(&mut passed), go).unwrap();
        assert!(fs::read(path).unwrap() == expected, "the file is wrong");
        assert!(passed == expected, "what passed is wrong");
        assert!(!self.names().iter().any(|name| name.contains("partial")), "{:?}", self.names());
    }
}

#[test]
fn a_break_is_mended_by_asking_for_the_rest() {
    for checksum in [right(), Checksum::None] {
        let (server, heard) = cutting(ETAG, obeys);
        Bench::new().passes(&server.source("/a.img"), &checksum, &body());
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 1);
        for line in ["range: bytes=700000-\r\n", "if-range: \"one\"\r\n", "accept-encoding: identity\r\n"] {
            assert!(heard[0].contains(line), "{}", heard[0]);
        }
    }
}

#[test]
fn a_later_run_goes_on_where_the_earlier_ended() {
    for checksum in [right(), Checksum::None] {
        let (server, heard) = cutting(ETAG, obeys);
        let source = server.source("/a.img");
        begun(&source, &checksum).passes(&source, &checksum, &body());
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 1);
        assert!(heard[0].contains("range: bytes=700000-\r\n") && heard[0].contains("if-range: \"one\"\r\n"));
    }
}

#[test]
fn a_date_is_enough_where_a_digest_judges() {
    let (server, heard) = cutting("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n", obeys);
    let source = server.source("/a.img");
    begun(&source, &right()).passes(&source, &right(), &body());
    assert!(heard.lock().unwrap()[0].contains("if-range: mon, 01 jan 2024 00:00:00 gmt\r\n"));
}

#[test]
fn without_a_digest_and_a_strong_validator_nothing_is_continued() {
    for header in ["", "ETag: W/\"one\"\r\n", "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"] {
        let (server, heard) = cutting(header, |exchange| exchange.say(&ok(&body())));
        let source = server.source("/a.img");
        begun(&source, &Checksum::None).passes(&source, &Checksum::None, &body());
        assert!(!heard.lock().unwrap()[0].contains("range:"));
        // Within one run, what passed already is compared with what comes again.
        let (server, heard) = cutting(header, |exchange| exchange.say(&ok(&body())));
        Bench::new().passes(&server.source("/a.img"), &Checksum::None, &body());
        assert!(!heard.lock().unwrap()[0].contains("range:"));
    }
}

#[test]
fn without_a_digest_what_may_not_have_reached_the_disk_is_not_continued() {
    let (server, heard) = cutting(ETAG, |exchange| exchange.say(&ok(&body())));
    let source = server.source("/a.img");
    let bench = begun(&source, &Checksum::None);
    let partial = bench.names().into_iter().find(|name| name.ends_with(".partial")).unwrap();
    let file = fs::File::options().write(true).open(bench.folder.path().join(partial)).unwrap();
    file.set_len(CUT as u64 + 10).unwrap();
    bench.passes(&source, &Checksum::None, &body());
    assert!(!heard.lock().unwrap()[0].contains("range:"));
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_again() {
    for checksum in [right(), Checksum::None] {
        let (server, _) = cutting(ETAG, |exchange| exchange.say(&ok(&body())));
        Bench::new().passes(&server.source("/a.img"), &checksum, &body());
        let (server, _) = cutting(ETAG, |exchange| exchange.say(&ok(&body())));
        let source = server.source("/a.img");
        begun(&source, &checksum).passes(&source, &checksum, &body());
        assert_eq!(server.requests(), 2);
    }
}

fn other_body() -> Vec<u8> {
    body().iter().map(|byte| !byte).collect()
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_afresh() {
    let changed = |exchange: &mut Exchange| exchange.say(&ok(&other_body()));
    let other: Checksum = digest(&other_body()).into();
    for checksum in [other, Checksum::None] {
        let (server, _) = cutting(ETAG, changed);
        let bench = Bench::new();
        let path = bench.fetch(&server.source("/a.img"), &checksum).unwrap();
        assert!(fs::read(path).unwrap() == other_body());
        // Nothing has passed yet in a later run.
        let (server, _) = cutting(ETAG, changed);
        let source = server.source("/a.img");
        begun(&source, &checksum).passes(&source, &checksum, &other_body());
    }
}

#[test]
fn a_tee_that_was_given_bytes_of_another_file_is_told_so() {
    let (server, _) = cutting(ETAG, |exchange| exchange.say(&ok(&other_body())));
    let (bench, source, checksum) = (Bench::new(), server.source("/a.img"), digest(&other_body()).into());
    let mut passed = Vec::new();
    let go = &mut |_, _| ControlFlow::Continue(());
    let error = bench.fetcher.fetch(&source, &checksum, Some(&mut passed), go).unwrap_err();
    assert!(matches!(error, Error::Restarted { .. }) && error.hint().is_some(), "{error}");
    let requests = server.requests();
    bench.passes(&source, &checksum, &other_body());
    assert_eq!(server.requests(), requests, "the second time it is there");
}

/// Right as a whole, wrong in parts; and a server that complains about the part, or sends another.
#[test]
fn a_wrong_part_is_found_and_all_is_fetched_afresh_once() {
    let parts: [fn(usize) -> Vec<u8>; 5] = [
        |start| part(&other_body(), start, ETAG),
        |start| part(&body(), start - 1, ETAG),
        |start| part(&body(), start, "ETag: \"two\"\r\n"),
        |start| part(&[body(), b"more".to_vec()].concat(), start, ETAG),
        |_| bare("416 Range Not Satisfiable", "Content-Range: bytes */10\r\n"),
    ];
    for answer in parts {
        let (server, _) = cutting(ETAG, move |exchange| {
            let answer = exchange.start().map_or_else(|| announced(body().len(), ETAG, &body()), answer);
            exchange.say(&answer);
        });
        let source = server.source("/a.img");
        let bench = begun(&source, &right());
        let path = bench.fetch(&source, &right()).unwrap();
        assert!(fs::read(path).unwrap() == body());
        assert_eq!(server.requests(), 3);
    }
}

#[test]
fn a_server_that_has_nothing_beyond_the_beginning_is_asked_afresh() {
    for (checksum, length) in [(right(), "*/10"), (right(), "*/700000"), (Checksum::None, "*/700000")] {
        let complaint = bare("416 Range Not Satisfiable", &format!("Content-Range: bytes {length}\r\n"));
        let (server, heard) = cutting(ETAG, move |exchange| exchange.say(&complaint));
        let error = Bench::new().fails(&server.source("/a.img"), &checksum);
        assert!(error.to_string().contains("416"), "{error}");
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 2);
        assert!(heard[0].contains("range: bytes=700000-") && !heard[1].contains("range:"));
    }
}

#[test]
fn bytes_that_are_wrong_even_afresh_are_a_mismatch() {
    let (server, _) = cutting(ETAG, |exchange| {
        let answer =
            exchange.start().map_or_else(|| ok(&other_body()), |start| part(&other_body(), start, ETAG));
        exchange.say(&answer);
    });
    let bench = Bench::new();
    let error = bench.fails(&server.source("/a.img"), &right());
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert_eq!(server.requests(), 3);
    let left = bench.names();
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
}

#[test]
fn a_complete_file_that_was_not_named_yet_is_taken() {
    let server = Server::new(|exchange| {
        let length = body().len();
        let answer = match exchange.start() {
            // It told a length that it does not have.
            None => announced(length + 5, ETAG, &body()),
            Some(start) => bare("416 Range Not Satisfiable", &format!("Content-Range: bytes */{start}\r\n")),
        };
        exchange.say(&answer);
    });
    Bench::new().passes(&server.source("/a.img"), &right(), &body());
    assert_eq!(server.requests(), 2);
    // Without a digest nobody knows which of the two lengths is the lie.
    let error = Bench::new().fails(&server.source("/a.img"), &Checksum::None);
    assert!(!error.is_checksum(), "{error}");
}

#[test]
fn a_part_shorter_than_asked_for_is_followed_by_the_next() {
    let (server, heard) = cutting(ETAG, |exchange| {
        let start = exchange.start().unwrap();
        let end = body().len().min(start + 60_000);
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{}\r\n\r\n",
            end - start,
            end - 1,
            body().len()
        );
        exchange.say(&[head.as_bytes(), &body()[start..end]].concat());
    });
    Bench::new().passes(&server.source("/a.img"), &right(), &body());
    assert_eq!(heard.lock().unwrap().len(), 2);
}

#[test]
fn a_file_that_is_another_each_time_is_given_up() {
    let count = AtomicUsize::new(0);
    let server = Server::new(move |exchange| {
        let turn = u8::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
        exchange.say(&announced(10_000, "", &[turn; 5_000]));
    });
    let error = Bench::new().fails(&server.source("/a.img"), &Checksum::None);
    assert!(matches!(error, Error::Unsteady { .. }), "{error}");
}
