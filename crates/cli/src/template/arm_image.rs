//! The keys of `source "arm-image"`.

use arm_image_chroot::ResolvConf;
use arm_image_qemu::Arch;
use arm_image_template::{Settings, Source};

use super::{lowering::Lowering, mounts};
use crate::{Plan, Size};

const NO_EFFECT: &[(&str, &str)] = &[
    ("iso_target_path", "downloads are kept in the cache, see --cache-dir"),
    ("iso_target_extension", "the format is told by the first bytes"),
    ("mount_path", "the image is mounted where only this build sees it"),
    ("disable_embedded", "no program is put into the image to run others"),
    ("qemu_required", "qemu runs whatever this machine's kernel does not run by itself"),
];

/// Puts what `source` says into `plan`.
pub(super) fn lower(lowering: &mut Lowering<'_>, source: &Source, plan: &mut Plan) {
    let settings = &source.settings;
    lowering.all_without_effect(settings, NO_EFFECT);
    sources(lowering, settings, plan);
    if let Some(folder) = settings.text("output_directory") {
        plan.output = std::path::Path::new(folder).join("image");
    }
    if let Some(path) = settings.text("output_filename") {
        plan.output = path.into();
    }
    let size = |key: &str| settings.whole(key).filter(|&bytes| bytes > 0);
    plan.size = size("target_image_size")
        .map(Size::Total)
        .or_else(|| size("last_partition_extra_size").map(Size::Extra));
    if let Some(setting) = settings.get("image_type")
        && let Some(name) = setting.value.as_str()
    {
        plan.enter.preset = arm_image_presets::find(name);
        if plan.enter.preset.is_none() {
            let hint = "`arm-image presets` lists them; without the key, the image tells";
            lowering.error(&setting.at, format!("no kind of images is called `{name}`"), hint);
        }
    }
    if let Some(setting) = settings.get("image_arch") {
        match setting.value.as_str() {
            Some("arm64") => plan.enter.arch = Some(Arch::Arm64),
            Some("armbe" | "arm64be") => {
                let why = "no image for a big-endian ARM is known";
                lowering.unsupported("image_arch", setting, why, "leave it out: the image's programs tell");
            }
            // Which 32-bit ARM it is, the image's own programs tell.
            _ => plan.enter.arch = None,
        }
    }
    plan.enter.mounts = (1..)
        .zip(settings.texts("image_mounts"))
        .filter(|(_, target)| !target.is_empty())
        .map(Into::into)
        .collect();
    if let Some(setting) = settings.get("image_mounts")
        && plan.enter.mounts.is_empty()
    {
        let hint =
            "name the partition of the system, as in [\"\", \"/\"]; without the key, the image's fstab tells";
        lowering.error(&setting.at, "with all of `image_mounts` empty, nothing is mounted", hint);
    }
    plan.enter.resolv_conf = match settings.text("resolv-conf") {
        Some("copy-host") => ResolvConf::CopyHost,
        Some("bind-host") => ResolvConf::BindHost,
        Some("delete") => ResolvConf::Delete,
        _ => ResolvConf::Off,
    };
    plan.enter.qemu = lowering.program(source, "qemu_binary");
    plan.enter.qemu_arguments = settings.texts("qemu_args").into_iter().map(Into::into).collect();
    for key in ["chroot_mounts", "additional_chroot_mounts"] {
        let Some(setting) = settings.get(key) else { continue };
        for mount in setting.value.as_list().unwrap_or_default() {
            let parts: Vec<_> =
                mount.as_list().unwrap_or_default().iter().filter_map(|part| part.as_str()).collect();
            if let [kind, device, folder] = parts[..] {
                plan.enter.binds.extend(mounts::lower(lowering, setting, kind, device, folder));
            }
        }
    }
}

fn sources(lowering: &mut Lowering<'_>, settings: &Settings, plan: &mut Plan) {
    plan.origin.sources.clear();
    for key in ["iso_url", "iso_urls"] {
        let Some(setting) = settings.get(key) else { continue };
        let texts = settings.text(key).into_iter().chain(settings.texts(key));
        for text in texts {
            match text.parse() {
                Ok(source) => plan.origin.sources.push(source),
                Err(error) => lowering.error(&setting.at, crate::chain(&error), "an http(s) URL or a path"),
            }
        }
    }
    if let Some(setting) = settings.get("iso_checksum")
        && let Some(text) = setting.value.as_str()
    {
        match text.parse() {
            Ok(checksum) => plan.origin.checksum = checksum,
            Err(error) => lowering.error(
                &setting.at,
                crate::chain(&error),
                "iso_checksum = \"sha256:HEX\", \"file:URL\" of a list, or \"none\"",
            ),
        }
    }
}
