use std::collections::HashSet;

use crate::fstab::Candidate;
use crate::{Mark, OsRelease, Preset, detect, find, guess, presets, recognise};

/// An image of each row: its preset, its os-release, what its root has, a partition's names, and the name it is published under.
struct Image {
    preset: &'static str,
    os_release: &'static str,
    has: &'static [&'static str],
    partition: Candidate<'static>,
    published: &'static [&'static str],
}

const NAMELESS: Candidate<'static> =
    Candidate { number: 2, partuuid: None, uuid: None, label: None, partlabel: None };

const fn labelled(label: &'static str) -> Candidate<'static> {
    Candidate { label: Some(label), ..NAMELESS }
}

const fn image(
    preset: &'static str,
    os_release: &'static str,
    has: &'static [&'static str],
    partition: Candidate<'static>,
    published: &'static [&'static str],
) -> Image {
    Image { preset, os_release, has, partition, published }
}

const DEBIAN: &str = "ID=debian\nVERSION_ID=\"12\"";
const UBUNTU: &str = "ID=ubuntu\nVERSION_ID=\"22.04\"";

static IMAGES: &[Image] = &[
    image(
        "armbian-rpi",
        UBUNTU,
        &["/etc/armbian-release", "/boot/firmware"],
        labelled("RPICFG"),
        &["Armbian_26.8.1_Rpi4b_noble_current_6.18.43_minimal.img.xz"],
    ),
    image(
        "armbian",
        "ID=debian\nVERSION_ID=\"13\"",
        &["/etc/armbian-release"],
        labelled("armbi_root"),
        &[
            "Armbian_26.8.1_Orangepi5_trixie_current_6.18.43_minimal.img.xz",
            "Armbian-unofficial_26.8_Rock-5b_trixie.img.xz",
        ],
    ),
    image(
        "dietpi",
        DEBIAN,
        &["/boot/dietpi/.version", "/boot/firmware"],
        NAMELESS,
        &[
            "https://dietpi.com/downloads/images/DietPi_RPi-ARMv8-Bookworm.img.xz",
            "DietPi_RPi234-ARMv8-Trixie.img.xz",
        ],
    ),
    image(
        "dietpi-board",
        DEBIAN,
        &["/boot/dietpi/.version"],
        labelled("DIETPISETUP"),
        &["DietPi_OrangePi5-ARMv8-Bookworm.img.xz", "DietPi_ROCK64-ARMv8-Bookworm.img.xz"],
    ),
    image(
        "raspberrypi-legacy",
        "ID=raspbian\nVERSION_ID=\"11\"",
        &["/etc/rpi-issue"],
        NAMELESS,
        &[
            "https://downloads.raspberrypi.com/raspios_lite_armhf/images/raspios_lite_armhf-2022-01-28/2022-01-28-raspios-bullseye-armhf-lite.zip",
        ],
    ),
    image(
        "raspberrypi",
        DEBIAN,
        &["/etc/rpi-issue", "/boot/firmware"],
        NAMELESS,
        &[
            "https://downloads.raspberrypi.com/raspios_lite_arm64_latest",
            "2024-11-19-raspios-bookworm-armhf.img.xz",
        ],
    ),
    image(
        "beaglebone",
        "ID=debian\nVERSION_ID=\"13\"",
        &["/etc/dogtag", "/boot/firmware"],
        NAMELESS,
        &[
            "https://files.beagle.cc/file/beagleboard-public-2021/images/am335x-debian-13.1-base-v6.18-armhf-2026-01-01-4gb.img.xz",
        ],
    ),
    image(
        "beaglebone-legacy",
        "ID=debian\nVERSION_ID=\"10\"",
        &["/etc/dogtag"],
        NAMELESS,
        &["bone-debian-10.3-iot-armhf-2020-04-06-4gb.img.xz"],
    ),
    image(
        "kali-legacy",
        "ID=kali\nVERSION_ID=\"2024.4\"",
        &[],
        NAMELESS,
        &["https://kali.download/arm-images/kali-2024.4/kali-linux-2024.4-raspberry-pi-armhf.img.xz"],
    ),
    image(
        "kali",
        "ID=kali\nVERSION_ID=\"2025.3\"",
        &[],
        NAMELESS,
        &[
            "https://kali.download/arm-images/kali-2025.3/kali-linux-2025.3-raspberry-pi-zero-2-w-armhf.img.xz",
        ],
    ),
    image(
        "manjaro",
        "ID=manjaro-arm",
        &[],
        labelled("ROOT_MNJRO"),
        &[
            "https://github.com/manjaro-arm/rpi4-images/releases/download/23.02/Manjaro-ARM-minimal-rpi4-23.02.img.xz",
            "Manjaro-ARM-minimal-rockpi4c-23.02.img.xz",
        ],
    ),
    image(
        "ubuntu",
        "ID=ubuntu\nVERSION_ID=\"24.04\"",
        &["/boot/firmware"],
        labelled("system-boot"),
        &["ubuntu-24.04.3-preinstalled-server-arm64+raspi.img.xz"],
    ),
    image(
        "fedora",
        "ID=fedora\nVERSION_ID=43",
        &[],
        NAMELESS,
        &["Fedora-Server-Host-Generic-43-1.6.aarch64.raw.xz"],
    ),
    image(
        "opensuse",
        "ID=\"opensuse-tumbleweed\"\nVERSION_ID=\"20260101\"",
        &[],
        NAMELESS,
        &[
            "https://download.opensuse.org/ports/aarch64/tumbleweed/appliances/openSUSE-Tumbleweed-ARM-JeOS-raspberrypi.aarch64.raw.xz",
        ],
    ),
    image(
        "archlinuxarm",
        "ID=archarm",
        &[],
        NAMELESS,
        &["https://os.archlinuxarm.org/os/ArchLinuxARM-rpi-aarch64-latest.tar.gz"],
    ),
    image(
        "openwrt",
        "ID=\"openwrt\"\nVERSION_ID=\"24.10.5\"",
        &[],
        Candidate { partuuid: Some("5452574F-02"), ..NAMELESS },
        &[
            "openwrt-24.10.5-bcm27xx-bcm2711-rpi-4-ext4-factory.img.gz",
            "openwrt-24.10.5-rockchip-armv8-radxa_rock-5b-ext4-sysupgrade.img.gz",
        ],
    ),
    image(
        "nixos",
        "ID=nixos\nVERSION_ID=\"25.05\"",
        &[],
        labelled("NIXOS_SD"),
        &["nixos-image-sd-card-25.05-aarch64-linux.img.zst"],
    ),
    image(
        "debian",
        DEBIAN,
        &["/etc/default/raspi-firmware", "/boot/firmware"],
        labelled("RASPIROOT"),
        &["https://raspi.debian.net/tested/20231109_raspi_4_bookworm.img.xz"],
    ),
    image(
        "homeassistant",
        "ID=haos\nVERSION_ID=17.1",
        &[],
        Candidate { partlabel: Some("hassos-system0"), ..NAMELESS },
        &["haos_rpi4-64-17.1.img.xz", "haos_odroid-n2-17.1.img.xz"],
    ),
    image(
        "libreelec",
        "ID=\"libreelec\"\nVERSION_ID=\"12.0\"",
        &[],
        labelled("LIBREELEC"),
        &["https://releases.libreelec.tv/LibreELEC-RPi2.arm-9.2.0.img.gz"],
    ),
    image(
        "alpine",
        "ID=alpine\nVERSION_ID=3.23.2",
        &[],
        NAMELESS,
        &["https://dl-cdn.alpinelinux.org/alpine/v3.23/releases/aarch64/alpine-rpi-3.23.2-aarch64.img.gz"],
    ),
    image(
        "orangepi",
        UBUNTU,
        &["/etc/orangepi-release"],
        NAMELESS,
        &["Orangepi5_1.1.6_ubuntu_jammy_server_linux5.10.110.img"],
    ),
    image(
        "radxa-legacy",
        "",
        &[],
        NAMELESS,
        &["rockpi-4b-debian-buster-server-armhf-20220401_0335-gpt.img.gz"],
    ),
    image(
        "radxa",
        DEBIAN,
        &["/etc/radxa_image_fingerprint"],
        NAMELESS,
        &["rock-3c_debian_bullseye_cli_b42.img.xz"],
    ),
    image("rock64", "", &[], labelled("linux-root"), &["bionic-minimal-rock64-0.10.12-1184-arm64.img.xz"]),
    image(
        "jetson",
        "ID=ubuntu\nVERSION_ID=\"18.04\"",
        &["/etc/nv_tegra_release"],
        Candidate { number: 1, partlabel: Some("APP"), ..NAMELESS },
        &["https://developer.nvidia.com/jetson-nano-sd-card-image-r3223"],
    ),
    image("odroid", "", &[], NAMELESS, &["ubuntu-22.04-4.14-minimal-odroid-xu4-20220721.img.xz"]),
    image("parallella", "", &[], NAMELESS, &["ubuntu-15.04-headless-parallella-z7020.img.gz"]),
    image(
        "librecomputer",
        "",
        &[],
        NAMELESS,
        &["https://distro.libre.computer/ci/debian/12/debian-12-base-arm64%2Baml-s905x-cc.img.xz"],
    ),
    image(
        "mendel",
        "ID=mendel\nVERSION_ID=5",
        &[],
        NAMELESS,
        &[
            "https://dl.google.com/coral/mendel/enterprise/mendel-enterprise-eagle-flashcard-20211117215217.zip",
        ],
    ),
];

#[test]
fn every_row_is_detected_recognised_guessed_and_found() {
    let covered: Vec<&str> = IMAGES.iter().map(|image| image.preset).collect();
    assert_eq!(covered, presets().iter().map(|preset| preset.name).collect::<Vec<_>>());
    for image in IMAGES {
        let preset = find(image.preset).unwrap();
        let name = |found: Option<&'static Preset>| found.map(|preset| preset.name);
        for published in image.published {
            assert_eq!(name(guess(published)), Some(image.preset), "{published}");
        }
        if !preset.os_ids.is_empty() {
            let os = OsRelease::parse(image.os_release);
            assert_eq!(name(detect(&os, &|path| image.has.contains(&path))), Some(image.preset));
        }
        let boot = Candidate { number: 1, label: Some("boot"), partuuid: Some("0bca6ba1-01"), ..NAMELESS };
        let recognised = name(recognise(&[boot, image.partition]));
        assert_eq!(recognised, (!preset.marks.is_empty()).then_some(image.preset));
    }
}

#[test]
fn what_is_unknown_is_none() {
    let plain = OsRelease::parse("ID=debian\nVERSION_ID=12\n");
    assert_eq!(detect(&plain, &|_| false), None, "Debian that no file tells to be one of these");
    assert_eq!(detect(&OsRelease::parse(UBUNTU), &|_| false), None, "Ubuntu for some other board");
    let testing = OsRelease::parse("ID=kali\n");
    assert_eq!(detect(&testing, &|_| true), None, "which layout depends on the version");
    assert_eq!(detect(&OsRelease::parse(""), &|_| true), None);
    assert_eq!((find("Armbian"), guess("disk.img")), (None, None));
    assert_eq!(recognise(&[NAMELESS, labelled("rootfs"), labelled("nixos_sd")]), None);
    assert_eq!(recognise(&[]), None);
}

#[test]
fn every_mark_tells_its_own_row() {
    for preset in presets() {
        for &mark in preset.marks {
            let whole;
            let partition = match mark {
                Mark::Label(label) => labelled(label),
                Mark::PartLabel(name) => Candidate { partlabel: Some(name), ..NAMELESS },
                Mark::PartUuid(start) => {
                    whole = format!("{start}02").to_uppercase();
                    Candidate { partuuid: Some(&whole), ..NAMELESS }
                }
            };
            assert_eq!(recognise(&[partition]), Some(preset), "{mark:?}");
        }
    }
}

#[test]
fn every_row_is_well_formed() {
    let names: HashSet<&str> = presets().iter().map(|preset| preset.name).collect();
    assert_eq!(names.len(), presets().len());
    for preset in presets() {
        let name = preset.name;
        let roots = preset.mounts.iter().filter(|mount| mount.1 == "/").count();
        assert!(roots == 1 || preset.mounts.is_empty() && preset.note.is_some(), "{name}");
        let numbers: HashSet<u32> = preset.mounts.iter().map(|mount| mount.0).collect();
        assert!(numbers.len() == preset.mounts.len() && !numbers.contains(&0), "{name}");
        assert!(preset.mounts.iter().all(|mount| mount.1.starts_with('/')), "{name}");
        assert!(!preset.urls.is_empty(), "{name}");
        assert!(preset.urls.iter().all(|part| *part == part.to_lowercase()), "{name}");
        assert!(preset.files.iter().all(|path| path.starts_with('/')), "{name}");
        assert!(preset.files.is_empty() || !preset.os_ids.is_empty(), "{name}");
        assert!(preset.versions.0 < preset.versions.1, "{name}");
        assert!(
            !preset.description.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{name}"
        );
    }
}
