use std::fs;
use std::ops::ControlFlow;

use super::*;

const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn fetch(path: &Path, checksum: &Checksum) -> Result<PathBuf, Error> {
    LocalFetcher.fetch(&Source::Path(path.into()), checksum, None, &mut |_, _| ControlFlow::Continue(()))
}

#[test]
fn a_file_is_verified_where_it_is() {
    let folder = folder(&[("a.img", "abc"), ("b.img", "abd")]);
    let (good, bad) = (folder.path().join("a.img"), folder.path().join("b.img"));
    let checksum = ABC.parse().unwrap();
    assert_eq!(fetch(&good, &checksum).unwrap(), good);
    let error = fetch(&bad, &checksum).unwrap_err();
    assert!(error.is_checksum() && error.to_string().contains(ABC), "{error}");
    assert!(error.to_string().contains(bad.to_str().unwrap()));
    assert_eq!(fs::read(&bad).unwrap(), b"abd", "the user's file is left alone");
}

#[test]
fn a_list_beside_the_file_is_read() {
    let folder = folder(&[("a.img", "abc"), ("sums", &ABC.replace("sha256:", "").to_string())]);
    let list = Checksum::List(Source::Path(folder.path().join("sums")));
    fetch(&folder.path().join("a.img"), &list).unwrap();
    let error = fetch(&folder.path().join("sums"), &list).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
}

#[test]
fn the_bytes_pass_and_are_counted() {
    let folder = folder(&[("a.img", "abc")]);
    let source = Source::Path(folder.path().join("a.img"));
    let (mut passed, mut ticks) = (Vec::new(), Vec::new());
    let mut tick = |done, total| {
        ticks.push((done, total));
        ControlFlow::Continue(())
    };
    LocalFetcher.fetch(&source, &Checksum::None, Some(&mut passed), &mut tick).unwrap();
    assert_eq!(passed, b"abc");
    assert_eq!(ticks, [(3, Some(3))]);
}

#[test]
fn a_tick_cancels() {
    let folder = folder(&[("a.img", "abc")]);
    let source = Source::Path(folder.path().join("a.img"));
    let cancel = &mut |_, _| ControlFlow::Break(());
    let error = LocalFetcher.fetch(&source, &ABC.parse().unwrap(), None, cancel).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
}

#[test]
fn what_is_no_file_is_an_error_even_unverified() {
    let folder = folder(&[]);
    for path in [folder.path(), &folder.path().join("missing.img")] {
        let error = fetch(path, &Checksum::None).unwrap_err();
        assert!(matches!(error, Error::Open { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
}

#[test]
fn a_url_is_refused_as_the_source_and_as_the_list() {
    let url: Source = "http://h/a.img".parse().unwrap();
    let go = &mut |_, _| ControlFlow::Continue(());
    let error = LocalFetcher.fetch(&url, &Checksum::None, None, go).unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error}");
    let error = fetch(Path::new("a.img"), &Checksum::List(url)).unwrap_err();
    assert!(matches!(error, Error::Remote { .. }), "{error}");
}
