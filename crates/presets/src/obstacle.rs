//! Why an image cannot be entered, as far as that can be told without mounting anything.

use crate::fstab::Candidate;

/// What keeps programs from being run inside an image.
///
/// ```
/// use arm_image_presets::{Obstacle, Volume};
/// let card = [
///     Volume { filesystem: Some("vfat"), ..Volume::default() },
///     Volume { filesystem: Some("squashfs"), ..Volume::default() },
/// ];
/// let obstacle = Obstacle::of_volumes(&card).ok_or("it can be entered")?;
/// assert_eq!(obstacle.to_string(), "its system is squashfs, which is read-only");
/// assert!(!obstacle.leaves_a_way());
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// There is a choice of systems.
    #[error("it holds {} systems, in partitions {}", numbers.len(), listed(numbers))]
    SeveralSystems {
        /// Their partitions' numbers, from 1.
        numbers: Vec<u32>,
    },
    /// A file system that may well hold the system, but only the kernel can read.
    #[error("partition {number} is {filesystem}, which cannot be read without mounting")]
    Unread {
        /// The partition's number, from 1.
        number: u32,
        /// The file system's name.
        filesystem: String,
    },
    /// The system is on a file system that nobody can write to.
    #[error("its system is {filesystem}, which is read-only")]
    ReadOnly {
        /// The file system's name.
        filesystem: String,
    },
    /// There are two places for a read-only system, of which an updater (RAUC, SWUpdate, Mender) fills one at a time.
    #[error("its system is {filesystem}, which is read-only and replaced as a whole by an updater")]
    Slots {
        /// The file system's name.
        filesystem: String,
    },
    /// A ChromeOS, whose root is sealed by checksums.
    #[error("it is a ChromeOS image, whose root is sealed by checksums")]
    ChromeOs,
    /// An Android.
    #[error("it is an Android image")]
    Android,
    /// The data is encrypted.
    #[error("partition {number} is encrypted (LUKS)")]
    Encrypted {
        /// The partition's number, from 1.
        number: u32,
    },
    /// The data is in logical volumes.
    #[error("partition {number} belongs to LVM")]
    Lvm {
        /// The partition's number, from 1.
        number: u32,
    },
    /// The system is a file on the boot partition, as in LibreELEC and its kin.
    #[error("its system is a read-only file on the boot partition")]
    SystemInFile,
    /// Nothing but FAT.
    #[error("it holds nothing but FAT, and no Linux system can be on that")]
    FatOnly,
    /// The file systems can be read, but none holds a system.
    #[error("no partition holds both an os-release and a shell")]
    NoSystem,
    /// A whole file in Android's format for flashing.
    #[error("it is an Android sparse image, not the image of a disk")]
    AndroidSparse,
    /// A kernel packed for Android's boot loader.
    #[error("it is an Android boot image, not the image of a disk")]
    AndroidBoot,
    /// Parts of a device, in an archive.
    #[error("it holds parts for fastboot, not the image of a disk")]
    Fastboot,
    /// A medium to install from.
    #[error("it is an image of an installation CD (ISO 9660)")]
    Iso,
    /// The content of a flash chip.
    #[error("it is an image for a flash chip (UBI), not for a disk")]
    FlashChip,
}

/// A partition, and what is known of its content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume<'a> {
    /// Its number and names.
    pub names: Candidate<'a>,
    /// The name of its file system or layer, as `blkid` shows it: `ext4`, `crypto_LUKS`; none where it is unknown.
    pub filesystem: Option<&'a str>,
    /// Whether an os-release and a shell were found in it.
    pub has_system: bool,
}

impl Obstacle {
    /// As many bytes from the start of a file as [`of_file`](Self::of_file) looks at.
    pub const HEAD: usize = 0x8006;

    /// Tells from the first bytes of an unpacked file why it is no image of a disk; none where it may be one.
    /// Installation media may have a partition table as well.
    #[must_use]
    pub fn of_file(head: &[u8]) -> Option<Obstacle> {
        let has =
            |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
        // Android: system/core/libsparse/sparse_format.h, and bootimg.h of mkbootimg. ISO: ECMA-119, 8.1. UBI:
        // drivers/mtd/ubi/ubi-media.h of the kernel.
        let signs: [(usize, &[u8], Obstacle); 4] = [
            (0, &[0x3a, 0xff, 0x26, 0xed], Obstacle::AndroidSparse),
            (0, b"ANDROID!", Obstacle::AndroidBoot),
            (0, b"UBI#", Obstacle::FlashChip),
            (0x8001, b"CD001", Obstacle::Iso),
        ];
        signs.into_iter().find(|(offset, magic, _)| has(*offset, magic)).map(|(_, _, obstacle)| obstacle)
    }

    /// Tells from the names of an archive's members why it holds no image of a disk; none where it may.
    #[must_use]
    pub fn of_members<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Obstacle> {
        let mut parts = 0;
        for name in names {
            let file = name.rsplit('/').next().unwrap_or(name);
            let telling = matches!(file, "fastboot" | "fastboot.exe" | "android-info.txt");
            if telling || file.starts_with("partition-table") || file.starts_with("flash-all.") {
                return Some(Obstacle::Fastboot);
            }
            let stem = file.strip_suffix(".img").unwrap_or_default();
            let is_part = ["boot", "recovery", "vbmeta", "dtbo", "system", "vendor", "super"].contains(&stem);
            parts += u32::from(is_part);
        }
        // One image called boot.img may be that of a disk.
        (parts >= 2).then_some(Obstacle::Fastboot)
    }

    /// Tells from all partitions of a disk why it cannot be entered; none where exactly one holds a system.
    ///
    /// Where there are several reasons, the one that says most about the image counts.
    #[must_use]
    pub fn of_volumes(volumes: &[Volume<'_>]) -> Option<Obstacle> {
        let systems: Vec<u32> =
            volumes.iter().filter(|volume| volume.has_system).map(|volume| volume.names.number).collect();
        match systems.len() {
            0 => Some(Obstacle::without_system(volumes)),
            1 => None,
            _ => Some(Obstacle::SeveralSystems { numbers: systems }),
        }
    }

    fn without_system(volumes: &[Volume<'_>]) -> Obstacle {
        let named = |name: &str| volumes.iter().any(|volume| volume.names.partlabel == Some(name));
        if named("ROOT-A") && named("KERN-A") {
            return Obstacle::ChromeOs;
        }
        if ["super", "vbmeta", "vbmeta_a"].into_iter().any(named) || named("system") && named("userdata") {
            return Obstacle::Android;
        }
        let of = |kinds: &[&str]| {
            let known = |volume: &Volume<'_>| Some((volume.names.number, volume.filesystem?.to_owned()));
            volumes.iter().filter_map(known).find(|(_, filesystem)| kinds.contains(&filesystem.as_str()))
        };
        if let Some((_, filesystem)) = of(&["squashfs", "erofs", "cramfs", "romfs"]) {
            return if has_slots(volumes) {
                Obstacle::Slots { filesystem }
            } else {
                Obstacle::ReadOnly { filesystem }
            };
        }
        if let Some((number, _)) = of(&["crypto_LUKS"]) {
            return Obstacle::Encrypted { number };
        }
        if let Some((number, _)) = of(&["LVM2_member"]) {
            return Obstacle::Lvm { number };
        }
        let is_storage =
            |volume: &Volume<'_>| volume.names.label.is_some_and(|it| it.eq_ignore_ascii_case("storage"));
        if volumes.iter().any(is_storage) && of(FAT).is_some() {
            return Obstacle::SystemInFile;
        }
        if let Some((number, filesystem)) = of(&["btrfs", "xfs", "f2fs", "nilfs2", "bcachefs", "jfs"]) {
            return Obstacle::Unread { number, filesystem };
        }
        let mut kinds = volumes.iter().filter_map(|volume| volume.filesystem).filter(|&kind| kind != "swap");
        if of(FAT).is_some() && kinds.all(|kind| FAT.contains(&kind)) {
            return Obstacle::FatOnly;
        }
        Obstacle::NoSystem
    }

    /// Whether the image may be entered all the same by someone who names its mount points and architecture.
    #[must_use]
    pub fn leaves_a_way(&self) -> bool {
        matches!(self, Obstacle::SeveralSystems { .. } | Obstacle::Unread { .. } | Obstacle::NoSystem)
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Obstacle::SeveralSystems { .. } => "name the partition to mount at `/`",
            Obstacle::Unread { .. } | Obstacle::NoSystem => {
                "name the mount points and the architecture yourself, if you know that it holds a system"
            }
            Obstacle::ReadOnly { .. } => {
                "take the image's variant with a writable root (ext4), if there is one"
            }
            Obstacle::Slots { .. } | Obstacle::ChromeOs | Obstacle::Android | Obstacle::SystemInFile => {
                "such a system is changed by its own build tools, and extended by its own settings and add-ons"
            }
            Obstacle::Encrypted { .. } => "decrypt the image first, or take one that is not encrypted",
            Obstacle::Lvm { .. } => "take an image whose root is a plain partition",
            Obstacle::FatOnly => {
                "take an image, or an archive of a root file system, that holds the system itself"
            }
            Obstacle::AndroidSparse => {
                "simg2img makes a plain file system of it, which still has no partition table"
            }
            Obstacle::AndroidBoot | Obstacle::Fastboot => {
                "take an image that is written to an SD card as it is"
            }
            Obstacle::Iso => "take the image for boards: it is called preinstalled, raw or SD card image",
            Obstacle::FlashChip => "take the image for SD cards",
        }
    }
}

const FAT: &[&str] = &["vfat", "exfat", "msdos"];

/// Whether two partitions have names that differ in nothing but a last `a` and `b`, or 0 and 1.
fn has_slots(volumes: &[Volume<'_>]) -> bool {
    let both = volumes.iter().flat_map(|volume| [volume.names.partlabel, volume.names.label]);
    let names: Vec<String> = both.flatten().map(str::to_ascii_lowercase).collect();
    names.iter().any(|name| {
        let second = name
            .strip_suffix('a')
            .map(|stem| format!("{stem}b"))
            .or_else(|| name.strip_suffix('0').map(|stem| format!("{stem}1")));
        second.is_some_and(|second| names.contains(&second))
    })
}

fn listed(numbers: &[u32]) -> String {
    let texts: Vec<String> = numbers.iter().map(u32::to_string).collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => texts.join(""),
    }
}

#[cfg(test)]
mod tests;
