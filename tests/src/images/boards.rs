//! Laying a root out as the images of other makers do: what matters is what arm-image looks at.

use std::fs::{self, File};
use std::path::Path;

use super::ext4::{self, Edit};
use super::layout::{MIB, Part, SECTOR, assemble, firmware, names};
use super::tool::{at, file, folder, run, tool};
use super::{Error, Kind, Maker, fat, packages};

const UBUNTU: &str = r#"PRETTY_NAME="Ubuntu 24.04.3 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.3 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
HOME_URL="https://www.ubuntu.com/"
"#;

const ARMBIAN: &str = r#"PRETTY_NAME="Armbian 25.8.1 bookworm"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
"#;

/// Ubuntu for Raspberry Pi: an MBR, a FAT at sector 2048 from which cloud-init takes its seeds, found by labels.
pub(super) fn ubuntu(maker: &Maker<'_>, kind: Kind, root: &Path, image: &Path) -> Result<(), Error> {
    let fstab = "LABEL=writable\t/\text4\tdiscard,errors=remount-ro\t0 1\n\
                 LABEL=system-boot\t/boot/firmware\tvfat\tdefaults\t0\t1\n";
    let edits = [
        Edit::Folder("/boot/firmware"),
        Edit::Replace("/etc/fstab", fstab.to_owned()),
        Edit::Replace("/etc/hostname", "ubuntu\n".to_owned()),
        Edit::Replace("/usr/lib/os-release", UBUNTU.to_owned()),
        Edit::Link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
    ];
    ext4::edit(root, &edits)?;
    ext4::label(root, "writable")?;

    let files = image.with_extension("boot");
    firmware(maker, kind, &files)?;
    for (name, content) in [
        ("config.txt", "[all]\narm_64bit=1\ncmdline=cmdline.txt\n"),
        ("cmdline.txt", "console=tty1 root=LABEL=writable rootfstype=ext4 rootwait fixrtc\n"),
        ("meta-data", "instance_id: cloud-image\n"),
        ("network-config", "network:\n  version: 2\n"),
        ("user-data", "#cloud-config\nchpasswd:\n  expire: true\n"),
    ] {
        file(&files.join(name), 0o644, content)?;
    }
    let boot = image.with_extension("boot.fat");
    // With clusters of 512 bytes, 40 MiB are enough for a FAT32; theirs has 256 MiB or more.
    let system_boot =
        fat::Fat { size: 40 * MIB, bits: 32, cluster: 1, label: "system-boot", id: kind.disk_id() };
    fat::make(&system_boot, Some(&files), &boot)?;
    let start = 2048 * SECTOR;
    let parts = [
        Part { start, fields: "type=c, bootable".to_owned(), content: boot },
        Part { start: start + system_boot.size, fields: "type=83".to_owned(), content: root.to_owned() },
    ];
    assemble(&format!("label: dos\nlabel-id: 0x{:08x}\n", kind.disk_id()), &parts, 0, image)
}

/// BeagleBoard.org's Debian: an MBR, a FAT of 36 MiB at 4 MiB for firmware and settings, swap, and the root third;
/// found by the card's device name.
pub(super) fn beaglebone(kind: Kind, root: &Path, image: &Path) -> Result<(), Error> {
    let fstab = "/dev/mmcblk0p3  /  ext4  noatime,errors=remount-ro  0  1\n\
                 /dev/mmcblk0p1  /boot/firmware  vfat  defaults  0  0\n\
                 /dev/mmcblk0p2  none  swap  sw  0  0\n";
    let mut edits = names("BeagleBone");
    edits.extend([
        Edit::Folder("/boot/firmware"),
        Edit::Replace("/etc/fstab", fstab.to_owned()),
        Edit::Add("/etc/dogtag", "BeagleBoard.org Debian Bookworm Minimal Image 2025-01-01\n".to_owned()),
        Edit::Add("/boot/uEnv.txt", "uname_r=6.12.0-bone1\n".to_owned()),
    ]);
    ext4::edit(root, &edits)?;

    let settings = image.with_extension("settings");
    folder(&settings, 0o755)?;
    let examples = "# Settings of the next start: hostname=, user_name=, user_authorized_key=\n";
    file(&settings.join("sysconf.txt"), 0o644, examples)?;
    let boot = image.with_extension("boot.fat");
    let bootfs = fat::Fat { size: 36 * MIB, bits: 16, cluster: 4, label: "BOOT", id: kind.disk_id() };
    fat::make(&bootfs, Some(&settings), &boot)?;
    let swap = image.with_extension("swap");
    let swap_file = at("create", &swap, File::create(&swap))?;
    // Theirs has 512 MiB.
    at("extend", &swap, swap_file.set_len(8 * MIB))?;
    at(
        "set the mode of",
        &swap,
        fs::set_permissions(&swap, std::os::unix::fs::PermissionsExt::from_mode(0o600)),
    )?;
    run(tool("mkswap").arg(&swap))?;
    let start = 4 * MIB;
    let parts = [
        Part { start, fields: "type=c, bootable".to_owned(), content: boot },
        Part { start: start + bootfs.size, fields: "type=82".to_owned(), content: swap },
        Part { start: start + bootfs.size + 8 * MIB, fields: "type=83".to_owned(), content: root.to_owned() },
    ];
    assemble(&format!("label: dos\nlabel-id: 0x{:08x}\n", kind.disk_id()), &parts, 0, image)
}

/// Armbian: an MBR, the boot loader in front, one partition. Its packages come from a folder in the image, so that apt
/// has what to install where there is no network.
pub(super) fn armbian(maker: &Maker<'_>, kind: Kind, root: &Path, image: &Path) -> Result<(), Error> {
    let deb = packages::deb(maker, kind.arch(), packages::TREE)?;
    let uuid = kind.root_uuid();
    let mut edits = names("orangepi5");
    edits.extend([
        Edit::Replace("/etc/fstab", format!("UUID={uuid} / ext4 defaults,noatime,commit=120,errors=remount-ro 0 1\ntmpfs /tmp tmpfs defaults,nosuid 0 0\n")),
        Edit::Replace("/usr/lib/os-release", ARMBIAN.to_owned()),
        Edit::Add(
            "/etc/armbian-release",
            "BOARD=orangepi5\nBOARD_NAME=\"Orange Pi 5\"\nBOARDFAMILY=rockchip-rk3588\nVERSION=25.8.1\nARCH=arm64\n".to_owned(),
        ),
        Edit::Folder("/srv/packages"),
        Edit::Add("/srv/packages/Packages", index(&deb)?),
        Edit::Copy("/srv/packages/tree.deb", deb),
        Edit::Replace("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/packages ./\n".to_owned()),
    ]);
    ext4::edit(root, &edits)?;
    ext4::label(root, "armbi_root")?;
    let parts = [Part { start: 16 * MIB, fields: "type=83".to_owned(), content: root.to_owned() }];
    assemble(&format!("label: dos\nlabel-id: 0x{:08x}\n", kind.disk_id()), &parts, 0, image)
}

/// What apt has to know of the repository's only package: its own words, and where it lies.
fn index(deb: &Path) -> Result<String, Error> {
    let control = run(tool("dpkg-deb").arg("-f").arg(deb))?;
    let sum = run(tool("sha256sum").arg(deb))?;
    let sum = String::from_utf8_lossy(&sum);
    Ok(format!(
        "{}Filename: ./tree.deb\nSize: {}\nSHA256: {}\n",
        String::from_utf8_lossy(&control),
        at("read", deb, fs::metadata(deb))?.len(),
        sum.split_whitespace().next().unwrap_or_default()
    ))
}
