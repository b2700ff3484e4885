//! Scripts that run on this machine.

use std::ffi::OsString;

use arm_image_chroot::Script;
use arm_image_template::{Position, Settings, deferred};

use super::{check_braces, each_text, scripts, valid_exit_codes, variables};
use crate::{Local, local::MOUNTED, template::lowering::Lowering};

const NO_EFFECT: &[(&str, &str)] = &[
    ("tempfile_extension", "no program looks at it"),
    ("env_var_format", "variables are set for the script"),
];

/// What a `shell-local` runs; nothing where that is for other systems only. A provisioner has the image `mounted`, a
/// post-processor has not.
pub(in crate::template) fn local(
    lowering: &mut Lowering<'_>,
    settings: &Settings,
    at: &Position,
    mounted: bool,
) -> Option<Local> {
    lowering.all_without_effect(settings, NO_EFFECT);
    for (key, setting) in settings.iter() {
        let seen = ["inline", "command", "env", "environment_vars"].contains(&key);
        each_text(&setting.value, &mut |text| {
            let names = deferred::names(text);
            let known = seen && names.iter().all(|name| *name == "MountPath");
            if names.contains(&"MountPath") && !mounted {
                lowering.error(&setting.at, "the image is not mounted any more", "use a provisioner");
            } else if known && !names.is_empty() {
                lowering.needs_to_be_seen(&setting.at);
            } else if !known && names.contains(&"MountPath") {
                let hint = "scripts find it in the variable ARM_IMAGE_MOUNT_PATH";
                let message = "`build.MountPath` is known in commands and variables only";
                lowering.error(&setting.at, message, hint);
            } else if !known {
                lowering.refuse_deferred(&setting.at, text);
            }
        });
    }
    let interpreter = interpreter(lowering, settings);
    let mut scripts = scripts(lowering, settings);
    if let Some(command) = settings.text("command") {
        scripts.push(Script::Inline(command.to_owned()));
    }
    for script in &mut scripts {
        if let Script::Inline(text) = script {
            *text = deferred::replace(text, |_| MOUNTED.to_owned());
        }
    }
    if settings.has("only_on") && !settings.texts("only_on").contains(&"linux") {
        lowering.warning(at, "this is not for Linux, and passed over", "");
        return None;
    }
    let valid_exit_codes = valid_exit_codes(lowering, settings);
    Some(Local { interpreter, env: variables(settings), valid_exit_codes, ..Local::of(scripts) })
}

/// The words that `execute_command` has before the script; none where it is what happens anyway.
fn interpreter(lowering: &mut Lowering<'_>, settings: &Settings) -> Vec<OsString> {
    let Some(setting) = settings.get("execute_command") else { return Vec::new() };
    let words = settings.texts("execute_command");
    for word in &words {
        check_braces(lowering, setting, word, &[".Script", ".Vars", ".Command"]);
    }
    let plain: Vec<String> = words.iter().map(|word| word.split_whitespace().collect()).collect();
    let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
    match &plain[..] {
        // The variables are set, and the script is run by what its first line names, or by a shell.
        ["/bin/sh" | "sh" | "/bin/bash" | "bash", "-c", rest @ ..]
            if ["{{.Vars}}{{.Script}}", "{{.Vars}}{{.Command}}", "{{.Script}}", "{{.Command}}"]
                .contains(&rest.concat().as_str()) =>
        {
            Vec::new()
        }
        [interpreter @ .., last]
            if ["{{.Script}}", "{{.Command}}"].contains(last)
                && !interpreter.is_empty()
                && interpreter.iter().all(|word| !word.contains("{{") && *word != "-c") =>
        {
            words[..words.len() - 1].iter().map(OsString::from).collect()
        }
        _ => {
            let why = "a script is run by what its first line names, or by a program that is given it";
            let hint = "as in [\"/bin/bash\", \"-x\", \"{{.Script}}\"]";
            lowering.unsupported("execute_command", setting, why, hint);
            Vec::new()
        }
    }
}
