//! `a.b`, `a[0]`, `a["b"]`, `a.*.b`, `a[*].b`.

use std::collections::BTreeSet;

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::{Decorated, Span};

use super::{Evaluated, Evaluator, Scope, types};
use crate::Value;
use crate::deferred;
use crate::session::{Fault, FaultKind, SUGGESTION};
use crate::suggest;
use crate::value::whole;

type Operator = Decorated<TraversalOperator>;

impl Evaluator<'_> {
    pub(super) fn traversal(&self, traversal: &Traversal, scope: &Scope<'_>) -> Evaluated {
        // Names are walked by reference, so that `var.x` does not cost a copy of all variables.
        if let Expression::Variable(root) = &traversal.expr {
            let name = root.value().as_str();
            let Some(value) = scope.find(name) else {
                return Err(self.unknown_name(name, scope).at(root.span()));
            };
            self.not_yet(name, traversal.operators.first(), scope)?;
            return self.walk(name, value, &traversal.operators, scope);
        }
        let value = self.evaluate(&traversal.expr, scope)?;
        self.walk("the value", &value, &traversal.operators, scope)
    }

    /// Stops where `var.x` or `local.x` is broken or has no value yet.
    fn not_yet(&self, root: &str, first: Option<&Operator>, scope: &Scope<'_>) -> Result<(), Fault> {
        let Some(TraversalOperator::GetAttr(attribute)) = first.map(Decorated::value) else {
            return Ok(());
        };
        let path = format!("{root}.{}", attribute.value().as_str());
        if scope.is_in(|scope: &Scope<'_>| -> &BTreeSet<String> { &scope.pending }, &path) {
            return Err(Fault::of_kind(FaultKind::Pending, path));
        }
        if scope.is_in(|scope: &Scope<'_>| -> &BTreeSet<String> { &scope.broken }, &path) {
            return Err(Fault::of_kind(FaultKind::Quiet, path));
        }
        Ok(())
    }

    fn walk(&self, what: &str, value: &Value, operators: &[Operator], scope: &Scope<'_>) -> Evaluated {
        let Some((operator, rest)) = operators.split_first() else {
            return self.spent(value.clone());
        };
        self.session.spend(1)?;
        if let Value::Sensitive(inner) = value {
            return Ok(self.walk(what, inner.expose(), operators, scope)?.sensitive());
        }
        let place = |fault: Fault| fault.at(operator.span());
        match operator.value() {
            TraversalOperator::GetAttr(name) => {
                let next = self.attribute(what, value, name.value().as_str(), scope).map_err(place)?;
                self.walk(name.value().as_str(), next, rest, scope)
            }
            TraversalOperator::LegacyIndex(index) => {
                let next = self.element(what, value, *index.value() as f64).map_err(place)?;
                self.walk("the element", next, rest, scope)
            }
            TraversalOperator::Index(expression) => {
                let (index, sensitive) = self.evaluate(expression, scope)?.unmark();
                let next = match (value, &index) {
                    (Value::Map(_), _) => {
                        let name = types::text(&index).map_err(Fault::new).map_err(place)?;
                        self.attribute(what, value, &name, scope)
                    }
                    _ => match types::number(&index) {
                        Some(number) => self.element(what, value, number),
                        None => Err(Fault::new(format!("an index is a number, not {}", index.kind()))),
                    },
                }
                .map_err(place)?;
                let found = self.walk("the element", next, rest, scope)?;
                Ok(if sensitive { found.sensitive() } else { found })
            }
            // `a.*.b.c[0]` takes the attributes from each element, and the index from the list of them.
            TraversalOperator::AttrSplat(_) => {
                let is_attribute =
                    |operator: &Operator| matches!(operator.value(), TraversalOperator::GetAttr(_));
                let end = rest.iter().position(|operator| !is_attribute(operator)).unwrap_or(rest.len());
                let list = self.splat(what, value, &rest[..end], scope)?;
                self.walk("the list", &list, &rest[end..], scope)
            }
            TraversalOperator::FullSplat(_) => self.splat(what, value, rest, scope),
        }
    }

    fn splat(&self, what: &str, value: &Value, each: &[Operator], scope: &Scope<'_>) -> Evaluated {
        match value {
            Value::Null => Ok(Value::List(Vec::new())),
            Value::List(list) => list
                .iter()
                .map(|element| self.walk(what, element, each, scope))
                .collect::<Result<_, _>>()
                .map(Value::List),
            other => Ok(Value::List(vec![self.walk(what, other, each, scope)?])),
        }
    }

    fn attribute<'v>(
        &self,
        what: &str,
        value: &'v Value,
        name: &str,
        scope: &Scope<'_>,
    ) -> Result<&'v Value, Fault> {
        let Value::Map(map) = value else {
            return Err(Fault::new(format!("`{what}` is {} and has no `{name}`", value.kind())));
        };
        if let Some(found) = map.get(name) {
            return Ok(found);
        }
        self.session.spend(SUGGESTION)?;
        if what == "build" && deferred::NAMES.contains(&name) {
            return Err(Fault::new(format!(
                "`build.{name}` is known in provisioners and post-processors only"
            )));
        }
        // Those that are wrong are not in the map, and may be what was meant.
        let broken = scope.broken_in(what);
        let names = map.keys().map(String::as_str).chain(broken.iter().map(String::as_str)).take(200);
        let fault = match what {
            "var" => Fault::new(format!("the variable `{name}` is not declared")),
            "local" => Fault::new(format!("the local `{name}` is not declared")),
            _ => Fault::new(format!("`{what}` has no `{name}`")),
        };
        // The names in a value of the template's may be as secret as what they name.
        let own = !["var", "local", "build", "source", "path"].contains(&what);
        if own && self.session.has_secrets() {
            return Err(fault);
        }
        Err(fault.hint(suggest::hint(name, names)))
    }

    fn element<'v>(&self, what: &str, value: &'v Value, index: f64) -> Result<&'v Value, Fault> {
        let Value::List(list) = value else {
            return Err(Fault::new(format!(
                "`{what}` is {} and cannot be indexed by a number",
                value.kind()
            )));
        };
        let found = whole(index).and_then(|index| list.get(usize::try_from(index).ok()?));
        found.ok_or_else(|| {
            let index = crate::value::number_text(index);
            Fault::new(format!("there is no element {index} in a list of {}", list.len()))
        })
    }
}
