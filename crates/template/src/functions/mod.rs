//! The functions of Packer's reference that need no service on the network.

mod collections;
pub(crate) mod dates;
pub(crate) mod encoding;
mod files;
mod format;
pub(crate) mod go_time;
pub(crate) mod hashes;
mod network;
mod numbers;
mod rsa;
mod strings;
mod yaml;

use std::collections::BTreeMap;

use crate::Value;
use crate::deferred;
use crate::evaluate::{Evaluated, Evaluator, Scope, deferred_fault};
use crate::session::{Fault, SUGGESTION};
use crate::suggest;

type Implementation = fn(&Call<'_>) -> Evaluated;

/// A function: its name, how many arguments it takes at least and at most, and what it does.
type Function = (&'static str, usize, usize, Implementation);

const MANY: usize = usize::MAX;

/// Functions that ask a service which is not asked here.
const SERVICES: &[&str] =
    &["vault", "consul_key", "aws_secretsmanager", "aws_secretsmanager_raw", "azure_keyvault", "hcp_vault"];

/// Functions that only move strings about, so that marks of deferred values survive them.
const TRANSPARENT: &[&str] = &[
    "chunklist",
    "coalesce",
    "coalescelist",
    "compact",
    "concat",
    "element",
    "flatten",
    "format",
    "formatlist",
    "join",
    "keys",
    "lookup",
    "merge",
    "reverse",
    "slice",
    "templatefile",
    "values",
    "zipmap",
];

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

/// A call with its arguments, none of them marked as sensitive.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) evaluator: &'a Evaluator<'a>,
    pub(crate) name: &'static str,
    arguments: Vec<Value>,
}

fn all() -> impl Iterator<Item = &'static Function> {
    [
        strings::FUNCTIONS,
        numbers::FUNCTIONS,
        collections::FUNCTIONS,
        encoding::FUNCTIONS,
        files::FUNCTIONS,
        dates::FUNCTIONS,
        hashes::FUNCTIONS,
        network::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// Calls the function called `name`.
pub(crate) fn call(
    evaluator: &Evaluator<'_>,
    scope: &Scope<'_>,
    name: &str,
    arguments: Vec<Value>,
) -> Evaluated {
    if name == "env" && !scope.env {
        let hint = "declare a variable with that default, and use the variable here".to_owned();
        return Err(Fault::new("`env` can only be called in the default of a variable").hint(hint));
    }
    if SERVICES.contains(&name) {
        let hint = "give the value by a variable, as in -var or PKR_VAR_name".to_owned();
        return Err(Fault::new(format!("`{name}` asks a service, which is not supported")).hint(hint));
    }
    let Some(&(name, least, most, implementation)) = all().find(|function| function.0 == name) else {
        evaluator.session.spend(SUGGESTION)?;
        let names = all().map(|function| function.0).chain(["can", "convert", "try"]);
        return Err(Fault::new(format!("there is no function `{name}`"))
            .hint(suggest::nearest(name, names).map(|near| format!("did you mean `{near}`?"))));
    };
    if !(least..=most).contains(&arguments.len()) {
        let wanted = match (least, most) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            (1, MANY) => "at least 1 argument".to_owned(),
            (least, MANY) => format!("at least {least} arguments"),
            (least, most) if least == most => format!("{least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        return Err(Fault::new(format!("`{name}` takes {wanted}, not {}", arguments.len())));
    }
    let sensitive = arguments.iter().any(Value::is_sensitive);
    let arguments: Vec<Value> = arguments.into_iter().map(|value| value.unmark().0).collect();
    if !TRANSPARENT.contains(&name) && arguments.iter().any(deferred::is_in_value) {
        return Err(deferred_fault(&format!("what is given to `{name}`")));
    }
    let value = implementation(&Call { evaluator, name, arguments })?;
    evaluator.session.spend(value.weight())?;
    Ok(if sensitive { value.sensitive() } else { value })
}

impl Call<'_> {
    pub(crate) fn len(&self) -> usize {
        self.arguments.len()
    }

    pub(crate) fn all(&self) -> &[Value] {
        &self.arguments
    }

    pub(crate) fn spend(&self, cost: usize) -> Result<(), Fault> {
        self.evaluator.session.spend(cost as u64)
    }

    pub(crate) fn value(&self, index: usize) -> Result<&Value, Fault> {
        self.arguments.get(index).ok_or_else(|| Fault::new(format!("`{}` misses an argument", self.name)))
    }

    pub(crate) fn wrong(&self, index: usize, wanted: &str) -> Fault {
        let given = self.arguments.get(index).map_or("missing", Value::kind);
        Fault::new(format!("argument {} of `{}` has to be {wanted}, not {given}", index + 1, self.name))
    }

    pub(crate) fn text(&self, index: usize) -> Result<String, Fault> {
        match self.value(index)? {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(crate::value::number_text(*number)),
            Value::Bool(flag) => Ok(flag.to_string()),
            _ => Err(self.wrong(index, "a string")),
        }
    }

    pub(crate) fn number(&self, index: usize) -> Result<f64, Fault> {
        let value = self.value(index)?;
        let converted = crate::evaluate::convert(value.clone(), &crate::evaluate::Type::Number);
        match converted {
            Ok(Value::Number(number)) => Ok(number),
            _ => Err(self.wrong(index, "a number")),
        }
    }

    pub(crate) fn integer(&self, index: usize) -> Result<i64, Fault> {
        let number = self.number(index)?;
        crate::value::integer(number).ok_or_else(|| self.unfit(index, number, "a whole number"))
    }

    pub(crate) fn size(&self, index: usize) -> Result<usize, Fault> {
        let number = self.number(index)?;
        let size = crate::value::integer(number).and_then(|number| usize::try_from(number).ok());
        size.ok_or_else(|| self.unfit(index, number, "a whole number from 0"))
    }

    fn unfit(&self, index: usize, number: f64, wanted: &str) -> Fault {
        let given = crate::value::number_text(number);
        Fault::new(format!("argument {} of `{}` has to be {wanted}, not {given}", index + 1, self.name))
    }

    pub(crate) fn list(&self, index: usize) -> Result<&[Value], Fault> {
        match self.value(index)? {
            Value::List(list) => Ok(list),
            _ => Err(self.wrong(index, "a list")),
        }
    }

    pub(crate) fn texts(&self, index: usize) -> Result<Vec<String>, Fault> {
        let list = self.list(index)?;
        list.iter()
            .map(|value| match value {
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(crate::value::number_text(*number)),
                Value::Bool(flag) => Ok(flag.to_string()),
                _ => Err(self.wrong(index, "a list of strings")),
            })
            .collect()
    }

    pub(crate) fn map(&self, index: usize) -> Result<&BTreeMap<String, Value>, Fault> {
        match self.value(index)? {
            Value::Map(map) => Ok(map),
            _ => Err(self.wrong(index, "a map")),
        }
    }
}

/// A regular expression with the limits that patterns of templates have.
pub(crate) fn limited_pattern(pattern: &str) -> Option<regex::Regex> {
    strings::pattern(pattern).ok()
}

/// Strings as a list.
pub(crate) fn list_of(texts: impl IntoIterator<Item = impl Into<String>>) -> Value {
    Value::List(texts.into_iter().map(|text| Value::String(text.into())).collect())
}
