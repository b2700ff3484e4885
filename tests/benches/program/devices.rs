//! What needs a kernel with device-mapper: measured in a guest, where the usual tools are the host's.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use arm_image_chroot::{Mount, Root};
use arm_image_guest::Guest;
use arm_image_mapper::{DeviceMapper, DmMapper, LoopMapper};
use arm_image_partition::filesystem::{self, Kind};
use arm_image_tests::guest_lines;

use crate::{print_pair, print_row};

/// By what this program knows itself in the guest.
pub(crate) const NAME: &str = "devices";

const MEBIBYTE: u64 = 1 << 20;
/// Two partitions as a Raspberry Pi's image has them: FAT, then ext4.
const RANGES: [Range<u64>; 2] = [4 * MEBIBYTE..68 * MEBIBYTE, 68 * MEBIBYTE..512 * MEBIBYTE];
const ROUNDS: usize = 10;

/// Seconds, and no memory, as the table wants its samples.
type Samples = Vec<(f64, f64)>;

/// The guest alone, then what is measured in it.
pub(crate) fn compare(rounds: usize) {
    let init = arm_image_tests::init_program().unwrap();
    let samples = (0..rounds).map(|_| {
        seconds(|| {
            // It is asked for nothing, says so, and powers off.
            let guest = Guest::builder().init(&init).start().unwrap();
            let _ = guest.wait();
        })
    });
    print_row("guest kernel, from start to poweroff", ("arm-image-guest", samples.collect()), "");
    let lines = guest_lines(NAME).unwrap();
    lines.iter().filter(|line| line.starts_with('|')).for_each(|line| println!("{line}"));
}

/// The part that runs in the guest.
pub(crate) fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    make(&image);
    let file = File::options().read(true).write(true).open(&image).unwrap();
    let ours = |mapper: &dyn DeviceMapper| -> Samples {
        let once = || {
            let mapped = mapper.map(&file, &RANGES).unwrap();
            let mount = |index: usize, target: &str, kind: &str| Mount {
                device: mapped.path(index),
                target: target.into(),
                kind: kind.to_owned(),
                options: Vec::new(),
            };
            let mounts = [mount(1, "/", "ext4"), mount(0, "/boot", "vfat")];
            let root = Root::builder().mount(&mounts).unwrap();
            root.close().unwrap();
            mapped.close().unwrap();
        };
        (0..ROUNDS).map(|_| seconds(once)).collect()
    };
    let theirs =
        |script: &str| -> Samples { (0..ROUNDS).map(|_| seconds(|| shell(&image, script))).collect() };
    let kpartx = "set -e
        name=$(kpartx -avs $IMAGE | sed -n 's/^add map \\(.*\\)p1 .*/\\1/p')
        mount /dev/mapper/${name}p2 mnt; mount /dev/mapper/${name}p1 mnt/boot
        umount mnt/boot mnt; kpartx -d $IMAGE > /dev/null";
    let losetup = |wait: &str| {
        format!(
            "set -e
            device=$(losetup -fP --show $IMAGE); {wait}
            mount ${{device}}p2 mnt; mount ${{device}}p1 mnt/boot
            umount mnt/boot mnt; losetup -d $device"
        )
    };
    let mapped = ours(&DmMapper);
    print_pair(
        "map, mount, unmount, unmap",
        ("kpartx, mount", theirs(kpartx)),
        ("DmMapper, Root", mapped.clone()),
    );
    // devtmpfs has the nodes at once here; where udev makes them, nobody knows when, and packer-plugin-arm-image sleeps.
    print_pair("", ("losetup -P; mount", theirs(&losetup(":"))), ("DmMapper, Root", mapped.clone()));
    let sleeping = theirs(&losetup("sleep 2"));
    print_pair("", ("losetup -P; sleep 2; mount", sleeping), ("DmMapper, Root", mapped));
    print_row("", ("LoopMapper, Root", ours(&LoopMapper)), "");
    grow(folder.path());
    println!("1 passed; 0 failed");
}

/// A small ext4 takes 4 GiB: by its tools in the file, and by the kernel on a device.
fn grow(folder: &Path) {
    const LENGTH: u64 = 4 << 30;
    let image = folder.join("ext4");
    let samples = |work: &dyn Fn()| -> Samples {
        let once = |_| {
            shell(&image, "rm -f $IMAGE; truncate -s 4G $IMAGE; mkfs.ext4 -q $IMAGE 262144k");
            seconds(work)
        };
        (0..ROUNDS).map(once).collect()
    };
    let theirs =
        samples(&|| shell(&image, "e2fsck -fp $IMAGE > /dev/null && resize2fs $IMAGE > /dev/null 2>&1"));
    let ours = samples(&|| {
        let file = File::options().read(true).write(true).open(&image).unwrap();
        let mapped = LoopMapper.map(&file, std::slice::from_ref(&(0..LENGTH))).unwrap();
        filesystem::grow_device(mapped.path(0), Kind::Ext4, LENGTH).unwrap();
        mapped.close().unwrap();
    });
    print_pair("grow ext4 to 4 GiB", ("e2fsck -f; resize2fs", theirs), ("LoopMapper, grow_device", ours));
}

fn seconds(work: impl FnOnce()) -> (f64, f64) {
    let start = Instant::now();
    work();
    (start.elapsed().as_secs_f64(), 0.0)
}

fn make(image: &Path) {
    File::create(image).unwrap().set_len(RANGES[1].end).unwrap();
    shell(
        image,
        "set -e
        printf '8192,131072,c\n139264,,83\n' | sfdisk -q $IMAGE
        mkfs.vfat -F 16 --offset 8192 $IMAGE 65536 > /dev/null
        mkfs.ext4 -q -E offset=71303168 $IMAGE 454656k
        mkdir mnt; mount -o loop,offset=71303168 $IMAGE mnt; mkdir mnt/boot; umount mnt",
    );
}

/// Runs a script of the shell's in the folder of `image`, which is `$IMAGE` to it.
fn shell(image: &Path, script: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).env("IMAGE", image).current_dir(image.parent().unwrap());
    shell.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    assert!(shell.status().unwrap().success(), "{script}");
}
