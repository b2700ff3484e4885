//! What is wrong with a template, or about to be.

use std::fmt;

use crate::{Build, Position};

/// How much a [`Problem`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The template cannot be built.
    Error,
    /// It can, and its author should know something.
    Warning,
}

/// One thing to say about a template. Nothing sensitive is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Whether it keeps the template from being built.
    pub severity: Severity,
    /// Where it is; none for what was given by `-var` or is missing altogether.
    pub position: Option<Position>,
    /// The offending text, its first line.
    pub text: Option<String>,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What would be right, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    /// One to three lines: what and where, the text, and what would be right.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(formatter, "{position}: ")?;
        }
        if self.severity == Severity::Warning {
            formatter.write_str("warning: ")?;
        }
        formatter.write_str(&self.message)?;
        if let Some(text) = &self.text {
            write!(formatter, "\n    {text}")?;
        }
        match &self.hint {
            Some(hint) => write!(formatter, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why there is nothing to build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template has mistakes: all that were found, and warnings, in the order of their places.
    #[error("{}", count(problems))]
    Invalid {
        /// What was found.
        problems: Vec<Problem>,
    },
    /// `-only` and `-except` leave no build.
    #[error("{}", if names.is_empty() { "the template has no build" } else { "no build is left by -only and -except" })]
    NothingSelected {
        /// The full names of the builds there are.
        names: Vec<String>,
    },
    /// A pattern of `-only` or `-except` cannot be read.
    #[error("`{pattern}` is no pattern for names of builds")]
    Pattern {
        /// The pattern as given.
        pattern: String,
    },
}

fn count(problems: &[Problem]) -> String {
    let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    match errors[..] {
        [only] => only.to_string(),
        _ => format!("the template has {} mistakes", errors.len()),
    }
}

impl Error {
    /// Everything that was found in the template, warnings too.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems } => problems,
            Self::NothingSelected { .. } | Self::Pattern { .. } => &[],
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } => None,
            Self::NothingSelected { names } if names.is_empty() => {
                Some("add a `build` block that names a source".to_owned())
            }
            Self::NothingSelected { names } => Some(format!("the builds are called {}", names.join(", "))),
            Self::Pattern { .. } => {
                Some("`*`, `?`, `[abc]` and `{a,b}` have a meaning in patterns".to_owned())
            }
        }
    }

    pub(crate) fn nothing_selected(builds: &[Build]) -> Self {
        Self::NothingSelected { names: builds.iter().map(|build| build.name.clone()).collect() }
    }
}
