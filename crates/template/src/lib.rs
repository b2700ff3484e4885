//! Packer's templates, HCL2 and JSON, read and evaluated as plain data.
//!
//! Texts go in, values come out: nothing is opened, asked for or run. What a template could ask the machine for (files,
//! the environment, the time, randomness) is given by the caller in [`Inputs`]. Every mistake is told with its place, the
//! offending text and what would be right, and all of them at once.
//!
//! ```
//! use arm_image_template::{Inputs, NoFiles, Text, parse};
//!
//! let text = r#"
//!     variable "release" { default = "bookworm" }
//!     source "arm-image" "pi" {
//!       iso_url      = "https://example.org/raspios-${var.release}.img.xz"
//!       iso_checksum = "none"
//!     }
//!     build {
//!       sources = ["source.arm-image.pi"]
//!       provisioner "shell" { inline = ["apt-get update"] }
//!     }
//! "#;
//! let template = parse(&Inputs::new(vec![Text::new("pi.pkr.hcl", text)], &NoFiles))?;
//! let build = &template.builds[0];
//! assert_eq!(build.name, "arm-image.pi");
//! assert_eq!(build.source.settings.text("iso_url"), Some("https://example.org/raspios-bookworm.img.xz"));
//! assert_eq!(build.provisioners[0].settings.texts("inline"), ["apt-get update"]);
//! # Ok::<(), arm_image_template::Error>(())
//! ```
//!
//! Variables and locals called sensitive make every value derived from them a [`Value::Sensitive`], which does not print;
//! [`Template::redact`] keeps their text out of anything else. What is known only while a build runs, such as
//! `build.MountPath`, stays a mark in a string; see [`deferred`].
//!
//! The work that a template can ask for is limited, and so is the depth of everything in it: no input hangs or overflows
//! the stack.

mod assemble;
mod braces;
pub mod deferred;
mod evaluate;
mod functions;
mod glob;
mod hcl;
mod inputs;
mod keys;
mod legacy;
mod model;
mod problem;
mod redact;
mod select;
mod session;
mod suggest;
mod text;
mod value;

pub use inputs::{Files, Inputs, NoFiles};
pub use model::{
    Build, Local, Origin, PostProcessor, Provisioner, Setting, Settings, Source, Syntax, Template, Variable,
};
pub use problem::{Error, Problem, Severity};
pub use text::{Position, Text};
pub use value::{Sensitive, Value};

use session::Session;

/// Reads and evaluates a template: one JSON text, or any number of texts in HCL2.
///
/// Which it is, the names tell: `*.json` is JSON, and everything else HCL2.
///
/// # Errors
///
/// [`Error::Invalid`], with everything that is wrong with the template and its variables.
pub fn parse(inputs: &Inputs<'_>) -> Result<Template, Error> {
    let session = Session::new(inputs);
    let mut template = Template {
        syntax: Syntax::Hcl,
        variables: Vec::new(),
        locals: Vec::new(),
        builds: Vec::new(),
        unused_sources: Vec::new(),
        warnings: Vec::new(),
        secrets: model::Secrets::default(),
    };
    match &inputs.templates[..] {
        [] => session
            .error_outside("there is no template", "templates are called *.pkr.hcl, or *.json".to_owned()),
        texts if texts.iter().any(Text::is_hcl_in_json) => {
            for text in texts.iter().filter(|text| text.is_hcl_in_json()) {
                let hint = "write it as *.pkr.hcl".to_owned();
                let message = "HCL2 in the syntax of JSON (*.pkr.json) is not supported";
                session.error(text, &(0..0), message, hint);
            }
        }
        [json] if json.is_json() => {
            template.syntax = Syntax::Json;
            (template.variables, template.builds) = legacy::evaluate(&session, json);
        }
        texts if texts.iter().any(Text::is_json) => {
            session.error_outside("a template in JSON is one file, without any in HCL2", None);
        }
        _ => {
            let parts = hcl::evaluate(&session);
            template.variables = parts.variables;
            template.locals = parts.locals;
            template.builds = parts.builds;
            template.unused_sources = parts.unused_sources;
        }
    }
    let (problems, secrets) = session.finish();
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Error::Invalid { problems });
    }
    template.warnings = problems;
    template.secrets = model::Secrets(secrets);
    Ok(template)
}
