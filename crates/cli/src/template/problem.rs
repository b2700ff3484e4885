//! What there is to say about a template, with its place.

use std::fmt;

use arm_image_template::{Position, Severity};
use serde::{Serialize, Serializer, ser::SerializeStruct};

/// One thing to say about a template: a mistake, or something its author should know. Nothing sensitive is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it keeps the template from being built.
    pub severity: Severity,
    /// Where it is; none for what was given on the command line or is missing altogether.
    pub position: Option<Position>,
    /// The offending text, its first line.
    pub text: Option<String>,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What would be right, where that is known.
    pub hint: Option<String>,
}

impl From<&arm_image_template::Problem> for Problem {
    fn from(problem: &arm_image_template::Problem) -> Self {
        Problem {
            severity: problem.severity,
            position: problem.position.clone(),
            text: problem.text.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}

impl fmt::Display for Problem {
    /// One to three lines: where and what, the text, and what would be right.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(text) = &self.text {
            write!(f, "\n    {text}")?;
        }
        self.hint.iter().try_for_each(|hint| write!(f, "\n    hint: {hint}"))
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_struct("Problem", 7)?;
        let position = self.position.as_ref();
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        all.serialize_field("severity", severity)?;
        all.serialize_field("file", &position.map(|position| &position.file))?;
        all.serialize_field("line", &position.map(|position| position.line))?;
        all.serialize_field("column", &position.map(|position| position.column))?;
        all.serialize_field("text", &self.text)?;
        all.serialize_field("message", &self.message)?;
        all.serialize_field("hint", &self.hint)?;
        all.end()
    }
}

/// A mistake that stands in no file.
pub(crate) fn outside(message: String, hint: Option<String>) -> Problem {
    Problem { severity: Severity::Error, position: None, text: None, message, hint }
}

/// All of them, below each other.
pub(crate) fn listing(problems: &[Problem]) -> String {
    let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    match errors[..] {
        [only] => only.to_string(),
        _ => {
            let lines: Vec<_> = errors.iter().map(|problem| format!("\n{problem}")).collect();
            format!("the template has {} mistakes{}", errors.len(), lines.concat())
        }
    }
}
