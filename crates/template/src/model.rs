//! A template as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::redact::{redact, redact_part};
use crate::{Position, Problem, Value};

/// What a template was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Syntax {
    /// HCL2.
    Hcl,
    /// The JSON of Packer before 1.5.
    Json,
}

/// A template, evaluated.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Template {
    /// What it was written in.
    pub syntax: Syntax,
    /// Its variables, by name.
    pub variables: Vec<Variable>,
    /// Its locals, by name.
    pub locals: Vec<Local>,
    /// One entry for each source of each `build` block, in their order.
    pub builds: Vec<Build>,
    /// The sources that no build uses.
    pub unused_sources: Vec<Source>,
    /// What its author should know.
    pub warnings: Vec<Problem>,
    pub(crate) secrets: Secrets,
}

/// The sensitive strings of a template, longest first.
#[derive(Clone, Default)]
pub(crate) struct Secrets(pub(crate) Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} strings", self.0.len())
    }
}

impl Template {
    /// `text` with every sensitive value of the template replaced by `(sensitive)`: for logs, events and errors.
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.secrets.0)
    }

    /// The same for a part of a longer text that was cut before or after it, maybe in the middle of a sensitive value.
    pub fn redact_part(&self, text: &str, cut_before: bool, cut_after: bool) -> String {
        redact_part(text, &self.secrets.0, cut_before, cut_after)
    }

    /// Whether [`Template::redact`] has anything to replace.
    pub fn has_secrets(&self) -> bool {
        !self.secrets.0.is_empty()
    }
}

/// Where the value of a variable comes from, weakest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Its declaration.
    Default,
    /// `PKR_VAR_name` in the environment.
    Environment,
    /// A file of variables, automatic or given.
    File(String),
    /// `-var name=value`.
    CommandLine,
    /// Nowhere: it has none.
    Missing,
}

/// A variable with its value.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value: [`Value::Sensitive`] where it is called so.
    pub value: Value,
    /// Its type as written.
    pub kind: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its value must not be shown.
    pub sensitive: bool,
    /// Where its value comes from.
    pub origin: Origin,
    /// Where it is declared.
    #[serde(skip)]
    pub at: Position,
}

/// A local with its value.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where it is.
    #[serde(skip)]
    pub at: Position,
}

/// What is to be done with one source.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Build {
    /// The name of the `build` block, where it has one.
    pub block: Option<String>,
    /// The whole name, which `-only` and `-except` match: `[block.]type.name`, or the builder's name in JSON.
    pub name: String,
    /// What is built from.
    pub source: Source,
    /// What is done to it: those that are for this source, in order, overrides applied.
    pub provisioners: Vec<Provisioner>,
    /// What is done to the result: groups, each of which begins with the result and hands on from one to the next.
    pub post_processors: Vec<Vec<PostProcessor>>,
    /// What is done when a provisioner fails.
    pub error_cleanup: Option<Provisioner>,
}

/// A source.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Source {
    /// Its type: `arm-image` or `arm`.
    pub kind: String,
    /// Its name, as used in this build.
    pub name: String,
    /// Its keys.
    pub settings: Settings,
    /// Where it is.
    #[serde(skip)]
    pub at: Position,
}

/// A provisioner.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Provisioner {
    /// Its type: `shell`, `file` and so on.
    pub kind: String,
    /// Its keys.
    pub settings: Settings,
    /// How long to wait before it.
    pub pause_before: Option<Duration>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// How often it is tried again when it fails.
    pub max_retries: u64,
    /// Where it is.
    #[serde(skip)]
    pub at: Position,
}

/// A post-processor.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PostProcessor {
    /// Its type: `checksum`, `compress`, `manifest` or `shell-local`.
    pub kind: String,
    /// Its name, by which `-except` can leave it out.
    pub name: Option<String>,
    /// Its keys.
    pub settings: Settings,
    /// Whether what it is given stays, where that was said.
    pub keep_input_artifact: Option<bool>,
    /// Where it is.
    #[serde(skip)]
    pub at: Position,
}

/// The keys of a source, provisioner or post-processor that were set, each of the type it has to have.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Settings(pub(crate) BTreeMap<String, Setting>);

/// The value of a key, and where it was set.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Where it was set.
    #[serde(skip)]
    pub at: Position,
}

impl Settings {
    /// What `key` was set to.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.0.get(key)
    }

    /// The string that `key` was set to.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.value.as_str()
    }

    /// The strings of the list that `key` was set to; empty where it was not set.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        let list = self.get(key).and_then(|setting| setting.value.as_list()).unwrap_or_default();
        list.iter().filter_map(Value::as_str).collect()
    }

    /// The whole number that `key` was set to.
    pub fn whole(&self, key: &str) -> Option<u64> {
        self.get(key)?.value.as_whole()
    }

    /// Whether `key` was set to true or false.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key)?.value.as_bool()
    }

    /// The keys with what they were set to, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// Whether `key` was set.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}
