//! Ansible, which reaches the image by its `chroot` connection.

use arm_image_chroot::Script;
use arm_image_template::{Provisioner, deferred};

use super::must_be_there;
use crate::{
    Local,
    template::{lowering::Lowering, quote::quoted},
};

/// What a shell gives for `build.MountPath`.
const MOUNT_PATH: &str = "\"$ARM_IMAGE_MOUNT_PATH\"";

/// One host is all there is.
const ONE_HOST: &str = "the image is the only host, and its folder is its name";

const NO_EFFECT: &[(&str, &str)] = &[
    ("groups", ONE_HOST),
    ("empty_groups", ONE_HOST),
    ("host_alias", ONE_HOST),
    ("inventory_file_template", ONE_HOST),
    ("keep_inventory_file", ONE_HOST),
    ("user", "the playbook runs as the image's root"),
    ("skip_version_check", "no version is asked for"),
];

/// The playbook, run on this machine in the image that it sees mounted.
pub(super) fn lower(lowering: &mut Lowering<'_>, provisioner: &Provisioner) -> Option<Local> {
    let settings = &provisioner.settings;
    lowering.all_without_effect(settings, NO_EFFECT);
    lowering.needs_to_be_seen(&provisioner.at);
    for key in ["inventory_file", "inventory_directory"] {
        if let Some(setting) = settings.get(key) {
            lowering.unsupported(key, setting, ONE_HOST, "write `hosts: all` in the playbook");
        }
    }
    for key in ["playbook_file", "galaxy_file"] {
        if let Some(setting) = settings.get(key) {
            must_be_there(lowering, setting, settings.text(key).unwrap_or_default());
        }
    }
    let word = |text: &str| match deferred::names(text)[..] {
        [] => quoted(text),
        _ => {
            // The marks stand outside of the quotes.
            let mut pieces = Vec::new();
            let parts = deferred::replace(text, |_| "\0".to_owned());
            for part in parts.split('\0') {
                pieces.push(if part.is_empty() { String::new() } else { quoted(part) });
            }
            pieces.join(MOUNT_PATH)
        }
    };
    let mut lines = Vec::new();
    if let Some(file) = settings.text("galaxy_file") {
        let mut line = format!(
            "{} install -r {}",
            settings.text("galaxy_command").map_or("ansible-galaxy".into(), quoted),
            quoted(file)
        );
        for (key, option) in
            [("galaxy_force_install", "--force"), ("galaxy_force_with_deps", "--force-with-deps")]
        {
            if settings.flag(key) == Some(true) {
                line += &format!(" {option}");
            }
        }
        lines.push(line);
    }
    let mut line = settings.text("command").map_or("ansible-playbook".to_owned(), quoted);
    line += &format!(" --connection chroot --inventory {MOUNT_PATH},");
    for argument in settings.texts("extra_arguments") {
        line += &format!(" {}", word(argument));
    }
    line += &format!(" {}", quoted(settings.text("playbook_file").unwrap_or_default()));
    lines.push(line);
    let mut env: Vec<_> = settings
        .texts("ansible_env_vars")
        .into_iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    for (key, name) in
        [("roles_path", "ANSIBLE_ROLES_PATH"), ("collections_path", "ANSIBLE_COLLECTIONS_PATH")]
    {
        if let Some(path) = settings.text(key) {
            env.push((name.into(), path.into()));
        }
    }
    Some(Local { env, ..Local::of([Script::Inline(lines.join("\n"))]) })
}
