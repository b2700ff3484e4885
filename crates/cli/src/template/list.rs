//! What is in a template, in words and as JSON.

use std::fmt::Write;

use arm_image_template::{Template, deferred};
use serde_json::{Value, json};

use super::{PostProcessor, Prepared, TemplateBuild};
use crate::Error;

impl Prepared {
    /// The variables, sources, provisioners and post-processors, for people.
    pub fn list(&self) -> String {
        let template = &self.template;
        let mut text = String::new();
        let mut line = |line: String| {
            text += &line;
            text.push('\n');
        };
        for variable in &template.variables {
            let about = variable.description.as_ref().map_or(String::new(), |about| format!("  # {about}"));
            line(format!("variable       {} = {}{about}", variable.name, variable.value));
        }
        for build in &template.builds {
            line(format!("build          {}", build.name));
            line(format!("  source       {}.{}", build.source.kind, build.source.name));
            for provisioner in &build.provisioners {
                line(format!("  provisioner  {}", provisioner.kind));
            }
            for processor in build.post_processors.iter().flatten() {
                line(format!("  post-processor {}", processor.kind));
            }
        }
        shown(template, &text)
    }

    /// The same with all keys, as JSON on one line.
    pub fn list_json(&self) -> String {
        let template = &self.template;
        let list = json!({
            "syntax": template.syntax,
            "variables": template.variables,
            "locals": template.locals,
            "builds": template.builds,
        });
        each_string(list, &|text| shown(template, text)).to_string()
    }

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
                let _ = writeln!(text, "then       {}", processor.work);
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
                json!({"post_processor": processor.work.to_string(), "keep_input": processor.keep_input})
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
