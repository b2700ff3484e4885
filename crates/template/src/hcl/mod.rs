//! Templates in HCL2.

mod body;
mod builds;
mod document;
mod dynamic;
mod locals;
mod sources;
mod steps;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use crate::Value;
use crate::braces::PACKER_VERSION;
use crate::evaluate::Scope;
use crate::model::{Build, Local, Source, Variable};
use crate::session::Session;

/// What a template says.
pub(crate) struct Parts {
    pub(crate) variables: Vec<Variable>,
    pub(crate) locals: Vec<Local>,
    pub(crate) builds: Vec<Build>,
    pub(crate) unused_sources: Vec<Source>,
}

/// Evaluates the templates among the inputs of `session`, reporting there what is wrong with them.
pub(crate) fn evaluate(session: &Session<'_>) -> Parts {
    let bodies = document::parse_all(session);
    let document = document::read(session, &bodies);
    let mut scope = Scope::default();
    scope.names.insert(
        "path".to_owned(),
        map([("cwd", session.inputs.working_folder.as_str()), ("root", session.inputs.root.as_str())]),
    );
    scope.names.insert("packer".to_owned(), map([("version", PACKER_VERSION)]));
    let variables = variables::evaluate(session, &document.variables, &mut scope);
    let locals = locals::evaluate(session, &document.locals, &mut scope);
    let (builds, unused_sources) = builds::evaluate(session, &document, &scope);
    Parts { variables, locals, builds, unused_sources }
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect())
}

/// Nothing is broken.
static NOTHING: BTreeSet<String> = BTreeSet::new();

/// The scope's map of that name, to which entries can be added.
fn entries<'s>(scope: &'s mut Scope<'_>, name: &str) -> &'s mut BTreeMap<String, Value> {
    let value = scope.names.entry(name.to_owned()).or_insert(Value::Null);
    if !matches!(value, Value::Map(_)) {
        *value = Value::Map(BTreeMap::new());
    }
    match value {
        Value::Map(map) => map,
        _ => unreachable!("it was made a map"),
    }
}
