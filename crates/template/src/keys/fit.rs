//! Values of the type that a key needs.

use super::{Content, Entry, Kind};
use crate::Value;
use crate::deferred;
use crate::evaluate;
use crate::functions::dates;
use crate::session::Session;
use crate::suggest;
use crate::text::Place;
use crate::value::{number_text, whole};

/// What is wrong and what would be right; nothing where it has been reported.
type Wrong = Option<(String, Option<String>)>;

pub(super) fn fit(
    session: &Session<'_>,
    owner: &str,
    kind: &Kind,
    entry: Entry<'_>,
    weak: bool,
) -> Result<Value, Wrong> {
    match (kind, entry.content) {
        (_, Content::Broken) => Err(None),
        (Kind::Blocks(schema), Content::Blocks(blocks)) => {
            let inner = format!("`{}` of {owner}", entry.name);
            let mut list = Vec::new();
            for (range, entries) in blocks {
                let place = Place { text: entry.text, range };
                let settings = schema.settings(session, &inner, &place, entries, weak);
                list.push(Value::Map(
                    settings.0.into_iter().map(|(key, setting)| (key, setting.value)).collect(),
                ));
            }
            Ok(Value::List(list))
        }
        (Kind::Blocks(_), Content::Value(_)) => {
            wrong("a block is needed here", Some(format!("{} {{ … }}", entry.name)))
        }
        (_, Content::Blocks(_)) => wrong("this is no block", Some(format!("{} = …", entry.name))),
        (kind, Content::Value(value)) => fit_value(kind, value, weak).map_err(Some),
    }
}

fn wrong(message: impl Into<String>, hint: Option<String>) -> Result<Value, Wrong> {
    Err(Some((message.into(), hint)))
}

fn fit_value(kind: &Kind, value: Value, weak: bool) -> Result<Value, (String, Option<String>)> {
    if matches!(value, Value::Null) {
        return Ok(Value::Null);
    }
    if let Value::Sensitive(inner) = &value {
        return Ok(fit_value(kind, inner.expose().clone(), weak)?.sensitive());
    }
    let needs = |what: &str| (format!("{what} is needed here, not {}", value.kind()), None);
    let is_deferred = value.as_str().is_some_and(deferred::is_in);
    match kind {
        Kind::Text => evaluate::text(&value).map(Value::String).map_err(|_| needs("a string")),
        Kind::Flag => {
            let flag = evaluate::flag(&value).or_else(|| weak_flag(&value).filter(|_| weak));
            flag.map(Value::Bool).ok_or_else(|| needs("true or false"))
        }
        Kind::Whole => {
            let number = evaluate::number(&value).ok_or_else(|| {
                let is_size =
                    value.as_str().is_some_and(|text| text.ends_with(['K', 'M', 'G', 'T', 'B', 'b']));
                let hint = "sizes are in bytes here: 4 GiB is 4294967296".to_owned();
                (needs("a whole number").0, is_size.then_some(hint))
            })?;
            let message = || format!("{} is no whole number from 0 to 2^53", number_text(number));
            whole(number).map(|_| Value::Number(number)).ok_or_else(|| (message(), None))
        }
        Kind::Duration => {
            let text = evaluate::text(&value).map_err(|_| needs("a duration"))?;
            match dates::duration(&text) {
                Ok(length) if !length.is_negative() => Ok(Value::String(text)),
                _ => {
                    Err((format!("`{text}` is no duration"), Some("as in `10s`, `5m` or `1h30m`".to_owned())))
                }
            }
        }
        Kind::OneOf(names) => {
            let text = evaluate::text(&value).map_err(|_| needs("a string"))?;
            if names.contains(&text.as_str()) || text.is_empty() || is_deferred {
                return Ok(Value::String(text));
            }
            Err((
                format!("`{text}` is none of {}", suggest::list(names)),
                suggest::nearest(&text, names.iter().copied()).map(|near| format!("did you mean `{near}`?")),
            ))
        }
        Kind::Texts => elements(&Kind::Text, value, weak, "a list of strings"),
        Kind::Wholes => elements(&Kind::Whole, value, weak, "a list of whole numbers"),
        Kind::TextMap => match value {
            Value::Map(map) => {
                let entries =
                    map.into_iter().map(|(key, value)| Ok((key, fit_value(&Kind::Text, value, weak)?)));
                entries.collect::<Result<_, _>>().map(Value::Map)
            }
            _ => Err(needs("a map of strings")),
        },
        Kind::Mounts => {
            let example = Some("as in [[\"bind\", \"/dev\", \"/dev\"]]: type, device, folder".to_owned());
            let Value::List(list) = value else { return Err((needs("a list of mounts").0, example)) };
            let mounts = list.into_iter().map(|mount| match elements(&Kind::Text, mount, false, "a mount") {
                Ok(Value::List(parts)) if parts.len() == 3 => Ok(Value::List(parts)),
                Ok(_) => Err(("a mount has three strings".to_owned(), example.clone())),
                Err((message, _)) => Err((message, example.clone())),
            });
            mounts.collect::<Result<_, _>>().map(Value::List)
        }
        Kind::Commands => {
            let example =
                Some("as in [[\"cp\", \"motd\", \"$MOUNTPOINT/etc/motd\"]]: a list of words each".to_owned());
            let Value::List(list) = value else { return Err((needs("a list of commands").0, example)) };
            let commands =
                list.into_iter().map(|command| match elements(&Kind::Text, command, false, "a command") {
                    Ok(Value::List(words)) if words.is_empty() => {
                        Err(("a command has no words".to_owned(), None))
                    }
                    Ok(words) => Ok(words),
                    Err((message, _)) => Err((message, example.clone())),
                });
            commands.collect::<Result<_, _>>().map(Value::List)
        }
        Kind::Overrides => match value {
            Value::Map(map) if map.values().all(|keys| keys.as_map().is_some()) => Ok(Value::Map(map)),
            _ => Err((needs("a map of maps").0, Some("override = { NAME = { KEY = … } }".to_owned()))),
        },
        Kind::Blocks(_) => Err(needs("a block")),
    }
}

/// A bool as Packer's JSON takes it, where a variable is always text.
fn weak_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Number(number) => Some(*number != 0.0),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn elements(kind: &Kind, value: Value, weak: bool, what: &str) -> Result<Value, (String, Option<String>)> {
    match value {
        Value::List(list) => list
            .into_iter()
            .map(|value| fit_value(kind, value, weak))
            .collect::<Result<_, _>>()
            .map(Value::List),
        Value::Sensitive(inner) => Ok(elements(kind, inner.expose().clone(), weak, what)?.sensitive()),
        single if weak && !matches!(single, Value::Map(_)) => {
            Ok(Value::List(vec![fit_value(kind, single, weak)?]))
        }
        other => {
            let hint = matches!(other, Value::String(_)).then(|| "put it in brackets: [\"…\"]".to_owned());
            Err((format!("{what} is needed here, not {}", other.kind()), hint))
        }
    }
}
