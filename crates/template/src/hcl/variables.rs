//! Variables: declared in templates, set from outside.

mod assign;

use std::collections::{BTreeMap, btree_map::Entry};
use std::ops::Range;

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Structure};

use assign::Assignments;

use super::document::{Found, only_keys, span};
use super::entries;
use crate::evaluate::{Evaluator, Scope, Type};
use crate::model::{Origin, Variable};
use crate::session::{Fault, FaultKind, Session};
use crate::{Position, Text, Value};

/// A variable as declared.
pub(super) struct Declared<'a> {
    name: String,
    text: &'a Text,
    head: Range<usize>,
    kind: Option<Type>,
    kind_text: Option<String>,
    default: Option<&'a Expression>,
    description: Option<String>,
    sensitive: bool,
    /// Whether its type was reported as wrong: nothing that follows is a second mistake.
    broken: bool,
    validations: Vec<&'a Block>,
}

/// Gives every variable its value, which is in `scope` afterwards.
pub(super) fn evaluate(session: &Session<'_>, found: &[Found<'_>], scope: &mut Scope<'_>) -> Vec<Variable> {
    let mut declared: Vec<Declared<'_>> = Vec::new();
    let mut first: BTreeMap<String, Position> = BTreeMap::new();
    for block in found.iter().take_while(|_| !session.is_full()) {
        for variable in declarations(session, *block, scope) {
            let at = variable.text.position(variable.head.start);
            match first.entry(variable.name.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(at);
                    declared.push(variable);
                }
                Entry::Occupied(first) => {
                    let (name, first) = (first.key(), first.get());
                    let message = format!("the variable `{name}` is declared twice, first at {first}");
                    session.error(variable.text, &variable.head, message, None);
                }
            }
        }
    }
    entries(scope, "var");
    let mut assignments = Assignments::read(session, &declared);
    let mut variables = Vec::new();
    for variable in &declared {
        if session.is_full() {
            break;
        }
        match value(session, variable, &mut assignments) {
            Some((value, origin)) => {
                if origin == Origin::Missing {
                    scope.broken.insert(format!("var.{}", variable.name));
                } else {
                    entries(scope, "var").insert(variable.name.clone(), value.clone());
                    validate(session, variable, scope);
                }
                variables.push(Variable {
                    name: variable.name.clone(),
                    value,
                    kind: variable.kind_text.clone(),
                    description: variable.description.clone(),
                    sensitive: variable.sensitive,
                    origin,
                    at: variable.text.position(variable.head.start),
                });
            }
            None => drop(scope.broken.insert(format!("var.{}", variable.name))),
        }
    }
    variables.sort_by(|left, right| left.name.cmp(&right.name));
    variables
}

const KEYS: &[&str] = &["type", "default", "description", "sensitive", "nullable"];

fn declarations<'a>(session: &Session<'_>, found: Found<'a>, scope: &Scope<'_>) -> Vec<Declared<'a>> {
    if found.block.ident.value().as_str() == "variables" {
        let attributes = found.block.body.attributes();
        return attributes
            .map(|attribute| Declared {
                name: attribute.key.value().to_string(),
                text: found.text,
                head: span(&attribute.key),
                kind: None,
                kind_text: None,
                default: Some(&attribute.value),
                description: None,
                sensitive: false,
                broken: false,
                validations: Vec::new(),
            })
            .collect();
    }
    only_keys(session, found, KEYS, &["validation"]);
    let body = &found.block.body;
    let expression = |key: &str| body.get_attribute(key).map(|attribute| &attribute.value);
    let evaluator = Evaluator::new(session);
    // First of all, as it decides on what may be said about the rest.
    let sensitive = expression("sensitive").is_some_and(|expression| {
        match evaluator.condition(expression, scope, "`sensitive`") {
            Ok((flag, _)) => flag,
            Err(fault) => {
                session.fault(found.text, fault, &span(expression));
                true
            }
        }
    });
    let default = expression("default");
    if let (true, Some(default)) = (sensitive, default) {
        session.keep_secret_part(found.text, span(default));
    }
    let kind = expression("type").and_then(|expression| {
        let range = span(expression);
        // There may be defaults in it, too.
        let secret =
            sensitive && found.text.text.get(range.clone()).is_some_and(|text| text.contains("optional"));
        if secret {
            session.keep_secret_part(found.text, range.clone());
        }
        match Type::read(expression, evaluator) {
            Ok(kind) => Some((kind, found.text.excerpt(&range).filter(|_| !secret))),
            Err(fault) => {
                session.fault(found.text, fault, &range);
                None
            }
        }
    });
    let broken = kind.is_none() && body.has_attribute("type");
    // Without a type, the default tells it, so that what is given as text becomes the same.
    let (kind, kind_text) =
        kind.map_or((default.and_then(literal_type), None), |(kind, text)| (Some(kind), text));
    let description = expression("description").and_then(|expression| {
        let value = evaluator.keep(expression, scope).ok()?;
        value.as_str().map(str::to_owned)
    });
    let validations = body.get_blocks("validation").collect();
    vec![Declared {
        name: found.label(0).to_owned(),
        text: found.text,
        head: found.head(),
        kind,
        kind_text,
        default,
        description,
        sensitive,
        broken,
        validations,
    }]
}

fn literal_type(default: &Expression) -> Option<Type> {
    match default {
        Expression::Bool(_) => Some(Type::Flag),
        Expression::Number(_) => Some(Type::Number),
        Expression::String(_) | Expression::StringTemplate(_) | Expression::HeredocTemplate(_) => {
            Some(Type::Text)
        }
        _ => None,
    }
}

impl Declared<'_> {
    /// `value` as a value of this variable, marked where it is sensitive.
    fn accept(&self, session: &Session<'_>, value: Value) -> Result<Value, Fault> {
        if self.sensitive {
            session.keep_secret(&value);
        }
        let value = match &self.kind {
            Some(kind) => kind.accept(value, session)?,
            None => value,
        };
        Ok(if self.sensitive { value.sensitive() } else { value })
    }

    /// What a default that cannot be evaluated says, which for a secret is nothing of it.
    fn discreet(&self, fault: Fault) -> Fault {
        if !self.sensitive {
            return fault;
        }
        let message = format!("the value of the sensitive variable `{}` cannot be evaluated", self.name);
        Fault { message, hint: None, ..fault }
    }
}

/// The value of a variable and where it comes from; nothing where that was reported as wrong.
fn value(session: &Session<'_>, variable: &Declared<'_>, given: &mut Assignments) -> Option<(Value, Origin)> {
    // The default has to be right even where it is not used.
    let default = match variable.default {
        None => None,
        Some(expression) => {
            // Nothing but functions: a default that needs other variables would depend on their order.
            let scope = Scope { env: true, ..Scope::default() };
            let value = Evaluator::new(session).keep(expression, &scope);
            match value.and_then(|value| variable.accept(session, value)) {
                Ok(value) => Some(value),
                Err(fault) if fault.kind == FaultKind::Unread && session.inputs.incomplete => None,
                Err(fault) => {
                    session.fault(variable.text, variable.discreet(fault), &span(expression));
                    return None;
                }
            }
        }
    };
    if given.is_broken(&variable.name) {
        return None;
    }
    if let Some((value, origin)) = given.take(&variable.name) {
        return Some((value, origin));
    }
    if default.is_none() && variable.broken {
        return None;
    }
    if default.is_none() && session.inputs.incomplete {
        return Some((Value::Null, Origin::Missing));
    }
    if default.is_none() {
        let name = &variable.name;
        let hint = format!("give it one by -var {name}=…, PKR_VAR_{name} or a default");
        session.error(variable.text, &variable.head, format!("the variable `{name}` has no value"), hint);
    }
    Some((default?, Origin::Default))
}

fn validate(session: &Session<'_>, variable: &Declared<'_>, scope: &Scope<'_>) {
    let evaluator = Evaluator::new(session);
    for block in &variable.validations {
        let found = Found { text: variable.text, block };
        only_keys(session, found, &["condition", "error_message"], &[]);
        let [condition, message] = ["condition", "error_message"].map(|key| {
            let attribute = block.body.get_attribute(key);
            if attribute.is_none() {
                session.error(variable.text, &found.head(), format!("the key `{key}` is missing"), None);
            }
            attribute.map(|attribute| &attribute.value)
        });
        let (Some(condition), Some(message)) = (condition, message) else { continue };
        match evaluator.condition(condition, scope, "the condition of a `validation`") {
            Ok((true, _)) => {}
            Ok((false, _)) => {
                let text = evaluator.keep(message, scope).ok().map(|value| value.unmark().0);
                let text = text.as_ref().and_then(Value::as_str).unwrap_or("its condition does not hold");
                let message = format!("the value of `{}` is not valid: {text}", variable.name);
                session.error(variable.text, &span(condition), message, None);
            }
            Err(fault) => session.fault(variable.text, variable.discreet(fault), &span(condition)),
        }
    }
}

/// Attributes of a body, with the places of their names.
pub(super) fn attributes(
    body: &hcl_edit::structure::Body,
) -> impl Iterator<Item = (&str, Range<usize>, &Expression)> {
    body.iter().filter_map(|structure| match structure {
        Structure::Attribute(attribute) => {
            Some((attribute.key.value().as_str(), span(&attribute.key), &attribute.value))
        }
        Structure::Block(_) => None,
    })
}
