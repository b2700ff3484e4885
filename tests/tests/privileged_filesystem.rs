//! Shrinking, trimming and refusing, on a real kernel that lets root mount.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use arm_image_mapper::{DeviceMapper, LoopMapper, Mapped};
use arm_image_partition::Error;
use arm_image_partition::filesystem::{
    Kind, grow_device, grow_mounted, probe, shrink_device, shrink_mounted, shrink_unmounted, trim,
};
use arm_image_tests::in_guest;
use nix::mount::{MsFlags, mount, umount};

const MEBIBYTE: u64 = 1 << 20;

fn run(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}", output.status);
    text
}

/// A file system in the bytes from `START` of an image, on a device.
struct Disk {
    folder: tempfile::TempDir,
    mapped: Mapped,
}

const START: u64 = 4 * MEBIBYTE;

impl Disk {
    fn new(kind: &str, size: u64, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(folder.path().join("image"))
            .unwrap();
        image.set_len(START + size).unwrap();
        let range = START..START + size;
        let mapped = LoopMapper.map(&image, &[range]).unwrap();
        run(&format!("mkfs.{kind}"), &[arguments, &["-q", mapped.path(0).to_str().unwrap()]].concat());
        Self { folder, mapped }
    }

    fn device(&self) -> &Path {
        self.mapped.path(0)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn allocated(&self) -> u64 {
        let image = File::open(self.image()).unwrap();
        image.sync_all().unwrap();
        image.metadata().unwrap().blocks() * 512
    }

    /// Calls `body` with the root folder, mounted.
    fn mounted<T>(&self, kind: &str, body: impl FnOnce(&Path) -> T) -> T {
        let point = self.folder.path().join("mount");
        fs::create_dir_all(&point).unwrap();
        mount(Some(self.device()), &point, Some(kind), MsFlags::empty(), None::<&str>).unwrap();
        let outcome = body(&point);
        umount(&point).unwrap();
        outcome
    }

    fn size(&self) -> u64 {
        probe(&mut File::open(self.device()).unwrap(), 0..u64::MAX).unwrap().unwrap().size.unwrap()
    }
}

fn content(byte: u8, mebibytes: u64) -> Vec<u8> {
    vec![byte; usize::try_from(mebibytes * MEBIBYTE).unwrap()]
}

/// Deleted files take no space in the image once it is trimmed.
fn trimmed(kind: &str, size: u64) {
    let disk = Disk::new(kind, size * MEBIBYTE, &[]);
    let full = disk.mounted(kind, |root| {
        fs::write(root.join("gone"), content(7, 60)).unwrap();
        fs::write(root.join("kept"), content(9, 4)).unwrap();
        nix::unistd::sync();
        let full = disk.allocated();
        fs::remove_file(root.join("gone")).unwrap();
        if kind != "xfs" {
            assert!(trim(&File::open(root).unwrap()).unwrap() >= 60 * MEBIBYTE);
        }
        full
    });
    if kind == "xfs" {
        // It frees blocks in the background, which unmounting waits for and syncfs does not.
        let free = disk.mounted(kind, |root| trim(&File::open(root).unwrap()).unwrap());
        assert!(free >= 60 * MEBIBYTE, "{free}");
    }
    let left = disk.allocated();
    assert!(full > 64 * MEBIBYTE && left + 55 * MEBIBYTE < full, "{left} of {full} are left");
    disk.mounted(kind, |root| assert!(fs::read(root.join("kept")).unwrap() == content(9, 4)));
}

#[test]
fn privileged_ext4_is_trimmed() {
    in_guest("privileged_ext4_is_trimmed", || trimmed("ext4", 100));
}

#[test]
fn privileged_btrfs_is_trimmed() {
    in_guest("privileged_btrfs_is_trimmed", || trimmed("btrfs", 200));
}

#[test]
fn privileged_xfs_is_trimmed() {
    in_guest("privileged_xfs_is_trimmed", || trimmed("xfs", 320));
}

#[test]
fn privileged_btrfs_shrinks_by_the_kernel() {
    in_guest("privileged_btrfs_shrinks_by_the_kernel", || {
        let disk = Disk::new("btrfs", 900 * MEBIBYTE, &[]);
        disk.mounted("btrfs", |root| fs::write(root.join("kept"), content(9, 40)).unwrap());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let least = shrink_device(disk.device(), Kind::Btrfs, 0).unwrap();
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
        assert!((256 * MEBIBYTE..500 * MEBIBYTE).contains(&least), "{least}");
        assert_eq!(disk.size(), least);
        let again = shrink_device(disk.device(), Kind::Btrfs, 0).unwrap();
        assert!(again <= least, "{again}");
        // It is small enough already, so it does not become larger.
        assert_eq!(shrink_device(disk.device(), Kind::Btrfs, 999 * MEBIBYTE).unwrap(), again);
        run("btrfs", &["check", disk.device().to_str().unwrap()]);
        disk.mounted("btrfs", |root| {
            assert!(fs::read(root.join("kept")).unwrap() == content(9, 40));
            let root = File::open(root).unwrap();
            assert_eq!(grow_mounted(&root, Kind::Btrfs, 800 * MEBIBYTE).unwrap(), 800 * MEBIBYTE);
            let shrunk = shrink_mounted(&root, Kind::Btrfs, 64 * MEBIBYTE).unwrap();
            assert!((256 * MEBIBYTE..500 * MEBIBYTE).contains(&shrunk), "{shrunk}");
        });
    });
}

#[test]
fn privileged_ext4_shrinks_on_its_device() {
    in_guest("privileged_ext4_shrinks_on_its_device", || {
        let disk = Disk::new("ext4", 600 * MEBIBYTE, &[]);
        disk.mounted("ext4", |root| fs::write(root.join("kept"), content(9, 40)).unwrap());
        let least = shrink_device(disk.device(), Kind::Ext4, 20 * MEBIBYTE).unwrap();
        assert!((60 * MEBIBYTE..200 * MEBIBYTE).contains(&least), "{least}");
        assert_eq!(disk.size(), least);
        assert_eq!(fs::metadata(disk.image()).unwrap().len(), START + 600 * MEBIBYTE);
        disk.mounted("ext4", |root| assert!(fs::read(root.join("kept")).unwrap() == content(9, 40)));
        grow_device(disk.device(), Kind::Ext4, 600 * MEBIBYTE).unwrap();
        assert_eq!(disk.size(), 600 * MEBIBYTE);
        run("e2fsck", &["-f", "-n", disk.device().to_str().unwrap()]);
    });
}

/// A card that was pulled out of a running machine: the journal has to be replayed first.
#[test]
fn privileged_an_image_that_was_never_unmounted_shrinks() {
    in_guest("privileged_an_image_that_was_never_unmounted_shrinks", || {
        let disk = Disk::new("ext4", 300 * MEBIBYTE, &[]);
        let copy = disk.folder.path().join("copy");
        disk.mounted("ext4", |root| {
            fs::write(root.join("kept"), content(9, 20)).unwrap();
            nix::unistd::sync();
            fs::copy(disk.image(), &copy).unwrap();
        });
        let range = START..START + 300 * MEBIBYTE;
        let found = probe(&mut File::open(&copy).unwrap(), range.clone()).unwrap().unwrap();
        assert!(found.features.unwrap().names().iter().any(|name| name == "needs_recovery"));
        let least = shrink_unmounted(&copy, range, 0).unwrap();
        assert!((20 * MEBIBYTE..120 * MEBIBYTE).contains(&least), "{least}");
        assert_eq!(fs::metadata(&copy).unwrap().len(), START + 300 * MEBIBYTE);
        let piece = format!("{}?offset={START}", copy.display());
        run("e2fsck", &["-f", "-n", &piece]);
        let back = disk.folder.path().join("back");
        run("debugfs", &["-R", &format!("dump kept {}", back.display()), &piece]);
        assert!(fs::read(back).unwrap() == content(9, 20));
    });
}

#[test]
fn privileged_f2fs_grows_by_its_tool() {
    in_guest("privileged_f2fs_grows_by_its_tool", || {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        File::create(&part).unwrap().set_len(100 * MEBIBYTE).unwrap();
        run("mkfs.f2fs", &["-q", part.to_str().unwrap()]);
        let disk = Disk::new("ext2", 300 * MEBIBYTE, &[]);
        let device = File::options().write(true).open(disk.device()).unwrap();
        device.write_all_at(&fs::read(&part).unwrap(), 0).unwrap();
        drop(device);
        assert_eq!(disk.size(), 100 * MEBIBYTE);
        grow_device(disk.device(), Kind::F2fs, 300 * MEBIBYTE).unwrap();
        assert_eq!(disk.size(), 300 * MEBIBYTE);
        run("fsck.f2fs", &["--dry-run", disk.device().to_str().unwrap()]);
    });
}

#[test]
fn privileged_what_cannot_be_resized_is_told() {
    in_guest("privileged_what_cannot_be_resized_is_told", || {
        let disk = Disk::new("xfs", 320 * MEBIBYTE, &[]);
        let error = shrink_device(disk.device(), Kind::Xfs, 0).unwrap_err();
        assert_eq!(error.to_string(), "xfs cannot be made smaller here");
        assert!(error.hint().unwrap().contains("only grow"));
        let error = grow_device(disk.device(), Kind::Vfat, 320 * MEBIBYTE).unwrap_err();
        assert!(matches!(error, Error::CannotGrow { kind: Kind::Vfat }));
    });
}

/// The kernel says EINVAL for everything; the feature bits say what it was.
#[test]
fn privileged_a_feature_that_the_kernel_does_not_know() {
    in_guest("privileged_a_feature_that_the_kernel_does_not_know", || {
        let disk = Disk::new("ext4", 64 * MEBIBYTE, &["-O", "^metadata_csum"]);
        let device = File::options().read(true).write(true).open(disk.device()).unwrap();
        let at = 1024 + 0x60;
        let mut word = [0; 4];
        device.read_exact_at(&mut word, at).unwrap();
        let dirdata = u32::from_le_bytes(word) | 1 << 12;
        device.write_all_at(&dirdata.to_le_bytes(), at).unwrap();
        drop(device);
        // e2fsck knows the name of the feature and no more, and says so before it changes anything.
        let error = grow_device(disk.device(), Kind::Ext4, 64 * MEBIBYTE).unwrap_err();
        assert!(
            matches!(&error, Error::UnknownToKernel { features, .. } if *features == ["dirdata"]),
            "{error}"
        );
        assert!(error.to_string().starts_with("Linux 6."), "{error}");
    });
}
