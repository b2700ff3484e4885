//! The tiny images are what they claim to be, by the judgement of the usual tools.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arm_image_tests::images;

/// An image's partitions, each copied into a file of its own.
struct Taken {
    table: serde_json::Value,
    folder: tempfile::TempDir,
}

impl Taken {
    fn apart(image: &Path) -> Self {
        let table = stdout(tool("sfdisk").arg("-J").arg(image));
        let table: serde_json::Value = serde_json::from_slice(&table).unwrap();
        let table = table["partitiontable"].clone();
        let taken = Taken { table, folder: tempfile::tempdir().unwrap() };
        for (index, partition) in taken.partitions().iter().enumerate() {
            let mut content = vec![0; usize::try_from(partition["size"].as_u64().unwrap() * 512).unwrap()];
            let start = partition["start"].as_u64().unwrap() * 512;
            File::open(image).unwrap().read_exact_at(&mut content, start).unwrap();
            fs::write(taken.partition(index + 1), content).unwrap();
        }
        taken
    }

    fn partitions(&self) -> &[serde_json::Value] {
        self.table["partitions"].as_array().unwrap()
    }

    fn partition(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("p{number}"))
    }

    /// A file in the ext4 file system of partition `number`.
    fn ext4_file(&self, number: usize, path: &str) -> Vec<u8> {
        stdout(tool("debugfs").args(["-R", &format!("cat {path}")]).arg(self.partition(number)))
    }

    /// A file in the FAT file system of partition `number`.
    fn fat_file(&self, number: usize, path: &str) -> Vec<u8> {
        stdout(tool("mtype").arg("-i").arg(self.partition(number)).arg(format!("::{path}")))
    }

    fn tag(&self, number: usize, tag: &str) -> String {
        let value = stdout(tool("blkid").args(["-p", "-s", tag, "-o", "value"]).arg(self.partition(number)));
        String::from_utf8(value).unwrap().trim().to_owned()
    }
}

fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap())).env("LC_ALL", "C");
    command
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn stdout(command: &mut Command) -> Vec<u8> {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// `e_machine` of a little-endian ELF file, elf(5).
fn elf_machine(program: &[u8]) -> u16 {
    assert_eq!(&program[..4], b"\x7fELF");
    u16::from_le_bytes([program[18], program[19]])
}

const EM_ARM: u16 = 40;
const EM_AARCH64: u16 = 183;

/// What holds for every image: its table, its file systems, its busybox, its compressed twin and their checksums.
fn is_sound(image: &Path, root: usize, machine: u16) -> Taken {
    let verdict = output(tool("sfdisk").arg("--verify").arg(image));
    assert!(verdict.status.success(), "{verdict:?}");
    let taken = Taken::apart(image);
    for number in 1..root {
        match taken.tag(number, "TYPE").as_str() {
            "vfat" => drop(stdout(tool("fsck.vfat").arg("-n").arg(taken.partition(number)))),
            other => assert_eq!(other, "swap"),
        }
    }
    stdout(tool("e2fsck").arg("-fn").arg(taken.partition(root)));
    let last = taken.partitions().iter().max_by_key(|partition| partition["start"].as_u64()).unwrap();
    assert_eq!(last, &taken.partitions()[root - 1], "the root lies last, so that it can grow");

    assert_eq!(elf_machine(&taken.ext4_file(root, "/usr/bin/busybox")), machine);
    let shell = stdout(tool("debugfs").args(["-R", "stat /usr/bin/sh"]).arg(taken.partition(root)));
    assert!(text(shell).contains("Fast link dest: \"busybox\""));
    let passwd = stdout(tool("debugfs").args(["-R", "stat /etc/passwd"]).arg(taken.partition(root)));
    assert!(
        text(passwd).contains("User:     0   Group:     0"),
        "files belong to root whoever made the image"
    );

    let folder = image.parent().unwrap();
    stdout(tool("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder));
    let compressed = image.with_extension("img.xz");
    let listed = text(stdout(tool("xz").args(["--robot", "--list"]).arg(&compressed)));
    let blocks: u32 = listed
        .lines()
        .find(|line| line.starts_with("file"))
        .unwrap()
        .split('\t')
        .nth(2)
        .unwrap()
        .parse()
        .unwrap();
    assert!(blocks > 1, "{listed}");
    for published in [image, &compressed, &folder.join("SHA256SUMS")] {
        assert_eq!(fs::metadata(published).unwrap().permissions().mode() & 0o777, 0o444);
    }
    taken
}

fn is_laid_out_like_raspios(image: &Path, machine: u16) {
    let taken = is_sound(image, 2, machine);
    assert_eq!(taken.table["label"], "dos");
    assert_eq!(taken.partitions().len(), 2);
    assert_eq!(taken.partitions()[0]["start"], 16384);
    assert_eq!(taken.partitions()[0]["type"], "c");
    assert_eq!(taken.partitions()[1]["type"], "83");
    assert_eq!((taken.tag(1, "LABEL").as_str(), taken.tag(1, "VERSION").as_str()), ("bootfs", "FAT32"));
    assert_eq!(taken.tag(2, "LABEL"), "rootfs");
    let release = text(taken.ext4_file(2, "/usr/lib/os-release"));
    assert!(release.contains("VERSION_ID=\"12\""), "{release}");

    let disk = taken.table["id"].as_str().unwrap().trim_start_matches("0x");
    let fstab = text(taken.ext4_file(2, "/etc/fstab"));
    let mounted = |device: String, target: &str| {
        fstab.lines().any(|line| line.split_whitespace().take(2).eq([device.as_str(), target]))
    };
    assert!(mounted(format!("PARTUUID={disk}-01"), "/boot/firmware"), "{fstab}");
    assert!(mounted(format!("PARTUUID={disk}-02"), "/"), "{fstab}");
    assert!(text(taken.fat_file(1, "/cmdline.txt")).contains(&format!("root=PARTUUID={disk}-02")));
    // The real firmware: an ELF file for the VideoCore, machine 137.
    assert_eq!(elf_machine(&taken.fat_file(1, "/start4.elf")), 137);
    assert!(!taken.fat_file(1, "/bootcode.bin").is_empty());
    let features = text(stdout(tool("dumpe2fs").arg("-h").arg(taken.partition(2))));
    let features = features.lines().find(|line| line.starts_with("Filesystem features")).unwrap();
    assert!(!features.contains("64bit") && !features.contains("huge_file"), "{features}");
}

#[test]
fn raspios_arm64_tiny_is_laid_out_like_raspios() {
    is_laid_out_like_raspios(&images::raspios_arm64_tiny(), EM_AARCH64);
}

#[test]
fn raspios_armhf_tiny_is_laid_out_like_raspios() {
    is_laid_out_like_raspios(&images::raspios_armhf_tiny(), EM_ARM);
}

#[test]
fn raspios_arm64_python_has_a_python_and_all_that_it_is_linked_to() {
    let image = images::raspios_arm64_python();
    is_laid_out_like_raspios(&image, EM_AARCH64);
    let taken = Taken::apart(&image);
    let python = taken.ext4_file(2, "/usr/bin/python3.11");
    assert_eq!(elf_machine(&python), EM_AARCH64);
    let libraries = ["libc.so.6", "libm.so.6", "libz.so.1", "libexpat.so.1"];
    for library in libraries.map(|name| format!("/usr/lib/aarch64-linux-gnu/{name}")) {
        let found = stdout(tool("debugfs").args(["-R", &format!("stat {library}")]).arg(taken.partition(2)));
        assert!(!found.is_empty(), "{library}");
    }
    assert!(!taken.ext4_file(2, "/usr/lib/python3.11/json/__init__.py").is_empty());
}

#[test]
fn ubuntu_arm64_tiny_is_laid_out_like_ubuntu() {
    let taken = is_sound(&images::ubuntu_arm64_tiny(), 2, EM_AARCH64);
    assert_eq!(taken.table["label"], "dos");
    assert_eq!(taken.partitions()[0]["start"], 2048);
    assert_eq!((taken.tag(1, "LABEL").as_str(), taken.tag(2, "LABEL").as_str()), ("system-boot", "writable"));
    let release = text(taken.ext4_file(2, "/usr/lib/os-release"));
    assert!(release.contains("\nID=ubuntu\n"), "{release}");
    let fstab = text(taken.ext4_file(2, "/etc/fstab"));
    assert!(
        fstab.contains("LABEL=writable\t/\t") && fstab.contains("LABEL=system-boot\t/boot/firmware\t"),
        "{fstab}"
    );
    assert!(text(taken.fat_file(1, "/cmdline.txt")).contains("root=LABEL=writable"));
    assert!(text(taken.fat_file(1, "/user-data")).starts_with("#cloud-config\n"));
    let resolver = stdout(tool("debugfs").args(["-R", "stat /etc/resolv.conf"]).arg(taken.partition(2)));
    assert!(text(resolver).contains("../run/systemd/resolve/stub-resolv.conf"));
}

#[test]
fn beaglebone_armhf_tiny_is_laid_out_like_beagleboard_orgs() {
    let taken = is_sound(&images::beaglebone_armhf_tiny(), 3, EM_ARM);
    assert_eq!(taken.table["label"], "dos");
    assert_eq!(taken.partitions()[0]["start"], 8192);
    assert_eq!(taken.partitions()[0]["size"], 73728);
    assert_eq!((taken.tag(1, "TYPE").as_str(), taken.tag(2, "TYPE").as_str()), ("vfat", "swap"));
    assert!(text(taken.ext4_file(3, "/etc/dogtag")).starts_with("BeagleBoard.org"));
    let fstab = text(taken.ext4_file(3, "/etc/fstab"));
    for (number, target) in [(3, "/"), (1, "/boot/firmware"), (2, "none")] {
        assert!(fstab.contains(&format!("/dev/mmcblk0p{number}  {target}  ")), "{fstab}");
    }
    assert!(!taken.fat_file(1, "/sysconf.txt").is_empty());
}

#[test]
fn gpt_arm64_tiny_is_laid_out_like_a_radxa_board() {
    let image = images::gpt_arm64_tiny();
    let verdict = text(stdout(tool("sgdisk").arg("--verify").arg(&image)));
    assert!(verdict.contains("No problems found"), "{verdict}");
    let taken = is_sound(&image, 3, EM_AARCH64);
    assert_eq!(taken.table["label"], "gpt");
    assert_eq!(taken.tag(3, "LABEL"), "rootfs");
    assert_eq!(taken.partitions().len(), 3);
    let fstab = text(taken.ext4_file(3, "/etc/fstab"));
    let expected = [
        (format!("UUID={}", taken.tag(3, "UUID")), "/"),
        (format!("LABEL={}", taken.tag(1, "LABEL")), "/config"),
        (format!("UUID={}", taken.tag(2, "UUID")), "/boot/efi"),
    ];
    for (device, target) in expected {
        let found = fstab.lines().any(|line| line.split_whitespace().take(2).eq([device.as_str(), target]));
        assert!(found, "{device} on {target} in {fstab}");
    }
}
