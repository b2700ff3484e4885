//! Growing mounted file systems on a real kernel that lets root do it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::File;
use std::process::Command;

use arm_image_partition::filesystem::{FileSystem, Kind, grow_mounted, probe};
use arm_image_partition::{grow, read};
use arm_image_tests::in_guest;
use nix::mount::umount;

const MEBIBYTE: u64 = 1 << 20;
const START: u64 = 4 * MEBIBYTE;

fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}", output.status);
}

/// An MBR with one partition from 4 MiB to the end of a sparse image, and a file system in it.
fn grown_while_mounted(kind: Kind, before: u64, after: u64) -> FileSystem {
    let folder = tempfile::tempdir().unwrap();
    let [image, part, point] = ["image", "part", "mount"].map(|name| folder.path().join(name));
    let [image, part, point] = [&image, &part, &point].map(|path| path.to_str().unwrap());
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
    std::fs::create_dir(point).unwrap();
    run("mount", &["-t", &kind.to_string(), "-o", &format!("loop,offset={START}"), image, point]);
    let covered = grow_mounted(&File::open(point).unwrap(), kind, after - START);
    umount(point).unwrap();
    assert_eq!(covered.unwrap(), after - START);

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
fn privileged_ext4_grows_while_mounted() {
    in_guest("privileged_ext4_grows_while_mounted", || {
        let found = grown_while_mounted(Kind::Ext4, 64 * MEBIBYTE, 900 * MEBIBYTE);
        assert_eq!((found.kind, found.size), (Kind::Ext4, Some(896 * MEBIBYTE)));
    });
}

#[test]
fn privileged_btrfs_grows_while_mounted() {
    in_guest("privileged_btrfs_grows_while_mounted", || {
        let found = grown_while_mounted(Kind::Btrfs, 160 * MEBIBYTE, 900 * MEBIBYTE);
        assert_eq!((found.kind, found.size), (Kind::Btrfs, Some(896 * MEBIBYTE)));
    });
}

#[test]
fn privileged_xfs_grows_while_mounted() {
    in_guest("privileged_xfs_grows_while_mounted", || {
        let found = grown_while_mounted(Kind::Xfs, 340 * MEBIBYTE, 900 * MEBIBYTE);
        assert_eq!((found.kind, found.size), (Kind::Xfs, Some(896 * MEBIBYTE)));
    });
}
