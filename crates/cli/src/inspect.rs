//! What an image says of itself, read without mounting it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use arm_image_decompress::Unpacker;
use arm_image_partition::{self as partition, filesystem, filesystem::FileSystem};
use arm_image_presets::{self as presets, Obstacle, Preset, RootReader, Volume, fstab};
use arm_image_qemu::Arch;
use serde::Serialize;

use crate::{Enter, Error, Event, MountPoint, OnEvent, Stage, build::tell, plan::is_private};

/// What [`inspect`] found. It serialises to the JSON of `arm-image inspect --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The file that was looked at; bytes that are no UTF-8 are replaced in the JSON.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// The size of the image, in bytes.
    pub size: u64,
    /// `mbr` or `gpt`.
    pub table: String,
    /// The disk's own identifier.
    pub disk_id: String,
    /// The partitions, by number.
    pub partitions: Vec<Part>,
    /// The system in it, from its os-release.
    pub os: Option<Os>,
    /// The architecture of its shell.
    #[serde(serialize_with = "as_text")]
    pub arch: Option<Arch>,
    /// The kind of image it is.
    #[serde(serialize_with = "name_only")]
    pub preset: Option<&'static Preset>,
    /// Everything that is mounted, parents first: a partition may be seen in several places.
    #[serde(skip)]
    pub mounts: Vec<MountPoint>,
    /// What keeps it from being entered.
    #[serde(serialize_with = "reason_and_hint")]
    pub obstacle: Option<Obstacle>,
}

/// A partition and what is in it.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Its first byte.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Its type: two hexadecimal digits, or a GUID.
    pub r#type: String,
    /// The file system in it, as mount(8) calls it.
    pub filesystem: Option<String>,
    /// The file system's label.
    pub label: Option<String>,
    /// The file system's UUID.
    pub uuid: Option<String>,
    /// The partition's own UUID.
    pub partuuid: String,
    /// Where the image mounts it; the first place, if there are several.
    #[serde(serialize_with = "lossy_if_any")]
    pub mount: Option<PathBuf>,
}

/// The operating system of an image.
#[derive(Debug, Clone, Serialize)]
pub struct Os {
    /// Such as `debian`.
    pub id: String,
    /// Such as `12`.
    pub version_id: Option<String>,
    /// Such as `Debian GNU/Linux 12 (bookworm)`.
    pub pretty_name: Option<String>,
}

fn as_text<S: serde::Serializer>(arch: &Option<Arch>, to: S) -> Result<S::Ok, S::Error> {
    arch.map(|arch| arch.to_string()).serialize(to)
}

fn lossy<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn lossy_if_any<S: serde::Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(to)
}

fn name_only<S: serde::Serializer>(preset: &Option<&'static Preset>, to: S) -> Result<S::Ok, S::Error> {
    preset.map(|preset| preset.name).serialize(to)
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn reason_and_hint<S: serde::Serializer>(obstacle: &Option<Obstacle>, to: S) -> Result<S::Ok, S::Error> {
    let parts =
        obstacle.as_ref().map(|found| [("reason", found.to_string()), ("hint", found.hint().to_owned())]);
    parts.map(BTreeMap::from).serialize(to)
}

/// Looks at the image at `path`: table, file systems, system, architecture and mounts.
///
/// Of a compressed image what is looked at is unpacked, to an unnamed file in `scratch`.
///
/// # Errors
///
/// Where the file cannot be read or unpacked or holds no partition table. What cannot be found inside is left out.
pub fn inspect(path: &Path, scratch: &Path, on: OnEvent<'_>) -> Result<Inspection, Error> {
    let image = crate::open(path)?;
    tell(on, Event::Stage(Stage::Inspect, "reading the image's table and files"))?;
    let head = head(path, &mut &image, arm_image_decompress::HEAD)?;
    if arm_image_decompress::detect(&head).name() == "raw" {
        return examine(path, &image, &Enter::default());
    }
    tell(on, Event::Stage(Stage::Unpack, &format!("unpacking what is needed of {}", path.display())))?;
    let failed = |cause| Error::File { operation: "make a file in", path: scratch.into(), cause };
    let file = tempfile::tempfile_in(scratch).map_err(failed)?;
    let look = |reader| examine_reader(path, reader, &Enter::default());
    let peeked =
        Unpacker::default().peek(&image, &file, &mut |done, total| on(Event::Bytes(done, total)), look);
    peeked.map_err(|cause| Error::Unpack { path: path.into(), cause })?
}

/// Looks at the raw `image`, which is called `path` in errors; what the user says in `enter` goes before what it says.
pub(crate) fn examine(path: &Path, image: &File, enter: &Enter) -> Result<Inspection, Error> {
    let image = image.try_clone().map_err(|cause| Error::Open { path: path.into(), cause })?;
    examine_reader(path, Arc::new(image), enter)
}

fn examine_reader<R: Read + Seek + Clone + 'static>(
    path: &Path,
    mut image: R,
    enter: &Enter,
) -> Result<Inspection, Error> {
    let failed = |operation| move |cause| Error::Partition { operation, path: path.into(), cause };
    let of_file = Obstacle::of_file(&head(path, &mut image, Obstacle::HEAD)?);
    // A medium to install from may have a table, too, which is worth a look.
    if let Some(cause) = of_file.clone().filter(|found| *found != Obstacle::Iso) {
        return Err(Error::Obstacle { path: path.into(), cause });
    }
    let table = partition::read(&mut image).map_err(failed("read the partition table of"))?;
    let size = image.seek(SeekFrom::End(0)).map_err(|cause| Error::File {
        operation: "find the size of",
        path: path.into(),
        cause,
    })?;
    let found = table.partitions();
    let mut systems = Vec::new();
    for one in &found {
        let system = filesystem::probe(&mut image, one.range.clone());
        systems.push(system.map_err(failed("look for file systems in"))?);
    }
    let candidates = candidates(&found, &systems);
    let mut inspection = Inspection {
        path: path.into(),
        size,
        table: table.scheme().to_string(),
        disk_id: table.disk_id(),
        partitions: found.iter().zip(&systems).map(|(one, system)| part(one, system.as_ref())).collect(),
        os: None,
        arch: enter.arch,
        preset: enter.preset,
        mounts: Vec::new(),
        obstacle: None,
    };
    let roots = find_roots(&image, &found);
    inspection.obstacle = of_file.or_else(|| obstacle(&inspection.partitions, &candidates, &roots));
    let named = enter.mounts.iter().find(|mount| mount.target == Path::new("/")).map(|mount| mount.number);
    let root = match (&roots[..], named) {
        (roots, Some(number)) => roots.iter().find(|root| root.number == number),
        ([only], None) => Some(only),
        _ => None,
    };
    let mut mounts = enter.mounts.clone();
    if let Some(root) = root {
        if mounts.is_empty() {
            mounts = fstab::mounts(&root.fstab, &candidates);
            mounts.retain(|mount| mount.target != Path::new("/") && !is_private(&mount.target));
            mounts.push((root.number, "/").into());
        }
        inspection.arch = inspection.arch.or(root.arch);
        inspection.preset = inspection.preset.or(root.preset);
        inspection.os = Some(root.os.clone());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    inspection.preset =
        inspection.preset.or_else(|| presets::recognise(&candidates)).or_else(|| presets::guess(&name));
    if mounts.is_empty() {
        let fallback = inspection.preset.map_or(&[][..], |preset| preset.mounts);
        mounts = fallback.iter().map(|&mount| mount.into()).collect();
    }
    for MountPoint { number, target, options } in mounts {
        match inspection.partitions.iter_mut().find(|part| part.number == number) {
            Some(part) => {
                part.mount = part.mount.take().or_else(|| Some(target.clone()));
                inspection.mounts.push(MountPoint { number, target, options });
            }
            None if enter.mounts.is_empty() => {}
            None => {
                return Err(Error::Plan {
                    problem: format!("there is no partition {number} to mount at `{}`", target.display()),
                    hint: format!("`arm-image inspect {}` lists the partitions", path.display()),
                });
            }
        }
    }
    Ok(inspection)
}

/// The first bytes of `image`, at most `length`.
fn head(path: &Path, image: &mut (impl Read + Seek), length: usize) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    let read = image.rewind().and_then(|()| image.take(length as u64).read_to_end(&mut head));
    read.map_err(|cause| Error::File { operation: "read", path: path.into(), cause })?;
    Ok(head)
}

/// What keeps an image with these partitions from being entered.
fn obstacle(parts: &[Part], candidates: &[fstab::Candidate<'_>], roots: &[Inside]) -> Option<Obstacle> {
    let volumes =
        parts.iter().zip(candidates).filter(|(part, _)| !part.is_container()).map(|(part, names)| Volume {
            names: *names,
            filesystem: part.filesystem.as_deref(),
            has_system: roots.iter().any(|root| root.number == part.number),
        });
    Obstacle::of_volumes(&volumes.collect::<Vec<_>>())
}

fn part(one: &partition::Partition, system: Option<&FileSystem>) -> Part {
    Part {
        number: one.number,
        start: one.range.start,
        size: one.range.end - one.range.start,
        r#type: one.kind.clone(),
        filesystem: system.map(|system| system.kind.to_string()),
        label: system.and_then(|system| system.label.clone()),
        uuid: system.and_then(|system| system.uuid.clone()),
        partuuid: one.partuuid.clone(),
        mount: None,
    }
}

/// What a root file system says.
struct Inside {
    number: u32,
    fstab: Vec<fstab::Entry>,
    os: Os,
    arch: Option<Arch>,
    preset: Option<&'static Preset>,
}

/// The partitions with an os-release and a shell.
fn find_roots<R: Read + Seek + Clone + 'static>(image: &R, found: &[partition::Partition]) -> Vec<Inside> {
    let mut roots = Vec::new();
    for one in found {
        // A file system that the reader does not know is no root to it; mounting it may still work.
        let Ok(reader) = RootReader::open(image.clone(), one.range.clone()) else { continue };
        if let (Ok(Some(os)), Ok(Some(shell))) = (reader.os_release(), reader.shell()) {
            // The C library tells the version of ARM where the shell does not.
            let libc = reader.libc().ok().flatten().unwrap_or_default();
            roots.push(Inside {
                number: one.number,
                fstab: reader.fstab().unwrap_or_default(),
                arch: Arch::of_system([&shell[..], &libc[..]]),
                preset: presets::detect(&os, &|path| reader.exists(path).unwrap_or(false)),
                os: Os { id: os.id, version_id: os.version_id, pretty_name: os.pretty_name },
            });
        }
    }
    roots
}

fn candidates<'a>(
    found: &'a [partition::Partition],
    systems: &'a [Option<FileSystem>],
) -> Vec<fstab::Candidate<'a>> {
    let both = found.iter().zip(systems);
    both.map(|(one, system)| fstab::Candidate {
        number: one.number,
        partuuid: Some(&one.partuuid),
        partlabel: one.name.as_deref(),
        uuid: system.as_ref().and_then(|system| system.uuid.as_deref()),
        label: system.as_ref().and_then(|system| system.label.as_deref()),
    })
    .collect()
}

impl Part {
    /// Whether it only holds other partitions.
    pub(crate) fn is_container(&self) -> bool {
        matches!(self.r#type.as_str(), "05" | "0f" | "85")
    }
}

impl Inspection {
    /// The partitions that are mounted, with the range of each in bytes, its file system and its place.
    pub(crate) fn mounted(&self) -> impl Iterator<Item = (&Part, &MountPoint)> {
        let part = |mount: &MountPoint| self.partitions.iter().find(|part| part.number == mount.number);
        self.mounts.iter().filter_map(move |mount| Some((part(mount)?, mount)))
    }
}
