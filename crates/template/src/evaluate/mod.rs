//! Values of HCL expressions, with the places of what is wrong, marks of sensitivity, and a limit to the work.

mod operators;
mod scope;
mod template;
mod traversal;
mod types;

use std::collections::BTreeMap;

use hcl_edit::Span;
use hcl_edit::expr::{Array, Expression, ForExpr, FuncCall, Object, ObjectKey};

pub(crate) use scope::Scope;
pub(crate) use types::{Type, convert, flag, number, text};

use crate::Value;
use crate::functions;
use crate::session::{DEEPEST_VALUE, Fault, SUGGESTION, Session};
use crate::suggest;

pub(crate) type Evaluated = Result<Value, Fault>;

/// Evaluates expressions of one text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluator<'a> {
    pub(crate) session: &'a Session<'a>,
    /// Whether the text is one that `templatefile()` read.
    pub(crate) in_file: bool,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(session: &'a Session<'a>) -> Self {
        Self { session, in_file: false }
    }

    pub(crate) fn evaluate(&self, expression: &Expression, scope: &Scope<'_>) -> Evaluated {
        self.session.spend(1)?;
        match expression {
            Expression::Null(_) => Ok(Value::Null),
            Expression::Bool(flag) => Ok(Value::Bool(*flag.value())),
            Expression::Number(number) => operators::finite(number.value().as_f64().unwrap_or(f64::NAN)),
            Expression::String(text) => {
                defined(text.value()).and_then(|()| self.spent(Value::String(text.value().clone())))
            }
            Expression::Array(array) => self.array(array, scope),
            Expression::Object(object) => self.object(object, scope),
            Expression::StringTemplate(template) => self.template(template, scope),
            Expression::HeredocTemplate(heredoc) => self.heredoc(heredoc, scope),
            Expression::Parenthesis(inner) => self.evaluate(inner.inner(), scope),
            Expression::Variable(name) => self.variable(name, scope),
            Expression::Conditional(conditional) => {
                let condition = self.condition(&conditional.cond_expr, scope, "a condition")?;
                let chosen = if condition.0 { &conditional.true_expr } else { &conditional.false_expr };
                let value = self.evaluate(chosen, scope)?;
                Ok(if condition.1 { value.sensitive() } else { value })
            }
            Expression::FuncCall(call) => self.call(call, scope),
            Expression::Traversal(traversal) => self.traversal(traversal, scope),
            Expression::UnaryOp(operation) => self.unary(operation, scope),
            Expression::BinaryOp(operation) => self.binary(operation, scope),
            Expression::ForExpr(for_expression) => self.for_expression(for_expression, scope),
        }
        .map_err(|fault| fault.at(expression.span()))
    }

    /// A value that is to be kept: of limited depth, paid for.
    pub(crate) fn keep(&self, expression: &Expression, scope: &Scope<'_>) -> Evaluated {
        let value = self.evaluate(expression, scope)?;
        if value.depth() > DEEPEST_VALUE {
            return Err(Fault::new(format!("the value is nested more than {DEEPEST_VALUE} deep")));
        }
        Ok(value)
    }

    pub(crate) fn spent(&self, value: Value) -> Evaluated {
        self.session.spend(value.weight())?;
        Ok(value)
    }

    fn array(&self, array: &Array, scope: &Scope<'_>) -> Evaluated {
        array.iter().map(|element| self.evaluate(element, scope)).collect::<Result<_, _>>().map(Value::List)
    }

    fn object(&self, object: &Object, scope: &Scope<'_>) -> Evaluated {
        let mut map = BTreeMap::new();
        for (key, value) in object {
            let name = match key {
                ObjectKey::Ident(ident) => ident.value().as_str().to_owned(),
                // A name in front of `=` is a key, not a variable, wherever the parser has it.
                ObjectKey::Expression(Expression::Variable(ident)) => ident.value().as_str().to_owned(),
                ObjectKey::Expression(expression) => self.key(expression, scope)?,
            };
            map.insert(name, self.evaluate(value.expr(), scope)?);
        }
        Ok(Value::Map(map))
    }

    fn key(&self, expression: &Expression, scope: &Scope<'_>) -> Result<String, Fault> {
        let value = self.evaluate(expression, scope)?;
        if value.is_sensitive() {
            return Err(Fault::new("a sensitive value cannot be a key").at(expression.span()));
        }
        types::text(&value).map_err(|message| Fault::new(message).at(expression.span()))
    }

    /// A bool, and whether it is sensitive.
    pub(crate) fn condition(
        &self,
        expression: &Expression,
        scope: &Scope<'_>,
        what: &str,
    ) -> Result<(bool, bool), Fault> {
        let (value, sensitive) = self.evaluate(expression, scope)?.unmark();
        match types::flag(&value) {
            Some(flag) => Ok((flag, sensitive)),
            None if crate::deferred::is_in_value(&value) => Err(deferred_fault(what).at(expression.span())),
            None => Err(Fault::new(format!("{what} has to be true or false, not {}", value.kind()))
                .at(expression.span())),
        }
    }

    fn for_expression(&self, expression: &ForExpr, scope: &Scope<'_>) -> Evaluated {
        let intro = &expression.intro;
        let (items, mut sensitive) = self.items(&intro.collection_expr, scope)?;
        let key_name = intro.key_var.as_ref().map(|name| name.value().as_str());
        let (mut list, mut map) = (Vec::new(), BTreeMap::<String, Value>::new());
        for (key, item) in items {
            let mut inner = scope.child().with(intro.value_var.value().as_str(), item);
            if let Some(name) = key_name {
                inner = inner.with(name, key);
            }
            if let Some(condition) = &expression.cond {
                let (holds, hidden) = self.condition(&condition.expr, &inner, "the condition of a `for`")?;
                sensitive |= hidden;
                if !holds {
                    continue;
                }
            }
            let value = self.evaluate(&expression.value_expr, &inner)?;
            match &expression.key_expr {
                None => list.push(value),
                Some(key_expression) => {
                    let key = self.key(key_expression, &inner)?;
                    match (map.get_mut(&key), expression.grouping) {
                        (Some(Value::List(group)), true) => group.push(value),
                        (Some(_), _) => {
                            let message = format!("the key `{key}` comes twice");
                            let hint = "write `...` after the value to group by key".to_owned();
                            return Err(Fault::new(message).hint(hint).at(key_expression.span()));
                        }
                        (None, true) => drop(map.insert(key, Value::List(vec![value]))),
                        (None, false) => drop(map.insert(key, value)),
                    }
                }
            }
        }
        let value = if expression.key_expr.is_some() { Value::Map(map) } else { Value::List(list) };
        Ok(if sensitive { value.sensitive() } else { value })
    }

    /// What a `for` walks over: keys and values, and whether the whole is sensitive.
    fn items(
        &self,
        expression: &Expression,
        scope: &Scope<'_>,
    ) -> Result<(Vec<(Value, Value)>, bool), Fault> {
        let value = self.evaluate(expression, scope)?;
        let sensitive = matches!(value, Value::Sensitive(_));
        let items = match value.exposed() {
            Value::List(list) => list
                .iter()
                .cloned()
                .enumerate()
                .map(|(index, item)| (crate::value::count(index), item))
                .collect(),
            Value::Map(map) => {
                map.iter().map(|(key, item)| (Value::from(key.clone()), item.clone())).collect()
            }
            other => {
                let message = format!("a `for` walks over a list or a map, not {}", other.kind());
                return Err(Fault::new(message).at(expression.span()));
            }
        };
        Ok((items, sensitive))
    }

    fn call(&self, call: &FuncCall, scope: &Scope<'_>) -> Evaluated {
        let name = call.name.name.value().as_str();
        if call.name.is_namespaced() {
            return Err(Fault::new(format!("functions of providers are not known: `{name}`")));
        }
        let arguments: Vec<&Expression> = call.args.iter().collect();
        match (name, &arguments[..]) {
            ("try", _) => return self.attempt(&arguments, scope),
            ("can", [only]) => {
                return match self.evaluate(only, scope) {
                    Ok(_) => Ok(Value::Bool(true)),
                    Err(fault) if fault.may_be_hidden() => Ok(Value::Bool(false)),
                    Err(fault) => Err(fault),
                };
            }
            ("convert", [value, wanted]) => {
                let value = self.evaluate(value, scope)?;
                return Type::read(wanted, *self)?.accept(value, self.session);
            }
            _ => {}
        }
        let mut values = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            let value = self.evaluate(argument, scope)?;
            if call.args.expand_final() && index + 1 == arguments.len() {
                let Some(list) = value.as_list() else {
                    let message = format!("only a list can be expanded by `...`, not {}", value.kind());
                    return Err(Fault::new(message).at(argument.span()));
                };
                let sensitive = matches!(value, Value::Sensitive(_));
                values
                    .extend(list.iter().cloned().map(|item| if sensitive { item.sensitive() } else { item }));
            } else {
                values.push(value);
            }
        }
        functions::call(self, scope, name, values)
    }

    /// The first argument that has a value.
    fn attempt(&self, arguments: &[&Expression], scope: &Scope<'_>) -> Evaluated {
        let mut last = Fault::new("`try` takes at least one argument");
        for argument in arguments {
            match self.evaluate(argument, scope) {
                Err(fault) if fault.may_be_hidden() => last = fault,
                other => return other,
            }
        }
        Err(last)
    }

    fn variable(&self, name: &hcl_edit::Decorated<hcl_edit::Ident>, scope: &Scope<'_>) -> Evaluated {
        let name = name.value().as_str();
        match scope.find(name) {
            Some(value) => {
                self.session.spend(value.weight())?;
                Ok(value.clone())
            }
            None => Err(self.unknown_name(name, scope)),
        }
    }

    fn unknown_name(&self, name: &str, scope: &Scope<'_>) -> Fault {
        if let Err(fault) = self.session.spend(SUGGESTION) {
            return fault;
        }
        let declared =
            |root: &str| scope.find(root).and_then(Value::as_map).is_some_and(|map| map.contains_key(name));
        let hint = if declared("var") {
            Some(format!("did you mean `var.{name}`?"))
        } else if declared("local") {
            Some(format!("did you mean `local.{name}`?"))
        } else if matches!(name, "locals" | "vars" | "variable" | "variables") {
            Some(format!("did you mean `{}`?", if name == "locals" { "local" } else { "var" }))
        } else {
            suggest::hint(name, scope.all_names())
        };
        Fault::new(format!("`{name}` is not known here")).hint(hint)
    }
}

/// Refuses characters that stand for what is known later, and that an escape could smuggle in.
fn defined(text: &str) -> Result<(), Fault> {
    match crate::deferred::is_in(text) {
        true => Err(Fault::new("the string holds a character that Unicode leaves undefined")),
        false => Ok(()),
    }
}

pub(crate) fn deferred_fault(what: &str) -> Fault {
    Fault::new(format!("{what} depends on a value of `build` that is known only while the build runs"))
        .hint("such a value can only be put into strings, lists and maps".to_owned())
}
