//! Values that variables are given from outside: environment, files and arguments, weakest first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Declared, attributes};
use crate::evaluate::{Evaluator, Scope, Type};
use crate::hcl::document::{parse, span};
use crate::legacy::json_entries;
use crate::model::Origin;
use crate::session::{Fault, Session};
use crate::suggest;
use crate::{Text, Value, deferred};

/// The variables there are, by name.
type Named<'n, 'a> = BTreeMap<&'n str, &'n Declared<'a>>;

/// The last value that each variable was given.
#[derive(Default)]
pub(super) struct Assignments {
    values: BTreeMap<String, (Value, Origin)>,
    broken: BTreeSet<String>,
}

impl Assignments {
    pub(super) fn read(session: &Session<'_>, declared: &[Declared<'_>]) -> Self {
        let mut all = Self::default();
        let named: Named<'_, '_> =
            declared.iter().map(|variable| (variable.name.as_str(), variable)).collect();
        let inputs = session.inputs;
        for variable in declared {
            if let Some(text) = inputs.environment.get(&format!("PKR_VAR_{}", variable.name)) {
                let value = literal(session, variable, text);
                all.set_outside(session, variable, value, Origin::Environment, "PKR_VAR_");
            }
        }
        let mut automatic: Vec<&Text> = inputs.automatic.iter().collect();
        automatic.sort_by(|left, right| left.name.cmp(&right.name));
        for text in automatic.into_iter().chain(&inputs.variable_files) {
            all.read_file(session, &named, text);
        }
        for (name, text) in &inputs.variables {
            match named.get(name.as_str()) {
                Some(variable) => {
                    let value = literal(session, variable, text);
                    all.set_outside(session, variable, value, Origin::CommandLine, "-var ");
                }
                None if session.is_full() => break,
                None => {
                    let names = named.keys().take(200).copied();
                    let message = format!("-var {name}: there is no such variable");
                    session.error_outside(message, suggest::hint(name, names));
                }
            }
        }
        all
    }

    pub(super) fn take(&mut self, name: &str) -> Option<(Value, Origin)> {
        self.values.remove(name)
    }

    pub(super) fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    /// Takes a value that stands in no file.
    fn set_outside(
        &mut self,
        session: &Session<'_>,
        variable: &Declared<'_>,
        value: Result<Value, Fault>,
        origin: Origin,
        prefix: &str,
    ) {
        match value.and_then(|value| variable.accept(session, value)) {
            Ok(value) => drop(self.values.insert(variable.name.clone(), (value, origin))),
            Err(fault) => {
                let message = format!("{prefix}{}: {}", variable.name, variable.discreet(fault).message);
                let hint =
                    variable.kind_text.as_ref().map(|kind| format!("the variable is of type `{kind}`"));
                session.error_outside(message, hint);
                self.broken.insert(variable.name.clone());
            }
        }
    }

    fn read_file(&mut self, session: &Session<'_>, named: &Named<'_, '_>, text: &Text) {
        if text.is_json() {
            for (name, key, value) in json_entries(session, text) {
                self.set_in_file(session, named, text, &name, &key, || Ok(value));
            }
        } else if let Some(body) = parse(session, text, false) {
            for block in body.blocks().take(1) {
                let message = "a file of variables holds no blocks";
                session.error(text, &span(&block.ident), message, "name = value".to_owned());
            }
            let evaluator = Evaluator::new(session);
            for (name, key, expression) in attributes(&body) {
                let secret = named.get(name).is_some_and(|variable| variable.sensitive);
                if secret {
                    session.keep_secret_part(text, span(expression));
                }
                self.set_in_file(session, named, text, name, &key, || {
                    evaluator.keep(expression, &Scope::default())
                });
            }
        }
    }

    fn set_in_file(
        &mut self,
        session: &Session<'_>,
        named: &Named<'_, '_>,
        text: &Text,
        name: &str,
        key: &Range<usize>,
        value: impl FnOnce() -> Result<Value, Fault>,
    ) {
        if session.is_full() || session.spend(1).is_err() {
            return;
        }
        let Some(variable) = named.get(name) else {
            let names = named.keys().take(200).copied();
            session.warning(text, key, format!("there is no variable `{name}`"), suggest::hint(name, names));
            return;
        };
        match value().and_then(|value| variable.accept(session, value)) {
            Ok(value) => {
                self.values.insert(name.to_owned(), (value, Origin::File(text.name.clone())));
            }
            Err(fault) => {
                // The value itself is not shown: files of variables are where secrets are kept.
                let fault = Fault { range: None, ..variable.discreet(fault) };
                session.fault(
                    text,
                    fault.hint(
                        variable.kind_text.as_ref().map(|kind| format!("the variable is of type `{kind}`")),
                    ),
                    key,
                );
                self.broken.insert(name.to_owned());
            }
        }
    }
}

/// A value given as text: itself for a string or a number, and an expression for everything else.
fn literal(session: &Session<'_>, variable: &Declared<'_>, text: &str) -> Result<Value, Fault> {
    if variable.sensitive {
        session.keep_secret(&Value::from(text));
    }
    if deferred::is_in(text) {
        return Err(Fault::new("the text is not UTF-8"));
    }
    session.spend(text.len() as u64 / 4)?;
    let plain = match (&variable.kind, variable.default) {
        (Some(kind), _) => matches!(kind, Type::Any | Type::Text | Type::Number | Type::Flag),
        (None, Some(default)) => {
            use hcl_edit::expr::Expression;
            !matches!(default, Expression::Array(_) | Expression::Object(_) | Expression::ForExpr(_))
        }
        (None, None) => true,
    };
    if plain {
        return Ok(Value::from(text));
    }
    let expression = hcl_edit::parser::parse_expr(text.trim())
        .map_err(|error| Fault::new(format!("the value is no expression of HCL: {}", error.message())))?;
    let value = Evaluator::new(session).keep(&expression, &Scope::default());
    value.map_err(|fault| Fault { range: None, ..fault })
}
