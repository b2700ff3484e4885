//! The rows. Layouts are those of images as published; where families share an os-release, the file that tells
//! them apart is one that their makers' build scripts put there.

use crate::{Preset, Version};

/// All versions, also of systems that have none.
pub(crate) const ANY: (Version, Version) = ((0, 0), (u32::MAX, u32::MAX));

const fn below(version: Version) -> (Version, Version) {
    ((0, 0), version)
}

const fn from(version: Version) -> (Version, Version) {
    (version, (u32::MAX, u32::MAX))
}

const BOOT_FIRMWARE: &[(u32, &str)] = &[(1, "/boot/firmware"), (2, "/")];
const BOOT: &[(u32, &str)] = &[(1, "/boot"), (2, "/")];
const ROOT_ONLY: &[(u32, &str)] = &[(1, "/")];

pub(crate) static PRESETS: &[Preset] = &[
    Preset {
        name: "armbian",
        description: "Armbian: one partition on most boards",
        mounts: ROOT_ONLY,
        urls: &["armbian"],
        os_ids: &["debian", "ubuntu", "armbian"],
        files: &["/etc/armbian-release"],
        versions: ANY,
        qemu_cpu: None,
    },
    Preset {
        name: "dietpi",
        description: "DietPi for Raspberry Pi",
        mounts: BOOT_FIRMWARE,
        urls: &["dietpi"],
        os_ids: &["debian", "raspbian"],
        files: &["/boot/dietpi/.version"],
        versions: ANY,
        qemu_cpu: None,
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
    },
    Preset {
        name: "beaglebone-legacy",
        description: "BeagleBoard.org Debian, one partition",
        mounts: ROOT_ONLY,
        urls: &["bone-debian-"],
        os_ids: &["debian"],
        files: &["/etc/dogtag"],
        versions: below((13, 0)),
        qemu_cpu: Some("cortex-a8"),
    },
    Preset {
        name: "beaglebone",
        description: "BeagleBoard.org Debian with firmware and swap partitions",
        mounts: &[(1, "/boot/firmware"), (3, "/")],
        urls: &["am335x-debian-", "beagleplay-", "beagley-ai-", "files.beagle.cc/"],
        os_ids: &["debian"],
        files: &["/etc/dogtag"],
        versions: from((13, 0)),
        qemu_cpu: Some("cortex-a8"),
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
        files: &[],
        versions: below((2025, 0)),
        qemu_cpu: None,
    },
    Preset {
        name: "kali",
        description: "Kali Linux for Raspberry Pi from 2025 on",
        mounts: BOOT_FIRMWARE,
        urls: &["kali-linux-"],
        os_ids: &["kali"],
        files: &[],
        versions: from((2025, 0)),
        qemu_cpu: None,
    },
    Preset {
        name: "manjaro",
        description: "Manjaro ARM for Raspberry Pi",
        mounts: BOOT,
        urls: &["manjaro-arm"],
        os_ids: &["manjaro-arm"],
        files: &[],
        versions: ANY,
        qemu_cpu: None,
    },
    Preset {
        name: "ubuntu",
        description: "Ubuntu for Raspberry Pi",
        mounts: BOOT_FIRMWARE,
        urls: &["+raspi.img"],
        os_ids: &["ubuntu"],
        files: &[],
        versions: ANY,
        qemu_cpu: None,
    },
    Preset {
        name: "fedora",
        description: "Fedora: EFI, boot and root partitions",
        mounts: &[(1, "/boot/efi"), (2, "/boot"), (3, "/")],
        urls: &["fedora-"],
        os_ids: &["fedora"],
        files: &[],
        versions: ANY,
        qemu_cpu: None,
    },
    Preset {
        name: "debian",
        description: "Debian for Raspberry Pi, from raspi.debian.net",
        mounts: BOOT_FIRMWARE,
        urls: &["raspi.debian.net/", "_raspi_"],
        os_ids: &["debian"],
        files: &["/etc/default/raspi-firmware"],
        versions: ANY,
        qemu_cpu: None,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::{OsRelease, detect, find, guess, presets};

    /// One image of every row: the preset, its os-release, a file it has, and the name it is published under.
    const IMAGES: &[(&str, &str, &str, &str)] = &[
        (
            "armbian",
            "ID=debian\nVERSION_ID=\"13\"",
            "/etc/armbian-release",
            "Armbian_26.8.1_Orangepi5_trixie_current_6.18.43_minimal.img.xz",
        ),
        (
            "dietpi",
            "ID=debian\nVERSION_ID=\"12\"",
            "/boot/dietpi/.version",
            "https://dietpi.com/downloads/images/DietPi_RPi-ARMv8-Bookworm.img.xz",
        ),
        (
            "raspberrypi-legacy",
            "ID=raspbian\nVERSION_ID=\"11\"",
            "/etc/rpi-issue",
            "https://downloads.raspberrypi.com/raspios_lite_armhf/images/raspios_lite_armhf-2022-01-28/2022-01-28-raspios-bullseye-armhf-lite.zip",
        ),
        (
            "raspberrypi",
            "ID=debian\nVERSION_ID=\"12\"",
            "/etc/rpi-issue",
            "https://downloads.raspberrypi.com/raspios_lite_arm64_latest",
        ),
        (
            "beaglebone-legacy",
            "ID=debian\nVERSION_ID=\"10\"",
            "/etc/dogtag",
            "bone-debian-10.3-iot-armhf-2020-04-06-4gb.img.xz",
        ),
        (
            "beaglebone",
            "ID=debian\nVERSION_ID=\"13\"",
            "/etc/dogtag",
            "https://files.beagle.cc/file/beagleboard-public-2021/images/am335x-debian-13.1-base-v6.18-armhf-2026-01-01-4gb.img.xz",
        ),
        (
            "kali-legacy",
            "ID=kali\nVERSION_ID=\"2024.4\"",
            "",
            "https://kali.download/arm-images/kali-2024.4/kali-linux-2024.4-raspberry-pi-armhf.img.xz",
        ),
        (
            "kali",
            "ID=kali\nVERSION_ID=\"2025.3\"",
            "",
            "https://kali.download/arm-images/kali-2025.3/kali-linux-2025.3-raspberry-pi-zero-2-w-armhf.img.xz",
        ),
        ("manjaro", "ID=manjaro-arm", "", "Manjaro-ARM-minimal-rpi4-23.02.img.xz"),
        (
            "ubuntu",
            "ID=ubuntu\nVERSION_ID=\"24.04\"",
            "",
            "ubuntu-24.04.3-preinstalled-server-arm64+raspi.img.xz",
        ),
        ("fedora", "ID=fedora\nVERSION_ID=43", "", "Fedora-Server-Host-Generic-43-1.6.aarch64.raw.xz"),
        (
            "debian",
            "ID=debian\nVERSION_ID=\"12\"",
            "/etc/default/raspi-firmware",
            "https://raspi.debian.net/tested/20231109_raspi_4_bookworm.img.xz",
        ),
    ];

    #[test]
    fn every_row_is_detected_guessed_and_found() {
        let covered: Vec<&str> = IMAGES.iter().map(|image| image.0).collect();
        assert_eq!(covered, presets().iter().map(|preset| preset.name).collect::<Vec<_>>());
        for &(name, os_release, file, published) in IMAGES {
            let os = OsRelease::parse(os_release);
            let preset = detect(&os, &|path| path == file);
            assert_eq!(preset.map(|preset| preset.name), Some(name));
            assert_eq!(guess(published).map(|preset| preset.name), Some(name), "{published}");
            assert_eq!(find(name), preset);
        }
    }

    #[test]
    fn what_is_unknown_is_none() {
        let plain = OsRelease::parse("ID=debian\nVERSION_ID=12\n");
        assert_eq!(detect(&plain, &|_| false), None, "Debian that no file tells to be one of these");
        let testing = OsRelease::parse("ID=kali\n");
        assert_eq!(detect(&testing, &|_| true), None, "which layout depends on the version");
        assert_eq!(detect(&OsRelease::parse(""), &|_| true), None);
        assert_eq!((find("Armbian"), guess("disk.img")), (None, None));
    }

    #[test]
    fn every_row_is_well_formed() {
        let names: HashSet<&str> = presets().iter().map(|preset| preset.name).collect();
        assert_eq!(names.len(), presets().len());
        for preset in presets() {
            assert_eq!(preset.mounts.iter().filter(|mount| mount.1 == "/").count(), 1, "{}", preset.name);
            let numbers: HashSet<u32> = preset.mounts.iter().map(|mount| mount.0).collect();
            assert!(numbers.len() == preset.mounts.len() && !numbers.contains(&0), "{}", preset.name);
            assert!(preset.mounts.iter().all(|mount| mount.1.starts_with('/')), "{}", preset.name);
            assert!(preset.urls.iter().all(|part| *part == part.to_lowercase()), "{}", preset.name);
            assert!(preset.versions.0 < preset.versions.1 && !preset.os_ids.is_empty(), "{}", preset.name);
        }
    }
}
