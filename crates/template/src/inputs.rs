//! What a template is evaluated with: everything it could ask the machine for.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::io;
use std::path::Path;

use crate::Text;

/// What functions such as `file()` may see of the file system.
///
/// Paths are absolute or relative to [`Inputs::root`] joined to it already, as the template wrote them.
pub trait Files: Debug {
    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Whether there is a regular file at `path`.
    fn exists(&self, path: &Path) -> bool;

    /// The regular files below `folder`, relative to it, with `/` between names.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
}

/// No files at all: `file()` and its like fail.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A template with all that it is evaluated with; see [`parse`](crate::parse).
#[derive(Clone)]
pub struct Inputs<'a> {
    /// The template: one or several `*.pkr.hcl`, or one JSON file.
    pub templates: Vec<Text>,
    /// `*.auto.pkrvars.hcl` and `*.auto.pkrvars.json` from the template's folder; taken in the order of their names.
    pub automatic: Vec<Text>,
    /// What `-var-file` named, in the order given.
    pub variable_files: Vec<Text>,
    /// What `-var NAME=VALUE` gave, in the order given.
    pub variables: Vec<(String, String)>,
    /// The environment: `PKR_VAR_name` sets variables, and `env()` looks here.
    pub environment: BTreeMap<String, String>,
    /// What functions see of the file system.
    pub files: &'a dyn Files,
    /// `path.root` and `{{template_dir}}`: the folder of the template.
    pub root: String,
    /// `path.cwd` and `{{pwd}}`: the folder the program runs in.
    pub working_folder: String,
    /// What `~` stands for.
    pub home: Option<String>,
    /// `build.PackerRunUUID`: what tells this run from others.
    pub run: String,
    /// The time of the build in seconds since 1970 began, UTC.
    pub now: i64,
    /// Whether variables may be without a value, as for a list of what is in the template: what needs them is left out
    /// then, and nothing can be built.
    pub incomplete: bool,
    /// Random bytes, from which `uuidv4()`, `{{uuid}}` and salts are derived.
    pub seed: [u8; 32],
}

impl<'a> Inputs<'a> {
    /// A template alone: no variables, an empty environment, the first second of 1970.
    pub fn new(templates: Vec<Text>, files: &'a dyn Files) -> Self {
        Self {
            templates,
            automatic: Vec::new(),
            variable_files: Vec::new(),
            variables: Vec::new(),
            environment: BTreeMap::new(),
            files,
            root: ".".to_owned(),
            working_folder: ".".to_owned(),
            home: None,
            run: String::new(),
            now: 0,
            incomplete: false,
            seed: [0; 32],
        }
    }
}

impl Debug for Inputs<'_> {
    /// Without the values of variables and the environment, which may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |texts: &[Text]| texts.iter().map(|text| text.name.clone()).collect::<Vec<_>>();
        formatter
            .debug_struct("Inputs")
            .field("templates", &names(&self.templates))
            .field("automatic", &names(&self.automatic))
            .field("variable_files", &names(&self.variable_files))
            .field("variables", &self.variables.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("root", &self.root)
            .field("working_folder", &self.working_folder)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
