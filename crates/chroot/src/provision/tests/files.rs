//! Upload, download, owners.

use super::*;
use crate::EntryKind;
use proptest::prelude::*;
use std::os::unix::fs::OpenOptionsExt;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\npi:x:1000:1001:,,,:/home/pi:/bin/bash\n";
const GROUP: &str = "root:x:0:\nvideo:x:44:pi\n";

fn people() -> Fake {
    Fake { files: [("/etc/passwd".into(), PASSWD), ("/etc/group".into(), GROUP)].into(), ..Fake::default() }
}

fn upload(from: &str, to: &str) -> Fake {
    let mut fake = people();
    let upload = Upload {
        from: Source::Path(from.into()),
        to: to.into(),
        mode: Some(0o600),
        owner: Some("pi:video".into()),
    };
    upload.provision(&mut fake, &mut go_on).unwrap();
    fake
}

#[test]
fn a_slash_decides_between_a_directory_and_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/tool"), "content").unwrap();
    let tree = tree.to_str().unwrap();
    let names = |fake: &Fake| fake.made.keys().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(names(&upload(tree, "/opt")), ["/opt/tree", "/opt/tree/sub", "/opt/tree/sub/tool"]);
    assert_eq!(names(&upload(tree, "/opt/")), ["/opt/tree", "/opt/tree/sub", "/opt/tree/sub/tool"]);
    assert_eq!(names(&upload(&format!("{tree}/"), "/opt")), ["/opt", "/opt/sub", "/opt/sub/tool"]);
    // What is there already is not the upload's to give away.
    let fake = upload(&format!("{tree}/"), "/etc");
    let owned: Vec<_> = fake.owned.iter().map(|(path, ..)| path.to_str().unwrap()).collect();
    assert_eq!(owned, ["/etc/sub", "/etc/sub/tool"]);
    let tool = format!("{tree}/sub/tool");
    for (to, name) in [("/opt/", "/opt/tool"), ("/opt/other", "/opt/other"), ("/etc", "/etc/tool")] {
        let fake = upload(&tool, to);
        assert_eq!(fake.made[Path::new(name)], ("content".into(), 0o600));
        assert_eq!(fake.owned, [(PathBuf::from(name), 1000, 44)]);
    }
}

#[test]
fn content_is_written_with_its_mode_and_owner() {
    for (mode, owner, expected) in [(None, None, 0o644), (Some(0o4755), Some("1000"), 0o4755)] {
        let mut fake = people();
        let from = Source::Content(b"text".to_vec());
        let upload = Upload { from, to: "/etc/x".into(), mode, owner: owner.map(Owner::from) };
        upload.provision(&mut fake, &mut go_on).unwrap();
        assert_eq!(fake.made[Path::new("/etc/x")], ("text".into(), expected));
        let owned = owner.map(|_| (PathBuf::from("/etc/x"), 1000, 1001));
        assert_eq!(fake.owned, owned.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn owners_are_looked_up_in_the_image() {
    let numbers = |text: &str| Owner::from(text).numbers(&mut people());
    assert_eq!(numbers("root").unwrap(), (0, 0));
    assert_eq!(numbers("pi").unwrap(), (1000, 1001));
    assert_eq!(numbers("1000").unwrap(), (1000, 1001));
    assert_eq!(numbers("77:video").unwrap(), (77, 44));
    assert_eq!(numbers("pi:7").unwrap(), (1000, 7));
    // Numbers need no table.
    assert_eq!(Owner::from("1:2").numbers(&mut Fake::default()).unwrap(), (1, 2));
    for (owner, reason) in
        [("nobody", "no such user"), ("pi:none", "no such group"), ("7", "no group"), ("", "no such user")]
    {
        let error = numbers(owner).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

fn entry(name: &str, kind: EntryKind, mode: u32) -> Entry {
    Entry { name: name.into(), kind, mode }
}

fn image() -> Fake {
    let link = EntryKind::Link("/etc/shadow".into());
    let srv = vec![
        entry("b", EntryKind::Directory, 0o755),
        entry("a", EntryKind::File, 0o4751),
        entry("l", link, 0o777),
    ];
    Fake {
        files: [("/srv/a".into(), "of a"), ("/srv/b/c".into(), "of c")].into(),
        folders: [("/srv".into(), srv), ("/srv/b".into(), vec![entry("c", EntryKind::File, 0o600)])].into(),
        ..Fake::default()
    }
}

fn download(fake: &mut Fake, from: &str, to: &Path) -> Result<(), Error> {
    Download { from: from.into(), to: to.into() }.provision(fake, &mut go_on)
}

#[test]
fn a_tree_comes_out_by_the_same_rules() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    download(&mut image(), "/srv", &at("one")).unwrap();
    download(&mut image(), "/srv/", &at("two/deep")).unwrap();
    for tree in ["one/srv", "two/deep"] {
        assert_eq!(fs::read(at(tree).join("a")).unwrap(), b"of a");
        assert_eq!(
            fs::metadata(at(tree).join("a")).unwrap().permissions().mode() & 0o7000,
            0,
            "no setuid here"
        );
        assert_eq!(fs::read(at(tree).join("b/c")).unwrap(), b"of c");
        assert_eq!(fs::read_link(at(tree).join("l")).unwrap(), Path::new("/etc/shadow"));
    }
    download(&mut image(), "/srv/a", &at("file")).unwrap();
    download(&mut image(), "/srv/a", &at("new/")).unwrap();
    download(&mut image(), "/srv/a", &at("one")).unwrap();
    for file in ["file", "new/a", "one/a"] {
        assert_eq!(fs::read(at(file)).unwrap(), b"of a");
    }
}

#[test]
fn no_name_is_taken_but_those_of_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let long = "x".repeat(255);
    let first = format!(".arm-image-{}-0", std::process::id());
    let names = ["a", "a.partial", &first, &long];
    let mut fake = Fake {
        files: names.iter().map(|name| (Path::new("/srv").join(name), "new")).collect(),
        folders: [("/srv".into(), names.iter().map(|name| entry(name, EntryKind::File, 0o644)).collect())]
            .into(),
        ..Fake::default()
    };
    download(&mut fake, "/srv/", &to).unwrap();
    let found = || {
        let mut found: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        found.sort();
        found
    };
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(found(), expected);

    // What is there already, and belongs to nobody here.
    fs::write(to.join("a.partial"), "somebody's").unwrap();
    fs::write(to.join(&first), "somebody's").unwrap();
    download(&mut fake, "/srv/a", &to.join("a")).unwrap();
    fake.files.clear();
    assert!(download(&mut fake, "/srv/a", &to.join("a")).is_err());
    assert_eq!(fs::read(to.join("a")).unwrap(), b"new");
    for name in ["a.partial", &first] {
        assert_eq!(fs::read(to.join(name)).unwrap(), b"somebody's", "{name}");
    }
    assert_eq!(found(), expected);
}

#[test]
fn what_still_comes_has_no_name_so_that_nothing_is_left_of_a_killed_download() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = fs::OpenOptions::new();
    let unnamed = options.write(true).custom_flags(libc::O_TMPFILE).open(folder.path()).is_ok();
    for old in [None, Some("old")] {
        let to = folder.path().join("file");
        if let Some(old) = old {
            fs::write(&to, old).unwrap();
        }
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let before = names();
        let mut ticks = 0;
        let mut tick = |_: Output<'_>| {
            ticks += 1;
            assert_eq!(
                names(),
                before + usize::from(!unnamed),
                "some file systems have only files with names"
            );
            ControlFlow::Continue(())
        };
        let download = Download { from: "/srv/a".into(), to: to.clone() };
        download.provision(&mut image(), &mut tick).unwrap();
        assert!(ticks > 0);
        assert_eq!(fs::read(&to).unwrap(), b"of a");
        assert_eq!(names(), 1);
    }
}

#[test]
fn nothing_is_written_through_a_link_that_an_image_brought() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let to = folder.path().join("to");
    fs::create_dir(&to).unwrap();
    symlink(&victim, to.join("b")).unwrap();
    symlink(victim.join("a"), to.join("a")).unwrap();
    let error = download(&mut image(), "/srv/", &to).unwrap_err();
    assert!(matches!(&error, Error::Destination { path, .. } if *path == to.join("b")), "{error:?}");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    assert_eq!(fs::read(to.join("a")).unwrap(), b"of a", "the link is gone");
}

#[test]
fn a_failed_download_leaves_no_half_of_a_file_and_names_what_it_cannot_copy() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("file");
    assert!(matches!(download(&mut image(), "/none", &to), Err(Error::Read { .. })));
    assert!(!to.exists());
    let mut second = |_: Output<'_>| ControlFlow::Break(());
    let cancelled = Download { from: "/srv/a".into(), to: to.clone() }.provision(&mut image(), &mut second);
    assert!(matches!(cancelled, Err(Error::Cancelled)));
    assert!(!to.exists());
    let mut special = image();
    special.folders.insert("/srv".into(), vec![entry("pipe", EntryKind::Special, 0o600)]);
    let error = download(&mut special, "/srv", folder.path()).unwrap_err();
    assert!(matches!(error, Error::Special { path } if path == Path::new("/srv/pipe")));
    for name in ["..", ".", "a/b", "/etc", ""] {
        let mut hostile = image();
        hostile.folders.insert("/srv".into(), vec![entry(name, EntryKind::File, 0o600)]);
        assert!(
            matches!(download(&mut hostile, "/srv", folder.path()), Err(Error::Special { .. })),
            "{name:?}"
        );
    }
}

proptest! {
    #[test]
    fn tables_of_users_may_hold_anything(passwd in "[a-z:0-9\n]{0,60}|\\PC{0,60}", owner in "[a-z0-9:]{0,6}|\\PC{0,9}") {
        let passwd: &'static str = Box::leak(passwd.into_boxed_str());
        let mut fake = Fake { files: [("/etc/passwd".into(), passwd), ("/etc/group".into(), passwd)].into(), ..Fake::default() };
        let _ = Owner::from(owner.as_str()).numbers(&mut fake);
    }
}
