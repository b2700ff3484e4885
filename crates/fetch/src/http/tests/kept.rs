//! What stays in the cache: unpacked images, what is listed, and what is cleaned away.

use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Bench {
    fn cache(&self) -> &Cache {
        &self.fetcher.cache
    }

    fn keep_unpacked(&self, key: &Key, image: &[u8]) {
        let unpacking = self
            .cache()
            .unpacking(key, self.packed(key).as_ref(), &mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        assert!(self.cache().unpacked(key).is_none(), "what is not complete is not found");
        unpacking.file().write_all(image).unwrap();
        unpacking.keep().unwrap();
    }

    /// The bytes of `key`, where they are in the cache.
    fn packed(&self, key: &Key) -> Option<fs::File> {
        fs::File::open(self.cache().folder().join(key.as_str())).ok()
    }

    fn unpacked(&self, key: &Key) -> Option<String> {
        Some(io::read_to_string(self.cache().unpacked(key)?).unwrap())
    }

    fn fetch_entry(&self, source: &Source, checksum: &Checksum) -> Fetched {
        let go = &mut |_, _| ControlFlow::Continue(());
        self.fetcher.fetch_entry(source, checksum, None, go).unwrap()
    }

    /// Makes everything look as if it had last been used so long ago.
    fn age(&self, age: Duration) {
        for name in self.names() {
            let file = fs::File::options().write(true).open(self.folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
    }
}

#[test]
fn an_unpacked_image_is_found_by_its_key() {
    let bench = Bench::new();
    let (key, other) = (Key::of(&digest(b"packed")), Key::of(&digest(b"other")));
    bench.keep_unpacked(&key, b"image");
    assert_eq!(bench.unpacked(&key).as_deref(), Some("image"));
    assert_eq!(bench.unpacked(&other), None);
    bench.keep_unpacked_again(&key);
}

impl Bench {
    fn keep_unpacked_again(&self, key: &Key) {
        let unpacking = self
            .cache()
            .unpacking(key, self.packed(key).as_ref(), &mut |_, _| ControlFlow::Continue(()))
            .unwrap();
        unpacking.file().write_all(b"half").unwrap();
        let path = unpacking.path().to_owned();
        drop(unpacking);
        assert!(!path.exists());
        assert_eq!(self.unpacked(key).as_deref(), Some("image"), "one given up does not harm the old one");
    }
}

#[test]
fn a_changed_unpacked_image_is_not_used() {
    let bench = Bench::new();
    let key = Key::of(&digest(b"packed"));
    bench.keep_unpacked(&key, b"image");
    let path = bench.folder.path().join(format!("{key}.unpacked"));
    fs::write(&path, "imag").unwrap();
    assert_eq!(bench.unpacked(&key), None);
}

#[test]
fn without_a_digest_an_unpacked_image_goes_with_its_download() {
    let count = std::sync::atomic::AtomicU8::new(0);
    let server = Server::new(move |exchange| {
        exchange.say(&ok(&[count.fetch_add(1, std::sync::atomic::Ordering::SeqCst)]));
    });
    let (bench, source) = (Bench::new(), server.source("/a.img"));
    let key = bench.fetch_entry(&source, &Checksum::None).key.unwrap();
    bench.keep_unpacked(&key, b"image");
    assert_eq!(bench.unpacked(&key).as_deref(), Some("image"));
    assert_eq!(bench.fetch_entry(&source, &Checksum::None).key, Some(key.clone()));
    assert_eq!(bench.unpacked(&key), None, "the server has another one now");
}

#[test]
fn an_image_of_bytes_that_are_no_longer_there_is_not_found() {
    let count = std::sync::atomic::AtomicU8::new(b'1');
    let server = Server::new(move |exchange| {
        exchange.say(&ok(&[count.fetch_add(1, std::sync::atomic::Ordering::SeqCst)]));
    });
    let (bench, source) = (Bench::new(), server.source("/a.img"));
    let first = bench.fetch_entry(&source, &Checksum::None);
    let key = first.key.clone().unwrap();
    // Another process gets a newer file before the image of this one is kept.
    bench.fetch_entry(&source, &Checksum::None);
    let go = &mut |_, _| ControlFlow::Continue(());
    bench.cache().unpacking(&key, first.file(), go).unwrap().keep().unwrap();
    assert_eq!(bench.unpacked(&key), None);
    bench.keep_unpacked(&key, b"image");
    assert_eq!(bench.unpacked(&key).as_deref(), Some("image"));
    bench.cache().forget(&key).unwrap();
    assert_eq!(bench.unpacked(&key), None);
}

#[test]
fn an_image_that_others_can_write_is_not_found() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let key = Key::of(&digest(b"packed"));
    bench.keep_unpacked(&key, b"image");
    let path = bench.cache().folder().join(format!("{}.unpacked", key.as_str()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(bench.unpacked(&key), None);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(bench.unpacked(&key).is_some());
}

#[test]
fn one_at_a_time_unpacks() {
    let bench = Bench::new();
    let key = Key::of(&digest(b"packed"));
    let first = bench.cache().unpacking(&key, None, &mut |_, _| ControlFlow::Continue(())).unwrap();
    first.file().write_all(b"half").unwrap();
    let mut seen = None;
    let mut look = |done, _| {
        seen = Some(done);
        ControlFlow::Break(())
    };
    let error = bench.cache().unpacking(&key, None, &mut look).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(seen, Some(4));
}

#[test]
fn the_entries_are_listed_with_their_origin_and_size() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    assert_eq!(bench.cache().entries().unwrap(), []);
    fs::write(bench.folder.path().join("of-somebody-else"), "").unwrap();
    let key = bench.fetch_entry(&server.source("/a.img"), &right()).key.unwrap();
    let path = bench.folder.path().join(key.as_str());
    let entries = bench.cache().entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].key, key);
    assert_eq!(entries[0].url, Some(server.source("/a.img").to_string()));
    assert!(entries[0].size >= fs::metadata(&path).unwrap().blocks() * 512 && entries[0].size > 0);
    assert_eq!((entries[0].is_complete, entries[0].is_unpacked), (true, false));
    bench.keep_unpacked(&key, b"image");
    bench.age(DAY);
    assert!(bench.cache().entries().unwrap()[0].used < SystemTime::now() - DAY / 2);
    assert!(bench.cache().entries().unwrap()[0].is_unpacked);
    bench.fetch(&server.source("/a.img"), &right()).unwrap();
    assert!(bench.cache().entries().unwrap()[0].used > SystemTime::now() - DAY / 2, "that was a use");
    assert_eq!(server.requests(), 1);
}

#[test]
fn what_was_not_used_for_long_is_cleaned_away() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    let key = bench.fetch_entry(&server.source("/a.img"), &right()).key.unwrap();
    bench.keep_unpacked(&key, b"image");
    bench.age(3 * DAY);
    let stranger = bench.folder.path().join("sha256-of-somebody-else");
    fs::write(&stranger, "").unwrap();
    bench.fetch(&server.source("/b.img"), &Checksum::None).unwrap();
    assert_eq!(bench.cache().clean(Some(4 * DAY)).unwrap(), []);
    let cleaned = bench.cache().clean(Some(2 * DAY)).unwrap();
    assert_eq!(cleaned.iter().map(|entry| &entry.key).collect::<Vec<_>>(), [&key]);
    assert!(!bench.names().iter().any(|name| name.starts_with(key.as_str())), "{:?}", bench.names());
    assert_eq!(bench.cache().entries().unwrap().len(), 1);
    assert_eq!(bench.cache().clean(None).unwrap().len(), 1);
    assert_eq!(bench.names(), ["sha256-of-somebody-else"]);
    bench.fetch(&server.source("/a.img"), &right()).unwrap();
}

#[test]
fn what_is_in_use_is_not_cleaned_away() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    let fetched = bench.fetch_entry(&server.source("/a.img"), &right());
    assert_eq!(bench.cache().clean(None).unwrap(), []);
    let key = fetched.key.clone().unwrap();
    drop(fetched);
    for suffix in ["", ".unpacked"] {
        let path = bench.folder.path().join(format!("{key}{suffix}.lock"));
        let lock = fs::File::options().create(true).append(true).open(path).unwrap();
        lock.lock().unwrap();
        assert_eq!(bench.cache().clean(None).unwrap(), [], "{suffix}");
    }
    assert_eq!(bench.cache().clean(None).unwrap().len(), 1);
}

/// Who waited for a lock that was cleaned away takes the new one.
#[test]
fn cleaning_and_fetching_do_not_hinder_each_other() {
    let server = Server::saying(ok(b"abc"));
    let (folder, source) = (tempfile::tempdir().unwrap(), server.source("/a.img"));
    let checksum: Checksum = digest(b"abc").into();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let go = &mut |_, _| ControlFlow::Continue(());
                for _ in 0..20 {
                    let fetched = fetcher(folder.path()).fetch_entry(&source, &checksum, None, go).unwrap();
                    assert_eq!(fs::read(&fetched.path).unwrap(), b"abc");
                }
            });
        }
        for _ in 0..40 {
            Cache::open(folder.path()).unwrap().clean(None).unwrap();
        }
    });
}

#[test]
fn what_a_link_in_the_cache_points_to_is_left_alone() {
    let server = Server::saying(ok(&body()));
    let bench = Bench::new();
    let victim = bench.folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    let partial = bench.folder.path().join(format!("{}.partial", Key::of(&digest(&body()))));
    std::os::unix::fs::symlink(&victim, partial).unwrap();
    let error = bench.fetch(&server.source("/a.img"), &right()).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

/// Only root can give files away; anybody can give them to himself.
#[test]
fn what_is_made_belongs_to_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let own = fs::metadata(folder.path()).unwrap();
    let (user, group) = if own.uid() == 0 { (1234, 5678) } else { (own.uid(), own.gid()) };
    let server = Server::saying(ok(&body()));
    let cache = Cache::open_owned(folder.path().join("new/cache"), user, group).unwrap();
    let fetcher = HttpFetcher { cache, ..fetcher(folder.path()) };
    let go = &mut |_, _| ControlFlow::Continue(());
    let fetched = fetcher.fetch_entry(&server.source("/a.img"), &right(), None, go).unwrap();
    let key = fetched.key.clone().unwrap();
    fetcher
        .cache
        .unpacking(&key, fetched.file(), &mut |_, _| ControlFlow::Continue(()))
        .unwrap()
        .keep()
        .unwrap();
    let new = folder.path().join("new");
    let made = fs::read_dir(new.join("cache")).unwrap().map(|entry| entry.unwrap().path());
    let made: Vec<_> = made.chain([new.join("cache"), new]).collect();
    assert!(made.len() > 6, "{made:?}");
    for path in made {
        let about = fs::metadata(&path).unwrap();
        assert_eq!((about.uid(), about.gid()), (user, group), "{}", path.display());
    }
    assert_eq!(fs::metadata(folder.path()).unwrap().uid(), own.uid(), "what was there is left alone");
}
