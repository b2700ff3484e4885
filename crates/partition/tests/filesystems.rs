//! File systems made by their own tools, told apart as blkid does, and grown.

#[expect(dead_code, reason = "each test program uses its own part of it")]
mod common;

use arm_image_partition::Error;
use arm_image_partition::filesystem::{FileSystem, Kind, grow_mounted, probe, shrink_mounted, trim};
use common::*;

type Identity = (Option<String>, Option<String>, Option<String>);

/// What blkid says about the same bytes: type, label, uuid; and the size of a block.
fn identified(image: &Image, offset: u64) -> (Identity, Option<u64>) {
    let arguments = ["--probe", "--output", "export", "--offset", &offset.to_string(), &image.name()];
    let export = tool("blkid", &arguments, "");
    let field = |name: &str| {
        let line = export.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        // blkid puts a backslash before what a shell would split.
        line.map(|value| value.replace('\\', ""))
    };
    let block_size = field("BLOCK_SIZE").map(|size| size.parse().expect("a number"));
    ((field("TYPE"), field("LABEL"), field("UUID")), block_size)
}

fn found(image: &Image, offset: u64) -> FileSystem {
    let end = image.open().metadata().expect("no metadata").len();
    let found = probe(&mut image.open(), offset..end).expect("a readable image").expect("a file system");
    let ours = (Some(found.kind.to_string()), found.label.clone(), found.uuid.clone());
    let (theirs, block_size) = identified(image, offset);
    assert_eq!(ours, theirs);
    // For XFS blkid gives the sector, and of SquashFS the unit that it packs.
    if !matches!(found.kind, Kind::Xfs | Kind::Squashfs) && block_size.is_some() {
        assert_eq!(found.block_size, block_size);
    }
    found
}

/// Makes a file system, compares with blkid, and returns what was found.
fn made(size: u64, program: &str, arguments: &[&str]) -> FileSystem {
    let image = Image::empty(size);
    tool(program, &[arguments, &[&image.name()]].concat(), "");
    found(&image, 0)
}

#[test]
fn ext_of_every_age() {
    let ext4 = made(64 * MIB, "mkfs.ext4", &["-q", "-L", "rootfs"]);
    assert_eq!((ext4.kind, ext4.label.as_deref(), ext4.size), (Kind::Ext4, Some("rootfs"), Some(64 * MIB)));
    assert_eq!(made(64 * MIB, "mkfs.ext4", &["-q", "-O", "^64bit,^huge_file"]).kind, Kind::Ext4);
    assert_eq!(made(64 * MIB, "mkfs.ext4", &["-q", "-b", "1024", "-O", "^has_journal"]).kind, Kind::Ext4);
    assert_eq!(made(64 * MIB, "mkfs.ext3", &["-q", "-L", "sixteen letters!"]).kind, Kind::Ext3);
    assert_eq!(made(64 * MIB, "mkfs.ext2", &["-q"]).kind, Kind::Ext2);
}

#[test]
fn features_of_ext_as_dumpe2fs_names_them() {
    let sets = [
        "^has_journal",
        "orphan_file,metadata_csum_seed",
        "casefold,encrypt,verity,project,quota",
        "bigalloc,mmp,inline_data,large_dir,ea_inode",
        "^resize_inode,meta_bg,sparse_super2",
        "fast_commit,stable_inodes",
        "^64bit,^extent,^flex_bg,^metadata_csum,uninit_bg",
    ];
    for set in sets {
        let image = Image::empty(64 * MIB);
        tool("mkfs.ext4", &["-q", "-O", set, &image.name()], "");
        compare_with_dumpe2fs(&image);
    }
}

/// Compares features and size, and returns the names of the features.
fn compare_with_dumpe2fs(image: &Image) -> Vec<String> {
    let shown = tool("dumpe2fs", &["-f", "-h", &image.name()], "");
    let field = |name: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name} in {shown}")).trim().to_owned()
    };
    let number = |name: &str| field(name).parse::<u64>().expect("a number");
    let found = probe(&mut image.open(), 0..u64::MAX).expect("a readable image").expect("a file system");
    let names = found.features.expect("an ext file system").names();
    assert_eq!(names.join(" "), field("Filesystem features"));
    assert_eq!(found.block_size, Some(number("Block size")));
    assert_eq!(found.size, Some(number("Block size") * number("Block count")));
    names
}

#[test]
fn every_bit_of_a_feature_has_the_name_that_dumpe2fs_gives_it() {
    let image = Image::empty(16 * MIB);
    // Without checksums a superblock can be changed by hand. dumpe2fs insists on a few bits that make sense together.
    tool("mkfs.ext4", &["-q", "-O", "^metadata_csum,^64bit", &image.name()], "");
    let mut superblock = image.bytes()[1024..2048].to_vec();
    let word = |bits: u32| bits.to_le_bytes();
    superblock[0x5c..0x60].copy_from_slice(&word(u32::MAX));
    // Not journal_dev, which is no file system; not meta_bg and 64bit, which say that more is elsewhere.
    superblock[0x60..0x64].copy_from_slice(&word(!(0x8 | 0x10 | 0x80)));
    // Not bigalloc, which goes with other sizes.
    superblock[0x64..0x68].copy_from_slice(&word(!(0x200 | 0x400)));
    image.patch(1024, &superblock);
    assert_eq!(compare_with_dumpe2fs(&image).len(), 32 + 29 + 30);
}

#[test]
fn fat_of_every_width() {
    for (size, width) in [(2 * MIB, "12"), (32 * MIB, "16"), (64 * MIB, "32")] {
        let fat = made(size, "mkfs.vfat", &["-F", width, "-n", "bootfs", "-i", "58858f0e"]);
        assert_eq!((fat.kind, fat.label.as_deref()), (Kind::Vfat, Some("bootfs")));
        assert_eq!((fat.uuid.as_deref(), fat.size), (Some("5885-8F0E"), Some(size)));
        assert_eq!(made(size, "mkfs.vfat", &["-F", width]).label, None);
    }
    assert_eq!(
        made(64 * MIB, "mkfs.vfat", &["-S", "4096", "-n", "BIG SECTORS"]).label.as_deref(),
        Some("BIG SECTORS")
    );
}

#[test]
fn a_fat_label_behind_many_files() {
    let image = Image::empty(64 * MIB);
    tool("mkfs.vfat", &["-F", "32", "-s", "1", &image.name()], "");
    for number in 0..40 {
        tool("mmd", &["-i", &image.name(), &format!("::a long name, with number {number}")], "");
    }
    tool("mlabel", &["-i", &image.name(), "::LATE"], "");
    assert_eq!(found(&image, 0).label.as_deref(), Some("LATE"));
}

#[test]
fn the_others() {
    let btrfs = made(128 * MIB, "mkfs.btrfs", &["-q", "-L", "a label"]);
    assert_eq!((btrfs.kind, btrfs.size), (Kind::Btrfs, Some(128 * MIB)));
    let xfs = made(320 * MIB, "mkfs.xfs", &["-q", "-L", "twelve bytes"]);
    assert_eq!((xfs.kind, xfs.size), (Kind::Xfs, Some(320 * MIB)));
    let f2fs = made(64 * MIB, "mkfs.f2fs", &["-q", "-l", "flash"]);
    assert_eq!((f2fs.kind, f2fs.size), (Kind::F2fs, Some(64 * MIB)));
    assert_eq!(xfs.block_size, Some(4096));
    assert_eq!(made(320 * MIB, "mkfs.xfs", &["-q", "-b", "size=1024"]).block_size, Some(1024));
    let swap = made(16 * MIB, "mkswap", &["-L", "swap"]);
    assert_eq!((swap.kind, swap.size), (Kind::Swap, Some(16 * MIB)));
    assert_eq!(made(16 * MIB, "mkswap", &["-p", "16384"]).size, Some(16 * MIB));
}

#[test]
fn read_only_ones() {
    let content = tempfile::tempdir().unwrap();
    std::fs::write(content.path().join("file"), "content").unwrap();
    let content = content.path().to_str().unwrap();
    let image = Image::empty(0);
    tool("genisoimage", &["-quiet", "-V", "INSTALL 42", "-o", &image.name(), content], "");
    let iso = found(&image, 0);
    assert_eq!((iso.kind, iso.size), (Kind::Iso9660, Some(std::fs::metadata(image.path()).unwrap().len())));
    let image = Image::empty(0);
    tool("mksquashfs", &[content, &image.name(), "-quiet", "-noappend", "-no-progress"], "");
    let squashfs = probe(&mut image.open(), 0..u64::MAX).unwrap().unwrap();
    assert_eq!((squashfs.kind, squashfs.uuid), (Kind::Squashfs, None));
    assert!(squashfs.size.unwrap() <= std::fs::metadata(image.path()).unwrap().len());
    let image = Image::empty(0);
    tool("mkfs.erofs", &[&image.name(), content], "");
    assert_eq!(found(&image, 0).size, Some(std::fs::metadata(image.path()).unwrap().len()));
}

#[test]
fn exfat_with_clusters_of_every_size() {
    for cluster in ["512", "32K", "1M"] {
        let exfat = made(64 * MIB, "mkfs.exfat", &["-c", cluster, "-L", "eleven here"]);
        assert_eq!((exfat.kind, exfat.size), (Kind::Exfat, Some(64 * MIB)));
        assert_eq!((exfat.label.as_deref(), exfat.block_size), (Some("eleven here"), Some(512)));
        assert_eq!(made(64 * MIB, "mkfs.exfat", &["-c", cluster]).label, None);
    }
}

#[test]
fn layers() {
    for (version, label) in [("luks1", None), ("luks2", Some("vault"))] {
        let image = Image::empty(32 * MIB);
        let name = image.name();
        let mut format = vec!["luksFormat", "--batch-mode", "--type", version, "--key-file", "-"];
        format.extend(["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]);
        format.extend(label.into_iter().flat_map(|label| ["--label", label]));
        format.push(&name);
        tool("cryptsetup", &format, "secret");
        let luks = found(&image, 0);
        assert_eq!((luks.kind, luks.label.as_deref()), (Kind::Luks, label));
    }
}

#[test]
fn a_physical_volume_of_lvm() {
    // pvcreate works on block devices only, so this is the label by the book, which blkid confirms.
    let mut label = vec![0; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8] = 1;
    label[20] = 32;
    label[24..32].copy_from_slice(b"LVM2 001");
    label[32..64].copy_from_slice(b"abcdefGHIJklmnOPQRstuvWXYZ012345");
    label[64..72].copy_from_slice(&(32 * MIB).to_le_bytes());
    let checksum = lvm_checksum(&label[20..]).to_le_bytes();
    label[16..20].copy_from_slice(&checksum);
    let image = Image::empty(32 * MIB);
    image.patch(512, &label);
    let lvm = found(&image, 0);
    assert_eq!((lvm.kind, lvm.size), (Kind::Lvm, Some(32 * MIB)));
    assert_eq!(lvm.uuid.as_deref(), Some("abcdef-GHIJ-klmn-OPQR-stuv-WXYZ-012345"));
}

/// CRC-32 with LVM's own start value, and no final inversion.
fn lvm_checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[test]
fn inside_a_partition_and_not_beyond_it() {
    let image = Image::with_table(100 * MIB, RASPBERRY_PI);
    let part = Image::empty(20 * MIB);
    tool("mkfs.ext4", &["-q", "-L", "rootfs", &part.name()], "");
    image.patch(40 * MIB, &part.bytes());
    assert_eq!(found(&image, 40 * MIB).label.as_deref(), Some("rootfs"));
    assert_eq!(probe(&mut image.open(), 40 * MIB..40 * MIB + 1024).unwrap(), None);
    assert_eq!(probe(&mut image.open(), 8 * MIB..40 * MIB).unwrap(), None);
    assert_eq!(probe(&mut image.open(), 200 * MIB..300 * MIB).unwrap(), None);
    // An MBR is no FAT, although both end in the same two bytes.
    assert_eq!(probe(&mut image.open(), 0..100 * MIB).unwrap(), None);
}

#[test]
fn layers_are_not_grown() {
    let image = Image::with_table(100 * MIB, "label: dos\nstart=2048,size=65536,type=8e\n");
    let error = arm_image_partition::grow(&image.path(), 200 * MIB).unwrap_err();
    assert!(matches!(error, Error::Layered { number: 1, kind: Kind::Lvm }));
    assert_eq!(error.to_string(), "partition 1 holds LVM2_member, which cannot be grown");
    assert_eq!(std::fs::metadata(image.path()).unwrap().len(), 100 * MIB);
}

#[test]
fn kinds_without_a_way_to_grow_are_refused() {
    let image = Image::empty(MIB);
    assert!(matches!(
        grow_mounted(&image.open(), Kind::Vfat, MIB),
        Err(Error::CannotGrow { kind: Kind::Vfat })
    ));
    assert!(matches!(
        shrink_mounted(&image.open(), Kind::Xfs, 0),
        Err(Error::CannotShrink { kind: Kind::Xfs })
    ));
    let hint = Error::CannotGrow { kind: Kind::Vfat }.hint().unwrap();
    assert!(hint.contains("copy"), "{hint}");
}

#[test]
fn a_refusal_of_the_kernel_is_told() {
    // A plain file on whatever the temporary folder is on: no kernel grows that as xfs to one block.
    let image = Image::empty(MIB);
    let error = grow_mounted(&image.open(), Kind::Btrfs, 0).unwrap_err();
    assert!(matches!(error, Error::GrowMounted { kind: Kind::Btrfs, size: 0, .. }));
    assert!(std::error::Error::source(&error).is_some());
    let error = shrink_mounted(&image.open(), Kind::Btrfs, 0);
    assert!(error.is_ok() || matches!(error, Err(Error::ShrinkMounted { kind: Kind::Btrfs, .. })));
}

#[test]
fn trimming_what_cannot_be_trimmed_is_told() {
    let error = trim(&std::fs::File::open("/proc/version").unwrap()).unwrap_err();
    assert!(matches!(error, Error::Trim { .. }));
    assert!(std::error::Error::source(&error).is_some());
}
