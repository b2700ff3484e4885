//! The privileged half in the kernel that this process runs on. The guest's side of the program uses it too.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    path::Path,
};

use arm_image_chroot::{Bind, ChrootRunner, Mount, Root};
use arm_image_mapper::{DeviceMapper, DmMapper, LoopMapper, Mapped};
use arm_image_partition::filesystem::{self, Kind};
use arm_image_qemu::{Arch, Emulation, Start};

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
    let emulation = emulate(job, arch)?;
    let version = emulation.version().map(|line| format!(": {line}")).unwrap_or_default();
    let place = if emulation.inside().is_some() { ", shown in the image for the run" } else { "" };
    let arguments = shown(&job.qemu_arguments);
    let how = format!("{arch} programs run by {}{arguments}{place}{version}", emulation.describe());
    let outcome = tell(on, Event::Note(&how)).and_then(|()| {
        with_devices(image, &job.parts, job.mapper, |mapped| {
            grow(job, mapped)?;
            let mut root = mount(job, arch, &emulation, mapped)?;
            if let Some(processor) = processor(job, arch, &emulation, &mut root) {
                // A handler of the host looks for no arguments, and a step may know better.
                root.variable("QEMU_CPU", processor);
            }
            let outcome = work(&mut root, on);
            if outcome.is_ok() {
                trim(job, &root);
            }
            close(outcome, root.close())
        })
    });
    close(outcome, emulation.close())
}

/// So many characters of qemu's arguments are told.
const LONGEST_SHOWN: usize = 200;

/// Arguments for a line that is read by people, each behind a blank; there may be 64 KiB of them.
fn shown(arguments: &[OsString]) -> String {
    let text: String = arguments.iter().map(|one| format!(" {}", one.display())).collect();
    let short: String = text.chars().take(LONGEST_SHOWN).collect();
    if short.len() < text.len() { format!("{short}…") } else { text }
}

/// Has the kernel run programs of `arch`.
///
/// Where nobody may change its handlers, as in many containers, and the host's own finds its qemu only by a path, that path
/// leads to qemu in the image as long as this lasts.
fn emulate(job: &Job, arch: Arch) -> Result<Emulation, Error> {
    let options = arm_image_qemu::Options {
        binary: job.qemu.clone(),
        search: job.search.clone(),
        own: !job.qemu_arguments.is_empty(),
    };
    let start = match job.alone {
        // They hold in whatever root.
        true if options.own => Start::Arguments(job.qemu_arguments.clone()),
        true => Start::Plain,
        // Another build's handler may come to run these programs, and this one another's.
        false => Start::ArgumentsIn(Path::new("/dev").join(ARGUMENTS)),
    };
    let refused = match arm_image_qemu::enable_with(arch, &options, &start) {
        Err(error) if !options.own => error,
        enabled => return Ok(enabled?),
    };
    match arm_image_qemu::enable_with(arch, &options, &Start::Inside) {
        Ok(emulation) => Ok(emulation),
        // Why the better way is closed is what there is to mend.
        Err(_) => Err(refused.into()),
    }
}

/// In `/dev`, where handlers of this library look for qemu's arguments. In an image that is a private one.
const ARGUMENTS: &str = ".arm-image-qemu-arguments";

/// Gives what is free in the mounted file systems back to the image file, so that it holds only what is used. Where that
/// cannot be done the image is as good, and takes more room.
fn trim(job: &Job, root: &Root<'_>) {
    for part in job.parts.iter() {
        // All places of a partition show one file system.
        let Some((target, _)) = part.mounts.first() else { continue };
        let _ = root.directory(target).map(|folder| filesystem::trim(&folder));
    }
}

/// Grows the file systems that `job` marks, on their devices.
pub(super) fn grow_only(image: &File, job: &Job) -> Result<(), Error> {
    with_devices(image, &job.parts, job.mapper, |mapped| grow(job, mapped))
}

/// Shrinks the file system of the only partition of `job`, and gives the bytes it covers then.
pub(super) fn shrink_only(image: &File, job: &Job, margin: u64) -> Result<u64, Error> {
    with_devices(image, &job.parts, job.mapper, |mapped| {
        let found = job.parts.first().zip(mapped.paths().first());
        let Some((part, device)) = found else { return Ok(0) };
        let kind = Kind::named(&part.kind).unwrap_or(Kind::Ext4);
        filesystem::shrink_device(device, kind, margin)
            .map_err(|cause| Error::ShrinkSystem { number: part.number, cause })
    })
}

fn mount<'d>(job: &Job, arch: Arch, emulation: &Emulation, mapped: &'d Mapped) -> Result<Root<'d>, Error> {
    let mounts = job.parts.iter().zip(mapped.paths()).flat_map(|(part, device)| {
        part.mounts.iter().map(|(target, options)| Mount {
            device,
            target: target.clone(),
            kind: part.kind.clone(),
            options: options.clone(),
        })
    });
    let mut builder = Root::builder()
        .resolv_conf(job.resolv_conf)
        .resolv_conf_source(&job.resolv_conf_source)
        .restore_resolv_conf(job.restore_resolv_conf)
        .personality32(arch.is_32bit())
        .sync(job.sync)
        .services(job.services)
        .proc(job.entered);
    if !job.alone && !job.qemu_arguments.is_empty() {
        builder = builder.dev_file(ARGUMENTS, arm_image_qemu::arguments(&job.qemu_arguments)?);
    }
    if let Some(qemu) = emulation.inside() {
        builder = builder.bind(Bind { source: qemu.into(), target: qemu.into(), read_only: true });
    }
    for bind in job.binds.iter().cloned() {
        builder = builder.bind(bind.into());
    }
    Ok(builder.mount(&mounts.collect::<Vec<_>>())?)
}

/// The processor that qemu is told to show: the one that is asked for, else the quickest. It is none to the qemu of another
/// architecture, so an image with programs of 32 bits beside arm64 has to do with qemu's own choice.
fn processor(job: &Job, arch: Arch, emulation: &Emulation, root: &mut Root<'_>) -> Option<String> {
    let quickest = || {
        let processor = arm_image_qemu::processor(arch, emulation.version()?)?;
        let is_loader = |name: &OsStr| {
            let name = name.as_encoded_bytes();
            [&b"ld-linux-armhf.so"[..], b"ld-linux.so", b"ld-musl-arm"]
                .iter()
                .any(|loader| name.starts_with(loader))
        };
        // What has no such folder has no such programs.
        let libraries = root.list("/lib".as_ref()).unwrap_or_default();
        (!libraries.iter().any(|entry| is_loader(&entry.name))).then(|| processor.to_owned())
    };
    job.processor.clone().or_else(quickest)
}

fn grow(job: &Job, mapped: &Mapped) -> Result<(), Error> {
    for (part, device) in job.parts.iter().zip(mapped.paths()).filter(|(part, _)| part.grow) {
        let Some(kind) = Kind::named(&part.kind) else { continue };
        filesystem::grow_device(device, kind, part.range.end - part.range.start)
            .map_err(|cause| Error::Grow { number: part.number, cause })?;
    }
    Ok(())
}

/// Both what happened and how the closing went.
pub(super) fn close<T, E: Into<Error>>(outcome: Result<T, Error>, closed: Result<(), E>) -> Result<T, Error> {
    match (outcome, closed.map_err(Into::into)) {
        (outcome, Ok(())) => outcome,
        (Ok(_), Err(cause)) => Err(Error::of_cleaning_up(cause)),
        (Err(first), Err(then)) => Err(Error::Both { first: Box::new(first), then: Box::new(then) }),
    }
}
