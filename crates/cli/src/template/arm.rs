//! The keys of `source "arm"`, of packer-plugin-builder-arm.

use std::{ffi::OsString, path::Path};

use arm_image_chroot::{ResolvConf, Script};
use arm_image_fetch::Checksum;
use arm_image_template::{Source, Value};

use super::{lowering::Lowering, mounts, quote::quoted};
use crate::{Local, Plan, Size, Step, Work};

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
    } else {
        let why = "the method `reuse` leaves the size as it is";
        lowering.all_without_effect(settings, &[("image_size", why), ("image_size_bytes", why)]);
    }
    if let Some(setting) = settings.get("image_partitions") {
        let message = "of `image_partitions`, only the order, `int` and `mountpoint` count";
        lowering.warning(&setting.at, message, "the image's own table tells the rest");
    }
    plan.enter.mounts = partitions(source);
    plan.enter.qemu = lowering.program(source, "qemu_binary_source_path");
    // That plugin leaves the file as it is.
    plan.enter.resolv_conf = ResolvConf::Off;
    if let Some(setting) = settings.get("image_setup_extra") {
        let commands = setting.value.as_list().unwrap_or_default();
        let lines: Vec<_> = commands.iter().map(|command| line(command, &plan.output)).collect();
        if !lines.is_empty() {
            lowering.needs_to_be_seen(&setting.at);
            let local = Local::of([Script::Inline(lines.join("\n"))]);
            plan.steps.push(Step::of(Work::Local(local)));
        }
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
    let pairs = settings.texts("image_chroot_env").into_iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

/// A command of this machine as a shell takes it, with the places of the image filled in.
fn line(command: &Value, output: &Path) -> String {
    let mut image = output.as_os_str().to_owned();
    // Its name while it is being made.
    image.push(".partial");
    let image = image.to_string_lossy();
    let word = |word: &Value| {
        let word = word.as_str().unwrap_or_default().replace("$IMAGE_PATH", &image);
        let pieces = word.split("$MOUNTPOINT");
        let quoted = pieces.map(|piece| if piece.is_empty() { String::new() } else { quoted(piece) });
        match quoted.collect::<Vec<_>>().join("\"$ARM_IMAGE_MOUNT_PATH\"") {
            nothing if nothing.is_empty() => "''".to_owned(),
            word => word,
        }
    };
    command.as_list().unwrap_or_default().iter().map(word).collect::<Vec<_>>().join(" ")
}

fn checksum(lowering: &mut Lowering<'_>, source: &Source, plan: &mut Plan) {
    let settings = &source.settings;
    let kind = settings.text("file_checksum_type");
    let given = settings.get("file_checksum").or_else(|| settings.get("file_checksum_url"));
    let Some(setting) = given.filter(|_| kind != Some("none")) else {
        plan.origin.checksum = Checksum::None;
        return;
    };
    let text = setting.value.as_str().unwrap_or_default();
    let is_list = !settings.has("file_checksum");
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
        let target = block.get("mountpoint")?.as_str()?;
        Some((said.filter(|&number| number > 0).unwrap_or(number), target).into())
    });
    numbered.collect()
}
