//! Types of variables, and conversion to them.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};

use super::{Evaluated, Evaluator, Scope};
use crate::Value;
use crate::session::{Fault, Session};
use crate::suggest;
use crate::value::number_text;

/// A type as `type = …` and `convert()` name it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Any,
    Text,
    Number,
    Flag,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Tuple(Vec<Type>),
    /// Attributes with their types, and what those are that may be missing.
    Object(BTreeMap<String, (Type, Option<Value>)>),
}

const SIMPLE: &[&str] = &["string", "number", "bool", "any", "list", "set", "map"];

impl Type {
    /// The type that `expression` names; `evaluator` gives the defaults of attributes.
    pub(crate) fn read(expression: &Expression, evaluator: Evaluator<'_>) -> Result<Self, Fault> {
        let read = |inner| Self::read(inner, evaluator).map(Box::new);
        let place = |fault: Fault| fault.at(expression.span());
        match expression {
            Expression::Variable(name) => match name.value().as_str() {
                "any" => Ok(Self::Any),
                "string" => Ok(Self::Text),
                "number" => Ok(Self::Number),
                "bool" => Ok(Self::Flag),
                "list" => Ok(Self::List(Box::new(Self::Any))),
                "set" => Ok(Self::Set(Box::new(Self::Any))),
                "map" => Ok(Self::Map(Box::new(Self::Any))),
                other => Err(place(unknown(other))),
            },
            // Written with quotes in templates of the first HCL2 days.
            Expression::String(name) if SIMPLE.contains(&name.value().as_str()) => {
                match name.value().as_str() {
                    "number" => Ok(Self::Number),
                    "bool" => Ok(Self::Flag),
                    "list" => Ok(Self::List(Box::new(Self::Any))),
                    "set" => Ok(Self::Set(Box::new(Self::Any))),
                    "map" => Ok(Self::Map(Box::new(Self::Any))),
                    "any" => Ok(Self::Any),
                    _ => Ok(Self::Text),
                }
            }
            Expression::FuncCall(call) => {
                let name = call.name.name.value().as_str();
                let arguments: Vec<&Expression> = call.args.iter().collect();
                match (name, &arguments[..]) {
                    ("list", [inner]) => read(inner).map(Self::List),
                    ("set", [inner]) => read(inner).map(Self::Set),
                    ("map", [inner]) => read(inner).map(Self::Map),
                    ("tuple", [Expression::Array(array)]) => {
                        let types = array.iter().map(|inner| Self::read(inner, evaluator));
                        types.collect::<Result<_, _>>().map(Self::Tuple)
                    }
                    ("object", [Expression::Object(object)]) => {
                        Self::object(object, evaluator).map_err(place)
                    }
                    ("list" | "set" | "map" | "tuple" | "object", _) => {
                        Err(place(Fault::new(format!("`{name}` takes one type, as in `{}`", example(name)))))
                    }
                    (other, _) => Err(place(unknown(other))),
                }
            }
            _ => Err(place(
                Fault::new("this is no type").hint("`string`, `list(string)` and so on".to_owned()),
            )),
        }
    }

    fn object(object: &hcl_edit::expr::Object, evaluator: Evaluator<'_>) -> Result<Self, Fault> {
        let mut attributes = BTreeMap::new();
        for (key, value) in object {
            let name = match key {
                ObjectKey::Ident(name) | ObjectKey::Expression(Expression::Variable(name)) => {
                    name.value().to_string()
                }
                ObjectKey::Expression(Expression::String(name)) => name.value().clone(),
                ObjectKey::Expression(_) => {
                    return Err(Fault::new("an attribute of an object type is a name"));
                }
            };
            let attribute = match value.expr() {
                Expression::FuncCall(call) if call.name.name.value().as_str() == "optional" => {
                    let arguments: Vec<&Expression> = call.args.iter().collect();
                    let (inner, default) = match arguments[..] {
                        [inner] => (inner, Value::Null),
                        // It may use nothing but functions, as the default of a variable.
                        [inner, default] => (inner, evaluator.keep(default, &Scope::default())?),
                        _ => return Err(Fault::new("`optional` takes a type, and maybe a default")),
                    };
                    let inner = Self::read(inner, evaluator)?;
                    let default = inner.accept(default, evaluator.session).map_err(|fault| {
                        let message = format!("the default of `{name}`: {}", fault.message);
                        Fault { message, ..fault }.at(call.span())
                    })?;
                    (inner, Some(default))
                }
                other => (Self::read(other, evaluator)?, None),
            };
            attributes.insert(name, attribute);
        }
        Ok(Self::Object(attributes))
    }
}

impl Type {
    /// `value` as one of this type, with the defaults of attributes that are missing.
    pub(crate) fn accept(&self, value: Value, session: &Session<'_>) -> Evaluated {
        Ok(convert(self.filled(value, session)?, self)?)
    }

    /// `value` with those defaults; each is paid for, as a short text may ask for many of them.
    fn filled(&self, value: Value, session: &Session<'_>) -> Evaluated {
        Ok(match (self, value) {
            (_, Value::Sensitive(inner)) => self.filled(inner.expose().clone(), session)?.sensitive(),
            (Self::List(inner) | Self::Set(inner), Value::List(list)) => {
                let list = list.into_iter().map(|value| inner.filled(value, session));
                Value::List(list.collect::<Result<_, _>>()?)
            }
            (Self::Map(inner), Value::Map(map)) => {
                let map = map.into_iter().map(|(key, value)| Ok((key, inner.filled(value, session)?)));
                Value::Map(map.collect::<Result<_, Fault>>()?)
            }
            (Self::Tuple(types), Value::List(list)) if types.len() == list.len() => {
                let list = types.iter().zip(list).map(|(inner, value)| inner.filled(value, session));
                Value::List(list.collect::<Result<_, _>>()?)
            }
            (Self::Object(attributes), Value::Map(mut map)) => {
                for (name, (inner, default)) in attributes {
                    let value = match (map.remove(name), default) {
                        // To be null is to be missing.
                        (None | Some(Value::Null), Some(default)) => {
                            session.spend(default.weight())?;
                            default.clone()
                        }
                        (Some(value), _) => inner.filled(value, session)?,
                        (None, None) => continue,
                    };
                    map.insert(name.clone(), value);
                }
                Value::Map(map)
            }
            (_, other) => other,
        })
    }
}

fn unknown(name: &str) -> Fault {
    Fault::new(format!("`{name}` is no type")).hint(suggest::hint(name, SIMPLE.iter().copied()))
}

fn example(name: &str) -> &'static str {
    match name {
        "tuple" => "tuple([string, number])",
        "object" => "object({ name = string })",
        "set" => "set(string)",
        "map" => "map(string)",
        _ => "list(string)",
    }
}

/// `value` as a string, the way interpolation and conversion see it.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    match value.exposed() {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number_text(*number)),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(format!("a string is needed here, not {}", other.kind())),
    }
}

/// `value` as a number, from strings too.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value.exposed() {
        Value::Number(number) => Some(*number),
        // Rust also reads `inf` and `nan`, which HCL does not know.
        Value::String(text)
            if text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) =>
        {
            text.parse().ok().filter(|number: &f64| number.is_finite())
        }
        _ => None,
    }
}

/// `value` as a bool, from strings too.
pub(crate) fn flag(value: &Value) -> Option<bool> {
    match value.exposed() {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text == "true" => Some(true),
        Value::String(text) if text == "false" => Some(false),
        _ => None,
    }
}

/// `value` as a value of `wanted`.
pub(crate) fn convert(value: Value, wanted: &Type) -> Result<Value, String> {
    let wrong = |value: &Value, what: &str| format!("{what} is needed here, not {}", value.kind());
    match (value, wanted) {
        (value, Type::Any) => Ok(value),
        (Value::Null, _) => Ok(Value::Null),
        (Value::Sensitive(inner), _) => Ok(convert(inner.expose().clone(), wanted)?.sensitive()),
        (value, Type::Text) => text(&value).map(Value::String),
        (value, Type::Number) => number(&value).map(Value::Number).ok_or_else(|| wrong(&value, "a number")),
        (value, Type::Flag) => flag(&value).map(Value::Bool).ok_or_else(|| wrong(&value, "true or false")),
        (Value::List(list), Type::List(inner)) => each(list, inner),
        (Value::List(list), Type::Set(inner)) => each(list, inner).map(as_set),
        (Value::List(list), Type::Tuple(types)) if list.len() == types.len() => list
            .into_iter()
            .zip(types)
            .map(|(value, inner)| convert(value, inner))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (Value::List(list), Type::Tuple(types)) => {
            Err(format!("{} elements are needed here, not {}", types.len(), list.len()))
        }
        (Value::Map(map), Type::Map(inner)) => map
            .into_iter()
            .map(|(key, value)| Ok((key, convert(value, inner)?)))
            .collect::<Result<_, String>>()
            .map(Value::Map),
        (Value::Map(mut map), Type::Object(attributes)) => {
            let mut result = BTreeMap::new();
            for (name, (inner, optional)) in attributes {
                match map.remove(name) {
                    Some(value) => {
                        let value =
                            convert(value, inner).map_err(|message| format!("`{name}`: {message}"))?;
                        drop(result.insert(name.clone(), value));
                    }
                    None if optional.is_some() => drop(result.insert(name.clone(), Value::Null)),
                    None => return Err(format!("the attribute `{name}` is missing")),
                }
            }
            Ok(Value::Map(result))
        }
        (value, Type::List(_) | Type::Set(_) | Type::Tuple(_)) => Err(wrong(&value, "a list")),
        (value, Type::Map(_) | Type::Object(_)) => Err(wrong(&value, "a map")),
    }
}

fn each(list: Vec<Value>, inner: &Type) -> Result<Value, String> {
    list.into_iter().map(|value| convert(value, inner)).collect::<Result<_, _>>().map(Value::List)
}

/// A list without repetition, in the order of what its elements print.
fn as_set(value: Value) -> Value {
    let (value, sensitive) = value.unmark();
    let Value::List(list) = value else { return value };
    let mut seen = BTreeSet::new();
    let mut keyed: Vec<(String, Value)> = list
        .into_iter()
        .map(|value| (value.to_string(), value))
        .filter(|(key, _)| seen.insert(key.clone()))
        .collect();
    keyed.sort_by(|left, right| left.0.cmp(&right.0));
    let set = Value::List(keyed.into_iter().map(|(_, value)| value).collect());
    if sensitive { set.sensitive() } else { set }
}
