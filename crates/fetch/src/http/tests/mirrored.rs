//! Several sources for one file.

use super::*;
use crate::server::part;

impl Bench {
    fn fetch_any(&self, sources: &[Source], checksum: &Checksum) -> Result<Fetched, Error> {
        self.fetcher.fetch_any(sources, checksum, None, &mut |_, _| ControlFlow::Continue(()))
    }
}

#[test]
fn the_next_source_is_asked_when_one_fails() {
    let gone = Server::saying(bare("404 Not Found", ""));
    let wrong = Server::saying(ok(b"other bytes"));
    let good = Server::saying(ok(&body()));
    let spare = Server::saying(ok(&body()));
    let missing = Source::Path("/nonexistent/a.img".into());
    let sources = [
        missing,
        gone.source("/a.img"),
        wrong.source("/a.img"),
        good.source("/a.img"),
        spare.source("/a.img"),
    ];
    let bench = Bench::new();
    let fetched = bench.fetch_any(&sources, &right()).unwrap();
    assert_eq!(fs::read(&fetched.path).unwrap(), body());
    assert_eq!(fetched.source, sources[3]);
    assert_eq!(fetched.key, Some(Key::of(&digest(&body()))));
    assert_eq!(spare.requests(), 0);
}

#[test]
fn the_error_names_the_failure_of_each() {
    let (gone, wrong) = (Server::saying(bare("404 Not Found", "")), Server::saying(ok(b"other bytes")));
    let bench = Bench::new();
    let error = bench.fetch_any(&[gone.source("/a.img"), wrong.source("/b.img")], &right()).unwrap_err();
    let text = error.to_string();
    for part in ["2 sources", "404 Not Found", "/a.img", "/b.img", &digest(b"other bytes").hex()] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!error.is_checksum() && error.hint().is_some());
    bench.holds_no_image();
    let error = bench.fetch_any(&[wrong.source("/a.img"), wrong.source("/b.img")], &right()).unwrap_err();
    assert!(matches!(error, Error::Sources { .. }) && error.is_checksum(), "{error}");
    let error = bench.fetch_any(&[wrong.source("/a.img")], &right()).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    let error = bench.fetch_any(&[], &right()).unwrap_err();
    assert!(matches!(error, Error::NoSource), "{error}");
}

#[test]
fn the_next_source_continues_what_one_began() {
    let dying = Server::new(|exchange| match exchange.start() {
        None => exchange.say(&announced(body().len(), "ETag: \"1\"\r\n", &body()[..700_000])),
        Some(_) => exchange.say(&bare("404 Not Found", "")),
    });
    let good = Server::new(|exchange| {
        assert!(!exchange.head.contains("if-range"), "it does not know the other's versions");
        exchange.say(&part(&body(), exchange.start().unwrap(), "ETag: \"2\"\r\n"));
    });
    let (bench, mut passed) = (Bench::new(), Vec::new());
    let go = &mut |_, _| ControlFlow::Continue(());
    let sources = [dying.source("/a.img"), good.source("/a.img")];
    let fetched = bench.fetcher.fetch_any(&sources, &right(), Some(&mut passed), go).unwrap();
    assert_eq!(fs::read(fetched.path).unwrap(), body());
    assert_eq!(passed, body());
}

#[test]
fn without_a_digest_bytes_of_two_sources_are_not_mixed() {
    let dying = Server::new(|exchange| match exchange.start() {
        None => exchange.say(&announced(10, "ETag: \"1\"\r\n", b"12345")),
        Some(_) => exchange.say(&bare("404 Not Found", "")),
    });
    let good = Server::saying(ok(b"abc"));
    let sources = [dying.source("/a.img"), good.source("/a.img")];
    let (bench, go) = (Bench::new(), &mut |_, _| ControlFlow::Continue(()));
    let fetched = bench.fetch_any(&sources, &Checksum::None).unwrap();
    assert_eq!(fs::read(fetched.path).unwrap(), b"abc");
    let fetched =
        Bench::new().fetcher.fetch_any(&sources, &Checksum::None, Some(&mut Vec::new()), go).unwrap();
    assert!(!fetched.teed);
}

#[test]
fn a_wrong_first_source_spoils_the_tee_but_not_the_file() {
    let (wrong, good) = (Server::saying(ok(b"other bytes")), Server::saying(ok(&body())));
    let (bench, mut passed) = (Bench::new(), Vec::new());
    let (sources, go) =
        ([wrong.source("/a.img"), good.source("/a.img")], &mut |_, _| ControlFlow::Continue(()));
    let fetched = bench.fetcher.fetch_any(&sources, &right(), Some(&mut passed), go).unwrap();
    assert!(!fetched.teed && fs::read(&fetched.path).unwrap() == body());
    assert_eq!(passed, b"other bytes", "nothing is put behind what does not count");
}

#[test]
fn a_file_of_this_machine_that_is_wrong_does_not_spoil_the_tee() {
    let (bench, good, mut passed) = (Bench::new(), Server::saying(ok(&body())), Vec::new());
    let wrong = bench.folder.path().join("of-somebody-else.partial");
    fs::write(&wrong, "other bytes").unwrap();
    let (sources, go) = ([Source::Path(wrong), good.source("/a.img")], &mut |_, _| ControlFlow::Continue(()));
    assert!(bench.fetcher.fetch_any(&sources, &right(), Some(&mut passed), go).unwrap().teed);
    assert!(passed == body());
}

#[test]
fn a_file_of_this_machine_does_not_count_as_what_a_server_began() {
    let dying = Server::new(|exchange| match exchange.start() {
        None => exchange.say(&announced(body().len(), "ETag: \"1\"\r\n", &body()[..700_000])),
        Some(_) => exchange.say(&bare("404 Not Found", "")),
    });
    let (bench, mut passed) = (Bench::new(), Vec::new());
    let path = bench.folder.path().join("of-somebody-else");
    fs::write(&path, body()).unwrap();
    let (sources, go) = ([dying.source("/a.img"), Source::Path(path)], &mut |_, _| ControlFlow::Continue(()));
    assert!(!bench.fetcher.fetch_any(&sources, &right(), Some(&mut passed), go).unwrap().teed);
}

#[test]
fn what_another_process_got_meanwhile_does_not_count_as_passed() {
    let bench = Bench::new();
    let path = bench.folder.path().join(Key::of(&digest(&body())).as_str());
    let dying = Server::new(move |exchange| match exchange.start() {
        None => exchange.say(&announced(body().len(), "ETag: \"1\"\r\n", &body()[..700_000])),
        Some(_) => {
            fs::write(&path, body()).unwrap();
            exchange.say(&bare("404 Not Found", ""));
        }
    });
    let spare = Server::saying(ok(&body()));
    let (sources, mut passed) = ([dying.source("/a.img"), spare.source("/a.img")], Vec::new());
    let go = &mut |_, _| ControlFlow::Continue(());
    assert!(!bench.fetcher.fetch_any(&sources, &right(), Some(&mut passed), go).unwrap().teed);
    assert_eq!(spare.requests(), 0);
}

#[test]
fn a_full_disk_or_a_wish_to_stop_is_no_matter_of_the_source() {
    let good = Server::saying(ok(&body()));
    let bench = Bench::new();
    let sources = [good.source("/a.img"), good.source("/b.img")];
    let stop = &mut |_, _| ControlFlow::Break(());
    let error = bench.fetcher.fetch_any(&sources, &right(), None, stop).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
}

#[test]
fn a_list_is_searched_for_the_name_of_each_source() {
    let server = Server::new(|exchange| {
        let list = format!("{}  a.img\n", digest(&body()).hex());
        exchange.say(&if exchange.path() == "/sums" { ok(list.as_bytes()) } else { ok(&body()) });
    });
    let list = Checksum::List(server.source("/sums"));
    let sources = [server.source("/download"), server.source("/a.img")];
    assert_eq!(Bench::new().fetch_any(&sources, &list).unwrap().source, sources[0]);
}
