//! `{{…}}` in strings: what is left of Go's templates in both syntaxes.

mod words;

use std::collections::{BTreeMap, BTreeSet};

use words::{Word, end_of, words};

use crate::Value;
use crate::deferred;
use crate::functions::{dates, go_time, hashes};
use crate::session::{Fault, FaultKind, SUGGESTION, Session};
use crate::suggest;

/// The version of Packer whose reference is followed here.
pub(crate) const PACKER_VERSION: &str = "1.9.0";

/// What `build` calls the name of the run.
pub(crate) const RUN: &str = "PackerRunUUID";

const FUNCTIONS: &[&str] = &[
    "build",
    "build_name",
    "build_type",
    "clean_resource_name",
    "env",
    "isotime",
    "lower",
    "packer_version",
    "pwd",
    "replace",
    "replace_all",
    "split",
    "strftime",
    "template_dir",
    "timestamp",
    "upper",
    "user",
    "uuid",
];

/// What the functions in braces can see.
#[derive(Debug)]
pub(crate) struct Braces<'a> {
    pub(crate) session: &'a Session<'a>,
    /// The variables of a JSON template; HCL2 has `var.` for them.
    pub(crate) user: Option<&'a BTreeMap<String, Value>>,
    /// Variables that have been reported as wrong.
    pub(crate) broken: &'a BTreeSet<String>,
    /// Variables that have no value yet.
    pub(crate) waiting: Option<&'a BTreeSet<String>>,
    /// Whether `env` may be called: in defaults of variables only.
    pub(crate) env: bool,
    /// The name and the type of the build, where one is going on.
    pub(crate) build: Option<(&'a str, &'a str)>,
    /// Whether values may be used that are known only while the build runs.
    pub(crate) running: bool,
}

impl Braces<'_> {
    /// `value` with the braces in all of its strings evaluated.
    pub(crate) fn value(&self, value: Value) -> Result<Value, Fault> {
        Ok(match value {
            Value::String(text) if text.contains("{{") => self.text(&text)?,
            Value::List(list) => {
                Value::List(list.into_iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) => Value::Map(
                map.into_iter()
                    .map(|(key, item)| Ok((key, self.value(item)?)))
                    .collect::<Result<_, Fault>>()?,
            ),
            Value::Sensitive(inner) => self.value(inner.expose().clone())?.sensitive(),
            other => other,
        })
    }

    /// `text` with the braces in it evaluated; actions that use `.Field` are left for who knows the field.
    pub(crate) fn text(&self, text: &str) -> Result<Value, Fault> {
        let (mut result, mut sensitive) = (String::new(), false);
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            self.session.spend(4)?;
            let (before, action) = (&rest[..start], &rest[start + 2..]);
            let end = end_of(action).ok_or_else(|| {
                Fault::new("a `{{` is not closed")
                    .hint("`{{ \"{{\" }}` gives the braces themselves".to_owned())
            })?;
            let (inner, after) = (&action[..end], &action[end + 2..]);
            let inner_trimmed = inner.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace));
            result.push_str(if inner_trimmed.is_some() { before.trim_end() } else { before });
            let body = inner_trimmed.unwrap_or(inner);
            let cut_after = body.strip_suffix('-').filter(|rest| rest.ends_with(char::is_whitespace));
            let body = cut_after.unwrap_or(body).trim();
            rest = if cut_after.is_some() { after.trim_start() } else { after };
            if body.starts_with("/*") && body.ends_with("*/") {
                continue;
            }
            match self.action(body)? {
                // Without its hyphens, which are done with.
                None if body.len() == inner.trim().len() => result.push_str(&text_of_action(inner)),
                None => result.push_str(&text_of_action(body)),
                Some(value) => {
                    sensitive |= value.is_sensitive();
                    result.push_str(value.as_str().unwrap_or_default());
                }
            }
            self.session.spend(result.len() as u64 / 64)?;
        }
        result.push_str(rest);
        self.session.spend(result.len() as u64 / 16)?;
        let value = Value::String(result);
        Ok(if sensitive { value.sensitive() } else { value })
    }

    /// The value of what stands between braces; none where it is not ours to evaluate.
    fn action(&self, body: &str) -> Result<Option<Value>, Fault> {
        let Some(words) = words(body)? else { return Ok(None) };
        let (mut carried, mut sensitive) = (None, false);
        for command in words.split(|word| matches!(word, Word::Pipe)) {
            let mut arguments: Vec<String> = Vec::new();
            for word in command.iter().skip(1) {
                match word {
                    Word::Literal(text) => arguments.push(text.clone()),
                    Word::Name(name) => {
                        return Err(Fault::new(format!(
                            "`{name}` cannot be an argument in `{{{{ {body} }}}}`"
                        ))
                        .hint("put strings in quotes or backticks".to_owned()));
                    }
                    Word::Pipe => {}
                }
            }
            arguments.extend(carried.take());
            let value = match command.first() {
                Some(Word::Literal(text)) if command.len() == 1 && arguments.is_empty() => {
                    Value::from(text.clone())
                }
                Some(Word::Name(name)) => self.call(name, &arguments)?,
                _ => return Err(Fault::new(format!("`{{{{ {body} }}}}` cannot be read"))),
            };
            sensitive |= value.is_sensitive();
            carried = value.as_str().map(str::to_owned);
        }
        let value = Value::String(carried.unwrap_or_default());
        Ok(Some(if sensitive { value.sensitive() } else { value }))
    }

    fn call(&self, name: &str, arguments: &[String]) -> Result<Value, Fault> {
        let inputs = self.session.inputs;
        self.session.spend(1 + arguments.iter().map(|argument| argument.len() as u64 / 16).sum::<u64>())?;
        let text = match (name, arguments) {
            ("user", [variable]) => return self.user(variable),
            ("env", [variable]) if self.env => inputs.environment.get(variable).cloned().unwrap_or_default(),
            ("env", [_]) => {
                return Err(Fault::new("`env` can only be called in the default of a variable")
                    .hint("declare a variable with that default, and use the variable here".to_owned()));
            }
            ("build", [value]) => return self.running(value),
            ("build_name" | "build_type", []) => match self.build {
                Some((build, kind)) => if name == "build_name" { build } else { kind }.to_owned(),
                None => return Err(Fault::new(format!("`{name}` is not known outside of a build"))),
            },
            ("isotime", []) => go_time::format(dates::RFC3339, dates::now(self.session)?),
            ("isotime", [layout]) => go_time::format(layout, dates::now(self.session)?),
            ("strftime", [pattern]) => dates::strftime(self.session, pattern)?,
            ("timestamp", []) => inputs.now.to_string(),
            ("uuid", []) => hashes::uuid4(self.session),
            ("pwd", []) => inputs.working_folder.clone(),
            ("template_dir", []) => inputs.root.clone(),
            ("packer_version", []) => PACKER_VERSION.to_owned(),
            ("lower", [text]) => text.to_lowercase(),
            ("upper", [text]) => text.to_uppercase(),
            ("clean_resource_name", [text]) => text
                .chars()
                .map(
                    |letter| {
                        if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' }
                    },
                )
                .collect(),
            ("split", [text, separator, index]) => {
                let part =
                    index.parse().ok().and_then(|index: usize| text.split(separator.as_str()).nth(index));
                part.ok_or_else(|| Fault::new(format!("`split` has no part {index}")))?.to_owned()
            }
            ("replace_all", [old, new, text]) => self.replaced(text, old, new, usize::MAX)?,
            ("replace", [old, new, most, text]) => {
                let most: i64 =
                    most.parse().map_err(|_| Fault::new("the third argument of `replace` is a number"))?;
                self.replaced(text, old, new, usize::try_from(most).unwrap_or(usize::MAX))?
            }
            ("vault" | "consul_key" | "aws_secretsmanager", _) => {
                return Err(Fault::new(format!("`{name}` asks a service, which is not supported"))
                    .hint("give the value by a variable".to_owned()));
            }
            _ if FUNCTIONS.contains(&name) => {
                return Err(Fault::new(format!(
                    "`{name}` in braces does not take {} arguments",
                    arguments.len()
                )));
            }
            _ => {
                self.session.spend(SUGGESTION)?;
                let fault = Fault::new(format!("there is no function `{name}` for use in braces"));
                let near = suggest::nearest(name, FUNCTIONS.iter().copied());
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                return Err(fault
                    .hint(hint.or_else(|| Some("`{{ \"{{\" }}` gives the braces themselves".to_owned()))));
            }
        };
        if deferred::is_in(&text) && !arguments.iter().any(|argument| deferred::is_in(argument)) {
            return Err(Fault::new("the text is not UTF-8"));
        }
        Ok(Value::String(text))
    }

    fn replaced(&self, text: &str, old: &str, new: &str, most: usize) -> Result<String, Fault> {
        let found =
            if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }.min(most);
        self.session.spend((found as u64).saturating_mul(new.len() as u64) / 16)?;
        Ok(text.replacen(old, new, most))
    }

    fn user(&self, name: &str) -> Result<Value, Fault> {
        let Some(user) = self.user else {
            return Err(Fault::new("`user` is not known in HCL2").hint(format!("write ${{var.{name}}}")));
        };
        if self.broken.contains(name) {
            return Err(Fault::of_kind(FaultKind::Quiet, name));
        }
        if self.waiting.is_some_and(|waiting| waiting.contains(name)) {
            return Err(Fault::of_kind(FaultKind::Pending, name));
        }
        match user.get(name) {
            Some(value) => Ok(value.clone()),
            None => Err(Fault::new(format!("the variable `{name}` is not declared"))
                .hint(suggest::hint(name, user.keys().take(200).map(String::as_str)))),
        }
    }

    fn running(&self, name: &str) -> Result<Value, Fault> {
        if !self.running {
            return Err(Fault::new("`build` is known in provisioners and post-processors only"));
        }
        if name == RUN {
            return Ok(Value::from(self.session.inputs.run.clone()));
        }
        if deferred::NAMES.contains(&name) {
            return Ok(Value::String(deferred::mark(name)));
        }
        let hint = suggest::nearest(name, deferred::NAMES.iter().copied().chain([RUN]))
            .map(|near| format!("did you mean `{near}`?"));
        Err(Fault::new(format!("`build` has no `{name}`")).hint(hint))
    }
}

fn text_of_action(inner: &str) -> String {
    format!("{{{{{inner}}}}}")
}
