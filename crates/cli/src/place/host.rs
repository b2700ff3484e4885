//! The privileged half in the kernel that this process runs on. The guest's side of the program uses it too.

use std::{fs::File, path::Path};

use arm_image_chroot::{ChrootRunner, Mount, Options, Root};
use arm_image_mapper::{DeviceMapper, DmMapper, LoopMapper, Mapped};
use arm_image_partition::filesystem::{self, Kind};
use arm_image_qemu::Arch;

use super::{Job, JobPart};
use crate::{Error, Event, Mapper, OnEvent, build::tell};

/// Maps `parts` of `image` for as long as `work` runs.
pub(crate) fn with_devices<T>(
    image: &File,
    parts: &[JobPart],
    mapper: Mapper,
    work: impl FnOnce(&Mapped) -> Result<T, Error>,
) -> Result<T, Error> {
    let mapper: &dyn DeviceMapper = match mapper {
        Mapper::Dm => &DmMapper,
        Mapper::Loop => &LoopMapper,
        Mapper::Auto if DmMapper::available().is_ok() => &DmMapper,
        Mapper::Auto => &LoopMapper,
    };
    let ranges: Vec<_> = parts.iter().map(|part| part.range.clone()).collect();
    let mapped = mapper.map(image, &ranges)?;
    let outcome = work(&mapped);
    close(outcome, mapped.close())
}

/// Maps, grows and mounts `image` as `job` says, for as long as `work` runs in it.
pub(super) fn with_root<T>(
    image: &File,
    job: &Job,
    on: OnEvent<'_>,
    work: impl FnOnce(&mut dyn ChrootRunner, OnEvent<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let arch = job.arch()?.ok_or(arm_image_chroot::Error::NoRoot)?;
    let options = arm_image_qemu::Options { binary: job.qemu.clone(), search: job.search.clone() };
    let emulation = arm_image_qemu::enable(arch, &options)?;
    let outcome = tell(on, Event::Note(&format!("{arch} programs run by {}", emulation.describe())))
        .and_then(|()| {
            with_devices(image, &job.parts, job.mapper, |mapped| {
                grow_unmounted(job, mapped, on, |part| part.target.is_none())?;
                let mut root = mount(job, arch, mapped)?;
                if let Err(error) = grow_mounted(job, &root) {
                    // Some containers' root may not grow a mounted file system: then it is done before mounting.
                    root.close()?;
                    if !error.is_permission() {
                        return Err(failed_to_grow(error));
                    }
                    grow_unmounted(job, mapped, on, |part| part.target.is_some())?;
                    root = mount(job, arch, mapped)?;
                }
                let outcome = work(&mut root, on);
                close(outcome, root.close())
            })
        });
    close(outcome, emulation.close())
}

/// Grows the file systems that `job` marks, on their devices.
pub(super) fn grow_only(image: &File, job: &Job, on: OnEvent<'_>) -> Result<(), Error> {
    with_devices(image, &job.parts, job.mapper, |mapped| grow_unmounted(job, mapped, on, |_| true))
}

fn mount<'d>(job: &Job, arch: Arch, mapped: &'d Mapped) -> Result<Root<'d>, Error> {
    let mounts = job.parts.iter().zip(mapped.paths()).filter_map(|(part, device)| {
        Some(Mount { device, target: part.target.clone()?, kind: part.kind.clone() })
    });
    let options =
        Options { resolv_conf: job.resolv_conf, personality32: arch.is_32bit(), ..Options::default() };
    Ok(Root::mount(&mounts.collect::<Vec<_>>(), &options)?)
}

fn grow_mounted(job: &Job, root: &Root<'_>) -> Result<(), arm_image_partition::Error> {
    for part in job.parts.iter().filter(|part| part.grow) {
        let (Some(target), Some(kind)) = (&part.target, growable(&part.kind)) else { continue };
        let Ok(folder) = root.directory(target) else { continue };
        filesystem::grow_mounted(&folder, kind, part.range.end - part.range.start)?;
    }
    Ok(())
}

fn grow_unmounted(
    job: &Job,
    mapped: &Mapped,
    on: OnEvent<'_>,
    which: impl Fn(&JobPart) -> bool,
) -> Result<(), Error> {
    for (part, device) in job.parts.iter().zip(mapped.paths()).filter(|(part, _)| part.grow && which(part)) {
        match growable(&part.kind) {
            Some(kind @ (Kind::Ext2 | Kind::Ext3 | Kind::Ext4)) => {
                filesystem::grow_unmounted(device, kind).map_err(failed_to_grow)?;
            }
            _ => {
                let left =
                    format!("the {} file system of partition {} keeps its size", part.kind, part.number);
                tell(on, Event::Note(&left))?;
            }
        }
    }
    Ok(())
}

/// The file system that mount(8) calls `name`, if it can grow.
fn growable(name: &str) -> Option<Kind> {
    let kinds = [Kind::Ext2, Kind::Ext3, Kind::Ext4, Kind::Btrfs, Kind::Xfs];
    kinds.into_iter().find(|kind| kind.to_string() == name)
}

fn failed_to_grow(cause: arm_image_partition::Error) -> Error {
    Error::Partition {
        operation: "grow the file system of",
        path: Path::new("the last partition").into(),
        cause,
    }
}

/// Both what happened and how the closing went.
pub(super) fn close<T, E: Into<Error>>(outcome: Result<T, Error>, closed: Result<(), E>) -> Result<T, Error> {
    match (outcome, closed.map_err(Into::into)) {
        (outcome, Ok(())) => outcome,
        (Ok(_), Err(cause)) => Err(Error::CleanUp { cause: Box::new(cause) }),
        (Err(first), Err(then)) => Err(Error::Both { first: Box::new(first), then: Box::new(then) }),
    }
}
