//! Both mappers on a real kernel: what they make works, and nothing of it stays.
//!
//! Each test runs once for each mapper. Those of `LoopMapper` need no device-mapper.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::print_stdout, reason = "a child tells its parent what it mapped")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use arm_image_mapper::{DeviceMapper, DmMapper, Error, LoopMapper, Mapped, stale};
use arm_image_tests::in_guest;
use nix::mount::{MsFlags, mount, umount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tempfile::TempDir;

const MEBIBYTE: u64 = 1 << 20;
/// Two partitions as a Raspberry Pi's image has them: FAT, then ext4, with a gap before each.
const RANGES: [Range<u64>; 2] = [4 * MEBIBYTE..20 * MEBIBYTE, 21 * MEBIBYTE..40 * MEBIBYTE];
/// Set for the child that is to be killed: the image to map.
const CHILD_IMAGE: &str = "ARM_IMAGE_TEST_MAPPER_IMAGE";

/// Either mapper.
type Mapper = dyn DeviceMapper + Sync;

/// One pair of tests: the same body for each mapper.
macro_rules! for_both {
    ($dm:ident, $loop:ident, $body:path) => {
        #[test]
        fn $dm() {
            in_guest(stringify!($dm), || $body(&DmMapper, stringify!($dm)));
        }

        #[test]
        fn $loop() {
            in_guest(stringify!($loop), || $body(&LoopMapper, stringify!($loop)));
        }
    };
}

for_both!(privileged_dm_rounds_need_no_retry, privileged_loop_rounds_need_no_retry, rounds);
for_both!(privileged_dm_sigkill_leaves_nothing, privileged_loop_sigkill_leaves_nothing, sigkill);
for_both!(privileged_dm_threads_do_not_collide, privileged_loop_threads_do_not_collide, threads);
for_both!(privileged_dm_close_names_the_holder, privileged_loop_close_names_the_holder, holders);
for_both!(privileged_dm_takes_any_image, privileged_loop_takes_any_image, images);
for_both!(privileged_dm_needs_no_nodes, privileged_loop_needs_no_nodes, no_nodes);

/// A folder with a sparse image of 40 MiB and a mount point in it.
struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("mount")).unwrap();
        File::create(folder.path().join("image")).unwrap().set_len(40 * MEBIBYTE).unwrap();
        Self { folder }
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn open(&self) -> File {
        File::options().read(true).write(true).open(self.image()).unwrap()
    }

    fn point(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// What the kernel still has over this image: loop devices, and device-mapper devices with our names.
    fn leftovers(&self) -> Vec<String> {
        let mut leftovers = Vec::new();
        for device in fs::read_dir("/sys/block").unwrap() {
            let device = device.unwrap().path();
            let read = |file: &str| fs::read_to_string(device.join(file)).unwrap_or_default();
            if read("loop/backing_file").contains(self.folder.path().to_str().unwrap())
                || read("dm/name").starts_with("arm-image-")
            {
                leftovers.push(device.display().to_string());
            }
        }
        leftovers
    }

    fn assert_clean(&self) {
        assert_eq!(self.leftovers(), Vec::<String>::new());
    }

    /// For devices whose last user was not a `Mapped`, so that nobody waited: the kernel removes a deferred device in
    /// a worker of its own, a moment after the last close.
    fn assert_clean_soon(&self) {
        let limit = Instant::now() + Duration::from_secs(60);
        while !self.leftovers().is_empty() && Instant::now() < limit {
            std::thread::yield_now();
        }
        self.assert_clean();
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{program} {}: {output:?}", path.display());
}

fn mount_ext4(device: &Path, point: &Path) {
    mount(Some(device), point, Some("ext4"), MsFlags::empty(), None::<&str>).unwrap();
}

fn rounds(mapper: &Mapper, _: &str) {
    let scratch = Scratch::new();
    for round in 0..20 {
        let image = scratch.open();
        let mapped = mapper.map(&image, &RANGES).unwrap();
        assert_eq!(mapped.len(), 2);
        drop(image);
        run("mkfs.ext4", &["-q", "-F"], mapped.path(1));
        mount_ext4(mapped.path(1), &scratch.point());
        fs::write(scratch.point().join("round"), round.to_string()).unwrap();
        umount(&scratch.point()).unwrap();
        run("e2fsck", &["-fn"], mapped.path(1));
        run("mkfs.vfat", &[], mapped.path(0));
        // Every other round leaves it to the destructor.
        if round % 2 == 0 {
            mapped.close().unwrap()
        } else {
            drop(mapped)
        }
        scratch.assert_clean();
    }
    // The bytes lie where the ranges say: the signatures of both file systems, and nothing in the gaps.
    let image = scratch.open();
    let at = |offset: u64| {
        let mut bytes = [0; 2];
        image.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    };
    assert_eq!(at(RANGES[0].start + 510), [0x55, 0xaa]);
    assert_eq!(at(RANGES[1].start + 1080), [0x53, 0xef]);
    assert_eq!([at(510), at(RANGES[0].end), at(RANGES[1].start - 2)], [[0, 0]; 3]);
}

fn sigkill(mapper: &Mapper, name: &str) {
    if let Some(image) = std::env::var_os(CHILD_IMAGE) {
        // The child: maps, says so, and waits to be killed.
        let image = File::options().read(true).write(true).open(image).unwrap();
        let mapped = mapper.map(&image, &RANGES).unwrap();
        println!("\nmapped {}", mapped.path(1).display());
        let _ = std::io::stdin().read(&mut [0]);
        unreachable!("the child outlived its parent");
    }
    let scratch = Scratch::new();
    for mounted in [false, true, false, true, false] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD_IMAGE, scratch.image())
            .env("ARM_IMAGE_TEST_GUEST", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let device =
            lines.map(Result::unwrap).find_map(|line| Some(line.strip_prefix("mapped ")?.to_owned()));
        let device = PathBuf::from(device.expect("the child could not map"));
        assert!(!scratch.leftovers().is_empty());
        if mounted {
            run("mkfs.ext4", &["-q", "-F"], &device);
            mount_ext4(&device, &scratch.point());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if mounted {
            fs::write(scratch.point().join("file"), "the mount keeps its device").unwrap();
            umount(&scratch.point()).unwrap();
        }
        scratch.assert_clean_soon();
    }
}

fn threads(mapper: &Mapper, _: &str) {
    let scratch = Scratch::new();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let scratch = &scratch;
            scope.spawn(move || {
                // Each thread has ten sectors of its own, and all of them one image.
                let start = thread * 10 * 512;
                let range = start..start + 10 * 512;
                for round in 0..20_u8 {
                    let mapped = mapper.map(&scratch.open(), std::slice::from_ref(&range)).unwrap();
                    let device = File::options().read(true).write(true).open(mapped.path(0)).unwrap();
                    let bytes = [round ^ u8::try_from(thread << 6).unwrap(); 10 * 512];
                    device.write_all_at(&bytes, 0).unwrap();
                    assert!(device.write_at(&[1], 10 * 512).is_err(), "the device is larger than its range");
                    device.sync_all().unwrap();
                    drop(device);
                    mapped.close().unwrap();
                    let mut written = [0; 10 * 512];
                    scratch.open().read_exact_at(&mut written, start).unwrap();
                    assert!(written == bytes, "thread {thread}, round {round}");
                }
            });
        }
    });
    scratch.assert_clean();
}

fn holders(mapper: &Mapper, _: &str) {
    let scratch = Scratch::new();
    let map = || mapper.map(&scratch.open(), &RANGES).unwrap();
    let in_use = |mapped: Mapped, path: &Path| match mapped.close().unwrap_err() {
        Error::InUse { device, holders } if device == path => holders,
        error => panic!("{error:?}"),
    };

    // A mount.
    let mapped = map();
    let device = mapped.path(1).to_owned();
    run("mkfs.ext4", &["-q", "-F"], &device);
    mount_ext4(&device, &scratch.point());
    let found = in_use(mapped, &device);
    let expected = format!("mounted at `{}` in process ", scratch.point().display());
    assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    umount(&scratch.point()).unwrap();
    scratch.assert_clean_soon();

    // A writer.
    let mapped = map();
    let device = mapped.path(0).to_owned();
    let writer = File::options().write(true).open(&device).unwrap();
    let found = in_use(mapped, &device);
    let expected = format!("open for writing in process {} ", std::process::id());
    assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");
    drop(writer);
    scratch.assert_clean_soon();

    // A reader is not worth a report.
    let mapped = map();
    let reader = File::open(mapped.path(0)).unwrap();
    mapped.close().unwrap();
    drop(reader);
    scratch.assert_clean_soon();
}

fn images(mapper: &Mapper, _: &str) {
    let scratch = Scratch::new();

    // Opened for reading: so are the devices.
    scratch.open().write_all_at(b"here", RANGES[1].start).unwrap();
    let mapped = mapper.map(&File::open(scratch.image()).unwrap(), &RANGES).unwrap();
    let mut bytes = [0; 4];
    File::open(mapped.path(1)).unwrap().read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"here");
    let refused = File::options().write(true).open(mapped.path(1)).map(|file| file.write_at(b"no", 0));
    assert!(!matches!(refused, Ok(Ok(_))), "a read-only device took a write");
    mapped.close().unwrap();

    // A block device, as a guest's `/dev/ubda` is one. The kernel answers a second mapper over the first one's device.
    let end = 40 * MEBIBYTE;
    let outer = LoopMapper.map(&scratch.open(), std::slice::from_ref(&(MEBIBYTE..end))).unwrap();
    let disk = File::options().read(true).write(true).open(outer.path(0)).unwrap();
    let too_far = mapper.map(&disk, std::slice::from_ref(&(0..end))).unwrap_err();
    assert!(matches!(too_far, Error::Outside { size, .. } if size == end - MEBIBYTE), "{too_far:?}");
    let inner = mapper.map(&disk, std::slice::from_ref(&(MEBIBYTE..2 * MEBIBYTE))).unwrap();
    let device = File::options().write(true).open(inner.path(0)).unwrap();
    device.write_all_at(b"deep", 512).unwrap();
    device.sync_all().unwrap();
    drop((device, disk));
    inner.close().unwrap();
    outer.close().unwrap();
    scratch.open().read_exact_at(&mut bytes, 2 * MEBIBYTE + 512).unwrap();
    assert_eq!(&bytes, b"deep");

    // No ranges, no devices.
    let none = mapper.map(&scratch.open(), &[]).unwrap();
    assert!(none.is_empty());
    none.close().unwrap();

    scratch.assert_clean();
}

fn no_nodes(mapper: &Mapper, name: &str) {
    // A container's /dev: neither devtmpfs nor udev fills it.
    mount(Some("none"), "/dev", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    mknod("/dev/null", SFlag::S_IFCHR, Mode::all(), makedev(1, 3)).unwrap();
    LoopMapper::available().unwrap();
    if name.contains("_dm_") {
        // The crate underneath opens the control file by its name.
        let error = DmMapper::available().unwrap_err();
        let Error::NoControl { control, minor } = error else { panic!("{error:?}") };
        assert!(error.hint().unwrap().contains(&format!("mknod /dev/mapper/control c 10 {minor}")));
        fs::create_dir("/dev/mapper").unwrap();
        mknod(control, SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, makedev(10, minor.into())).unwrap();
        DmMapper::available().unwrap();
    }
    // What lies where the node should be is another device.
    mknod("/dev/loop0", SFlag::S_IFBLK, Mode::S_IRUSR, makedev(7, 99)).unwrap();

    let scratch = Scratch::new();
    for _ in 0..5 {
        let mapped = mapper.map(&scratch.open(), &RANGES).unwrap();
        let process = format!("/proc/{}/fd", std::process::id());
        assert!(mapped.paths().iter().all(|path| path.starts_with(&process)), "{:?}", mapped.paths());
        run("mkfs.ext4", &["-q", "-F"], mapped.path(1));
        mount_ext4(mapped.path(1), &scratch.point());
        umount(&scratch.point()).unwrap();
        run("e2fsck", &["-fn"], mapped.path(1));
        mapped.close().unwrap();
        scratch.assert_clean();
    }
}

#[test]
fn privileged_dm_stale_devices_are_only_ours_and_dead() {
    in_guest("privileged_dm_stale_devices_are_only_ours_and_dead", || {
        use std::os::unix::fs::MetadataExt;

        let dmsetup = |arguments: &[&str]| {
            let output = Command::new("dmsetup").args(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let create = |name: &str, uuid: Option<&str>| {
            let mut arguments = vec!["create", name, "--noudevsync", "--noudevrules", "--table", "0 8 error"];
            arguments.extend(uuid.iter().flat_map(|uuid| ["--uuid", uuid]));
            dmsetup(&arguments);
        };
        let namespace = fs::metadata("/proc/self/ns/pid").unwrap().ino();
        let scratch = Scratch::new();
        let living = DmMapper.map(&scratch.open(), &RANGES).unwrap();

        // This process, as it would be called had it started at another time: dead.
        let process = std::process::id();
        let dead = format!("arm-image-{process}-1-0");
        create(&dead, Some(&format!("ARM-IMAGE-{namespace}-{process}-1-0")));
        // Not ours: no mark, another program's mark, one from another container, one renamed.
        create("arm-image-1-1-0", None);
        create("arm-image-2-1-0", Some("CRYPT-2-1-0"));
        create("arm-image-3-1-0", Some(&format!("ARM-IMAGE-{}-3-1-0", namespace + 1)));
        create("mine-now", Some(&format!("ARM-IMAGE-{namespace}-{process}-1-7")));

        let mut found = stale().unwrap();
        assert_eq!(found.iter().map(|stale| &stale.name).collect::<Vec<_>>(), [&dead]);
        found.pop().unwrap().remove().unwrap();
        assert!(stale().unwrap().is_empty());
        let names = dmsetup(&["ls"]);
        assert!(!names.contains(&dead), "{names}");
        assert_eq!(names.lines().count(), 4 + living.len(), "{names}");

        // A name that has been changed to that of a living device is refused.
        create(&dead, Some(&format!("ARM-IMAGE-{namespace}-{process}-1-0")));
        let mut forged = stale().unwrap().pop().unwrap();
        forged.name =
            names.lines().find(|line| !line.contains("-1-0") && line.starts_with("arm")).unwrap().into();
        forged.name.truncate(forged.name.find('\t').unwrap());
        assert!(matches!(forged.remove(), Err(Error::NotStale { .. })));

        living.close().unwrap();
    });
}
