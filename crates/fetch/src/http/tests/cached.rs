//! What is fetched a second time.

use super::listed::list_server;
use super::*;

#[test]
fn a_known_digest_is_downloaded_once_from_whichever_url() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    let path = bench.fetch(&server.source("/a.img"), &right()).unwrap();
    let (mut passed, mut ticks) = (Vec::new(), 0);
    let mut count = |_, _| {
        ticks += 1;
        ControlFlow::Continue(())
    };
    let again = bench.fetcher.fetch(&server.source("/b.img"), &right(), None, &mut count).unwrap();
    assert_eq!((again, ticks), (path.clone(), 0), "an untouched file is not read again");
    let again = bench
        .fetcher
        .fetch(&server.source("/c.img"), &right(), Some(&mut passed), &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!((again, passed), (path, body()));
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_file_changed_in_the_cache_is_downloaded_again() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    for damage in [&b"short"[..], &vec![0; body().len()]] {
        let path = bench.fetch(&server.source("/a.img"), &right()).unwrap();
        // Another file in its place, so that the test does not hang on the clock's resolution.
        fs::rename(&path, bench.folder.path().join("aside")).unwrap();
        fs::write(&path, damage).unwrap();
        assert_eq!(bench.fetch(&server.source("/a.img"), &right()).unwrap(), path);
        assert_eq!(fs::read(&path).unwrap(), body());
    }
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_sound_file_without_its_record_is_hashed_and_used() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    let path = bench.fetch(&server.source("/a.img"), &right()).unwrap();
    for record in [None, Some("{\"url\":")] {
        let record_path = path.with_extension("json");
        fs::remove_file(&record_path).unwrap();
        if let Some(text) = record {
            fs::write(&record_path, text).unwrap();
        }
        assert_eq!(bench.fetch(&server.source("/a.img"), &right()).unwrap(), path);
        assert!(fs::read_to_string(&record_path).unwrap().contains("\"size\":800000"));
    }
    assert_eq!(server.requests(), 1);
}

#[test]
fn what_a_killed_download_left_is_written_over() {
    let server = Server::saying(ok(b"abc"));
    let bench = Bench::new();
    let digest = digest(b"abc");
    let partial = bench.folder.path().join(format!("sha256-{}.partial", digest.hex()));
    fs::write(&partial, "left by a killed download").unwrap();
    let path = bench.fetch(&server.source("/a.img"), &digest.into()).unwrap();
    assert_eq!(fs::read(path).unwrap(), b"abc");
    assert!(!partial.exists());
}

#[test]
fn without_a_digest_the_server_is_asked_whether_the_file_changed() {
    let version = Arc::new(Mutex::new("one"));
    let served = Arc::clone(&version);
    let server = Server::new(move |exchange| {
        let version = *served.lock().unwrap();
        let answer = if exchange.head.contains(&format!("if-none-match: \"{version}\"\r\n")) {
            bare("304 Not Modified", "")
        } else {
            announced(3, &format!("ETag: \"{version}\"\r\n"), version.as_bytes())
        };
        exchange.say(&answer);
    });
    let (bench, source) = (Bench::new(), server.source("/latest.img"));
    let get = || {
        let mut passed = Vec::new();
        let fetched = bench
            .fetcher
            .fetch(&source, &Checksum::None, Some(&mut passed), &mut |_, _| ControlFlow::Continue(()));
        let bytes = fs::read(fetched.unwrap()).unwrap();
        assert_eq!(bytes, passed);
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!([get(), get()], ["one", "one"]);
    *version.lock().unwrap() = "two";
    assert_eq!([get(), get()], ["two", "two"]);
    assert_eq!(server.requests(), 4);
}

#[test]
fn without_a_digest_or_a_validator_the_file_is_downloaded_again() {
    let server = Server::saying(ok(b"abc"));
    let bench = Bench::new();
    for _ in 0..2 {
        bench.fetch(&server.source("/a.img"), &Checksum::None).unwrap();
    }
    assert_eq!(server.requests(), 2);
    // An older file is not lost by a failure to get a newer one, and is used where that is asked for.
    let bench = Bench { fetcher: fetcher(bench.folder.path()).offline(true), folder: bench.folder };
    let path = bench.fetch(&server.source("/a.img"), &Checksum::None).unwrap();
    assert_eq!(fs::read(path).unwrap(), b"abc");
}

#[test]
fn offline_takes_from_the_cache_and_asks_nobody() {
    let (server, list) = list_server(ok(format!("{}  a.img\n", digest(&body()).hex()).as_bytes()));
    let bench = Bench::new();
    let path = bench.fetch(&server.source("/a.img"), &list).unwrap();
    let before = server.requests();

    let bench = Bench { fetcher: fetcher(bench.folder.path()).offline(true), folder: bench.folder };
    assert_eq!(bench.fetch(&server.source("/a.img"), &list).unwrap(), path);
    assert_eq!(bench.fetch(&server.source("/elsewhere.img"), &right()).unwrap(), path);
    let error = bench.fetch(&server.source("/a.img"), &digest(b"other").into()).unwrap_err();
    assert!(matches!(error, Error::Offline { .. }) && error.hint().is_some(), "{error}");
    assert_eq!(server.requests(), before);
}

/// Locks belong to the open file, so that two fetchers of one process wait for each other as two processes do.
#[test]
fn two_who_want_the_same_share_one_download() {
    for checksum in [right(), Checksum::None] {
        let (go, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let server = Server::new(move |exchange| {
            let body = body();
            exchange.say(&announced(body.len(), "", &body[..1000]));
            // The other half comes when the second fetcher is seen waiting.
            wait.lock().unwrap().recv().unwrap();
            exchange.say(&body[1000..]);
        });
        let folder = tempfile::tempdir().unwrap();
        let source = server.source("/a.img");
        let (begun, first_begun) = mpsc::channel();
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                fetcher(folder.path()).fetch(&source, &checksum, None, &mut |done, _| {
                    if done > 0 {
                        let _ = begun.send(());
                    }
                    ControlFlow::Continue(())
                })
            });
            first_begun.recv().unwrap();
            let (mut passed, mut seen) = (Vec::new(), Vec::new());
            let second =
                fetcher(folder.path()).fetch(&source, &checksum, Some(&mut passed), &mut |done, _| {
                    let _ = go.send(());
                    seen.push(done);
                    ControlFlow::Continue(())
                });
            assert_eq!(first.join().unwrap().unwrap(), second.unwrap());
            assert_eq!(seen[0], 1000, "while it waits, it sees how far the other is");
            assert_eq!(passed, body());
        });
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn who_waits_for_another_can_be_cancelled() {
    let bench = Bench::new();
    let url = "http://h/a.img".parse().unwrap();
    let cache = Cache::open(bench.folder.path()).unwrap();
    let _held = cache.lock(&Key::new(&url, None), &mut |_, _| ControlFlow::Continue(())).unwrap();
    let cancel = &mut |_, _| ControlFlow::Break(());
    let error = bench.fetcher.fetch(&Source::Url(url), &Checksum::None, None, cancel).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
}
