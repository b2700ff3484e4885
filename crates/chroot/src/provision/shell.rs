//! Scripts that run inside the image.

use super::{Provisioner, run_to_success};
use crate::{ChrootRunner, Command, Error, Node, OutputTick};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What a [`Scripts`] step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// This text. Without a `#!` line it is run by `/bin/sh -e`, which ends at the first command that fails.
    Inline(String),
    /// A file on the host. Its `#!` line names its interpreter in the image; without one it is run by `/bin/sh`.
    File(PathBuf),
}

impl Script {
    fn describe(&self) -> String {
        match self {
            Script::Inline(text) => abridged(text),
            Script::File(path) => path.display().to_string(),
        }
    }

    /// Its text, and its place in the image's private `/run`, where no program has a reason to fill anything up.
    fn load(&self) -> Result<(Vec<u8>, PathBuf), Error> {
        let (name, text) = match self {
            Script::Inline(text) => (OsStr::new("inline"), text.as_bytes().to_vec()),
            Script::File(path) => {
                let text = fs::read(path).map_err(|source| Error::Source { path: path.clone(), source })?;
                (path.file_name().unwrap_or(OsStr::new("script")), text)
            }
        };
        // Nothing in it that means something to a shell.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let name = name.as_bytes().iter().map(|&byte| if plain(byte) { char::from(byte) } else { '_' });
        Ok((text, format!("/run/arm-image/{}", name.collect::<String>()).into()))
    }

    /// How it is run from `place`.
    fn words(&self, text: &[u8], place: &Path) -> Vec<OsString> {
        // A program without a first line of its own may still be one the kernel knows by its first bytes.
        let own = text.starts_with(b"#!") || text.starts_with(b"\x7fELF");
        let interpreter: &[&str] = match self {
            _ if own => &[],
            Script::Inline(_) => &["/bin/sh", "-e"],
            Script::File(_) => &["/bin/sh"],
        };
        interpreter.iter().map(OsString::from).chain([place.into()]).collect()
    }
}

/// Runs scripts inside the image, one after the other, up to the first that fails.
///
/// Each is put into the image's private `/run` for as long as it runs.
///
/// ```
/// use arm_image_chroot::{Script, Scripts};
///
/// let update = Scripts {
///     user: Some("pi".into()),
///     directory: "/home/pi".into(),
///     ..Scripts::of([Script::Inline("#!/bin/bash -ex\ngit clone /srv/project".into())])
/// };
/// # let _ = update;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripts {
    /// The scripts, in their order.
    pub scripts: Vec<Script>,
    /// Variables for them, as in [`Command::env`].
    pub env: Vec<(OsString, OsString)>,
    /// The working directory inside the image; `/` unless said.
    pub directory: PathBuf,
    /// The user of the image who runs them, instead of root, through the image's `su`.
    pub user: Option<String>,
    /// What the image's `/bin/sh` is given for each script instead of running it outright, with `{{ .Path }}` for
    /// where the script is and `{{ .Vars }}` for the variables as `NAME='value'`.
    ///
    /// An example is `chmod +x {{ .Path }}; env {{ .Vars }} bash -x {{ .Path }}`.
    pub execute_command: Option<String>,
    /// How `{{ .Vars }}` and the file below hold each variable: the first `%s` is its name, and the second its value,
    /// with what a text in single quotes needs. `None`: `NAME='value'` with spaces between, and in the file lines of
    /// `export NAME='value'`.
    pub env_format: Option<String>,
    /// Whether a file holds the variables too, for as long as a script runs: `{{ .EnvVarFile }}` is where it is.
    pub env_file: bool,
    /// The exit codes that are success; 0 unless said.
    pub valid_exit_codes: Vec<i32>,
}

impl Scripts {
    /// These scripts, with everything else as it is unless said.
    pub fn of(scripts: impl IntoIterator<Item = Script>) -> Scripts {
        Scripts {
            scripts: scripts.into_iter().collect(),
            env: Vec::new(),
            directory: "/".into(),
            user: None,
            execute_command: None,
            env_format: None,
            env_file: false,
            valid_exit_codes: vec![0],
        }
    }

    fn run(&self, script: &Script, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        let (mut text, place) = script.load()?;
        let mut argv = match &self.execute_command {
            Some(template) => {
                if matches!(script, Script::Inline(_)) && !text.starts_with(b"#!") {
                    // What is run by its name is run by what its first line names.
                    text.splice(0..0, *b"#!/bin/sh -e\n");
                }
                vec!["/bin/sh".into(), "-c".into(), self.render(template, &place)?]
            }
            None => script.words(&text, &place),
        };
        if let Some(user) = &self.user {
            // Without a login: variables and working directory stay. The first word becomes the shell's `$0`.
            let su = ["su", "-s", "/bin/sh", "-c", "exec \"$0\" \"$@\"", "--", user];
            argv.splice(0..0, su.iter().map(OsString::from));
        }
        let command =
            Command { env: self.env.clone(), directory: self.directory.clone(), ..Command::new(argv) };
        root.create(&place, Node::File(&mut text.as_slice()), 0o755)?;
        let ran = self.with_env_file(root, |root| {
            run_to_success(root, &command, &script.describe(), &self.valid_exit_codes, tick)
        });
        // A failed command is the error to tell; and a script may have removed itself, or all of /run.
        let _ = root.remove(&place);
        ran
    }

    /// Does `work` while the file of the variables is there, where one is wanted.
    fn with_env_file(
        &self,
        root: &mut dyn ChrootRunner,
        work: impl FnOnce(&mut dyn ChrootRunner) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.env_file {
            return work(root);
        }
        let format = self.env_format.as_deref().unwrap_or("export %s='%s'\n");
        let text = variables(&self.env, format);
        // Another user has to read it; this folder is the build's own.
        let mode = if self.user.is_some() { 0o644 } else { 0o600 };
        root.create(ENV_FILE.as_ref(), Node::File(&mut text.as_slice()), mode)?;
        let done = work(root);
        let _ = root.remove(ENV_FILE.as_ref());
        done
    }

    /// Fills in an [`execute_command`](Scripts::execute_command).
    fn render(&self, template: &str, place: &Path) -> Result<OsString, Error> {
        let refuse = |reason: String| Error::ExecuteCommand { template: template.into(), reason };
        let mut line = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or_else(|| refuse("a `{{` has no `}}`".into()))?;
            line.extend_from_slice(before.as_bytes());
            match name.trim() {
                ".Path" => line.extend_from_slice(place.as_os_str().as_bytes()),
                ".Vars" => match &self.env_format {
                    Some(format) => line.extend_from_slice(&variables(&self.env, format)),
                    None => line.extend_from_slice(variables(&self.env, "%s='%s' ").trim_ascii_end()),
                },
                ".EnvVarFile" if self.env_file => line.extend_from_slice(ENV_FILE.as_bytes()),
                ".EnvVarFile" => return Err(refuse("no file of variables was asked for".into())),
                other => {
                    return Err(refuse(format!("`{other}` is none of `.Path`, `.Vars` and `.EnvVarFile`")));
                }
            }
            rest = behind;
        }
        line.extend_from_slice(rest.as_bytes());
        Ok(OsString::from_vec(line))
    }
}

/// Where the file of the variables is.
const ENV_FILE: &str = "/run/arm-image/variables";

impl Provisioner for Scripts {
    fn describe(&self) -> String {
        match self.scripts.as_slice() {
            [one] => one.describe(),
            all => format!("{} scripts", all.len()),
        }
    }

    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        self.scripts.iter().try_for_each(|script| self.run(script, root, tick))
    }
}

/// The variables one after the other, as `format` has each, whose first `%s` is the name and whose second the value.
fn variables(env: &[(OsString, OsString)], format: &str) -> Vec<u8> {
    let mut parts = format.splitn(3, "%s");
    let [before, between, after] = [(); 3].map(|()| parts.next().unwrap_or_default().as_bytes());
    let mut text = Vec::new();
    for (name, value) in env {
        text.extend_from_slice(before);
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(between);
        for &byte in value.as_bytes() {
            match byte {
                b'\'' => text.extend_from_slice(b"'\\''"),
                byte => text.push(byte),
            }
        }
        text.extend_from_slice(after);
    }
    text
}

/// The first line of `text` that does something, cut to a readable length.
fn abridged(text: &str) -> String {
    const LONGEST: usize = 72;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or_default();
    let mut short: String = first.chars().take(LONGEST).collect();
    if lines.next().is_some() || short.len() < first.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
#[path = "shell/tests.rs"]
mod tests;
