use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// A tree that stands for the image, beside a file that stands for the host's.
struct Tree {
    folder: tempfile::TempDir,
    root: File,
}

impl Tree {
    fn new() -> Tree {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("image/etc")).unwrap();
        fs::write(folder.path().join("host"), "host's own").unwrap();
        let root = File::open(folder.path().join("image")).unwrap();
        Tree { folder, root }
    }
    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("image").join(path)
    }
    fn host(&self) -> PathBuf {
        self.folder.path().join("host")
    }
    fn host_is_untouched(&self) -> bool {
        fs::read(self.host()).unwrap() == b"host's own"
    }
    /// New files are given to root, which takes root.
    fn write(&self, path: &str, content: &str, mode: u32) -> io::Result<()> {
        create(self.root.as_fd(), Path::new(path), Node::File(&mut content.as_bytes()), mode)
    }
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        read(self.root.as_fd(), Path::new(path), &mut bytes).map(|()| bytes)
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn reading_follows_absolute_and_climbing_links_inside_only() {
    let tree = Tree::new();
    fs::write(tree.path("etc/real"), "inside").unwrap();
    symlink("/etc/real", tree.path("absolute")).unwrap();
    symlink("../../../../etc/real", tree.path("etc/climbing")).unwrap();
    symlink(tree.host(), tree.path("etc/out")).unwrap();
    symlink("../../host", tree.path("etc/up")).unwrap();
    assert_eq!(tree.read("/absolute").unwrap(), b"inside");
    assert_eq!(tree.read("/etc/climbing").unwrap(), b"inside");
    assert_eq!(tree.read("/etc/out").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(tree.read("/etc/up").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(tree.read("/../host").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    let tree = Tree::new();
    rustix::fs::mknodat(&tree.root, "pipe", rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(tree.read("/pipe").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(tree.read("/etc").unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_new_file_has_its_mode_and_its_parents() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    tree.write("/opt/a/b/tool", "x", 0o4751).unwrap();
    let metadata = fs::metadata(tree.path("opt/a/b/tool")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o4751, 0, 0));
    assert_eq!(fs::metadata(tree.path("opt/a")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_dir(tree.path("opt/a/b")).unwrap().count(), 1, "only the finished file is there");
}

#[test]
fn writing_through_a_link_stays_inside() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    symlink("/etc/real", tree.path("etc/alias")).unwrap();
    symlink(tree.host(), tree.path("etc/out")).unwrap();
    symlink("../../host", tree.path("etc/up")).unwrap();
    tree.write("/etc/alias", "new", 0o644).unwrap();
    assert_eq!(fs::read(tree.path("etc/real")).unwrap(), b"new");
    assert!(fs::symlink_metadata(tree.path("etc/alias")).unwrap().is_symlink());
    tree.write("/etc/out", "x", 0o644).unwrap();
    tree.write("/etc/up", "y", 0o644).unwrap();
    assert_eq!(fs::read(tree.path("host")).unwrap(), b"y");
    assert!(tree.host_is_untouched());
    let inner = tree.host();
    assert_eq!(tree.read(inner.to_str().unwrap()).unwrap(), b"x");
}

#[test]
fn links_are_replaced_not_followed_when_a_link_is_made() {
    let tree = Tree::new();
    symlink(tree.host(), tree.path("etc/link")).unwrap();
    create(tree.root.as_fd(), Path::new("/etc/link"), Node::Link(Path::new("elsewhere")), 0).unwrap();
    assert_eq!(fs::read_link(tree.path("etc/link")).unwrap(), Path::new("elsewhere"));
    assert!(tree.host_is_untouched());
}

#[test]
fn an_existing_directory_keeps_its_mode_and_a_loop_of_links_is_an_error() {
    let tree = Tree::new();
    fs::set_permissions(tree.path("etc"), fs::Permissions::from_mode(0o711)).unwrap();
    create(tree.root.as_fd(), Path::new("/etc"), Node::Directory, 0o755).unwrap();
    assert_eq!(fs::metadata(tree.path("etc")).unwrap().mode() & 0o777, 0o711);
    symlink("b", tree.path("a")).unwrap();
    symlink("a", tree.path("b")).unwrap();
    assert_eq!(tree.write("/a", "", 0o644).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    assert!(!is_directory(tree.root.as_fd(), Path::new("/a")).unwrap());
}

#[test]
fn a_directory_behind_links_into_nothing_is_made_inside() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let outside = tree.folder.path().join("outside");
    symlink(&outside, tree.path("etc/out")).unwrap();
    symlink("../var/none", tree.path("etc/relative")).unwrap();
    for path in ["/etc/out/a", "/etc/relative/b"] {
        create(tree.root.as_fd(), Path::new(path), Node::Directory, 0o755).unwrap();
    }
    assert!(!outside.exists());
    assert!(tree.path("var/none/b").is_dir());
    assert!(tree.path(outside.strip_prefix("/").unwrap().to_str().unwrap()).join("a").is_dir());
}

#[test]
fn a_failing_source_leaves_the_old_file_and_nothing_else() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
    let tree = Tree::new();
    fs::write(tree.path("etc/hosts"), "old").unwrap();
    create(tree.root.as_fd(), Path::new("/etc/hosts"), Node::File(&mut Broken), 0o644).unwrap_err();
    assert_eq!(fs::read(tree.path("etc/hosts")).unwrap(), b"old");
    assert_eq!(fs::read_dir(tree.path("etc")).unwrap().count(), 1);
}

#[test]
fn removing_takes_the_link_and_not_its_target() {
    let tree = Tree::new();
    symlink(tree.host(), tree.path("etc/out")).unwrap();
    remove(tree.root.as_fd(), Path::new("/etc/out")).unwrap();
    assert!(tree.host_is_untouched());
    remove(tree.root.as_fd(), Path::new("/etc")).unwrap();
    assert!(!tree.path("etc").exists());
    assert_eq!(
        remove(tree.root.as_fd(), Path::new("/etc/none")).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn a_directory_is_listed_with_kinds_and_modes_and_links_are_not_followed() {
    let tree = Tree::new();
    fs::create_dir(tree.path("etc/folder")).unwrap();
    fs::write(tree.path("etc/file"), "").unwrap();
    fs::set_permissions(tree.path("etc/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    symlink(tree.host(), tree.path("etc/link")).unwrap();
    rustix::fs::mknodat(&tree.root, "etc/pipe", FileType::Fifo, Mode::RUSR, 0).unwrap();
    symlink("etc", tree.path("alias")).unwrap();
    let mut entries = list(tree.root.as_fd(), Path::new("/alias")).unwrap();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let kinds: Vec<_> = entries.iter().map(|entry| (entry.name.to_str().unwrap(), &entry.kind)).collect();
    let link = EntryKind::Link(tree.host());
    let expected = [
        ("file", &EntryKind::File),
        ("folder", &EntryKind::Directory),
        ("link", &link),
        ("pipe", &EntryKind::Special),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(entries[0].mode, 0o4711);
    assert!(list(tree.root.as_fd(), Path::new("/etc/file")).is_err());
}

#[test]
fn what_is_given_away_keeps_its_mode_and_a_link_is_not_followed() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    fs::write(tree.path("etc/tool"), "").unwrap();
    fs::set_permissions(tree.path("etc/tool"), fs::Permissions::from_mode(0o6755)).unwrap();
    symlink("tool", tree.path("etc/link")).unwrap();
    give(tree.root.as_fd(), Path::new("/etc/tool"), 7, 8).unwrap();
    give(tree.root.as_fd(), Path::new("/etc/link"), 9, 10).unwrap();
    let tool = fs::metadata(tree.path("etc/tool")).unwrap();
    assert_eq!((tool.uid(), tool.gid(), tool.mode() & 0o7777), (7, 8, 0o6755));
    assert_eq!(fs::symlink_metadata(tree.path("etc/link")).unwrap().uid(), 9);
}

#[test]
fn a_link_is_renamed_as_a_link_and_stays_the_same_inode() {
    let tree = Tree::new();
    symlink(tree.host(), tree.path("etc/link")).unwrap();
    let inode = fs::symlink_metadata(tree.path("etc/link")).unwrap().ino();
    rename(tree.root.as_fd(), Path::new("/etc/link"), Path::new("/../etc/.parked")).unwrap();
    assert_eq!(fs::symlink_metadata(tree.path("etc/.parked")).unwrap().ino(), inode);
    assert!(tree.host_is_untouched() && !tree.path("etc/link").is_symlink());
}

#[test]
fn a_file_is_kept_whatever_took_its_place_and_no_link_is_followed() {
    if !is_root() {
        return;
    }
    let tree = Tree::new();
    let keep = || keep(tree.root.as_fd(), "kept", b"content");
    let inode = || {
        let file = fs::symlink_metadata(tree.path("kept")).unwrap();
        assert!(file.is_file() && file.mode() & 0o7777 == 0o644);
        assert_eq!(fs::read(tree.path("kept")).unwrap(), b"content");
        file.ino()
    };
    keep().unwrap();
    let first = inode();
    // There may be no room for another.
    keep().unwrap();
    assert_eq!(inode(), first);
    fs::write(tree.path("kept"), "CONTENT").unwrap();
    keep().unwrap();
    inode();
    fs::write(tree.path("kept"), "content and more").unwrap();
    keep().unwrap();
    inode();
    fs::set_permissions(tree.path("kept"), fs::Permissions::from_mode(0o600)).unwrap();
    keep().unwrap();
    inode();
    fs::write(tree.path("etc/own"), "image's own").unwrap();
    for target in [tree.host().as_path(), Path::new("/etc/own"), Path::new("etc/own"), Path::new("none")] {
        fs::remove_file(tree.path("kept")).unwrap();
        symlink(target, tree.path("kept")).unwrap();
        keep().unwrap();
        inode();
    }
    fs::remove_file(tree.path("kept")).unwrap();
    rustix::fs::mknodat(&tree.root, "kept", FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    keep().unwrap();
    inode();
    assert_eq!(fs::read(tree.path("etc/own")).unwrap(), b"image's own");
    assert!(tree.host_is_untouched() && !tree.path("none").exists());
    // What is no file is not removed with all that is in it.
    fs::remove_file(tree.path("kept")).unwrap();
    fs::create_dir_all(tree.path("kept/folder")).unwrap();
    keep().unwrap_err();
    assert!(tree.path("kept/folder").is_dir());
}
