//! The keys of provisioners.

use super::Kind::{Duration, Flag, OneOf, Text, TextMap, Texts, Whole, Wholes};
use super::Status::{Current, Ignored};
use super::{Complaint, Key, Schema, complaint, one_of, pairs, required, variables};
use crate::model::Settings;

/// The types of provisioners there are.
pub(crate) const TYPES: &[&str] = &["shell", "shell-local", "file", "ansible", "breakpoint"];

/// The keys of a provisioner of that type.
pub(crate) fn provisioner(kind: &str) -> Option<&'static Schema> {
    match kind {
        "shell" => Some(&SHELL),
        "shell-local" => Some(&SHELL_LOCAL),
        "file" => Some(&FILE),
        "ansible" => Some(&ANSIBLE),
        "breakpoint" => Some(&BREAKPOINT),
        _ => None,
    }
}

const NO_CONNECTION: &str = "there is no connection that could be lost";

static SHELL: Schema = Schema {
    keys: &[
        ("inline", Texts, Current),
        ("script", Text, Current),
        ("scripts", Texts, Current),
        ("binary", Flag, Current),
        ("environment_vars", Texts, Current),
        ("env", TextMap, Current),
        ("env_var_format", Text, Current),
        ("use_env_var_file", Flag, Current),
        ("execute_command", Text, Current),
        ("inline_shebang", Text, Current),
        ("remote_folder", Text, Current),
        ("remote_file", Text, Current),
        ("remote_path", Text, Current),
        ("skip_clean", Flag, Current),
        ("valid_exit_codes", Wholes, Current),
        ("start_retry_timeout", Duration, Ignored(NO_CONNECTION)),
        ("expect_disconnect", Flag, Ignored(NO_CONNECTION)),
        ("pause_after", Duration, Current),
        // Not Packer's, but ours.
        ("user", Text, Current),
        ("working_directory", Text, Current),
    ],
    check: check_shell,
};

fn check_shell(settings: &Settings) -> Vec<Complaint> {
    let mut found = one_of(settings, &["inline", "script", "scripts"]);
    found.extend(check_variables(settings));
    if settings.has("inline") && settings.flag("binary") == Some(true) {
        found.push(complaint(Some("binary"), "`binary` goes with a script, not with `inline`", ""));
    }
    found
}

/// The variables of a script.
fn check_variables(settings: &Settings) -> Vec<Complaint> {
    let mut found = pairs(settings, "environment_vars");
    let map = settings.get("env").and_then(|setting| setting.value.as_map());
    found.extend(variables("env", map.into_iter().flatten().map(|(name, _)| name.as_str())));
    found
}

/// Also the keys of the post-processor of that name.
pub(super) const SHELL_LOCAL_KEYS: &[Key] = &[
    ("inline", Texts, Current),
    ("script", Text, Current),
    ("scripts", Texts, Current),
    ("command", Text, Current),
    ("execute_command", Texts, Current),
    ("inline_shebang", Text, Current),
    ("environment_vars", Texts, Current),
    ("env", TextMap, Current),
    ("env_var_format", Text, Current),
    ("only_on", Texts, Current),
    ("tempfile_extension", Text, Current),
    ("use_linux_pathing", Flag, Ignored("paths are those of this machine")),
    ("valid_exit_codes", Wholes, Current),
];

pub(super) fn check_shell_local(settings: &Settings) -> Vec<Complaint> {
    let mut found = one_of(settings, &["inline", "script", "scripts", "command"]);
    found.extend(check_variables(settings));
    found
}

static SHELL_LOCAL: Schema = Schema { keys: SHELL_LOCAL_KEYS, check: check_shell_local };

static FILE: Schema = Schema {
    keys: &[
        ("source", Text, Current),
        ("sources", Texts, Current),
        ("content", Text, Current),
        ("destination", Text, Current),
        ("direction", OneOf(&["upload", "download"]), Current),
        ("generated", Flag, Current),
        // Not Packer's, but ours.
        ("mode", Text, Current),
        ("owner", Text, Current),
    ],
    check: check_file,
};

fn check_file(settings: &Settings) -> Vec<Complaint> {
    let mut found = one_of(settings, &["source", "sources", "content"]);
    found.extend(required(settings, &["destination"]));
    if settings.text("direction") == Some("download") {
        if settings.has("content") {
            let hint = "name the `source` in the image";
            found.push(complaint(Some("content"), "`content` cannot be downloaded", hint));
        }
        for key in ["mode", "owner"].into_iter().filter(|key| settings.has(key)) {
            found.push(complaint(
                Some(key),
                format!("`{key}` is of what goes into the image"),
                "leave it out",
            ));
        }
    }
    let is_mode =
        |text: &str| text.len() <= 5 && u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o7777);
    if settings.text("mode").is_some_and(|text| !is_mode(text)) {
        found.push(complaint(
            Some("mode"),
            "`mode` is the permission bits in octal digits",
            "mode = \"0644\"",
        ));
    }
    let is_owner = |text: &str| text.split(':').count() <= 2 && text.split(':').all(|part| !part.is_empty());
    if settings.text("owner").is_some_and(|text| !is_owner(text)) {
        found.push(complaint(
            Some("owner"),
            "`owner` is a user, or a user and a group",
            "owner = \"pi:users\"",
        ));
    }
    found
}

const NO_SSH: &str = "ansible reaches the image by its chroot, not by SSH";

static ANSIBLE: Schema = Schema {
    keys: &[
        ("playbook_file", Text, Current),
        ("command", Text, Current),
        ("extra_arguments", Texts, Current),
        ("ansible_env_vars", Texts, Current),
        ("groups", Texts, Current),
        ("empty_groups", Texts, Current),
        ("host_alias", Text, Current),
        ("user", Text, Current),
        ("inventory_file", Text, Current),
        ("inventory_file_template", Text, Current),
        ("inventory_directory", Text, Current),
        ("keep_inventory_file", Flag, Current),
        ("galaxy_file", Text, Current),
        ("galaxy_command", Text, Current),
        ("galaxy_force_install", Flag, Current),
        ("galaxy_force_with_deps", Flag, Current),
        ("roles_path", Text, Current),
        ("collections_path", Text, Current),
        ("skip_version_check", Flag, Current),
        ("use_proxy", Flag, Ignored(NO_SSH)),
        ("local_port", Whole, Ignored(NO_SSH)),
        ("sftp_command", Text, Ignored(NO_SSH)),
        ("use_sftp", Flag, Ignored(NO_SSH)),
        ("ssh_host_key_file", Text, Ignored(NO_SSH)),
        ("ssh_authorized_key_file", Text, Ignored(NO_SSH)),
        ("ansible_proxy_key_type", Text, Ignored(NO_SSH)),
        ("ansible_ssh_extra_args", Texts, Ignored(NO_SSH)),
    ],
    check: |settings| {
        let mut found = required(settings, &["playbook_file"]);
        found.extend(pairs(settings, "ansible_env_vars"));
        found
    },
};

static BREAKPOINT: Schema =
    Schema { keys: &[("disable", Flag, Current), ("note", Text, Current)], check: |_| Vec::new() };
