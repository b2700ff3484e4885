//! Growing file systems on their devices, on a real kernel that lets root do it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::File;
use std::process::Command;

use arm_image_mapper::{DeviceMapper, LoopMapper};
use arm_image_partition::filesystem::{FileSystem, Kind, grow_device, probe};
use arm_image_partition::{grow, read};
use arm_image_tests::in_guest;

const MEBIBYTE: u64 = 1 << 20;
const START: u64 = 4 * MEBIBYTE;

fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}", output.status);
}

/// An MBR with one partition from 4 MiB to the end of a sparse image, and a file system in it.
fn grown_on_its_device(kind: Kind, before: u64, after: u64) -> FileSystem {
    let folder = tempfile::tempdir().unwrap();
    let [image, part] = ["image", "part"].map(|name| folder.path().join(name));
    let [image, part] = [&image, &part].map(|path| path.to_str().unwrap());
    File::create(part).unwrap().set_len(before - START).unwrap();
    run(&format!("mkfs.{kind}"), &["-q", part]);
    let mut head = vec![0; usize::try_from(START).unwrap()];
    head[446 + 4] = 0x83;
    let sectors = [START, before - START].map(|bytes| u32::try_from(bytes / 512).unwrap().to_le_bytes());
    head[446 + 8..446 + 16].copy_from_slice(&sectors.concat());
    head[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(image, head).unwrap();
    run(
        "dd",
        &[
            &format!("if={part}"),
            &format!("of={image}"),
            "bs=1M",
            "seek=4",
            "conv=sparse,notrunc",
            "status=none",
        ],
    );
    File::options().write(true).open(image).unwrap().set_len(before).unwrap();
    std::fs::remove_file(part).unwrap();

    let partition = grow(image.as_ref(), after).unwrap();
    assert_eq!(partition.range, START..after);
    let disk = File::options().read(true).write(true).open(image).unwrap();
    let mapped = LoopMapper.map(&disk, &[partition.range]).unwrap();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts_before = mounts();
    grow_device(mapped.path(0), kind, after - START).unwrap();
    assert_eq!(mounts(), mounts_before);
    mapped.close().unwrap();

    let mut file = File::open(image).unwrap();
    let table = read(&mut file).unwrap();
    let found = probe(&mut file, table.partitions()[0].range.clone()).unwrap().unwrap();
    let rest = &format!("{image}?offset={START}");
    if kind == Kind::Ext4 {
        run("e2fsck", &["-f", "-n", rest]);
    }
    found
}

#[test]
fn privileged_ext4_grows_by_the_kernel() {
    in_guest("privileged_ext4_grows_by_the_kernel", || {
        let found = grown_on_its_device(Kind::Ext4, 64 * MEBIBYTE, 900 * MEBIBYTE);
        assert_eq!((found.kind, found.size), (Kind::Ext4, Some(896 * MEBIBYTE)));
    });
}

#[test]
fn privileged_btrfs_grows_by_the_kernel() {
    in_guest("privileged_btrfs_grows_by_the_kernel", || {
        let found = grown_on_its_device(Kind::Btrfs, 160 * MEBIBYTE, 900 * MEBIBYTE);
        assert_eq!((found.kind, found.size), (Kind::Btrfs, Some(896 * MEBIBYTE)));
    });
}

#[test]
fn privileged_xfs_grows_by_the_kernel() {
    in_guest("privileged_xfs_grows_by_the_kernel", || {
        let found = grown_on_its_device(Kind::Xfs, 340 * MEBIBYTE, 900 * MEBIBYTE);
        assert_eq!((found.kind, found.size), (Kind::Xfs, Some(896 * MEBIBYTE)));
    });
}
