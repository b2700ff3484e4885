//! Redirects, and names that only they tell.

use super::*;

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = Server::new(|exchange| {
        let answer = match exchange.path() {
            "/latest" => bare("302 Found", "Location: /a.img\r\n"),
            "/a.img" => ok(&body()),
            _ => bare("301 Moved Permanently", "Location: /again\r\n"),
        };
        exchange.say(&answer);
    });
    let bench = Bench::new();
    let error = bench.fails(&server.source("/loop"), &right());
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    assert!(error.to_string().contains("/loop"));
    assert_eq!(fs::read(bench.fetch(&server.source("/latest"), &right()).unwrap()).unwrap(), body());
}

/// `/latest` leads to `/v2/a.img`, of which the list speaks.
fn server() -> (Server, Checksum) {
    let server = Server::new(|exchange| {
        let list = format!("{}  b.img\n{}  a.img\n", digest(b"b").hex(), digest(&body()).hex());
        let answer = match exchange.path() {
            "/sums" => ok(list.as_bytes()),
            "/latest" => bare("302 Found", "Location: /v2/a.img\r\n"),
            "/v2/a.img" => ok(&body()),
            _ => bare("404 Not Found", ""),
        };
        exchange.say(&answer);
    });
    let list = Checksum::List(server.source("/sums"));
    (server, list)
}

#[test]
fn the_list_is_searched_for_the_name_at_the_end_of_the_redirects() {
    let (server, list) = server();
    let bench = Bench::new();
    let path = bench.fetch(&server.source("/latest"), &list).unwrap();
    assert_eq!(fs::read(&path).unwrap(), body());
    // Without the network, the record says what that was.
    let bench = Bench { fetcher: fetcher(bench.folder.path()).offline(true), folder: bench.folder };
    let before = server.requests();
    assert_eq!(bench.fetch(&server.source("/latest"), &list).unwrap(), path);
    assert!(matches!(bench.fetch(&server.source("/other"), &list), Err(Error::NotInList { .. })));
    assert_eq!(server.requests(), before);
}

#[test]
fn a_redirect_to_nothing_does_not_hide_that_the_list_lacks_the_name() {
    let (server, list) = server();
    let bench = Bench::new();
    let error = bench.fetch(&server.source("/gone"), &list).unwrap_err();
    bench.holds_only_lists();
    assert!(matches!(error, Error::NotInList { .. }) && error.to_string().contains("gone"), "{error}");
}

#[test]
fn the_digest_can_be_asked_for_alone() {
    let (server, list) = server();
    let bench = Bench::new();
    let ask = |sources: &[Source], checksum: &Checksum| {
        bench.fetcher.digest(sources, checksum, &mut |_, _| ControlFlow::Continue(())).unwrap()
    };
    assert_eq!(ask(&[server.source("/latest")], &list), Some(digest(&body())));
    assert_eq!(ask(&[server.source("/latest")], &right()), Some(digest(&body())));
    assert_eq!(ask(&[server.source("/latest")], &Checksum::None), None);
    bench.holds_only_lists();
}

impl Bench {
    #[track_caller]
    fn holds_only_lists(&self) {
        assert!(self.names().iter().all(|name| name.starts_with("url-")), "{:?}", self.names());
    }
}
