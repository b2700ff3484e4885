//! Where an image's partitions are mounted, read from its own fstab(5).
//!
//! ```
//! use arm_image_presets::fstab::{Candidate, mounts, parse};
//!
//! let entries = parse(
//!     "PARTUUID=0bca6ba1-02  /               ext4  defaults,noatime  0  1\n\
//!      PARTUUID=0bca6ba1-01  /boot/firmware  vfat  defaults          0  2\n",
//! );
//! let candidates = [
//!     Candidate { number: 1, partuuid: Some("0bca6ba1-01"), ..Candidate::default() },
//!     Candidate { number: 2, partuuid: Some("0bca6ba1-02"), ..Candidate::default() },
//! ];
//! assert_eq!(mounts(&entries, &candidates), [(2, "/").into(), (1, "/boot/firmware").into()]);
//! ```

use std::path::{Component, Path, PathBuf};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is mounted (field 1).
    pub spec: Spec,
    /// Where (field 2), or `none`.
    pub target: String,
    /// The type of file system (field 3).
    pub kind: String,
    /// The mount options (field 4), apart.
    pub options: Vec<String>,
}

/// How an entry names what is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// By the partition's id: of MBR, the disk's id and the number; of GPT, a GUID.
    PartUuid(String),
    /// By the file system's id.
    Uuid(String),
    /// By the file system's label.
    Label(String),
    /// By the partition's name in a GPT.
    PartLabel(String),
    /// By its number on the first disk of a kind: `/dev/mmcblk0p2`, `/dev/sda2`, `/dev/nvme0n1p2`. Which
    /// `mmcblk` holds the card depends on the board, so any counts.
    Device(u32),
    /// Anything else: `tmpfs`, a network share, another disk, a device-mapper name.
    Other(String),
}

/// A partition of the image, with all that is known of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// Its id in the partition table.
    pub partuuid: Option<&'a str>,
    /// Its file system's id.
    pub uuid: Option<&'a str>,
    /// Its file system's label.
    pub label: Option<&'a str>,
    /// Its name in a GPT.
    pub partlabel: Option<&'a str>,
}

/// Reads the table; lines with less than three fields are passed over.
#[must_use]
pub fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let spec = fields.next().filter(|spec| !spec.starts_with('#'))?;
    let (target, kind) = (unescape(fields.next()?), unescape(fields.next()?));
    let options = fields.next().unwrap_or("defaults").split(',').map(unescape).collect();
    Some(Entry { spec: parse_spec(spec), target, kind, options })
}

fn parse_spec(field: &str) -> Spec {
    let field = unescape(field);
    let (tag, value) = match field.strip_prefix("/dev/disk/by-").and_then(|rest| rest.split_once('/')) {
        Some((tag, name)) => (tag.to_ascii_uppercase(), decode_udev(name)),
        None => match field.split_once('=') {
            Some((tag, value)) => (tag.to_ascii_uppercase(), value.trim_matches(['"', '\'']).to_owned()),
            None => (String::new(), String::new()),
        },
    };
    match tag.as_str() {
        "PARTUUID" => Spec::PartUuid(value),
        "UUID" => Spec::Uuid(value),
        "LABEL" => Spec::Label(value),
        "PARTLABEL" => Spec::PartLabel(value),
        _ => device_number(&field).map_or(Spec::Other(field), Spec::Device),
    }
}

/// The partition's number in the name of a device.
fn device_number(path: &str) -> Option<u32> {
    let name = path.strip_prefix("/dev/")?;
    let first_disks = ["sda", "vda", "hda", "xvda"];
    let digits = match first_disks.iter().find_map(|disk| name.strip_prefix(disk)) {
        Some(digits) => digits,
        None => {
            let (disk, digits) = name.rsplit_once('p')?;
            let numbered = ["mmcblk", "nvme"].iter().find_map(|kind| disk.strip_prefix(kind))?;
            let is_disk = numbered.chars().all(|char| char.is_ascii_digit() || char == 'n');
            is_disk.then_some(digits)?
        }
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&number| plain && number > 0)
}

/// Undoes fstab's octal escapes: `\040` is a blank.
fn unescape(field: &str) -> String {
    decode(field, "\\", 3, 8)
}

/// Undoes udev's escapes in names below `/dev/disk`: `\x20` is a blank.
fn decode_udev(name: &str) -> String {
    decode(name, "\\x", 2, 16)
}

fn decode(text: &str, mark: &str, digits: usize, radix: u32) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        bytes.extend(before.bytes());
        let code = after.get(..digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        match code.and_then(|code| u8::from_str_radix(code, radix).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(digits..).unwrap_or_default();
            }
            None => {
                bytes.extend(mark.bytes());
                rest = after;
            }
        }
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A partition, and where the image mounts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The partition's number, from 1.
    pub number: u32,
    /// Where, as an absolute path without `..`.
    pub target: PathBuf,
    /// The options without which something else would be seen there: `subvol=@home` and `subvolid=256` of btrfs.
    /// All others (write access, caching, what systemd reads) are for the running system.
    pub options: Vec<String>,
}

/// As a whole, without options.
impl<P: Into<PathBuf>> From<(u32, P)> for Mount {
    fn from((number, target): (u32, P)) -> Self {
        Mount { number, target: target.into(), options: Vec::new() }
    }
}

/// Which partition is mounted where, parents before what lies below them.
///
/// Left out: swap and other entries without a mount point, `noauto` (unless systemd mounts them on demand),
/// bind mounts, and what names no candidate, such as tmpfs and network shares. Ids are compared without regard
/// to case. Of two entries for one mount point the later one counts, as for `mount -a`.
#[must_use]
pub fn mounts(entries: &[Entry], candidates: &[Candidate<'_>]) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for entry in entries {
        let Some(target) = mount_point(entry) else { continue };
        let Some(number) =
            candidates.iter().find(|candidate| entry.spec.names(candidate)).map(|found| found.number)
        else {
            continue;
        };
        let matters = |option: &&String| ["subvol=", "subvolid="].iter().any(|name| option.starts_with(name));
        let options = entry.options.iter().filter(matters).cloned().collect();
        mounts.retain(|earlier| earlier.target != target);
        mounts.push(Mount { number, target, options });
    }
    mounts.sort_by_key(|mount| mount.target.components().count());
    mounts
}

/// The normal form of an entry's mount point; none when it is not mounted at start.
fn mount_point(entry: &Entry) -> Option<PathBuf> {
    let has = |option: &str| entry.options.iter().any(|known| known == option);
    let on_demand = has("noauto") && !has("x-systemd.automount");
    // No path holds a NUL; an escape can.
    if entry.kind == "swap" || on_demand || has("bind") || has("rbind") || entry.target.contains('\0') {
        return None;
    }
    let mut target = PathBuf::new();
    for component in Path::new(&entry.target).components() {
        match component {
            Component::RootDir | Component::Normal(_) => target.push(component),
            Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    target.has_root().then_some(target)
}

impl Spec {
    fn names(&self, candidate: &Candidate<'_>) -> bool {
        let same_id = |id: &str, of: Option<&str>| of.is_some_and(|of| of.eq_ignore_ascii_case(id));
        match self {
            Spec::PartUuid(id) => same_id(id, candidate.partuuid),
            Spec::Uuid(id) => same_id(id, candidate.uuid),
            Spec::Label(label) => candidate.label == Some(label),
            Spec::PartLabel(label) => candidate.partlabel == Some(label),
            Spec::Device(number) => candidate.number == *number,
            Spec::Other(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
