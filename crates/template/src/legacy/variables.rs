//! User variables.

use std::collections::{BTreeMap, BTreeSet};

use super::raw::{Member, Node, NodeKind};
use super::{Document, json_entries};
use crate::braces::Braces;
use crate::model::{Origin, Variable};
use crate::session::{Fault, FaultKind, Session};
use crate::suggest;
use crate::text::Text;
use crate::{Value, deferred, evaluate};

type Values = BTreeMap<String, Value>;

/// The variables; their values by name, and the names of those that were reported as wrong.
pub(super) fn evaluate(
    session: &Session<'_>,
    document: &Document<'_>,
) -> (Vec<Variable>, Values, BTreeSet<String>) {
    let none = Vec::new();
    let declared = match document.get("variables").map(|member| &member.value) {
        Some(Node { kind: NodeKind::Object(members), .. }) => members,
        Some(Node { kind: NodeKind::Null, .. }) | None => &none,
        Some(node) => {
            let message = format!("`variables` is an object, not {}", node.what());
            session.error(document.text, &node.range, message, None);
            &none
        }
    };
    let sensitive = sensitive_names(session, document, declared);
    for member in declared.iter().filter(|member| sensitive.contains(&member.name)) {
        session.keep_secret_part(document.text, member.value.range.clone());
        session.keep_secret(&member.value.value());
    }
    let given = given(session, declared, &sensitive);
    let mut user = Values::new();
    let mut broken = BTreeSet::new();
    let mut variables = Vec::new();
    let mut waiting: Vec<&Member> = declared.iter().collect();
    // Defaults may use other variables; a round that settles none leaves a circle.
    while !waiting.is_empty() && !session.is_full() {
        if session.spend(4 * waiting.len() as u64).is_err() {
            break;
        }
        let names: BTreeSet<String> = waiting.iter().map(|member| member.name.clone()).collect();
        let before = waiting.len();
        waiting.retain(|member| {
            let settled = settle(session, member, &given, &user, &broken, &names);
            let (value, origin) = match settled {
                Ok(settled) => settled,
                Err(fault) if fault.kind == FaultKind::Pending => return true,
                Err(fault) => {
                    let fault = if sensitive.contains(&member.name) && fault.kind == FaultKind::Ordinary {
                        let message = format!(
                            "the value of the sensitive variable `{}` cannot be evaluated",
                            member.name
                        );
                        Fault { message, hint: None, ..fault }
                    } else {
                        fault
                    };
                    session.fault(document.text, fault, &member.key);
                    broken.insert(member.name.clone());
                    return false;
                }
            };
            let hidden = sensitive.contains(&member.name);
            if hidden || value.is_sensitive() {
                session.keep_secret(&value);
            }
            let value = if hidden && origin != Origin::Missing { value.sensitive() } else { value };
            if origin == Origin::Missing {
                broken.insert(member.name.clone());
            } else {
                user.insert(member.name.clone(), value.clone());
            }
            variables.push(Variable {
                name: member.name.clone(),
                value,
                kind: None,
                description: None,
                sensitive: hidden,
                origin,
                at: document.text.position(member.key.start),
            });
            false
        });
        if waiting.len() == before {
            for member in waiting {
                let message =
                    format!("the variable `{}` needs a variable that needs it in turn", member.name);
                session.error(document.text, &member.key, message, None);
                broken.insert(member.name.clone());
            }
            break;
        }
    }
    variables.sort_by(|left, right| left.name.cmp(&right.name));
    (variables, user, broken)
}

fn sensitive_names(session: &Session<'_>, document: &Document<'_>, declared: &[Member]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let declared: BTreeSet<&str> = declared.iter().map(|member| member.name.as_str()).collect();
    for node in document.list(session, "sensitive-variables") {
        match &node.kind {
            NodeKind::String(name) => {
                if !declared.contains(name.as_str()) && !session.is_full() {
                    let known = declared.iter().take(200).copied();
                    let message = format!("the variable `{name}` is not declared");
                    session.error(document.text, &node.range, message, suggest::hint(name, known));
                }
                names.insert(name.clone());
            }
            _ => session.error(document.text, &node.range, "the name of a variable is needed here", None),
        }
    }
    names
}

/// What variables were given from outside, the last of each; strings, as all variables here.
fn given(
    session: &Session<'_>,
    declared: &[Member],
    sensitive: &BTreeSet<String>,
) -> BTreeMap<String, (String, Origin)> {
    let mut all = BTreeMap::new();
    let keep = |name: &str, text: &str| {
        if sensitive.contains(name) {
            session.keep_secret(&Value::from(text));
        }
    };
    let declared: BTreeSet<&str> = declared.iter().map(|member| member.name.as_str()).collect();
    let names = || declared.iter().take(200).copied();
    let mut automatic: Vec<&Text> = session.inputs.automatic.iter().collect();
    automatic.sort_by(|left, right| left.name.cmp(&right.name));
    for file in automatic.into_iter().chain(&session.inputs.variable_files) {
        for (name, key, value) in json_entries(session, file) {
            if session.is_full() {
                break;
            }
            let Ok(text) = evaluate::text(&value) else {
                let message = format!("the variable `{name}` is a string, not {}", value.kind());
                session.error(file, &key, message, None);
                continue;
            };
            keep(&name, &text);
            if !declared.contains(name.as_str()) {
                let hint = suggest::hint(&name, names());
                session.warning(file, &key, format!("there is no variable `{name}`"), hint);
            }
            all.insert(name, (text, Origin::File(file.name.clone())));
        }
    }
    for (name, text) in &session.inputs.variables {
        if deferred::is_in(text) {
            session.error_outside(format!("-var {name}: the text is not UTF-8"), None);
            continue;
        }
        keep(name, text);
        if !declared.contains(name.as_str()) && !session.is_full() {
            let message = format!("-var {name}: there is no such variable");
            session.error_outside(message, suggest::hint(name, names()));
        }
        all.insert(name.clone(), (text.clone(), Origin::CommandLine));
    }
    all
}

fn settle(
    session: &Session<'_>,
    member: &Member,
    given: &BTreeMap<String, (String, Origin)>,
    user: &Values,
    broken: &BTreeSet<String>,
    waiting: &BTreeSet<String>,
) -> Result<(Value, Origin), Fault> {
    session.spend(1 + member.value.range.len() as u64 / 16)?;
    if let Some((text, origin)) = given.get(&member.name) {
        return Ok((Value::from(text.clone()), origin.clone()));
    }
    let default = member.value.value();
    if matches!(default, Value::Null) && session.inputs.incomplete {
        return Ok((Value::Null, Origin::Missing));
    }
    if matches!(default, Value::Null) {
        let fault = Fault::new(format!("the variable `{}` has no value", member.name));
        return Err(fault.hint(format!("give it one by -var {}=…", member.name)));
    }
    let text = evaluate::text(&default).map_err(|_| {
        Fault::new(format!("the variable `{}` is a string, not {}", member.name, default.kind()))
            .at(Some(member.value.range.clone()))
    })?;
    let braces = Braces {
        session,
        user: Some(user),
        broken,
        waiting: Some(waiting),
        env: true,
        build: None,
        running: false,
    };
    let value = braces.text(&text).map_err(|fault| fault.at(Some(member.value.range.clone())))?;
    Ok((value, Origin::Default))
}
