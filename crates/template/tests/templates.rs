//! Whole templates with what becomes of them: each file in `templates/` has its result in a file beside it.
//!
//! `NAME.inputs` gives a template more than an empty environment, in lines: `var NAME=VALUE`, `env NAME=VALUE`,
//! `auto FILE`, `var-file FILE`, `also FILE`, `only PATTERN`, `except PATTERN`. With `UPDATE_EXPECTED=1` in the
//! environment, the results are written instead of compared.

#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arm_image_template::{Build, Files, Inputs, Provisioner, Settings, Text, Value, deferred, parse};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates")
}

/// The files in `templates/files`, whatever folder the template believes to be in.
#[derive(Debug)]
struct Given;

impl Given {
    fn place(path: &Path) -> PathBuf {
        folder().join("files").join(path.strip_prefix("/work/template").unwrap_or(path))
    }
}

impl Files for Given {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(Self::place(path)).map_err(|error| error.kind().into())
    }

    fn exists(&self, path: &Path) -> bool {
        Self::place(path).is_file()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(Self::place(path))?;
        let files = entries.filter_map(Result::ok).filter(|entry| entry.path().is_file());
        Ok(files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }
}

#[derive(Default)]
struct Directives {
    also: Vec<Text>,
    auto: Vec<Text>,
    files: Vec<Text>,
    variables: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    only: Vec<String>,
    except: Vec<String>,
}

impl Directives {
    fn read(path: &Path) -> Self {
        let mut all = Self::default();
        for line in fs::read_to_string(path).unwrap_or_default().lines() {
            let (word, rest) = line.split_once(' ').expect("a word and what it is about");
            let text = || Text::new(rest, fs::read_to_string(folder().join("files").join(rest)).expect(rest));
            let pair = || {
                let (name, value) = rest.split_once('=').expect("NAME=VALUE");
                (name.to_owned(), value.to_owned())
            };
            match word {
                "also" => all.also.push(text()),
                "auto" => all.auto.push(text()),
                "var-file" => all.files.push(text()),
                "var" => all.variables.push(pair()),
                "env" => all.environment.push(pair()),
                "only" => all.only.push(rest.to_owned()),
                "except" => all.except.push(rest.to_owned()),
                other => panic!("{other} in {}", path.display()),
            }
        }
        all
    }
}

fn result_of(name: &str) -> String {
    let text = fs::read_to_string(folder().join(name)).expect(name);
    let directives = Directives::read(&folder().join(format!("{name}.inputs")));
    let mut inputs = Inputs::new(vec![Text::new(name, text)], &Given);
    inputs.templates.extend(directives.also);
    inputs.automatic = directives.auto;
    inputs.variable_files = directives.files;
    inputs.variables = directives.variables;
    inputs.environment = directives.environment.into_iter().collect();
    inputs.root = "/work/template".to_owned();
    inputs.working_folder = "/work".to_owned();
    inputs.home = Some("/home/maker".to_owned());
    inputs.now = 1_710_506_096;
    let mut result = String::new();
    match parse(&inputs) {
        Ok(template) => {
            for variable in &template.variables {
                writeln!(
                    result,
                    "variable {} = {} ({:?})",
                    variable.name,
                    show(&variable.value),
                    variable.origin
                )
                .unwrap();
            }
            for local in &template.locals {
                writeln!(result, "local {} = {}", local.name, show(&local.value)).unwrap();
            }
            match template.select(&directives.only, &directives.except) {
                Ok(builds) => builds.iter().for_each(|build| show_build(build, &mut result)),
                Err(error) => {
                    writeln!(result, "{error}\n    hint: {}", error.hint().unwrap_or_default()).unwrap()
                }
            }
            for warning in &template.warnings {
                writeln!(result, "{warning}").unwrap();
            }
            assert!(
                !template.has_secrets() || !format!("{template:?}").contains("hunter2"),
                "a secret shows"
            );
        }
        Err(error) => error.problems().iter().for_each(|problem| writeln!(result, "{problem}").unwrap()),
    }
    assert!(!result.contains("hunter2"), "a secret shows in:\n{result}");
    result
}

fn show(value: &Value) -> String {
    deferred::replace(
        &value.to_string().replace("\\u{fdd0}", "\u{fdd0}").replace("\\u{fdd1}", "\u{fdd1}"),
        |name| format!("<build.{name}>"),
    )
}

fn show_build(build: &Build, into: &mut String) {
    writeln!(into, "build {}", build.name).unwrap();
    writeln!(into, "  source {} {}", build.source.kind, build.source.name).unwrap();
    show_settings(&build.source.settings, into);
    build.provisioners.iter().for_each(|provisioner| show_provisioner("provisioner", provisioner, into));
    for (index, group) in build.post_processors.iter().enumerate() {
        for processor in group {
            write!(into, "  post-processor {index} {}", processor.kind).unwrap();
            if let Some(name) = &processor.name {
                write!(into, " name={name}").unwrap();
            }
            if let Some(keep) = processor.keep_input_artifact {
                write!(into, " keep={keep}").unwrap();
            }
            writeln!(into).unwrap();
            show_settings(&processor.settings, into);
        }
    }
    build.error_cleanup.iter().for_each(|provisioner| show_provisioner("error-cleanup", provisioner, into));
}

fn show_provisioner(what: &str, provisioner: &Provisioner, into: &mut String) {
    write!(into, "  {what} {}", provisioner.kind).unwrap();
    if let Some(pause) = provisioner.pause_before {
        write!(into, " pause={pause:?}").unwrap();
    }
    if let Some(timeout) = provisioner.timeout {
        write!(into, " timeout={timeout:?}").unwrap();
    }
    if provisioner.max_retries > 0 {
        write!(into, " retries={}", provisioner.max_retries).unwrap();
    }
    writeln!(into).unwrap();
    show_settings(&provisioner.settings, into);
}

fn show_settings(settings: &Settings, into: &mut String) {
    for (key, setting) in settings.iter() {
        writeln!(into, "    {key} = {}", show(&setting.value)).unwrap();
    }
}

#[test]
fn every_template_becomes_what_stands_beside_it() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let names =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".pkr.hcl") || name.ends_with(".json")).collect();
    names.sort();
    assert!(names.len() >= 60, "there are {} templates", names.len());
    let mut wrong = Vec::new();
    for name in names {
        let result = result_of(&name);
        let expected = folder().join(format!("{name}.expected"));
        if update {
            fs::write(&expected, &result).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != result {
            wrong.push(format!("{name} became\n{result}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
