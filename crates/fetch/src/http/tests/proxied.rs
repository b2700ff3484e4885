//! Proxies that the environment names. A test runs itself again with such an environment: its own cannot be changed while
//! other tests read it.

use super::*;

/// Set in the child: the URL to fetch.
const URL: &str = "ARM_IMAGE_TEST_URL";

/// Runs the test `name` again with `variables`, and says whether it succeeded.
fn again(name: &str, variables: &[(&str, String)]) -> bool {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.args(["--exact", &format!("http::tests::proxied::{name}")]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.output().unwrap().status.success()
}

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    if let Ok(url) = std::env::var(URL) {
        let folder = tempfile::tempdir().unwrap();
        let mut fetcher = fetcher(folder.path());
        fetcher.manner.proxy = true;
        let go = &mut |_, _| ControlFlow::Continue(());
        fetcher.fetch(&url.parse().unwrap(), &right(), None, go).unwrap();
        return;
    }
    // No such host can be asked directly: the name is reserved (RFC 6761).
    let asked = Arc::new(Mutex::new(String::new()));
    let hear = Arc::clone(&asked);
    let proxy = Server::new(move |exchange| {
        *hear.lock().unwrap() = exchange.path().to_owned();
        exchange.say(&ok(&body()));
    });
    let address = proxy.source("").to_string();
    let url = "http://publisher.invalid/a.img".to_owned();
    let name = "a_proxy_is_asked_for_the_whole_url";
    assert!(again(name, &[(URL, url.clone()), ("http_proxy", address.clone())]));
    assert_eq!(*asked.lock().unwrap(), url);
    assert_eq!(proxy.requests(), 1);

    let server = Server::saying(ok(&body()));
    let url = server.source("/a.img").to_string();
    let exempt = ("no_proxy", "127.0.0.1".to_owned());
    assert!(again(name, &[(URL, url), ("http_proxy", address), exempt]));
    assert_eq!((proxy.requests(), server.requests()), (1, 1));
}

#[test]
fn a_proxy_is_asked_for_a_way_to_an_encrypted_server() {
    if let Ok(url) = std::env::var(URL) {
        let folder = tempfile::tempdir().unwrap();
        let mut fetcher = fetcher(folder.path());
        fetcher.manner.proxy = true;
        let go = &mut |_, _| ControlFlow::Continue(());
        let error = fetcher.fetch(&url.parse().unwrap(), &right(), None, go).unwrap_err();
        assert!(matches!(error, Error::Request { .. }) && error.hint().unwrap().contains("proxy"), "{error}");
        return;
    }
    let asked = Arc::new(Mutex::new(String::new()));
    let hear = Arc::clone(&asked);
    let proxy = Server::new(move |exchange| {
        *hear.lock().unwrap() = exchange.head.clone();
        exchange.say(&bare("403 Forbidden", ""));
    });
    let address = proxy.source("").to_string().replace("//", "//me:secret@");
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy"] {
        let url = (URL, "https://publisher.invalid/a.img".to_owned());
        let name = "a_proxy_is_asked_for_a_way_to_an_encrypted_server";
        assert!(again(name, &[url, (variable, address.clone())]));
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        assert!(asked.starts_with("connect publisher.invalid:443 "), "{variable}: {asked}");
        assert!(asked.contains("proxy-authorization: basic "), "{variable}: {asked}");
    }
}
