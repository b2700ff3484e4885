//! What is in a template, in words and as JSON.

use std::fmt::{self, Write};

use arm_image_template::{Build, Origin, Template, deferred};
use serde_json::{Value, json};

use super::{PostProcessor, Prepared, Problem, TemplateBuild};
use crate::Error;

/// What is in a template, of which some variables may have no value.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The template. Its [`redact`](Template::redact) is for every text that goes out.
    pub template: Template,
    /// The builds that were chosen.
    pub builds: Vec<Build>,
    /// What its author should know.
    pub warnings: Vec<Problem>,
}

impl fmt::Display for Listed {
    /// Variables, locals, builds with their sources, provisioners and post-processors, and sources that no build uses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let template = &self.template;
        let mut lines = Vec::new();
        for variable in &template.variables {
            let value = match variable.origin {
                Origin::Missing => "(no value)".to_owned(),
                _ => variable.value.to_string(),
            };
            let about = variable.description.as_ref().map_or(String::new(), |about| format!("  # {about}"));
            lines.push(format!("variable       {} = {value}{about}", variable.name));
        }
        for local in &template.locals {
            lines.push(format!("local          {} = {}", local.name, local.value));
        }
        for build in &self.builds {
            lines.push(format!("build          {}", build.name));
            lines.push(format!("  source       {}.{}", build.source.kind, build.source.name));
            for provisioner in &build.provisioners {
                lines.push(format!("  provisioner  {}", provisioner.kind));
            }
            if let Some(provisioner) = &build.error_cleanup {
                lines.push(format!("  error-cleanup-provisioner {}", provisioner.kind));
            }
            for processor in build.post_processors.iter().flatten() {
                lines.push(format!("  post-processor {}", processor.kind));
            }
        }
        for source in &template.unused_sources {
            lines.push(format!("unused source  {}.{}", source.kind, source.name));
        }
        f.write_str(&shown(template, &lines.join("\n")))
    }
}

impl Listed {
    /// The same with all keys, as JSON on one line.
    pub fn to_json(&self) -> String {
        let template = &self.template;
        let list = json!({
            "syntax": template.syntax,
            "variables": template.variables,
            "locals": template.locals,
            "builds": self.builds,
            "unused_sources": template.unused_sources,
        });
        each_string(list, &|text| shown(template, text)).to_string()
    }
}

impl Prepared {
    /// The plans and what follows them, for people.
    pub fn plans(&self) -> String {
        let several = self.builds.len() > 1;
        let mut text = String::new();
        for (index, build) in self.builds.iter().enumerate() {
            let (gap, head) = (
                if index > 0 { "\n" } else { "" },
                if several { format!("build      {}\n", build.name) } else { String::new() },
            );
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}{head}{}", build.plan);
            for processor in build.after.iter().flatten() {
                let _ = writeln!(text, "then       {}", build.told(&processor.work));
            }
        }
        shown(&self.template, &text)
    }

    /// The plans as JSON: a line for each build, the same as for a build by options. What options do not have is left
    /// out where there is none: the name where there is but one build, and `then` for post-processors.
    ///
    /// # Errors
    ///
    /// None that is known: a plan is JSON that can be read again.
    pub fn plans_json(&self) -> Result<String, Error> {
        let several = self.builds.len() > 1;
        let lines = self.builds.iter().map(|build| {
            let plan = plan_json(build, several)?;
            Ok(each_string(plan, &|text| shown(&self.template, text)).to_string())
        });
        Ok(lines.collect::<Result<Vec<_>, Error>>()?.join("\n"))
    }
}

fn plan_json(build: &TemplateBuild, named: bool) -> Result<Value, Error> {
    let mut plan: Value = serde_json::from_str(&build.plan.to_json()).map_err(|error| Error::File {
        operation: "read the plan of",
        path: build.name.clone().into(),
        cause: error.into(),
    })?;
    if named {
        plan["build"] = build.name.as_str().into();
    }
    if !build.after.is_empty() {
        let group = |group: &Vec<PostProcessor>| -> Value {
            let words = group.iter().map(|processor| {
                json!({"post_processor": build.told(&processor.work), "keep_input": processor.keep_input})
            });
            words.collect()
        };
        plan["then"] = build.after.iter().map(group).collect();
    }
    Ok(plan)
}

/// A text without secrets, and with what is known later as the template wrote it.
fn shown(template: &Template, text: &str) -> String {
    template.redact(&deferred::replace(text, |name| format!("${{build.{name}}}")))
}

/// `value` with `change` made to each of its strings: in JSON text, escapes could hide a secret.
pub fn each_string(value: Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(&text).into(),
        Value::Array(list) => list.into_iter().map(|value| each_string(value, change)).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (change(&key), each_string(value, change)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}
