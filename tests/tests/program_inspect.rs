//! What the program says of images of every layout, without unpacking, mounting or being root; and of those that it cannot enter.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use arm_image_tests::images;
use arm_image_tests::program::image::facts;
use arm_image_tests::program::{Place, names_in, stdout_of, tool};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
/// No user of most machines: what kernels show for users they do not know.
const NOBODY: u32 = 65534;

fn json_of(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&place.run(arguments).expect(0).stdout()).unwrap()
}

/// An image of `size` MiB with the table that `script` tells to sfdisk(8).
fn disk(place: &Place, name: &str, size: u64, script: &str) -> PathBuf {
    let path = place.write(name, "");
    File::options().write(true).open(&path).unwrap().set_len(size * MIB).unwrap();
    let mut sfdisk = tool("sfdisk");
    let mut sfdisk = sfdisk.arg("-q").arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    sfdisk.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(sfdisk.wait().unwrap().success(), "sfdisk does not take {script}");
    path
}

/// Puts what is in `content` into the image, from the MiB `at` on.
fn put(image: &Path, at: u64, mut content: impl Read) {
    let mut image = OpenOptions::new().write(true).open(image).unwrap();
    image.seek(SeekFrom::Start(at * MIB)).unwrap();
    io::copy(&mut content, &mut image).unwrap();
}

/// A file of `size` MiB that the tool `name` makes a file system in, or a layer.
fn formatted(place: &Place, size: u64, name: &str, arguments: &[&str]) -> File {
    let path = place.write("part", "");
    File::options().write(true).open(&path).unwrap().set_len(size * MIB).unwrap();
    let key = place.write("key", "secret");
    stdout_of(tool(name).current_dir(place.work()).args(arguments).arg("part"));
    fs::remove_file(key).unwrap();
    let file = File::open(&path).unwrap();
    fs::remove_file(path).unwrap();
    file
}

/// The root of the small image for arm64: 16 MiB of ext4 with a whole system.
fn root() -> impl Read {
    let image = images::raspios_arm64_tiny();
    let root = facts(&image).1.remove(1);
    let mut file = File::open(image).unwrap();
    file.seek(SeekFrom::Start(root.start)).unwrap();
    assert!(root.size <= 16 * MIB);
    file.take(root.size)
}

const CARD: &str = "label: dos\nlabel-id: 0x12345678\nstart=1MiB, size=32MiB, type=c\nstart=33MiB, type=83\n";

/// Inspects a card whose second partition holds `content`, and tries to build on it: the reason has to be told both times.
#[track_caller]
fn obstacle_of(place: &Place, content: impl Read) -> String {
    let image = disk(place, "a.img", 100, CARD);
    put(&image, 1, formatted(place, 32, "mkfs.vfat", &["-F", "32", "-n", "BOOT"]));
    put(&image, 33, content);
    let found = json_of(place, &["inspect", "a.img", "--json"]);
    let told = &found["obstacle"];
    let [reason, hint] = ["reason", "hint"].map(|name| told[name].as_str().unwrap().to_owned());
    assert_eq!((found["partitions"].as_array().unwrap().len(), &found["arch"]), (2, &Value::Null));
    let words = place.run(["inspect", "a.img"]).expect(0).stdout();
    assert!(words.contains(&reason) && words.contains(&hint), "{words}");
    let build = ["build", "--source", "a.img", "--checksum", "none", "--output", "o.img", "--run", "true"];
    place.run(build).expect(6).says(&reason).says(&hint);
    assert_eq!(names_in(&place.work()), ["a.img"]);
    place.assert_clean();
    reason
}

fn squashfs(place: &Place) -> Vec<u8> {
    fs::create_dir(place.path("tree")).unwrap();
    stdout_of(tool("mksquashfs").current_dir(place.work()).args(["tree", "part", "-quiet", "-no-progress"]));
    fs::remove_dir(place.path("tree")).unwrap();
    let bytes = fs::read(place.path("part")).unwrap();
    fs::remove_file(place.path("part")).unwrap();
    bytes
}

#[test]
fn a_system_of_squashfs_is_told() {
    let place = Place::new();
    let squashfs = squashfs(&place);
    assert_eq!(obstacle_of(&place, &squashfs[..]), "its system is squashfs, which is read-only");
}

#[test]
fn an_encrypted_system_is_told() {
    let place = Place::new();
    let format = ["luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "-d", "key"];
    let luks = formatted(&place, 20, "cryptsetup", &format);
    assert_eq!(obstacle_of(&place, luks), "partition 2 is encrypted (LUKS)");
}

#[test]
fn a_system_in_logical_volumes_is_told() {
    // The label that pvcreate(8) writes, which it does to block devices only.
    let mut label = vec![0; 1024];
    label[512..].copy_from_slice(&{
        let mut sector = [0; 512];
        sector[..8].copy_from_slice(b"LABELONE");
        (sector[8], sector[20]) = (1, 32);
        sector[24..32].copy_from_slice(b"LVM2 001");
        sector[32..64].copy_from_slice(b"abcdefGHIJklmnOPQRstuvWXYZ012345");
        sector
    });
    assert_eq!(obstacle_of(&Place::new(), &label[..]), "partition 2 belongs to LVM");
}

#[test]
fn nothing_but_fat_is_told() {
    let place = Place::new();
    let fat = formatted(&place, 34, "mkfs.vfat", &["-F", "32"]);
    let told = "it holds nothing but FAT, and no Linux system can be on that";
    assert_eq!(obstacle_of(&place, fat), told);
}

#[test]
fn a_file_system_without_a_system_is_told() {
    let place = Place::new();
    let ext4 = formatted(&place, 20, "mkfs.ext4", &["-q"]);
    assert_eq!(obstacle_of(&place, ext4), "no partition holds both an os-release and a shell");
}

#[test]
fn files_that_are_no_disks_are_told() {
    let place = Place::new();
    let android = place.write("a.img", [&b"\x3a\xff\x26\xed\x01\0\0\0\x1c\0\x0c\0"[..], &[0; 4096]].concat());
    fs::create_dir(place.path("tree")).unwrap();
    stdout_of(tool("genisoimage").current_dir(place.work()).args(["-quiet", "-o", "i.img", "tree"]));
    fs::remove_dir(place.path("tree")).unwrap();
    stdout_of(tool("xz").args(["-k", "-1"]).arg(&android));
    for (name, told) in [("a.img", "Android sparse image"), ("a.img.xz", "android-sparse data")] {
        place.run(["inspect", name]).expect(6).says(told);
        let build = ["build", "--source", name, "--checksum", "none", "--output", "o.img", "--run", "true"];
        place.run(build).expect(6).says(told);
    }
    // Some media have a table, this one has none.
    place.run(["inspect", "i.img"]).expect(6);
    let image = disk(&place, "i.img", 4, "label: dos\nstart=1MiB, type=83\n");
    let medium = File::options().write(true).open(image).unwrap();
    medium.write_all_at(b"\x01CD001\x01", 0x8000).unwrap();
    let told = json_of(&place, &["inspect", "i.img", "--json"]);
    assert_eq!(told["obstacle"]["reason"], "it is an image of an installation CD (ISO 9660)");
    assert_eq!(names_in(&place.work()), ["a.img", "a.img.xz", "i.img"]);
}

#[test]
fn slots_and_sealed_roots_are_told_by_the_names_in_a_gpt() {
    let place = Place::new();
    let squashfs = squashfs(&place);
    let of = |names: [&str; 2]| {
        let [a, b] = names;
        let script =
            format!("label: gpt\nstart=1MiB, size=4MiB, name={a}\nstart=5MiB, size=4MiB, name={b}\n");
        let image = disk(&place, "a.img", 10, &script);
        put(&image, 1, &squashfs[..]);
        json_of(&place, &["inspect", "a.img", "--json"])["obstacle"]["reason"].clone()
    };
    let slots = "its system is squashfs, which is read-only and replaced as a whole by an updater";
    assert_eq!(of(["rootfs-a", "rootfs-b"]), slots);
    assert_eq!(of(["KERN-A", "ROOT-A"]), "it is a ChromeOS image, whose root is sealed by checksums");
    assert_eq!(of(["boot_a", "super"]), "it is an Android image");
    assert_eq!(of(["one", "other"]), "its system is squashfs, which is read-only");
}

#[test]
fn of_two_systems_one_has_to_be_named() {
    let place = Place::of_user(NOBODY);
    let image = disk(&place, "a.img", 40, "label: gpt\nstart=1MiB, size=16MiB\nstart=20MiB, size=16MiB\n");
    put(&image, 1, root());
    put(&image, 20, root());
    let told = json_of(&place, &["inspect", "a.img", "--json"]);
    assert_eq!(told["obstacle"]["reason"], "it holds 2 systems, in partitions 1 and 2");
    let build = ["build", "--source", "a.img", "--checksum", "none", "--output", "o.img"];
    let step = ["--run", "echo this-one > /etc/which"];
    place.run(build.iter().chain(&step)).expect(6).says("2 systems").says("--mount");
    assert_eq!(names_in(&place.work()), ["a.img"]);
    place.run(build.iter().chain(&step).chain(&["--mount", "2=/"])).expect(0);
    let read =
        |number| arm_image_tests::program::image::ext4_file(&place.path("o.img"), number, "/etc/which");
    assert_eq!((read(1), read(2)), (String::new(), "this-one\n".to_owned()));
    place.assert_clean();
}

#[test]
fn a_system_on_btrfs_is_told_and_entered_when_it_is_named() {
    let place = Place::new();
    let image = disk(&place, "a.img", 180, CARD);
    io::copy(&mut root(), &mut File::create(place.path("root")).unwrap()).unwrap();
    fs::create_dir(place.path("tree")).unwrap();
    stdout_of(tool("debugfs").current_dir(place.work()).args(["-R", "rdump / tree", "root"]));
    put(&image, 33, formatted(&place, 140, "mkfs.btrfs", &["-q", "--rootdir", "tree"]));
    fs::remove_dir_all(place.path("tree")).unwrap();
    let told = json_of(&place, &["inspect", "a.img", "--json"]);
    assert_eq!(told["obstacle"]["reason"], "partition 2 is btrfs, which cannot be read without mounting");
    let build = ["build", "--source", "a.img", "--checksum", "none", "--output", "o.img"];
    let step = ["--isolation", "guest", "--run", "uname -m; grep -o ' / btrfs rw' /proc/mounts"];
    place.run(build.iter().chain(&step)).expect(6).says("--mount N=/ --arch ARCH");
    let entered = build.iter().chain(&step).chain(&["--mount", "2=/", "--arch", "arm64"]);
    place.run(entered).expect(0).says("aarch64\n").says(" / btrfs rw\n");
    place.assert_clean();
}

#[test]
fn a_root_in_a_logical_partition_is_found() {
    let place = Place::new();
    let script = "label: dos\nstart=1MiB, size=2MiB, type=c\nstart=4MiB, type=5\nstart=5MiB, size=1MiB, type=82\n\
                  start=8MiB, size=16MiB, type=83\n";
    let image = disk(&place, "a.img", 30, script);
    put(&image, 8, root());
    let told = json_of(&place, &["inspect", "a.img", "--json"]);
    let rows: Vec<_> = told["partitions"].as_array().unwrap().iter().collect();
    let numbers: Vec<_> = rows.iter().map(|row| row["number"].clone()).collect();
    assert_eq!(numbers, [1, 2, 5, 6]);
    let expected =
        json!({"start": 8 * MIB, "size": 16 * MIB, "type": "83", "filesystem": "ext4", "mount": "/"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&rows[3][name], value, "{name}");
    }
    assert_eq!((&told["arch"], &told["obstacle"]), (&json!("arm64"), &Value::Null));
    assert_eq!(told["os"]["id"], "debian");
}

#[test]
fn presets_tell_notes_and_processors_as_json() {
    let told = json_of(&Place::new(), &["presets", "--json"]);
    let rows = told.as_array().unwrap();
    assert!(rows.len() > 10);
    for row in rows {
        for name in ["name", "description", "mounts", "note", "qemu_cpu"] {
            assert!(row.get(name).is_some(), "no {name} in {row}");
        }
    }
    assert!(
        rows.iter().any(|row| row["note"].is_string()) && rows.iter().any(|row| row["qemu_cpu"].is_string())
    );
}
