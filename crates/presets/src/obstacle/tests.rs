use proptest::prelude::*;

use super::*;

/// A partition of this number, file system, label and name in a GPT.
fn volume<'a>(number: u32, filesystem: &'a str, label: &'a str, partlabel: &'a str) -> Volume<'a> {
    let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
    let names = Candidate { number, label: some(label), partlabel: some(partlabel), ..Candidate::default() };
    Volume { names, filesystem: some(filesystem), has_system: false }
}

fn with_system(volume: Volume<'_>) -> Volume<'_> {
    Volume { has_system: true, ..volume }
}

#[test]
fn one_system_is_no_obstacle_and_two_are_a_choice() {
    let boot = volume(1, "vfat", "bootfs", "");
    let (first, second) = (volume(2, "ext4", "", ""), volume(3, "ext4", "", ""));
    assert_eq!(Obstacle::of_volumes(&[boot, with_system(first)]), None);
    assert_eq!(
        Obstacle::of_volumes(&[boot, with_system(first), second, volume(4, "btrfs", "data", "")]),
        None
    );
    // Mender's layout: a boot partition, two roots, data.
    let mender = [boot, with_system(first), with_system(second), volume(4, "ext4", "data", "")];
    let obstacle = Obstacle::of_volumes(&mender).unwrap();
    assert_eq!(obstacle.to_string(), "it holds 2 systems, in partitions 2 and 3");
    assert!(obstacle.leaves_a_way());
    let three = Obstacle::SeveralSystems { numbers: vec![2, 3, 5] };
    assert_eq!(three.to_string(), "it holds 3 systems, in partitions 2, 3 and 5");
}

#[test]
fn each_kind_of_image_says_why() {
    let boot = volume(1, "vfat", "", "");
    for (volumes, expected) in [
        // OpenWrt's squashfs image.
        (vec![boot, volume(2, "squashfs", "", "")], Obstacle::ReadOnly { filesystem: "squashfs".into() }),
        // Home Assistant OS: its data and overlay could be read, but hold no system.
        (
            vec![
                volume(1, "vfat", "hassos-boot", "hassos-boot"),
                volume(3, "erofs", "", "hassos-system0"),
                volume(5, "", "", "hassos-system1"),
                volume(7, "f2fs", "hassos-overlay", "hassos-overlay"),
                volume(8, "ext4", "hassos-data", "hassos-data"),
            ],
            Obstacle::Slots { filesystem: "erofs".into() },
        ),
        // A RAUC or SWUpdate image as Yocto makes them.
        (
            vec![boot, volume(2, "squashfs", "", "rootfs_A"), volume(3, "squashfs", "", "rootfs_B")],
            Obstacle::Slots { filesystem: "squashfs".into() },
        ),
        (
            vec![
                volume(2, "", "", "KERN-A"),
                volume(3, "ext2", "", "ROOT-A"),
                volume(12, "vfat", "", "EFI-SYSTEM"),
            ],
            Obstacle::ChromeOs,
        ),
        (vec![volume(1, "", "", "boot_a"), volume(9, "", "", "super")], Obstacle::Android),
        (vec![volume(7, "ext4", "", "system"), volume(9, "f2fs", "", "userdata")], Obstacle::Android),
        (vec![boot, volume(2, "crypto_LUKS", "", "")], Obstacle::Encrypted { number: 2 }),
        // Fedora Server.
        (vec![boot, volume(2, "xfs", "", ""), volume(3, "LVM2_member", "", "")], Obstacle::Lvm { number: 3 }),
        // LibreELEC; the older labels were in mixed case.
        (vec![volume(1, "vfat", "LIBREELEC", ""), volume(2, "ext4", "STORAGE", "")], Obstacle::SystemInFile),
        (vec![volume(1, "vfat", "System", ""), volume(2, "ext4", "Storage", "")], Obstacle::SystemInFile),
        // Armbian on btrfs.
        (
            vec![boot, volume(2, "btrfs", "armbi_root", "")],
            Obstacle::Unread { number: 2, filesystem: "btrfs".into() },
        ),
        // Alpine, with and without swap.
        (vec![boot], Obstacle::FatOnly),
        (vec![boot, volume(2, "swap", "", ""), volume(3, "", "", "")], Obstacle::FatOnly),
        // NixOS before its first boot.
        (vec![volume(1, "vfat", "FIRMWARE", ""), volume(2, "ext4", "NIXOS_SD", "")], Obstacle::NoSystem),
        (vec![volume(1, "", "", "")], Obstacle::NoSystem),
        (vec![], Obstacle::NoSystem),
    ] {
        let found = Obstacle::of_volumes(&volumes);
        assert_eq!(found.as_ref(), Some(&expected), "{volumes:?}");
        let named_by_hand = matches!(expected, Obstacle::Unread { .. } | Obstacle::NoSystem);
        assert_eq!(expected.leaves_a_way(), named_by_hand, "{expected}");
        assert!(!expected.hint().is_empty());
    }
}

#[test]
fn whole_files_are_told_by_their_magic() {
    let mut iso = vec![0; Obstacle::HEAD];
    iso[510..512].copy_from_slice(&[0x55, 0xaa]); // of a hybrid one, which has a partition table too
    iso[0x8000..].copy_from_slice(b"\x01CD001");
    assert_eq!(Obstacle::of_file(&iso), Some(Obstacle::Iso));
    assert_eq!(Obstacle::of_file(&iso[..Obstacle::HEAD - 1]), None, "cut off");
    assert_eq!(Obstacle::of_file(&0xed26_ff3a_u32.to_le_bytes()), Some(Obstacle::AndroidSparse));
    assert_eq!(Obstacle::of_file(b"ANDROID!rest"), Some(Obstacle::AndroidBoot));
    assert_eq!(Obstacle::of_file(b"UBI#\x01"), Some(Obstacle::FlashChip));
    assert_eq!(Obstacle::of_file(&[]), None);
    assert_eq!(Obstacle::of_file(&[0; Obstacle::HEAD]), None);
}

#[test]
fn archives_of_parts_are_told_from_those_of_an_image() {
    // Mendel for the Coral Dev Board, and a factory image of Android.
    let mendel =
        ["x/README", "x/boot_arm64.img", "x/partition-table-8gb.img", "x/rootfs_arm64.img", "x/flash.sh"];
    assert_eq!(Obstacle::of_members(mendel), Some(Obstacle::Fastboot));
    assert_eq!(Obstacle::of_members(["a/flash-all.sh", "a/image.zip"]), Some(Obstacle::Fastboot));
    assert_eq!(Obstacle::of_members(["boot.img", "system.img"]), Some(Obstacle::Fastboot));
    for image in [vec!["2022-01-28-raspios-bullseye-armhf-lite.img"], vec!["boot.img", "README"], vec![]] {
        assert_eq!(Obstacle::of_members(image.iter().copied()), None, "{image:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Obstacle::of_file(&bytes);
    }

    #[test]
    fn random_names_never_panic_and_only_one_system_is_no_obstacle(
        volumes in proptest::collection::vec((".{0,4}[aA0]?", ".{0,4}[bB1]?", "(vfat|ext4|squashfs|btrfs)?", any::<bool>()), 0..5),
    ) {
        let volumes: Vec<_> = (1..).zip(&volumes).map(|(number, (label, name, kind, has_system))| {
            Volume { has_system: *has_system, ..volume(number, kind, label, name) }
        }).collect();
        let systems = volumes.iter().filter(|volume| volume.has_system).count();
        prop_assert_eq!(Obstacle::of_volumes(&volumes).is_none(), systems == 1);
        let _ = Obstacle::of_members(volumes.iter().filter_map(|volume| volume.names.label));
    }
}
