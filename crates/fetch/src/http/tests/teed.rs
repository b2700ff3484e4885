//! What passes to a tee, and what is told of it.

use std::io::Read;

use super::resumed::{ETAG, begun, cutting, obeys};
use super::*;

/// Takes so many bytes, and then no more.
struct Small(usize);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.0);
        self.0 -= length;
        if length == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(length) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bench {
    fn teed(&self, source: &Source, checksum: &Checksum, tee: &mut dyn Write) -> Fetched {
        let go = &mut |_, _| ControlFlow::Continue(());
        self.fetcher.fetch_entry(source, checksum, Some(tee), go).unwrap()
    }
}

#[test]
fn a_download_passes_as_a_whole() {
    for checksum in [right(), Checksum::None] {
        let server = Server::saying(ok(&body()));
        let (bench, mut passed) = (Bench::new(), Vec::new());
        assert!(bench.teed(&server.source("/a.img"), &checksum, &mut passed).teed);
        assert!(passed == body());
    }
    let server = Server::saying(ok(&body()));
    let go = &mut |_, _| ControlFlow::Continue(());
    let fetched = Bench::new().fetcher.fetch_entry(&server.source("/a.img"), &right(), None, go).unwrap();
    assert!(!fetched.teed, "nobody asked");
}

#[test]
fn what_an_earlier_run_left_passes_first() {
    for checksum in [right(), Checksum::None] {
        let (server, _) = cutting(ETAG, obeys);
        let source = server.source("/a.img");
        let mut passed = Vec::new();
        assert!(begun(&source, &checksum).teed(&source, &checksum, &mut passed).teed);
        assert!(passed == body());
        assert_eq!(server.requests(), 2);
    }
}

#[test]
fn what_is_there_does_not_pass() {
    let server = Server::new(|exchange| {
        let is_known = exchange.head.contains("if-none-match: \"one\"\r\n");
        exchange.say(&if is_known { bare("304 Not Modified", "") } else { announced(3, ETAG, b"abc") });
    });
    for checksum in [digest(b"abc").into(), Checksum::None] {
        let (bench, source, mut passed) = (Bench::new(), server.source("/a.img"), Vec::new());
        bench.fetch(&source, &checksum).unwrap();
        let fetched = bench.teed(&source, &checksum, &mut passed);
        assert!(!fetched.teed && passed.is_empty());
        assert_eq!(fs::read(&fetched.path).unwrap(), b"abc");
        let file = Source::Path(fetched.path.clone());
        assert!(!bench.teed(&file, &checksum, &mut passed).teed && passed.is_empty());
        // Whoever cannot tell gets it from the file.
        for source in [source, file] {
            let go = &mut |_, _| ControlFlow::Continue(());
            bench.fetcher.fetch(&source, &checksum, Some(&mut passed), go).unwrap();
            assert_eq!(std::mem::take(&mut passed), b"abc");
        }
    }
}

#[test]
fn a_tee_that_fails_does_not_end_the_download() {
    for room in [0, 300_000] {
        let server = Server::saying(ok(&body()));
        let bench = Bench::new();
        let fetched = bench.teed(&server.source("/a.img"), &right(), &mut Small(room));
        assert!(!fetched.teed);
        assert!(fs::read(&fetched.path).unwrap() == body());
        // Whoever was promised all of it is told, and has it in the cache.
        let go = &mut |_, _| ControlFlow::Continue(());
        for bench in [bench, Bench::new()] {
            let tee: Option<&mut dyn Write> = Some(&mut Small(room));
            let error = bench.fetcher.fetch(&server.source("/a.img"), &right(), tee, go).unwrap_err();
            assert!(matches!(error, Error::Tee { .. }), "{error}");
            let requests = server.requests();
            assert!(fs::read(bench.fetch(&server.source("/a.img"), &right()).unwrap()).unwrap() == body());
            assert_eq!(server.requests(), requests);
        }
    }
}

#[test]
fn a_tee_that_failed_does_not_hide_that_the_bytes_are_wrong() {
    let server = Server::saying(ok(b"other bytes"));
    let bench = Bench::new();
    let go = &mut |_, _| ControlFlow::Continue(());
    let tee: Option<&mut dyn Write> = Some(&mut Small(0));
    let error = bench.fetcher.fetch_entry(&server.source("/a.img"), &right(), tee, go).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    bench.holds_no_image();
}

/// Fetches through a pipe of which `read` has the other end.
fn piped<T: Send>(
    bench: &Bench,
    source: &Source,
    read: impl FnOnce(io::PipeReader) -> T + Send,
) -> (bool, T) {
    let (reader, mut writer) = io::pipe().unwrap();
    thread::scope(|scope| {
        let read = scope.spawn(move || read(reader));
        let fetched = bench.teed(source, &right(), &mut writer);
        drop(writer);
        assert!(fs::read(&fetched.path).unwrap() == body());
        (fetched.teed, read.join().unwrap())
    })
}

#[test]
fn a_pipe_is_read_while_the_bytes_come() {
    let (got, go) = mpsc::channel();
    let go = Mutex::new(go);
    let server = Server::new(move |exchange| {
        exchange.say(&announced(body().len(), "", &body()[..1000]));
        // The rest comes when the first bytes have arrived at the other end.
        go.lock().unwrap().recv().unwrap();
        exchange.say(&body()[1000..]);
    });
    let (teed, read) = piped(&Bench::new(), &server.source("/a.img"), move |mut reader| {
        let mut bytes = vec![0; 1000];
        reader.read_exact(&mut bytes).unwrap();
        got.send(()).unwrap();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
    assert!(teed && read == body());
}

#[test]
fn a_reader_that_ends_early_does_not_end_the_download() {
    let server = Server::saying(ok(&body()));
    let (teed, head) = piped(&Bench::new(), &server.source("/a.img"), |mut reader| {
        let mut head = [0; 4];
        reader.read_exact(&mut head).unwrap();
        head
    });
    assert_eq!((teed, head), (false, [0; 4]));
}
