//! From a template's builds to plans, and everything that can be said on the way.

use std::path::{Path, PathBuf};

use arm_image_template::{Build, Position, Setting, Severity, Source, Template, Text, deferred};

use super::{Problem, TemplateBuild, after, arm, arm_image, steps, written::Written};
use crate::{Error, Isolation, Plan};

/// Why a key of the connection or of temporary files does nothing.
pub(super) const SCRIPTS_ARE_KEPT_APART: &str =
    "scripts are put into a `/run` of the build's own, which ends with it";

/// Lowers, and collects what is to be said.
#[derive(Debug)]
pub(super) struct Lowering<'a> {
    template: &'a Template,
    texts: &'a [Text],
    pub(super) base: &'a Plan,
    found: Vec<Problem>,
    /// Where programs of this machine are to see the image.
    seen: Option<Position>,
    pub(super) written: Written,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(template: &'a Template, texts: &'a [Text], base: &'a Plan) -> Self {
        let found = template.warnings.iter().map(Problem::from).collect();
        Lowering { template, texts, base, found, seen: None, written: Written::default() }
    }

    /// All of `builds`; what is wrong with them is kept for [`finish`](Lowering::finish).
    pub(super) fn builds(&mut self, builds: &[Build], run: &str) -> Vec<TemplateBuild> {
        let mut lowered: Vec<TemplateBuild> = Vec::new();
        for build in builds {
            let plan = self.plan(build);
            let keys = ["output_filename", "output_directory", "image_path"];
            let setting = keys.iter().find_map(|key| build.source.settings.get(key));
            let at = setting.map_or(&build.source.at, |setting| &setting.at);
            if plan.output.file_name().is_none() || plan.output.to_string_lossy().ends_with('/') {
                let message = format!("`{}` is no name of a file", plan.output.display());
                self.error(at, message, "as in \"images/kitchen.img\"");
            }
            self.written.add(&plan.output, at, false);
            lowered.push(TemplateBuild {
                name: build.name.clone(),
                source: build.source.name.clone(),
                kind: build.source.kind.clone(),
                run: run.to_owned(),
                after: after::lower(self, build),
                plan,
            });
        }
        let read = lowered.iter().flat_map(|build| build.plan.inputs());
        let texts = self.texts.iter().map(|text| Path::new(&*text.name));
        for (at, message, hint) in self.written.mistakes(read.chain(texts)) {
            self.error(&at, message, hint);
        }
        lowered
    }

    fn plan(&mut self, build: &Build) -> Plan {
        let mut plan = self.base.clone();
        plan.output = PathBuf::from(format!("output-{}", build.source.name)).join("image");
        let env = match build.source.kind.as_str() {
            "arm" => arm::lower(self, &build.source, &mut plan),
            _ => {
                arm_image::lower(self, &build.source, &mut plan);
                Vec::new()
            }
        };
        if let Err(Error::Plan { problem, hint }) = plan.enter.check() {
            let settings = &build.source.settings;
            let (keys, hint) = match hint.contains("--mount") {
                true => (
                    ["image_mounts", "image_partitions"],
                    "absolute paths in the image, none twice, and none in /dev, /proc, /run, /sys or /tmp",
                ),
                false => (
                    ["additional_chroot_mounts", "chroot_mounts"],
                    "a folder that is there, and an absolute path",
                ),
            };
            let setting = keys.iter().find_map(|key| settings.get(key));
            self.error(setting.map_or(&build.source.at, |setting| &setting.at), problem, hint);
        }
        for provisioner in &build.provisioners {
            plan.steps.extend(steps::lower(self, &build.source, provisioner, &env));
        }
        if let Some(provisioner) = &build.error_cleanup {
            plan.on_failure.extend(steps::lower(self, &build.source, provisioner, &env));
        }
        if let Some(at) = self.seen.take() {
            if plan.enter.isolation == Isolation::Guest {
                let message = "programs of this machine cannot see an image that is in a guest kernel";
                self.error(&at, message, "use --isolation host, or do it inside by a `shell` provisioner");
            }
            // So that it is said at the beginning where this machine cannot do it.
            plan.enter.isolation = Isolation::Host;
        }
        plan
    }

    /// Everything that is to be said and is no mistake.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, Error> {
        self.found.sort_by(|one, other| one.position.cmp(&other.position));
        match self.found.iter().any(|problem| problem.severity == Severity::Error) {
            true => Err(Error::Template { problems: self.found }),
            false => Ok(self.found),
        }
    }

    pub(super) fn error(&mut self, at: &Position, message: impl AsRef<str>, hint: impl AsRef<str>) {
        self.push(Severity::Error, at, message.as_ref(), hint.as_ref());
    }

    pub(super) fn warning(&mut self, at: &Position, message: impl AsRef<str>, hint: impl AsRef<str>) {
        self.push(Severity::Warning, at, message.as_ref(), hint.as_ref());
    }

    /// Says that the key does nothing here, and why.
    pub(super) fn no_effect(&mut self, key: &str, setting: &Setting, why: &str) {
        self.warning(&setting.at, format!("the key `{key}` has no effect: {why}"), "");
    }

    /// Says that the key asks for what there is not.
    pub(super) fn unsupported(&mut self, key: &str, setting: &Setting, why: &str, hint: &str) {
        self.error(&setting.at, format!("the key `{key}` is not supported: {why}"), hint);
    }

    /// Says for each of `keys` that is set why it does nothing.
    pub(super) fn all_without_effect(
        &mut self,
        settings: &arm_image_template::Settings,
        keys: &[(&str, &str)],
    ) {
        for (key, why) in keys {
            // What is switched off has no effect anywhere.
            if let Some(setting) = settings.get(key).filter(|setting| setting.value.as_bool() != Some(false))
            {
                self.no_effect(key, setting, why);
            }
        }
    }

    /// Keeps in mind that something is done by programs of this machine that have to see the image.
    pub(super) fn needs_to_be_seen(&mut self, at: &Position) {
        self.seen.get_or_insert_with(|| at.clone());
    }

    /// The program called `name`: a path, or a name to be looked for in the search path.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(name);
        if name.contains('/') {
            return path.is_file().then_some(path);
        }
        self.base.enter.search.iter().map(|folder| folder.join(&path)).find(|path| path.is_file())
    }

    /// The program that the key names.
    pub(super) fn program(&mut self, source: &Source, key: &str) -> Option<PathBuf> {
        let setting = source.settings.get(key)?;
        let name = setting.value.as_str()?;
        let found = self.find(name);
        if found.is_none() {
            let message = format!("there is no program `{name}`");
            match source.kind.as_str() {
                // That plugin wants the key in every template, and has the program in a container of its own.
                "arm" => self.warning(&setting.at, message, "a static qemu is looked for where programs are"),
                _ => {
                    let hint =
                        "install qemu-user-static, or leave the key out: a static qemu is found by itself";
                    self.error(&setting.at, message, hint);
                }
            }
        }
        found
    }

    /// Says that `text` cannot hold what is known only while the build runs, where it does.
    pub(super) fn refuse_deferred(&mut self, at: &Position, text: &str) {
        if let Some(name) = deferred::names(text).first() {
            let hint = match *name {
                "MountPath" => "in the commands of shell-local it is; `shell` runs inside the image, at `/`",
                _ => "there is no connection to a machine",
            };
            self.error(at, format!("`build.{name}` is not known here"), hint);
        }
    }

    fn push(&mut self, severity: Severity, at: &Position, message: &str, hint: &str) {
        let line = self.texts.iter().find(|text| text.name == at.file).and_then(|text| {
            let line = text.text.lines().nth(at.line.checked_sub(1)?)?.trim();
            // To cut it could cut a secret in two, of which a half would show.
            (!line.is_empty() && line.chars().count() <= 100).then(|| self.template.redact(line))
        });
        let problem = Problem {
            severity,
            position: Some(at.clone()),
            text: line,
            message: self.template.redact(message),
            hint: (!hint.is_empty()).then(|| self.template.redact(hint)),
        };
        // A block that several builds have in common is wrong once.
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }
}
