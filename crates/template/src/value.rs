//! What an expression gives: plain data, with sensitive parts that never print.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};

/// How a sensitive value prints.
pub(crate) const HIDDEN: &str = "(sensitive)";

/// A value of a template, evaluated.
///
/// Sets are lists without repetition; objects and maps are the same and sorted by key, which is the order in which HCL
/// walks them. Numbers are finite.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `null`: as if the key had not been written.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; whole numbers are exact up to 2^53.
    Number(f64),
    /// A string, which may hold marks of [`deferred`](crate::deferred) values.
    String(String),
    /// A list, set or tuple.
    List(Vec<Value>),
    /// A map or object.
    Map(BTreeMap<String, Value>),
    /// A value derived from something the template calls sensitive.
    Sensitive(Sensitive),
}

/// A value that neither `Debug`, `Display` nor serialisation show.
#[derive(Clone, PartialEq)]
pub struct Sensitive(Box<Value>);

impl Sensitive {
    /// The value itself; whoever asks answers for where it goes.
    pub fn expose(&self) -> &Value {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

impl Value {
    /// Marks the value as sensitive.
    #[must_use]
    pub fn sensitive(self) -> Self {
        match self {
            Self::Null | Self::Sensitive(_) => self,
            other => Self::Sensitive(Sensitive(Box::new(other))),
        }
    }

    /// The value below a mark of sensitivity, if there is one.
    pub fn exposed(&self) -> &Value {
        match self {
            Self::Sensitive(inner) => inner.expose().exposed(),
            other => other,
        }
    }

    /// Whether this value, or anything in it, is sensitive.
    pub fn is_sensitive(&self) -> bool {
        match self {
            Self::Sensitive(_) => true,
            Self::List(list) => list.iter().any(Self::is_sensitive),
            Self::Map(map) => map.values().any(Self::is_sensitive),
            _ => false,
        }
    }

    /// Takes every mark of sensitivity off, and says whether there was one.
    pub(crate) fn unmark(self) -> (Value, bool) {
        if !self.is_sensitive() {
            return (self, false);
        }
        fn strip(value: Value) -> Value {
            match value {
                Value::Sensitive(Sensitive(inner)) => strip(*inner),
                Value::List(list) => Value::List(list.into_iter().map(strip).collect()),
                Value::Map(map) => {
                    Value::Map(map.into_iter().map(|(key, value)| (key, strip(value))).collect())
                }
                other => other,
            }
        }
        (strip(self), true)
    }

    /// The string, where it is one (sensitive or not).
    pub fn as_str(&self) -> Option<&str> {
        match self.exposed() {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, where it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.exposed() {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The number, where it is a whole one between 0 and 2^53.
    pub fn as_whole(&self) -> Option<u64> {
        match self.exposed() {
            Self::Number(number) => whole(*number),
            _ => None,
        }
    }

    /// The elements, where it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self.exposed() {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The entries, where it is a map.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self.exposed() {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// What kind of value it is, with its article: for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Sensitive(inner) => inner.0.kind(),
        }
    }

    /// A measure of what it costs to copy.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::String(text) => 1 + text.len() as u64 / 16,
            Self::List(list) => 1 + list.iter().map(Self::weight).sum::<u64>(),
            Self::Map(map) => {
                1 + map.iter().map(|(key, value)| 1 + key.len() as u64 / 16 + value.weight()).sum::<u64>()
            }
            Self::Sensitive(inner) => inner.0.weight(),
            _ => 1,
        }
    }

    /// Whether it is a string or a list with nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self.exposed() {
            Self::String(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            _ => false,
        }
    }

    /// Whether a string in it has a zero byte, which no command, path or variable can have.
    pub(crate) fn has_zero(&self) -> bool {
        match self {
            Self::String(text) => text.contains('\0'),
            Self::List(list) => list.iter().any(Self::has_zero),
            Self::Map(map) => map.values().any(Self::has_zero),
            Self::Sensitive(inner) => inner.0.has_zero(),
            Self::Null | Self::Bool(_) | Self::Number(_) => false,
        }
    }

    /// How deep lists and maps are nested.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(list) => 1 + list.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(map) => 1 + map.values().map(Self::depth).max().unwrap_or(0),
            Self::Sensitive(inner) => inner.0.depth(),
            _ => 0,
        }
    }

    /// Every string, number and bool in it, as text: what has to be kept out of messages when it is sensitive.
    pub(crate) fn leaves(&self, into: &mut Vec<String>) {
        match self {
            Self::String(text) => into.push(text.clone()),
            Self::Number(number) => into.push(number_text(*number)),
            Self::List(list) => list.iter().for_each(|value| value.leaves(into)),
            Self::Map(map) => map.values().for_each(|value| value.leaves(into)),
            Self::Sensitive(inner) => inner.0.leaves(into),
            Self::Null | Self::Bool(_) => {}
        }
    }
}

/// The whole number that `number` is, from 0 to 2^53.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(crate) fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
}

/// The whole number that `number` is, from -2^53 to 2^53.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(crate) fn integer(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// A count as a number; counts here stay far below 2^53.
pub(crate) fn count(number: usize) -> Value {
    Value::Number(number as f64)
}

/// A number as HCL prints it: without an exponent, whole ones without a point.
pub(crate) fn number_text(number: f64) -> String {
    integer(number).map_or_else(|| number.to_string(), |whole| whole.to_string())
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl fmt::Display for Value {
    /// As HCL would write it, on one line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(flag) => write!(formatter, "{flag}"),
            Self::Number(number) => formatter.write_str(&number_text(*number)),
            Self::String(text) => write!(formatter, "{text:?}"),
            Self::List(list) => {
                formatter.write_char('[')?;
                for (index, value) in list.iter().enumerate() {
                    write!(formatter, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                formatter.write_char(']')
            }
            Self::Map(map) => {
                formatter.write_char('{')?;
                for (index, (key, value)) in map.iter().enumerate() {
                    write!(formatter, "{}{key:?} = {value}", if index == 0 { "" } else { ", " })?;
                }
                formatter.write_char('}')
            }
            Self::Sensitive(_) => formatter.write_str(HIDDEN),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Value {
    /// As JSON would have it, sensitive parts as `(sensitive)`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => match integer(*number) {
                Some(whole) => serializer.serialize_i64(whole),
                None => serializer.serialize_f64(*number),
            },
            Self::String(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => serializer.collect_map(map),
            Self::Sensitive(_) => serializer.serialize_str(HIDDEN),
        }
    }
}
