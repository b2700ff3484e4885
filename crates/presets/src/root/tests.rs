use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::process::Command;

use proptest::prelude::*;

use super::*;

/// Where the file system begins in the images made here, as a partition would.
const START: u64 = 1 << 20;
const SIZE: u64 = 4 << 20;

/// An image with a small root behind some other bytes, made by mke2fs without mounting anything.
fn image(features: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for name in ["etc", "usr/bin", "usr/lib/arm-linux-gnueabihf", "loop"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("usr/lib/os-release"), "ID=debian\nVERSION_ID=\"12\"\n").unwrap();
    fs::write(root.join("usr/bin/dash"), vec![0x7f; 100_000]).unwrap();
    fs::write(root.join("etc/fstab"), "LABEL=writable / ext4 defaults 0 1\n").unwrap();
    symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
    fs::write(root.join("usr/lib/arm-linux-gnueabihf/libc.so.6"), "the library").unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    symlink("/bin/dash", root.join("usr/bin/sh")).unwrap();
    symlink("../../../../../../etc/fstab", root.join("etc/escape")).unwrap();
    symlink("/loop/b", root.join("loop/a")).unwrap();
    symlink("a", root.join("loop/b")).unwrap();
    // Too long to be kept within the inode.
    symlink(format!("{}etc/fstab", "./".repeat(60)), root.join("long")).unwrap();

    let disk = folder.path().join("disk");
    File::create(&disk).unwrap().set_len(START + SIZE).unwrap();
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-O", features, "-E"]).arg(format!("offset={START}"));
    command.arg("-d").arg(&root).arg(&disk).arg((SIZE / 1024).to_string() + "k");
    command.env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::read(disk).unwrap()
}

fn open(image: Vec<u8>) -> Result<RootReader, Error> {
    RootReader::open(Cursor::new(image), START..START + SIZE)
}

#[test]
fn what_an_image_says_of_itself_is_read() {
    let root = open(image("none,filetype,extent,metadata_csum,64bit,has_journal")).unwrap();
    assert_eq!(root.os_release().unwrap(), Some(OsRelease::parse("ID=debian\nVERSION_ID=12")));
    assert_eq!(root.fstab().unwrap(), fstab::parse("LABEL=writable / ext4 defaults 0 1"));
    assert_eq!(root.shell().unwrap(), Some(vec![0x7f; 100_000]), "through two symlinks, one absolute");
    assert_eq!(root.libc().unwrap().as_deref(), Some(b"the library".as_slice()));
}

#[test]
fn a_journal_that_is_not_understood_keeps_nobody_out() {
    // As Raspberry Pi OS and others have it.
    for features in ["has_journal", "has_journal,metadata_csum", "has_journal,64bit"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), image(&format!("none,filetype,extent,{features}"))).unwrap();
        // What a kernel sets as long as a file system is mounted.
        let disk = format!("{}?offset={START}", file.path().display());
        let mut command = Command::new("debugfs");
        command.args(["-w", "-R", "feature needs_recovery", &disk]);
        let output = command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("needs_recovery"), "{output:?}");
        let image = fs::read(file.path()).unwrap();
        let root = open(image).unwrap();
        assert_eq!(
            root.os_release().unwrap(),
            Some(OsRelease::parse("ID=debian\nVERSION_ID=12")),
            "{features}"
        );
        assert_eq!(root.shell().unwrap(), Some(vec![0x7f; 100_000]), "{features}");
    }
}

#[test]
fn links_lead_within_the_image_and_end() {
    let root = open(image("none,filetype")).unwrap();
    let fstab = root.read("/etc/fstab", 100).unwrap();
    assert!(fstab.is_some());
    for path in ["/etc/escape", "/long", "//etc/./fstab", "/../usr/../etc/fstab"] {
        assert_eq!(root.read(path, 100).unwrap(), fstab, "{path}");
    }
    for path in ["/", "/bin", "/bin/dash", "/etc/"] {
        assert!(root.exists(path).unwrap(), "{path}");
    }
    for path in ["/proc/version", "/etc/fstab/x", "/nothing/at/all", "/etc/shadow"] {
        assert!(!root.exists(path).unwrap(), "{path}");
        assert_eq!(root.read(path, 100).unwrap(), None);
    }
    let error = root.read("/loop/a", 100).unwrap_err();
    assert!(matches!(error, Error::File { source: Ext4Error::TooManySymlinks, .. }), "{error}");
}

#[test]
fn what_is_too_large_or_no_file_is_refused() {
    let root = open(image("none,filetype,extent")).unwrap();
    let error = root.read("/bin/dash", 99_999).unwrap_err();
    assert_eq!(error.to_string(), "`/bin/dash` in the image has 100000 bytes, more than 99999");
    assert_eq!(root.read("/bin/dash", 100_000).unwrap().map(|bytes| bytes.len()), Some(100_000));
    let error = root.read("/etc", 1 << 20).unwrap_err();
    assert_eq!(error.to_string(), "failed to read `/etc` in the image");
}

#[test]
fn other_contents_and_unknown_features_are_told_apart() {
    assert!(matches!(open(vec![0; 8 << 20]), Err(Error::NotExt)));
    assert!(matches!(RootReader::open(Cursor::new(vec![0; 100]), 0..100), Err(Error::NotExt)));
    let backwards = Range { start: 9000, end: 10 };
    assert!(matches!(RootReader::open(Cursor::new(vec![0; 100]), backwards), Err(Error::NotExt)));
    assert!(matches!(RootReader::open(Cursor::new(vec![0; 100]), 0..1 << 20), Err(Error::Read { .. })));
    let error = open(image("none,filetype,extent,inline_data")).unwrap_err();
    assert!(matches!(&error, Error::Open { .. }), "{error}");
    assert!(error.hint().unwrap().contains("kernel"), "{error:?}");
}

#[test]
fn a_file_system_that_reaches_beyond_its_partition_is_refused() {
    let image = image("none,filetype,extent");
    let short = RootReader::open(Cursor::new(image), START..START + SIZE / 2);
    assert!(matches!(short, Err(Error::Superblock { .. })), "{short:?}");
}

/// Everything a caller may ask; the answers do not matter.
fn ask_everything(image: Vec<u8>) {
    if let Ok(root) = open(image) {
        let _ = (root.os_release(), root.fstab(), root.shell(), root.libc());
        let _ = (root.exists("/long"), root.read("/loop/a", 10), root.read("/etc/escape", 1 << 20));
    }
}

#[test]
fn a_damaged_image_never_panics() {
    // Without checksums, damage reaches the parser; without extents, its other half. The journal's magic and the
    // flag that asks for recovery make it look into the journal too.
    for features in ["none,filetype,extent", "none,filetype", "none,filetype,extent,has_journal,64bit"] {
        let whole = image(features);
        // Where anything but zeros is: damage elsewhere is not seen.
        let used: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] != 0 && whole[at] != 0x7f).collect();
        let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
        runner
            .run(&(damage, any::<bool>()), |(damage, recovery)| {
                let mut image = whole.clone();
                for (index, byte) in damage {
                    image[*index.get(&used)] = byte;
                }
                let superblock = usize::try_from(START + superblock::OFFSET).unwrap();
                image[superblock + 0x60] |= if recovery { 0x4 } else { 0 };
                ask_everything(image);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn an_inode_that_claims_too_much_costs_no_memory() {
    let mut image = image("none,filetype,extent");
    // The long symlink's inode, found by its mode and size; its size becomes a terabyte.
    let size = u32::try_from("./".len() * 60 + "etc/fstab".len()).unwrap().to_le_bytes();
    let is_link = |at: &usize| image[at + 1] & 0xf0 == 0xa0 && image[at + 4..at + 8] == size;
    let start = usize::try_from(START).unwrap();
    let at = (start..image.len() - 256).step_by(128).find(is_link).unwrap();
    image[at + 0x6c..at + 0x70].copy_from_slice(&256_u32.to_le_bytes());
    let root = open(image).unwrap();
    let error = root.exists("/long").unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: LINK_LIMIT, .. }), "{error}");
}
