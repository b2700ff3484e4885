//! `ansible-playbook` on this machine, which gets into the image by its `chroot` connection.

mod arguments;

use std::path::Path;

use arm_image_chroot::Script;
use arm_image_template::{Provisioner, Settings, Source, deferred};

use super::{each_text, must_be_there};
use crate::{
    Local,
    template::{lowering::Lowering, quote::quoted},
};

/// What a shell gives for `build.MountPath`.
const MOUNT_PATH: &str = "\"$ARM_IMAGE_MOUNT_PATH\"";

/// The whole name: the short one is known only where the collection is installed, and an old ansible that has it in
/// itself is not to be taken for one that has the collection.
const CONNECTION: &str = "community.general.chroot";

/// What playbooks call the image where nothing else is said, as with Packer.
const ALIAS: &str = "default";

/// What is run where nothing else is said.
const PLAYBOOK: &str = "ansible-playbook";
const GALAXY: &str = "ansible-galaxy";

const NO_EFFECT: &[(&str, &str)] = &[
    ("inventory_file_template", "the image is reached by its path, not by an address and a port"),
    ("keep_inventory_file", "its path leads to nothing once the image is finished"),
    ("user", "the playbook runs as the image's root"),
];

/// The playbook, run on this machine in the image that it sees mounted.
pub(super) fn lower(lowering: &mut Lowering<'_>, source: &Source, provisioner: &Provisioner) -> Local {
    let settings = &provisioner.settings;
    lowering.all_without_effect(settings, NO_EFFECT);
    lowering.needs_to_be_seen(&provisioner.at);
    must_be_installed(lowering, provisioner);
    if let Some(setting) = settings.get("inventory_file") {
        let why = "the image's path is known only while it is mounted";
        let hint =
            "leave it out: the image is the host `default`, or `host_alias`, in `groups` and `empty_groups`";
        lowering.unsupported("inventory_file", setting, why, hint);
    }
    for key in ["playbook_file", "galaxy_file", "inventory_directory"] {
        if let Some(setting) = settings.get(key) {
            must_be_there(lowering, setting, settings.text(key).unwrap_or_default());
        }
    }
    for (key, setting) in settings.iter().filter(|(key, _)| NO_EFFECT.iter().all(|(other, _)| key != other)) {
        each_text(&setting.value, &mut |text| {
            // In arguments it is the shell that gives the path.
            if key != "extra_arguments" || deferred::names(text).iter().any(|name| *name != "MountPath") {
                lowering.refuse_deferred(&setting.at, text);
            }
        });
    }
    for key in ["host_alias", "groups", "empty_groups"] {
        let Some(setting) = settings.get(key) else { continue };
        // They go into a file of its own format, and through a shell.
        let unfit = |letter: char| !letter.is_ascii_alphanumeric() && !"_-.".contains(letter);
        each_text(&setting.value, &mut |name| {
            if deferred::names(name).is_empty() && (name.is_empty() || name.contains(unfit)) {
                let hint = "letters, digits, `_`, `-` and `.`";
                lowering.error(&setting.at, format!("`{name}` is no name for ansible"), hint);
            }
        });
    }
    let arguments = arguments::understood(&settings.texts("extra_arguments"), &mut |message| {
        if let Some(setting) = settings.get("extra_arguments") {
            lowering.warning(
                &setting.at,
                message,
                "the image is the host `default`, or what `host_alias` says",
            );
        }
    });
    // The variables that Packer gives every playbook; as JSON, in which a name may hold anything.
    let names = serde_json::json!({"packer_build_name": source.name, "packer_builder_type": source.kind});
    let script = script(settings, &names.to_string(), &arguments);
    Local { env: environment(settings), ..Local::of([Script::Inline(script)]) }
}

/// Says which of ansible's programs are missing, before anything is done.
fn must_be_installed(lowering: &mut Lowering<'_>, provisioner: &Provisioner) {
    let settings = &provisioner.settings;
    let own_path = settings.texts("ansible_env_vars").iter().any(|pair| pair.starts_with("PATH="));
    // Packer asks for the version at the beginning, too, and this is how it is told not to.
    if own_path || settings.flag("skip_version_check") == Some(true) {
        return;
    }
    let galaxy = settings.has("galaxy_file").then_some(("galaxy_command", GALAXY));
    for (key, usual) in [("command", PLAYBOOK)].into_iter().chain(galaxy) {
        let name = settings.text(key).unwrap_or(usual);
        if lowering.find(name).is_none() {
            let at = settings.get(key).map_or(&provisioner.at, |setting| &setting.at);
            let hint = "install Debian's package `ansible`, or give its path; \
                where a step before installs it, write skip_version_check = true";
            lowering.error(at, format!("there is no program `{name}` on this machine"), hint);
        }
    }
}

fn environment(settings: &Settings) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let mut env = vec![
        // Its own choice, `~/.ansible/tmp`, would stay in the image.
        ("ANSIBLE_REMOTE_TMP".into(), "/tmp".into()),
        // A module is run by one command in the image instead of five, which an emulator makes slow.
        ("ANSIBLE_PIPELINING".into(), "1".into()),
    ];
    let pairs = settings.texts("ansible_env_vars").into_iter().filter_map(|pair| pair.split_once('='));
    env.extend(pairs.map(|(name, value)| (name.into(), value.into())));
    for (key, name) in
        [("roles_path", "ANSIBLE_ROLES_PATH"), ("collections_path", "ANSIBLE_COLLECTIONS_PATH")]
    {
        if let Some(path) = settings.text(key) {
            env.push((name.into(), path.into()));
        }
    }
    env
}

/// What a shell runs, which stops at the first command that fails.
fn script(settings: &Settings, names: &str, arguments: &[String]) -> String {
    let playbook = quoted(settings.text("playbook_file").unwrap_or_default());
    let command = settings.text("command").unwrap_or(PLAYBOOK);
    let ansible = quoted(command);
    let mut lines = vec![
        // What the step is called, and no more.
        format!(": {ansible} {playbook}").replace('\n', " "),
        // The script lies in a folder that is its own, and goes with it.
        "folder=${0%/*}".to_owned(),
        format!("command -v {ansible} >/dev/null || {{"),
        format!(
            "  echo {} >&2",
            quoted(&format!("there is no `{command}` on this machine; Debian's package is `ansible`"))
        ),
        "  exit 127".to_owned(),
        "}".to_owned(),
    ];
    lines.extend(inventory(settings));
    lines.extend(galaxy(settings));
    let mut run = format!("{ansible} --inventory \"$folder/hosts\" --extra-vars {}", quoted(names));
    for argument in arguments {
        run += &format!(" {}", word(argument));
    }
    // One for whom nothing is meant is no failure to ansible.
    let names =
        "`hosts` has to name `all`, the image (`default`, or what `host_alias` says) or one of its `groups`";
    lines.extend([
        format!("{run} --list-hosts {playbook} > \"$folder/matched\""),
        "grep -q 'hosts ([1-9]' \"$folder/matched\" || {".to_owned(),
        "  cat \"$folder/matched\"".to_owned(),
        format!("  echo {} >&2", quoted(&format!("no play of the playbook is for the image: {names}"))),
        "  exit 1".to_owned(),
        "}".to_owned(),
        format!("{run} {playbook} || {{"),
        "  code=$?".to_owned(),
        format!("  [ -n \"$({} -t connection {CONNECTION} 2>/dev/null)\" ] ||", doc(settings)),
        format!("    echo {} >&2", quoted(&missing())),
        "  exit $code".to_owned(),
        "}".to_owned(),
    ]);
    lines.join("\n")
}

fn missing() -> String {
    format!(
        "this ansible has no connection {CONNECTION}: install Debian's package `ansible`, \
         or beside `ansible-core` run `ansible-galaxy collection install community.general`"
    )
}

/// The program that tells which connections there are: beside the one that is asked for.
fn doc(settings: &Settings) -> String {
    let program = settings.text("command").unwrap_or_default();
    quoted(&Path::new(program).with_file_name("ansible-doc").display().to_string())
}

/// Lines that write the image and its groups into a file, in ansible's INI format.
fn inventory(settings: &Settings) -> Vec<String> {
    let alias = settings.text("host_alias").unwrap_or(ALIAS);
    let mut words =
        vec![format!("\"{alias} ansible_host=$ARM_IMAGE_MOUNT_PATH ansible_connection={CONNECTION}\"")];
    for group in settings.texts("groups") {
        words.extend([quoted(&format!("[{group}]")), quoted(alias)]);
    }
    words.extend(settings.texts("empty_groups").iter().map(|group| quoted(&format!("[{group}]"))));
    let mut lines = vec![format!("printf '%s\\n' {} > \"$folder/hosts\"", words.join(" "))];
    if let Some(path) = settings.text("inventory_directory") {
        // ansible looks for them beside the inventory.
        let path =
            if Path::new(path).is_absolute() { quoted(path) } else { format!("\"$PWD\"/{}", quoted(path)) };
        lines.push(format!("ln -s {path}/group_vars {path}/host_vars \"$folder\""));
    }
    lines
}

fn galaxy(settings: &Settings) -> Option<String> {
    let program = settings.text("galaxy_command").unwrap_or(GALAXY);
    let mut line = format!("{} install -r {}", quoted(program), quoted(settings.text("galaxy_file")?));
    for (key, option) in
        [("galaxy_force_install", "--force"), ("galaxy_force_with_deps", "--force-with-deps")]
    {
        if settings.flag(key) == Some(true) {
            line += &format!(" {option}");
        }
    }
    Some(line)
}

/// An argument; the marks of `build.MountPath` stand outside of the quotes.
fn word(text: &str) -> String {
    match deferred::names(text)[..] {
        [] => quoted(text),
        _ => {
            let parts = deferred::replace(text, |_| "\0".to_owned());
            let pieces =
                parts.split('\0').map(|part| if part.is_empty() { String::new() } else { quoted(part) });
            pieces.collect::<Vec<_>>().join(MOUNT_PATH)
        }
    }
}
