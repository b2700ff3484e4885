//! The rows. Layouts are those of images as published; where families share an os-release, the files that tell
//! them apart are ones that their makers' build scripts put there, and so are labels and ids. Longer than other
//! files, as it is one table.

use crate::Mark::{Label, PartLabel, PartUuid};
use crate::{Preset, Version};

/// All versions, also of systems that have none.
pub(crate) const ANY: (Version, Version) = ((0, 0), (u32::MAX, u32::MAX));

const fn below(version: Version) -> (Version, Version) {
    ((0, 0), version)
}

const fn from(version: Version) -> (Version, Version) {
    (version, (u32::MAX, u32::MAX))
}

type Mounts = &'static [(u32, &'static str)];

const BOOT_FIRMWARE: Mounts = &[(1, "/boot/firmware"), (2, "/")];
const BOOT: Mounts = &[(1, "/boot"), (2, "/")];
const EFI: Mounts = &[(1, "/boot/efi"), (2, "/")];
const ROOT_ONLY: Mounts = &[(1, "/")];
/// The firmware's own partition is not mounted.
const ROOT_AFTER_FIRMWARE: Mounts = &[(2, "/")];

/// What a row leaves out.
const NOTHING: Preset = Preset {
    name: "",
    description: "",
    mounts: &[],
    urls: &[],
    os_ids: &[],
    files: &[],
    marks: &[],
    versions: ANY,
    qemu_cpu: None,
    note: None,
};

pub(crate) static PRESETS: &[Preset] = &[
    Preset {
        name: "armbian-rpi",
        description: "Armbian for Raspberry Pi",
        mounts: BOOT_FIRMWARE,
        urls: &["_rpi4b_"],
        os_ids: &["debian", "ubuntu", "armbian"],
        files: &["/etc/armbian-release", "/boot/firmware"],
        marks: &[Label("RPICFG")],
        ..NOTHING
    },
    Preset {
        name: "armbian",
        description: "Armbian: one partition on most boards",
        mounts: ROOT_ONLY,
        urls: &["armbian"],
        os_ids: &["debian", "ubuntu", "armbian"],
        files: &["/etc/armbian-release"],
        marks: &[Label("armbi_root")],
        note: Some("some boards have a boot partition before the root, which may be btrfs, f2fs or xfs"),
        ..NOTHING
    },
    Preset {
        name: "dietpi",
        description: "DietPi for Raspberry Pi",
        mounts: BOOT_FIRMWARE,
        urls: &["dietpi_rpi"],
        os_ids: &["debian", "raspbian"],
        files: &["/boot/dietpi/.version", "/boot/firmware"],
        ..NOTHING
    },
    Preset {
        name: "dietpi-board",
        description: "DietPi for other boards",
        mounts: ROOT_ONLY,
        urls: &["dietpi"],
        os_ids: &["debian"],
        files: &["/boot/dietpi/.version"],
        marks: &[Label("DIETPISETUP")],
        note: Some("a small FAT partition lies behind the root, which therefore cannot grow"),
        ..NOTHING
    },
    Preset {
        name: "raspberrypi-legacy",
        description: "Raspberry Pi OS up to 11 (bullseye)",
        mounts: BOOT,
        urls: &["raspios-bullseye", "raspios-buster", "raspbian"],
        os_ids: &["raspbian", "debian"],
        files: &["/etc/rpi-issue"],
        versions: below((12, 0)),
        qemu_cpu: Some("arm1176"),
        ..NOTHING
    },
    Preset {
        name: "raspberrypi",
        description: "Raspberry Pi OS from 12 (bookworm) on",
        mounts: BOOT_FIRMWARE,
        urls: &["raspios"],
        os_ids: &["raspbian", "debian"],
        files: &["/etc/rpi-issue"],
        versions: from((12, 0)),
        qemu_cpu: Some("arm1176"),
        ..NOTHING
    },
    Preset {
        name: "beaglebone",
        description: "BeagleBoard.org Debian with firmware and swap partitions",
        mounts: &[(1, "/boot/firmware"), (3, "/")],
        urls: &["am335x-debian-", "beagleplay-", "beagley-ai-", "files.beagle.cc/"],
        os_ids: &["debian"],
        files: &["/etc/dogtag", "/boot/firmware"],
        qemu_cpu: Some("cortex-a8"),
        ..NOTHING
    },
    Preset {
        name: "beaglebone-legacy",
        description: "BeagleBoard.org Debian, one partition",
        mounts: ROOT_ONLY,
        urls: &["bone-debian-"],
        os_ids: &["debian"],
        files: &["/etc/dogtag"],
        qemu_cpu: Some("cortex-a8"),
        ..NOTHING
    },
    Preset {
        name: "kali-legacy",
        description: "Kali Linux for Raspberry Pi up to 2024",
        mounts: BOOT,
        urls: &[
            "kali-linux-2020",
            "kali-linux-2021",
            "kali-linux-2022",
            "kali-linux-2023",
            "kali-linux-2024",
        ],
        os_ids: &["kali"],
        versions: below((2025, 0)),
        ..NOTHING
    },
    Preset {
        name: "kali",
        description: "Kali Linux for Raspberry Pi from 2025 on",
        mounts: BOOT_FIRMWARE,
        urls: &["kali-linux-"],
        os_ids: &["kali"],
        versions: from((2025, 0)),
        ..NOTHING
    },
    Preset {
        name: "manjaro",
        description: "Manjaro ARM for Raspberry Pi",
        mounts: BOOT,
        urls: &["manjaro-arm"],
        os_ids: &["manjaro-arm"],
        marks: &[Label("ROOT_MNJRO")],
        note: Some("other boards have one partition"),
        ..NOTHING
    },
    Preset {
        name: "ubuntu",
        description: "Ubuntu for Raspberry Pi",
        mounts: BOOT_FIRMWARE,
        urls: &["+raspi.img"],
        os_ids: &["ubuntu"],
        files: &["/boot/firmware"],
        marks: &[Label("system-boot")],
        ..NOTHING
    },
    Preset {
        name: "fedora",
        description: "Fedora: EFI, boot and root partitions",
        mounts: &[(1, "/boot/efi"), (2, "/boot"), (3, "/")],
        urls: &["fedora-"],
        os_ids: &["fedora"],
        note: Some("where the root is btrfs or on LVM, only the image's own fstab tells enough to mount it"),
        ..NOTHING
    },
    Preset {
        name: "opensuse",
        description: "openSUSE for ARM boards",
        urls: &["opensuse-"],
        os_ids: &["opensuse-tumbleweed", "opensuse-leap", "opensuse"],
        note: Some("the root is btrfs or ext4, behind an EFI partition; layouts differ by board"),
        ..NOTHING
    },
    Preset {
        name: "archlinuxarm",
        description: "Arch Linux ARM",
        mounts: BOOT,
        urls: &["archlinuxarm"],
        os_ids: &["archarm"],
        note: Some("published as an archive of files without a table, so not as an image"),
        ..NOTHING
    },
    Preset {
        name: "openwrt",
        description: "OpenWrt for ARM boards",
        mounts: BOOT,
        urls: &["openwrt-"],
        os_ids: &["openwrt"],
        marks: &[PartUuid("5452574f-")],
        note: Some("take the ext4 image: the root of the squashfs one is read-only"),
        ..NOTHING
    },
    Preset {
        name: "nixos",
        description: "NixOS for ARM boards",
        mounts: ROOT_AFTER_FIRMWARE,
        urls: &["nixos-"],
        os_ids: &["nixos"],
        marks: &[Label("NIXOS_SD"), PartUuid("2178694e-")],
        note: Some(
            "before its first boot it is a store without /bin/sh or os-release: build the image with its own tools instead",
        ),
        ..NOTHING
    },
    Preset {
        name: "debian",
        description: "Debian for Raspberry Pi, from raspi.debian.net",
        mounts: BOOT_FIRMWARE,
        urls: &["raspi.debian.net/", "_raspi_"],
        os_ids: &["debian"],
        files: &["/etc/default/raspi-firmware"],
        marks: &[Label("RASPIROOT")],
        ..NOTHING
    },
    Preset {
        name: "homeassistant",
        description: "Home Assistant OS",
        urls: &["haos_", "hassos_"],
        os_ids: &["haos", "hassos"],
        marks: &[PartLabel("hassos-system0"), Label("hassos-boot"), PartUuid("48617373-")],
        note: Some(
            "its system is read-only, in two copies that are replaced as a whole: customise it by its own add-ons",
        ),
        ..NOTHING
    },
    Preset {
        name: "libreelec",
        description: "LibreELEC",
        urls: &["libreelec"],
        os_ids: &["libreelec"],
        marks: &[Label("LIBREELEC")],
        note: Some("its system is one read-only file on the FAT partition"),
        ..NOTHING
    },
    Preset {
        name: "alpine",
        description: "Alpine Linux",
        urls: &["alpine-"],
        os_ids: &["alpine"],
        note: Some(
            "the published images hold a FAT partition with packages only: customise those by an overlay (apkovl)",
        ),
        ..NOTHING
    },
    Preset {
        name: "orangepi",
        description: "Debian and Ubuntu by Orange Pi",
        mounts: BOOT,
        urls: &["orangepi"],
        os_ids: &["debian", "ubuntu"],
        files: &["/etc/orangepi-release"],
        note: Some("older images have one partition"),
        ..NOTHING
    },
    Preset {
        name: "radxa-legacy",
        description: "Debian and Ubuntu for older Radxa boards",
        mounts: &[(4, "/boot"), (5, "/")],
        urls: &["rockpi"],
        ..NOTHING
    },
    Preset {
        name: "radxa",
        description: "Debian and Ubuntu by Radxa",
        mounts: &[(1, "/config"), (2, "/boot/efi"), (3, "/")],
        urls: &["rock-2", "rock-3", "rock-4", "rock-5", "radxa"],
        os_ids: &["debian", "ubuntu"],
        files: &["/etc/radxa_image_fingerprint"],
        ..NOTHING
    },
    Preset {
        name: "rock64",
        description: "Debian and Ubuntu for Rock64 by ayufan",
        mounts: &[(6, "/boot"), (7, "/")],
        urls: &["rock64"],
        marks: &[Label("linux-root")],
        ..NOTHING
    },
    Preset {
        name: "jetson",
        description: "Jetson Linux by NVIDIA",
        mounts: ROOT_ONLY,
        urls: &["jetson"],
        os_ids: &["ubuntu"],
        files: &["/etc/nv_tegra_release"],
        marks: &[PartLabel("APP")],
        note: Some("the root has number 1 and lies last on the disk"),
        ..NOTHING
    },
    Preset {
        name: "odroid",
        description: "Ubuntu for Odroid by Hardkernel",
        mounts: BOOT,
        urls: &["odroid"],
        ..NOTHING
    },
    Preset {
        name: "parallella",
        description: "Ubuntu for Parallella",
        mounts: BOOT,
        urls: &["parallella"],
        ..NOTHING
    },
    Preset {
        name: "librecomputer",
        description: "Debian and Ubuntu by Libre Computer",
        mounts: EFI,
        urls: &["distro.libre.computer/"],
        ..NOTHING
    },
    Preset {
        name: "mendel",
        description: "Mendel Linux for Coral boards",
        urls: &["mendel", "enterprise-eagle"],
        os_ids: &["mendel"],
        note: Some("published as parts for fastboot, which is no image of a disk"),
        ..NOTHING
    },
];

#[cfg(test)]
mod tests;
