//! Laying a root out as the images of Raspberry Pi OS and of Radxa boards do.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::ext4::{self, Edit};
use super::tool::{at, file, folder, run, run_with_input, tool};
use super::{Arch, Error, Kind, Maker, SUITE, fat, packages};

pub(super) const SECTOR: u64 = 512;
pub(super) const MIB: u64 = 1 << 20;

/// A partition to be: where it lies, in bytes, what sfdisk(8) is to say of it, and the file with its content.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) fields: String,
    pub(super) content: PathBuf,
}

/// Raspberry Pi OS: an MBR, a FAT for the firmware at sector 16384, the root behind it; found by PARTUUID.
pub(super) fn raspios(maker: &Maker<'_>, kind: Kind, root: &Path, image: &Path) -> Result<(), Error> {
    let disk_id = kind.disk_id();
    let id = format!("{disk_id:08x}");
    let mut edits = names("raspberrypi");
    edits.extend([
        Edit::Folder("/boot/firmware"),
        Edit::Replace(
            "/etc/fstab",
            format!(
                "proc            /proc           proc    defaults          0       0\n\
                 PARTUUID={id}-01  /boot/firmware  vfat    defaults          0       2\n\
                 PARTUUID={id}-02  /               ext4    defaults,noatime  0       1\n"
            ),
        ),
        // Raspberry Pi OS tells itself from Debian by this file.
        Edit::Add("/etc/rpi-issue", "A test image of arm-image, laid out like Raspberry Pi OS\n".to_owned()),
    ]);
    edits.extend(apt_sources(kind));
    ext4::edit(root, &edits)?;

    let files = image.with_extension("boot");
    fill_boot(maker, kind, &id, &files)?;
    let boot = image.with_extension("boot.fat");
    // With clusters of 512 bytes, 40 MiB are enough for a FAT32; theirs has 512 MiB and clusters of 2 KiB.
    let (boot_size, cluster) = if kind.is_tiny() { (40 * MIB, 1) } else { (512 * MIB, 4) };
    fat::make(
        &fat::Fat { size: boot_size, bits: 32, cluster, label: "bootfs", id: disk_id },
        Some(&files),
        &boot,
    )?;
    let start = 16384 * SECTOR;
    let parts = [
        Part { start, fields: "type=c".to_owned(), content: boot },
        Part { start: start + boot_size, fields: "type=83".to_owned(), content: root.to_owned() },
    ];
    assemble(&format!("label: dos\nlabel-id: 0x{id}\n"), &parts, 0, image)
}

/// A Radxa board: a GPT, 16 MiB left for the loader, a FAT for settings, one for UEFI, and the root third.
pub(super) fn radxa(kind: Kind, root: &Path, image: &Path) -> Result<(), Error> {
    let efi_id = kind.disk_id();
    let mut edits = names("rock");
    edits.extend([
        Edit::Folder("/config"),
        Edit::Folder("/boot/efi"),
        Edit::Replace(
            "/etc/fstab",
            format!(
                "UUID={} / ext4 defaults 0 1\n\
                 LABEL=config /config vfat defaults,x-systemd.automount 0 2\n\
                 UUID={:04X}-{:04X} /boot/efi vfat defaults,x-systemd.automount 0 2\n",
                kind.root_uuid(),
                efi_id >> 16,
                efi_id & 0xffff
            ),
        ),
    ]);
    edits.extend(apt_sources(kind));
    ext4::edit(root, &edits)?;

    let settings = image.with_extension("config");
    folder(&settings, 0o755)?;
    file(&settings.join("config.txt"), 0o644, "# Settings of the first boot\n")?;
    let config = image.with_extension("config.fat");
    let config_fat =
        fat::Fat { size: 16 * MIB, bits: 16, cluster: 4, label: "config", id: efi_id ^ 0xffff_ffff };
    fat::make(&config_fat, Some(&settings), &config)?;
    let efi = image.with_extension("efi.fat");
    let (efi_size, cluster) = if kind.is_tiny() { (40 * MIB, 1) } else { (300 * MIB, 4) };
    fat::make(&fat::Fat { size: efi_size, bits: 32, cluster, label: "efi", id: efi_id }, None, &efi)?;

    let part = |number: u32, start, guid, name, content| Part {
        start,
        fields: format!("type={guid}, uuid={efi_id:08X}-0000-4000-8000-00000000000{number}, name=\"{name}\""),
        content,
    };
    let parts = [
        part(1, 16 * MIB, "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "config", config),
        part(2, 32 * MIB, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "efi", efi),
        part(3, 32 * MIB + efi_size, "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "rootfs", root.to_owned()),
    ];
    let header = format!("label: gpt\nlabel-id: {efi_id:08X}-0000-4000-8000-000000000000\n");
    // The copy of the table at the end of the disk takes 33 sectors.
    assemble(&header, &parts, MIB, image)
}

/// Makes `image` a sparse disk with this table and these partitions, and `behind` free bytes after the last.
pub(super) fn assemble(header: &str, parts: &[Part], behind: u64, image: &Path) -> Result<(), Error> {
    let disk = at("create", image, File::create(image))?;
    let mut script = format!("{header}unit: sectors\n\n");
    let mut end = 0;
    for part in parts {
        let size = at("read", &part.content, fs::metadata(&part.content))?.len();
        end = part.start + size;
        script += &format!("start={}, size={}, {}\n", part.start / SECTOR, size / SECTOR, part.fields);
    }
    at("extend", image, disk.set_len(end + behind))?;
    run_with_input(
        tool("sfdisk").args(["--quiet", "--no-tell-kernel", "--wipe", "never"]).arg(image),
        script.as_bytes(),
    )?;
    for part in parts {
        let mut dd = copy(&part.content, image);
        run(dd.arg(format!("seek={}", part.start / COPY_BLOCK)).arg("conv=sparse,notrunc"))?;
    }
    Ok(())
}

/// Copies `size` bytes of `image` from `start` on into a new file, keeping holes.
pub(super) fn extract(image: &Path, start: u64, size: u64, into: &Path) -> Result<(), Error> {
    let mut dd = copy(image, into);
    dd.arg(format!("skip={}", start / COPY_BLOCK)).arg(format!("count={}", size / COPY_BLOCK));
    run(dd.arg("conv=sparse"))?;
    // A hole at the end is not written at all.
    let file = at("open", into, File::options().write(true).open(into))?;
    at("extend", into, file.set_len(size))
}

const COPY_BLOCK: u64 = 64 << 10;

fn copy(from: &Path, to: &Path) -> std::process::Command {
    let mut dd = tool("dd");
    dd.arg(format!("if={}", from.display())).arg(format!("of={}", to.display()));
    dd.arg(format!("bs={COPY_BLOCK}")).arg("status=none");
    dd
}

/// What names the machine. The resolver's file is replaced because debootstrap copies the building machine's.
pub(super) fn names(host: &str) -> Vec<Edit> {
    vec![
        Edit::Replace("/etc/hostname", format!("{host}\n")),
        Edit::Replace("/etc/resolv.conf", "# Written anew when the network comes up\n".to_owned()),
    ]
}

fn apt_sources(kind: Kind) -> Option<Edit> {
    let sources = format!(
        "deb http://deb.debian.org/debian {SUITE} main\n\
         deb http://deb.debian.org/debian-security {SUITE}-security main\n"
    );
    (!kind.is_tiny()).then_some(Edit::Replace("/etc/apt/sources.list", sources))
}

/// The firmware of Debian's `raspi-firmware`.
pub(super) fn firmware(maker: &Maker<'_>, kind: Kind, boot: &Path) -> Result<(), Error> {
    folder(&boot.join("overlays"), 0o755)?;
    let package = packages::unpacked(maker, kind.arch(), "raspi-firmware")?.join("usr/lib/raspi-firmware");
    for entry in at("list", &package, fs::read_dir(&package))? {
        let entry = at("list", &package, entry)?;
        let name = entry.file_name();
        // The tiny flavour boots a Raspberry Pi 4 only: the firmware of all is larger than all the rest.
        if !kind.is_tiny() || ["bootcode.bin", "start4.elf", "fixup4.dat"].iter().any(|kept| name == *kept) {
            at("copy", &entry.path(), fs::copy(entry.path(), boot.join(&name)))?;
        }
    }
    Ok(())
}

/// The firmware, and the texts that Raspberry Pi OS lays beside it.
fn fill_boot(maker: &Maker<'_>, kind: Kind, disk_id: &str, boot: &Path) -> Result<(), Error> {
    firmware(maker, kind, boot)?;
    let config = match kind.arch() {
        Arch::Arm64 => "arm_64bit=1\ndtparam=audio=on\n\n[all]\n",
        Arch::Armhf => "arm_64bit=0\ndtparam=audio=on\n\n[all]\n",
    };
    file(&boot.join("config.txt"), 0o644, config)?;
    let command_line = format!(
        "console=serial0,115200 console=tty1 root=PARTUUID={disk_id}-02 rootfstype=ext4 fsck.repair=yes rootwait\n"
    );
    file(&boot.join("cmdline.txt"), 0o644, command_line)?;
    file(&boot.join("issue.txt"), 0o644, "A test image of arm-image, laid out like Raspberry Pi OS\n")?;
    file(&boot.join("overlays/README"), 0o644, "Device tree overlays come with the kernel\n")
}
