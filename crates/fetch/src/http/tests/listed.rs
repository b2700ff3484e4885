//! Checksum lists from servers.

use super::*;

pub(super) fn list_server(list: Vec<u8>) -> (Server, Checksum) {
    let server = Server::new(move |exchange| {
        let answer = if exchange.path() == "/sums" { list.clone() } else { ok(&body()) };
        exchange.say(&answer);
    });
    let list = Checksum::List(server.source("/sums"));
    (server, list)
}

#[test]
fn a_list_is_fetched_and_the_digest_chosen_by_the_name() {
    let text = format!("{}  b.img\n{}  a.img\n", digest(b"b").hex(), digest(&body()).hex());
    let (server, list) = list_server(ok(text.as_bytes()));
    let bench = Bench::new();
    assert_eq!(fs::read(bench.fetch(&server.source("/a.img"), &list).unwrap()).unwrap(), body());
    let error = bench.fetch(&server.source("/b.img"), &list).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    let error = bench.fetch(&server.source("/c.img"), &list).unwrap_err();
    assert!(matches!(error, Error::NotInList { .. }), "{error}");
}

#[test]
fn a_list_that_cannot_be_had_is_no_checksum_error() {
    let (server, list) = list_server(bare("404 Not Found", ""));
    let error = Bench::new().fails(&server.source("/a.img"), &list);
    assert!(matches!(error, Error::Status { .. }) && !error.is_checksum(), "{error}");
}

#[test]
fn a_list_as_large_as_an_image_is_refused() {
    let size = usize::try_from(LIST_LIMIT).unwrap() + 1;
    for answer in [announced(size, "", b"1"), chunked(&vec![b'a'; size], b"0\r\n\r\n")] {
        let (server, list) = list_server(answer);
        let error = Bench::new().fails(&server.source("/a.img"), &list);
        assert!(matches!(error, Error::ListTooLarge { .. }), "{error}");
    }
}

#[test]
fn a_file_is_checked_against_a_list_from_a_server() {
    let (_server, list) = list_server(ok(format!("{}  a.img\n", digest(b"abc").hex()).as_bytes()));
    let bench = Bench::new();
    let path = bench.folder.path().join("a.img");
    fs::write(&path, "abc").unwrap();
    assert_eq!(bench.fetch(&Source::Path(path.clone()), &list).unwrap(), path);
    fs::write(&path, "abd").unwrap();
    assert!(bench.fetch(&Source::Path(path), &list).unwrap_err().is_checksum());
}

#[test]
fn every_kind_of_list_is_taken_from_a_server() {
    let sha256 = digest(&body()).hex();
    let md5 = Digest::of(Algorithm::Md5, &body()[..]).unwrap().hex();
    for (name, text) in [
        ("/a.img.sha256", format!("{sha256}\n")),
        ("/a.img.md5", format!("{md5}  a.img\n")),
        ("/a.img.md5", md5.to_uppercase()),
        ("/SHA256SUMS", format!("{sha256} *./images/a.img\n")),
        ("/CHECKSUM", format!("# a.img: 800000 bytes\nSHA256 (a.img) = {sha256}\n")),
    ] {
        let server = Server::new(move |exchange| {
            let answer = if exchange.path() == "/a.img" { body() } else { text.clone().into_bytes() };
            exchange.say(&ok(&answer));
        });
        let list = format!("file:{}", server.source(name));
        Bench::new().fetch(&server.source("/a.img"), &list.parse().unwrap()).unwrap();
    }
}

/// Publishers list the digest of the image beside that of the archive.
#[test]
fn a_list_can_be_asked_for_the_unpacked_image() {
    let text = format!("{}  a.img.xz\n{}  a.img\n", digest(b"packed").hex(), digest(b"image").hex());
    let (server, list) = list_server(ok(text.as_bytes()));
    let bench = Bench::new();
    let ask = |sources: &[Source]| {
        bench.fetcher.digest(sources, &list, &mut |_, _| ControlFlow::Continue(())).map(Option::unwrap)
    };
    assert_eq!(ask(&[server.source("/a.img.xz")]).unwrap(), digest(b"packed"));
    assert_eq!(ask(&["a.img".parse().unwrap()]).unwrap(), digest(b"image"));
    // What a member of an archive is called goes before what the archive makes one think.
    assert_eq!(
        ask(&["boot/other.img".parse().unwrap(), "a.img".parse().unwrap()]).unwrap(),
        digest(b"image")
    );
    assert!(matches!(ask(&["b.img".parse().unwrap()]), Err(Error::NotInList { .. })));
}

#[test]
fn offline_a_list_that_was_never_fetched_is_missing() {
    let (server, list) = list_server(ok(b""));
    let bench = Bench::new();
    let bench = Bench { fetcher: fetcher(bench.folder.path()).offline(true), folder: bench.folder };
    let error = bench.fails(&server.source("/a.img"), &list);
    assert!(matches!(error, Error::Offline { .. }) && error.to_string().contains("/sums"), "{error}");
    assert_eq!(server.requests(), 0);
}
