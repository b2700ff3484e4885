//! Two processes that want the same. The test runs itself again for them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::server::part;

/// Set in the children: the folder of the cache, and the URL to fetch.
const FOLDER: &str = "ARM_IMAGE_TEST_FOLDER";
const URL: &str = "ARM_IMAGE_TEST_SHARED_URL";
/// What a child writes when it knows of the first bytes, and at its end.
const BEGUN: &str = "it has begun";
const FETCHED: &str = "it has the file";

const ETAG: &str = "ETag: \"one\"\r\n";

/// Does what a child does, if this is one.
fn is_child() -> bool {
    let (Ok(folder), Ok(url)) = (std::env::var(FOLDER), std::env::var(URL)) else { return false };
    let mut has_begun = false;
    let mut tick = |done, _| {
        if done > 0 && !std::mem::replace(&mut has_begun, true) {
            println!("\n{BEGUN}");
        }
        ControlFlow::Continue(())
    };
    let path = fetcher(Path::new(&folder)).fetch(&url.parse().unwrap(), &right(), None, &mut tick).unwrap();
    assert!(fs::read(path).unwrap() == body());
    println!("\n{FETCHED}");
    true
}

/// A process that runs the test `name` as a child.
struct Process {
    child: Child,
    lines: io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Process {
    fn start(name: &str, folder: &Path, source: &Source) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", &format!("http::tests::shared::{name}")])
            .env(FOLDER, folder)
            .env(URL, source.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it says so.
    #[track_caller]
    fn says(&mut self, text: &str) {
        assert!(self.lines.any(|line| line.unwrap() == text), "it never says that {text}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that gives half of the file, and the rest when it is told to. It tells when the half is out.
fn halting() -> (Server, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (halted, has_halted) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let server = Server::new(move |exchange| match exchange.start() {
        Some(start) => exchange.say(&part(&body(), start, ETAG)),
        None => {
            exchange.say(&announced(body().len(), ETAG, &body()[..400_000]));
            halted.send(()).unwrap();
            // It may be told by being dropped.
            let _ = wait.lock().unwrap().recv();
            exchange.say(&body()[400_000..]);
        }
    });
    (server, has_halted, go)
}

#[test]
fn two_processes_share_one_download() {
    if is_child() {
        return;
    }
    let (server, has_halted, go) = halting();
    let (folder, source) = (tempfile::tempdir().unwrap(), server.source("/a.img"));
    let start = || Process::start("two_processes_share_one_download", folder.path(), &source);
    let mut first = start();
    has_halted.recv().unwrap();
    let mut second = start();
    // It waits: all it can know of before the server goes on is what the first has.
    second.says(BEGUN);
    go.send(()).unwrap();
    first.says(FETCHED);
    second.says(FETCHED);
    assert_eq!(server.requests(), 1);
}

#[test]
fn who_waits_goes_on_where_a_killed_process_ended() {
    if is_child() {
        return;
    }
    let (server, has_halted, _go) = halting();
    let (folder, source) = (tempfile::tempdir().unwrap(), server.source("/a.img"));
    let start = || Process::start("who_waits_goes_on_where_a_killed_process_ended", folder.path(), &source);
    let mut first = start();
    has_halted.recv().unwrap();
    first.says(BEGUN);
    let mut second = start();
    second.says(BEGUN);
    drop(first);
    second.says(FETCHED);
    assert_eq!(server.requests(), 2);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}
