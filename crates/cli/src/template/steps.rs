//! Provisioners, lowered to steps.

mod ansible;
mod local;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use arm_image_chroot::{Download, Owner, Script, Scripts, Source, Upload};
use arm_image_template::{Provisioner, Setting, Settings, Source as Built};

pub(super) use local::local;

use super::fields::{self, Part};
use super::lowering::{Lowering, SCRIPTS_ARE_KEPT_APART};
use crate::{Step, Work};

const NO_EFFECT: &[(&str, &str)] = &[
    ("binary", "a script is taken byte by byte anyway"),
    ("remote_folder", SCRIPTS_ARE_KEPT_APART),
    ("remote_file", SCRIPTS_ARE_KEPT_APART),
    ("remote_path", SCRIPTS_ARE_KEPT_APART),
    ("skip_clean", SCRIPTS_ARE_KEPT_APART),
];

/// The steps that `provisioner` stands for in a build of `source`; `env` is for all that runs in the image.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    source: &Built,
    provisioner: &Provisioner,
    env: &[(OsString, OsString)],
) -> Vec<Step> {
    let works = match provisioner.kind.as_str() {
        "shell" => shell(lowering, provisioner, env).into_iter().collect(),
        "file" => files(lowering, provisioner),
        "shell-local" => local(lowering, &provisioner.settings, &provisioner.at, true)
            .map(Work::Local)
            .into_iter()
            .collect(),
        "ansible" => vec![Work::Local(ansible::lower(lowering, source, provisioner))],
        _ if provisioner.settings.flag("disable") == Some(true) => Vec::new(),
        _ => {
            let note = provisioner.settings.text("note").unwrap_or_default().to_owned();
            lowering.refuse_deferred(&provisioner.at, &note);
            vec![Work::Breakpoint(note)]
        }
    };
    let count = works.len();
    let paced = works.into_iter().enumerate().map(|(index, work)| Step {
        pause_before: provisioner.pause_before.filter(|_| index == 0).unwrap_or_default(),
        pause_after: pause_after(&provisioner.settings).filter(|_| index + 1 == count).unwrap_or_default(),
        timeout: provisioner.timeout,
        retries: u32::try_from(provisioner.max_retries).unwrap_or(u32::MAX),
        generated: provisioner.settings.flag("generated") == Some(true)
            && matches!(work, Work::Upload(Upload { from: Source::Path(_), .. })),
        ..Step::of(work)
    });
    paced.collect()
}

fn shell(
    lowering: &mut Lowering<'_>,
    provisioner: &Provisioner,
    env: &[(OsString, OsString)],
) -> Option<Work> {
    let settings = &provisioner.settings;
    lowering.all_without_effect(settings, NO_EFFECT);
    for (_, setting) in settings.iter() {
        each_text(&setting.value, &mut |text| lowering.refuse_deferred(&setting.at, text));
    }
    let env_file = settings.flag("use_env_var_file") == Some(true);
    if let Some(setting) = settings.get("execute_command")
        && let Some(text) = setting.value.as_str()
    {
        let known = [".Path", ".Vars", ".EnvVarFile"];
        check_braces(lowering, setting, text, if env_file { &known } else { &known[..2] });
        if !fields::parts(text).contains(&Part::Field(".Path")) {
            let message = "`execute_command` runs no script, as it has no `{{ .Path }}`";
            lowering.warning(&setting.at, message, "as in \"{{ .Vars }} {{ .Path }}\"");
        }
    }
    if let Some(setting) = settings.get("env_var_format")
        && settings.text("env_var_format").is_some_and(|text| text.matches("%s").count() != 2)
    {
        let message = "`env_var_format` has to have two `%s`, for the name and the value";
        lowering.error(&setting.at, message, "as in \"export %s='%s'\\n\"");
    }
    // What Packer runs where it is not said; to set the variables and run the script is the same, but for these two.
    let usual = match (env_file, settings.has("env_var_format")) {
        (true, _) => Some("chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"),
        (false, true) => Some("chmod +x {{.Path}}; {{.Vars}} {{.Path}}"),
        (false, false) => None,
    };
    let scripts = scripts(lowering, settings);
    let valid = valid_exit_codes(lowering, settings);
    Some(Work::Scripts(Scripts {
        env: env.iter().cloned().chain(variables(settings)).collect(),
        execute_command: settings.text("execute_command").or(usual).map(str::to_owned),
        env_format: settings.text("env_var_format").map(str::to_owned),
        env_file,
        user: settings.text("user").map(str::to_owned),
        directory: inside(settings.text("working_directory").unwrap_or_default()),
        valid_exit_codes: valid,
        ..Scripts::of(scripts)
    }))
}

/// What `inline`, `script` and `scripts` name.
fn scripts(lowering: &mut Lowering<'_>, settings: &Settings) -> Vec<Script> {
    let mut scripts = Vec::new();
    if settings.has("inline") {
        let lines = settings.texts("inline").join("\n");
        scripts.push(Script::Inline(match settings.text("inline_shebang") {
            // What runs it anyway.
            None | Some("/bin/sh -e") => lines,
            Some(interpreter) => format!("#!{interpreter}\n{lines}\n"),
        }));
    }
    for key in ["script", "scripts"] {
        let Some(setting) = settings.get(key) else { continue };
        for path in settings.text(key).into_iter().chain(settings.texts(key)) {
            must_be_there(lowering, setting, path);
            if Path::new(path).is_dir() {
                let hint = "give the script's own path; `scripts` takes several";
                lowering.error(&setting.at, format!("`{path}` is a folder, and no script"), hint);
            }
            scripts.push(Script::File(path.into()));
        }
    }
    scripts
}

fn must_be_there(lowering: &mut Lowering<'_>, setting: &Setting, path: &str) {
    if let Err(cause) = Path::new(path).metadata() {
        let message = format!("`{path}` cannot be read: {cause}");
        lowering.error(
            &setting.at,
            message,
            "a path is relative to the folder that the program runs in; `${path.root}` is the template's",
        );
    }
}

/// The variables that `environment_vars` and `env` set, in this order.
fn variables(settings: &Settings) -> Vec<(OsString, OsString)> {
    let pairs = settings.texts("environment_vars").into_iter().filter_map(|pair| pair.split_once('='));
    let map = settings.get("env").and_then(|setting| setting.value.as_map());
    let map = map.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    pairs.chain(map).map(|(name, value)| (name.into(), value.into())).collect()
}

fn valid_exit_codes(lowering: &mut Lowering<'_>, settings: &Settings) -> Vec<i32> {
    let Some(setting) = settings.get("valid_exit_codes") else { return vec![0] };
    let codes = setting.value.as_list().unwrap_or_default();
    let all: Option<Vec<i32>> =
        codes.iter().map(|code| i32::try_from(code.as_whole()?).ok().filter(|code| *code <= 255)).collect();
    all.unwrap_or_else(|| {
        lowering.error(&setting.at, "an exit code is a number from 0 to 255", "");
        vec![0]
    })
}

/// Says what in braces means nothing here.
pub(super) fn check_braces(lowering: &mut Lowering<'_>, setting: &Setting, text: &str, known: &[&str]) {
    for part in fields::parts(text) {
        match part {
            Part::Field(name) if !known.contains(&name) => {
                let message = format!("`{{{{ {name} }}}}` means nothing here");
                let names: Vec<_> = known.iter().map(|name| format!("`{{{{ {name} }}}}`")).collect();
                lowering.error(&setting.at, message, format!("there are {}", names.join(" and ")));
            }
            Part::Open => lowering.error(&setting.at, "a `{{` has no `}}`", ""),
            Part::Field(_) | Part::Text(_) => {}
        }
    }
}

/// Calls `visit` for every string in `value`.
pub(super) fn each_text(value: &arm_image_template::Value, visit: &mut dyn FnMut(&str)) {
    if let Some(text) = value.as_str() {
        visit(text);
    }
    value.as_list().into_iter().flatten().for_each(|value| each_text(value, visit));
    value.as_map().into_iter().flat_map(|map| map.values()).for_each(|value| each_text(value, visit));
}

fn files(lowering: &mut Lowering<'_>, provisioner: &Provisioner) -> Vec<Work> {
    let settings = &provisioner.settings;
    for (_, setting) in settings.iter() {
        each_text(&setting.value, &mut |text| lowering.refuse_deferred(&setting.at, text));
    }
    let destination = settings.text("destination").unwrap_or_default();
    let sources = settings.text("source").into_iter().chain(settings.texts("sources"));
    if settings.text("direction") == Some("download") {
        if let Some(setting) = settings.get("destination")
            && settings.texts("sources").len() > 1
            && !destination.ends_with('/')
            && !Path::new(destination).is_dir()
        {
            let message = "each of `sources` may replace the one before";
            lowering.warning(&setting.at, message, "let it end with `/`, so that it is a folder");
        }
        let download = |from: &str| Work::Download(Download { from: inside(from), to: destination.into() });
        return sources.map(download).collect();
    }
    let mode = settings.text("mode").and_then(|digits| u32::from_str_radix(digits, 8).ok());
    let owner = settings.text("owner").map(Owner::from);
    let upload = |from| Work::Upload(Upload { from, to: inside(destination), mode, owner: owner.clone() });
    if let Some(content) = settings.text("content") {
        if let Some(setting) = settings.get("destination").filter(|_| destination.ends_with('/')) {
            let hint = "end it with the name of the file";
            lowering.error(&setting.at, "`content` needs the name of a file to go to", hint);
        }
        return vec![upload(Source::Content(content.into()))];
    }
    let sources: Vec<&str> = sources.collect();
    let setting = settings.get("source").or_else(|| settings.get("sources"));
    if let Some(setting) = setting.filter(|_| settings.flag("generated") != Some(true)) {
        for path in &sources {
            must_be_there(lowering, setting, path);
        }
    }
    sources.into_iter().map(|from| upload(Source::Path(from.into()))).collect()
}

/// A path in the image; a relative one is relative to its root.
fn inside(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

fn pause_after(settings: &Settings) -> Option<Duration> {
    duration(settings.text("pause_after")?)
}

/// A duration that the template has checked: `1h30m`, `10s`, `1.5m`, or `0`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim().trim_start_matches('+');
    let mut seconds = 0.0;
    while !rest.is_empty() && rest != "0" {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, unit_and_rest) = rest.split_at(digits);
        let end = unit_and_rest.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, behind) = unit_and_rest.split_at(end.unwrap_or(unit_and_rest.len()));
        seconds += number.parse::<f64>().ok()?
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = behind;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let seconds = |text| duration(text).map(|length| length.as_secs_f64());
        assert_eq!(
            (seconds("10s"), seconds("1h30m"), seconds("1.5m")),
            (Some(10.0), Some(5400.0), Some(90.0))
        );
        assert_eq!((seconds("0"), seconds("250ms")), (Some(0.0), Some(0.25)));
        assert_eq!((duration("10"), duration("s"), duration("1x")), (None, None, None));
    }
}
