//! Packer's templates, lowered to [`Plan`]s.
//!
//! [`prepare`] reads a template and all that belongs to it, and says everything that is wrong with it before anything
//! is done; [`TemplateBuild::build`] then builds it.
//! `docs/templates.md` says what each key becomes.

mod after;
mod arm;
mod arm_image;
mod fields;
mod files;
mod list;
mod lowering;
mod mounts;
mod problem;
mod quote;
mod steps;
mod written;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use arm_image_chroot::{Provisioner, Script, Scripts};
use arm_image_template::{Inputs, Template};

pub use after::{After, Compression, Digest, PostProcessor};
pub use list::{Listed, each_string};
pub use problem::Problem;

pub(crate) use problem::listing;

use crate::{Error, Local, OnEvent, Plan, Work};
use files::{Disk, Texts, text};
use lowering::Lowering;

/// What a template is read with.
#[derive(Clone, Default)]
pub struct Request {
    /// The template: a file, or a folder that holds `*.pkr.hcl`.
    pub path: PathBuf,
    /// Values of variables, in the order given.
    pub variables: Vec<(String, String)>,
    /// Files of variables, in the order given.
    pub variable_files: Vec<PathBuf>,
    /// Patterns of the names of builds, of which one has to match; all builds where there is none.
    pub only: Vec<String>,
    /// Patterns of the names of builds and post-processors to leave out.
    pub except: Vec<String>,
    /// The environment: `PKR_VAR_name` sets a variable, and `env()` looks here.
    pub environment: BTreeMap<String, String>,
    /// The folder that the process runs in.
    pub working_folder: PathBuf,
    /// The time in seconds since 1970 began, UTC.
    pub now: i64,
    /// Random bytes.
    pub seed: [u8; 32],
}

impl fmt::Debug for Request {
    /// Without the values of variables and the environment, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("path", &self.path)
            .field("variables", &self.variables.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("variable_files", &self.variable_files)
            .field("only", &self.only)
            .field("except", &self.except)
            .finish_non_exhaustive()
    }
}

/// A template that can be built.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The template, evaluated. Its [`redact`](Template::redact) is for every text that goes out while it is built.
    pub template: Template,
    /// What is to be built, in the template's order.
    pub builds: Vec<TemplateBuild>,
    /// What its author should know.
    pub warnings: Vec<Problem>,
}

/// One build of a template.
#[derive(Debug, Clone)]
pub struct TemplateBuild {
    /// Its whole name, which `--only` matches.
    pub name: String,
    /// The name of its source, as `{{.BuildName}}` gives it.
    pub source: String,
    /// The type of its source, as `{{.BuilderType}}` gives it.
    pub kind: String,
    /// The name of the run that it belongs to, a UUID.
    pub run: String,
    /// What to build.
    pub plan: Plan,
    /// What is done to the image then: groups, each of which begins with the image.
    pub after: Vec<Vec<PostProcessor>>,
}

impl TemplateBuild {
    /// Makes the image, as [`build`](crate::build) does, runs the post-processors on it, and gives what is there in the
    /// end: the image, or what was made of it where each group packed it without keeping it.
    ///
    /// Scripts find `PACKER_BUILD_NAME` and `PACKER_BUILDER_TYPE` beside the variables of the plan.
    ///
    /// # Errors
    ///
    /// Those of [`build`](crate::build), and [`Error::PostProcessor`] for the first that failed; the image is still there
    /// then.
    pub fn build(&self, scratch: &Path, on: OnEvent<'_>) -> Result<Vec<PathBuf>, Error> {
        let mut plan = self.plan.clone();
        for step in plan.steps.iter_mut().chain(&mut plan.on_failure) {
            if let Work::Scripts(Scripts { env, .. }) | Work::Local(Local { env, .. }) = &mut step.work {
                // What the template sets itself comes later, and so counts.
                env.splice(0..0, self.variables());
            }
        }
        crate::build(&plan, scratch, on)?;
        self.finish(scratch, on)
    }

    /// What Packer sets for every script.
    fn variables(&self) -> [(OsString, OsString); 2] {
        [("PACKER_BUILD_NAME", &self.source), ("PACKER_BUILDER_TYPE", &self.kind)]
            .map(|(name, value)| (name.into(), value.into()))
    }

    /// What stages and errors call the steps, where that shows a part of something sensitive, and what to say instead.
    ///
    /// They cut long lines short: what is left of a secret then, [`redact`](Template::redact) does not know.
    pub fn disguises(&self, template: &Template) -> Vec<(String, String)> {
        let inline = self.plan.all_steps().flat_map(|step| match &step.work {
            Work::Scripts(Scripts { scripts, .. }) | Work::Local(Local { scripts, .. }) => &scripts[..],
            _ => &[],
        });
        let after = self.after.iter().flatten().flat_map(|processor| match &processor.work {
            After::Local(Local { scripts, .. }) => &scripts[..],
            _ => &[],
        });
        let called = |script: Script| Scripts::of([script]).describe();
        let pairs = inline.chain(after).filter_map(|script| match script {
            Script::Inline(text) => {
                Some((called(script.clone()), called(Script::Inline(template.redact(text)))))
            }
            Script::File(_) => None,
        });
        pairs.filter(|(shown, hidden)| shown != hidden && !shown.is_empty()).collect()
    }
}

/// Reads the template that `request` names and lowers its builds to plans that differ from `base` in what the template
/// says: where downloads are kept and where the work is done is not a template's business.
///
/// Nothing is fetched, written or run.
///
/// # Errors
///
/// [`Error::Template`], with everything that is wrong.
pub fn prepare(request: &Request, base: &Plan) -> Result<Prepared, Error> {
    let texts = Texts::load(&request.path)?;
    let inputs = inputs(request, texts)?;
    let template = arm_image_template::parse(&inputs).map_err(refused)?;
    let selected = template.select(&request.only, &request.except).map_err(refused)?;
    let mut lowering = Lowering::new(&template, &inputs.templates, base);
    let builds = lowering.builds(&selected, &inputs.run);
    let warnings = lowering.finish()?;
    Ok(Prepared { template, builds, warnings })
}

/// Reads the template that `request` names, in which variables may have no value yet.
///
/// # Errors
///
/// [`Error::Template`], with everything that is wrong apart from that and from what only plans would show.
pub fn list(request: &Request) -> Result<Listed, Error> {
    let texts = Texts::load(&request.path)?;
    let mut inputs = inputs(request, texts)?;
    inputs.incomplete = true;
    let template = arm_image_template::parse(&inputs).map_err(refused)?;
    let everything = request.only.is_empty() && request.except.is_empty();
    let builds = match template.builds.is_empty() && everything {
        // Sources alone can be listed, too.
        true => Vec::new(),
        false => template.select(&request.only, &request.except).map_err(refused)?,
    };
    let warnings = template.warnings.iter().map(Problem::from).collect();
    Ok(Listed { template, builds, warnings })
}

fn inputs(request: &Request, texts: Texts) -> Result<Inputs<'static>, Error> {
    let mut inputs = Inputs::new(texts.templates, &Disk);
    inputs.automatic = texts.automatic;
    inputs.variable_files = request.variable_files.iter().map(|path| text(path)).collect::<Result<_, _>>()?;
    inputs.variables.clone_from(&request.variables);
    inputs.environment.clone_from(&request.environment);
    // Absolute, as functions take relative paths to start at the root already: `file("${path.root}/x")` works anywhere.
    let root: PathBuf = request.working_folder.join(&texts.root).components().collect();
    inputs.root = root.display().to_string();
    inputs.working_folder = request.working_folder.display().to_string();
    inputs.home = request.environment.get("HOME").cloned();
    inputs.run = run_of(&request.seed);
    inputs.now = request.now;
    inputs.seed = request.seed;
    Ok(inputs)
}

fn refused(error: arm_image_template::Error) -> Error {
    let mut problems: Vec<Problem> = error.problems().iter().map(Problem::from).collect();
    if problems.is_empty() {
        problems.push(problem::outside(error.to_string(), error.hint()));
    }
    Error::Template { problems }
}

/// A UUID of version 4 for a run; what else comes of the random bytes cannot be told from it.
fn run_of(seed: &[u8; 32]) -> String {
    use sha2::Digest as _;
    let mut digits: Vec<char> = sha2::Sha256::digest(seed)
        .iter()
        .take(16)
        .flat_map(|byte| format!("{byte:02x}").chars().collect::<Vec<_>>())
        .collect();
    digits[12] = '4';
    digits[16] = '8';
    let part = |range: std::ops::Range<usize>| digits[range].iter().collect::<String>();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}
