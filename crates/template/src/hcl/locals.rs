//! Locals, in whatever order they need each other.

use std::collections::BTreeMap;

use super::document::{LocalFound, span};
use super::entries;
use crate::Value;
use crate::evaluate::{Evaluator, Scope};
use crate::model::Local;
use crate::session::{Fault, FaultKind, Session};

/// Circles of more locals than this are told by none of them, but by the whole.
const LONGEST_CIRCLE: usize = 1000;

pub(super) fn evaluate(session: &Session<'_>, found: &[LocalFound<'_>], scope: &mut Scope<'_>) -> Vec<Local> {
    let mut done: Vec<Local> = Vec::new();
    let mut waiting: Vec<&LocalFound<'_>> = found.iter().collect();
    entries(scope, "local");
    for local in &waiting {
        scope.pending.insert(format!("local.{}", local.name));
    }
    // A round evaluates all that need only what is there; one that evaluates nothing leaves a circle.
    loop {
        let before = waiting.len();
        let mut needed = Vec::new();
        waiting.retain(|local| {
            let path = format!("local.{}", local.name);
            match value(session, local, scope) {
                Err(fault) if fault.kind == FaultKind::Pending => {
                    needed.push(fault.message);
                    return true;
                }
                Ok(value) => {
                    entries(scope, "local").insert(local.name.clone(), value.clone());
                    let at = local.text.position(local.key.start);
                    done.push(Local { name: local.name.clone(), value, at });
                }
                Err(fault) => {
                    session.fault(local.text, fault, &span(local.expression));
                    scope.broken.insert(path.clone());
                }
            }
            scope.pending.remove(&path);
            false
        });
        if waiting.is_empty() || session.is_full() {
            break;
        }
        if waiting.len() == before {
            let paths = waiting.iter().map(|local| format!("local.{}", local.name));
            let needs: BTreeMap<String, String> = paths.zip(needed).collect();
            for local in waiting.iter().take_while(|_| !session.is_full()) {
                let path = format!("local.{}", local.name);
                // Whoever only waits for a circle is not part of it.
                let mut steps =
                    std::iter::successors(needs.get(&path), |step| needs.get(*step)).take(LONGEST_CIRCLE);
                if steps.any(|step| *step == path) {
                    let message = format!(
                        "the local `{}` needs `{}`, which needs it in turn",
                        local.name, needs[&path]
                    );
                    session.error(local.text, &local.key, message, None);
                }
            }
            scope.broken.extend(needs.into_keys());
            session.give_up();
            break;
        }
    }
    scope.pending.clear();
    done.sort_by(|left, right| left.name.cmp(&right.name));
    done
}

fn value(session: &Session<'_>, local: &LocalFound<'_>, scope: &Scope<'_>) -> Result<Value, Fault> {
    // Paid for in each round, as there may be as many rounds as there are locals.
    session.spend(8)?;
    let evaluator = Evaluator::new(session);
    let hidden = match local.sensitive {
        Some(expression) => evaluator.condition(expression, scope, "`sensitive`")?.0,
        None => false,
    };
    if hidden {
        session.keep_secret_part(local.text, span(local.expression));
    }
    let value = evaluator.keep(local.expression, scope)?;
    if hidden {
        session.keep_secret(&value);
        return Ok(value.sensitive());
    }
    super::body::hide(session, &value);
    Ok(value)
}
