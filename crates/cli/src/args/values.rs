//! The values of options: from text, and to the library's own types.

use std::path::PathBuf;

use arm_image::{Isolation, Mapper, MountPoint, OnError, Size};
use arm_image_chroot::{Bind, ResolvConf};
use arm_image_decompress::Unpacker;

use super::{Archive, Isolated, Mapped, NewSize, Resolv};

pub(super) fn source_and_target(text: &str) -> Result<(PathBuf, PathBuf), String> {
    let (from, to) = text.rsplit_once(':').ok_or("write SRC:DST, such as motd:/etc/motd")?;
    if from.is_empty() || !to.starts_with('/') {
        return Err("write SRC:DST, where DST is an absolute path in the image".to_owned());
    }
    Ok((from.into(), to.into()))
}

pub(super) fn bind(text: &str) -> Result<Bind, String> {
    let (pair, read_only) = text.strip_suffix(":ro").map_or((text, false), |pair| (pair, true));
    match pair.rsplit_once(':') {
        Some((source, target)) if !source.is_empty() && target.starts_with('/') => {
            Ok(Bind { source: source.into(), target: target.into(), read_only })
        }
        _ => Err("write SRC:DST or SRC:DST:ro, where DST is an absolute path in the image".to_owned()),
    }
}

pub(super) fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

pub(super) fn mount_point(text: &str) -> Result<MountPoint, String> {
    let teach = "write N=PATH, such as 2=/ for partition 2 at the root";
    let (number, path) = text.split_once('=').ok_or(teach)?;
    // A path may hold commas.
    let (path, options) = path.split_once(",subvol").map_or((path, None), |(path, rest)| (path, Some(rest)));
    match number.parse() {
        Ok(number) if number > 0 && path.starts_with('/') => {
            let options = options.map(|rest| format!("subvol{rest}")).into_iter().collect();
            Ok(MountPoint { number, target: path.into(), options })
        }
        _ => Err(teach.to_owned()),
    }
}

pub(super) fn total(text: &str) -> Result<u64, String> {
    match text.parse::<Size>() {
        Ok(Size::Total(bytes)) => Ok(bytes),
        Ok(Size::Extra(_)) => Err("this size is not relative to anything".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn new_size(text: &str) -> Result<NewSize, String> {
    match text {
        "min" => Ok(None),
        _ => text.parse().map(Some).map_err(|error: arm_image::NotASize| format!("{error}, or `min`")),
    }
}

pub(super) fn preset(name: &str) -> Result<&'static arm_image_presets::Preset, String> {
    arm_image_presets::find(name).ok_or_else(|| {
        let names: Vec<_> = arm_image_presets::presets().iter().map(|preset| preset.name).collect();
        format!("known presets are {}", names.join(", "))
    })
}

impl From<Archive> for Unpacker {
    fn from(archive: Archive) -> Self {
        Unpacker { member: archive.member, max_size: archive.max_size }
    }
}

impl From<super::OnError> for OnError {
    fn from(what: super::OnError) -> Self {
        match what {
            super::OnError::Cleanup => OnError::Cleanup,
            super::OnError::Shell => OnError::Shell,
            super::OnError::Keep => OnError::Keep,
            super::OnError::RunCleanupProvisioner => OnError::KeepAfterCleanup,
        }
    }
}

impl From<Resolv> for ResolvConf {
    fn from(mode: Resolv) -> Self {
        match mode {
            Resolv::Off => ResolvConf::Off,
            Resolv::CopyHost => ResolvConf::CopyHost,
            Resolv::BindHost => ResolvConf::BindHost,
            Resolv::Delete => ResolvConf::Delete,
        }
    }
}

impl From<Isolated> for Isolation {
    fn from(place: Isolated) -> Self {
        match place {
            Isolated::Auto => Isolation::Auto,
            Isolated::Host => Isolation::Host,
            Isolated::Guest => Isolation::Guest,
        }
    }
}

impl From<Mapped> for Mapper {
    fn from(how: Mapped) -> Self {
        match how {
            Mapped::Auto => Mapper::Auto,
            Mapped::Dm => Mapper::Dm,
            Mapped::Loop => Mapper::Loop,
        }
    }
}
