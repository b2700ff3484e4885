//! The keys of `source "arm"`, of packer-plugin-builder-arm.

use std::ffi::OsString;

use arm_image_chroot::ResolvConf;
use arm_image_fetch::Checksum;
use arm_image_template::{Source, Value};

use super::{lowering::Lowering, mounts};
use crate::{Plan, Size};

const NO_EFFECT: &[(&str, &str)] = &[
    ("file_user_agent", "downloads go by the program's own name"),
    ("file_target_path", "downloads are kept in the cache, see --cache-dir"),
    ("file_tmp_dir_location", "temporary files go where TMPDIR says"),
    ("image_type", "the image's own table tells"),
    ("image_mount_path", "the image is mounted where only this build sees it"),
    ("qemu_binary_destination_path", "no qemu is put into the image"),
];

/// Puts what `source` says into `plan`, and gives the variables that all its shell scripts get.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    source: &Source,
    plan: &mut Plan,
) -> Vec<(OsString, OsString)> {
    let settings = &source.settings;
    lowering.all_without_effect(settings, NO_EFFECT);
    plan.origin.sources.clear();
    if let Some(setting) = settings.get("file_urls") {
        for text in settings.texts("file_urls") {
            match text.parse() {
                Ok(source) => plan.origin.sources.push(source),
                Err(error) => lowering.error(&setting.at, crate::chain(&error), "an http(s) URL or a path"),
            }
        }
    }
    checksum(lowering, source, plan);
    if let Some(path) = settings.text("image_path") {
        plan.output = path.into();
    }
    if settings.text("image_build_method") == Some("resize") {
        plan.size = settings.whole("image_size_bytes").map(Size::Total).or_else(|| humane(lowering, source));
    }
    plan.enter.mounts = partitions(source);
    plan.enter.qemu = lowering.program(source, "qemu_binary_source_path");
    // That plugin leaves the file as it is.
    plan.enter.resolv_conf = ResolvConf::Off;
    if let Some(setting) = settings.get("image_setup_extra").filter(|setting| !is_empty(&setting.value)) {
        let why = "its commands mount the image on this machine";
        lowering.unsupported(
            "image_setup_extra",
            setting,
            why,
            "do it by a `shell` or `shell-local` provisioner",
        );
    }
    for key in ["image_chroot_mounts", "additional_chroot_mounts"] {
        let Some(setting) = settings.get(key) else { continue };
        for mount in setting.value.as_list().unwrap_or_default() {
            let part = |key: &str| mount.as_map()?.get(key)?.as_str();
            if let (Some(kind), Some(device), Some(folder)) =
                (part("mount_type"), part("source_path"), part("destination_path"))
            {
                plan.enter.binds.extend(mounts::lower(lowering, setting, kind, device, folder));
            }
        }
    }
    let mut env = Vec::new();
    if let Some(setting) = settings.get("image_chroot_env") {
        for pair in settings.texts("image_chroot_env") {
            match pair.split_once('=') {
                Some((name, value)) if !name.is_empty() => env.push((name.into(), value.into())),
                _ => lowering.error(&setting.at, "an element of `image_chroot_env` is not `NAME=value`", ""),
            }
        }
    }
    env
}

fn is_empty(value: &Value) -> bool {
    value.as_list().is_some_and(<[Value]>::is_empty)
}

fn checksum(lowering: &mut Lowering<'_>, source: &Source, plan: &mut Plan) {
    let settings = &source.settings;
    let kind = settings.text("file_checksum_type");
    let given = ["file_checksum", "file_checksum_url"]
        .iter()
        .filter_map(|key| settings.get(key))
        .find(|setting| setting.value.as_str().is_some_and(|text| !text.is_empty()));
    let Some(setting) = given.filter(|_| kind != Some("none")) else {
        plan.origin.checksum = Checksum::None;
        return;
    };
    let text = setting.value.as_str().unwrap_or_default();
    let is_list = settings.text("file_checksum").is_none_or(str::is_empty);
    let text = match kind {
        _ if is_list => format!("file:{text}"),
        Some(kind) if !text.contains(':') => format!("{kind}:{text}"),
        _ => text.to_owned(),
    };
    match text.parse() {
        Ok(checksum) => plan.origin.checksum = checksum,
        Err(error) => lowering.error(&setting.at, crate::chain(&error), "the digits that go with its type"),
    }
}

fn humane(lowering: &mut Lowering<'_>, source: &Source) -> Option<Size> {
    let setting = source.settings.get("image_size")?;
    let text = setting.value.as_str()?.trim();
    // `4GB` is the same as `4G` there, too.
    let without_bytes = text.strip_suffix(['B', 'b']).filter(|rest| !rest.ends_with(['i', 'I']));
    match without_bytes.unwrap_or(text).parse() {
        Ok(size) => Some(size),
        Err(error) => {
            lowering.error(&setting.at, crate::chain(&error), "as in `4G`");
            None
        }
    }
}

/// Partitions are numbered in their order, unless one says otherwise.
fn partitions(source: &Source) -> Vec<crate::MountPoint> {
    let blocks = source.settings.get("image_partitions").and_then(|setting| setting.value.as_list());
    let numbered = (1_u32..).zip(blocks.unwrap_or_default()).filter_map(|(number, block)| {
        let block = block.as_map()?;
        let said = block.get("int").and_then(Value::as_whole).and_then(|number| u32::try_from(number).ok());
        let target = block.get("mountpoint")?.as_str().filter(|target| !target.is_empty())?;
        Some((said.filter(|&number| number > 0).unwrap_or(number), target).into())
    });
    numbered.collect()
}
