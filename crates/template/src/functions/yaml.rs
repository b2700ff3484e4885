//! `yamlencode()` and `yamldecode()`.

use std::fmt::Write as _;

use super::encoding::from_json;
use crate::Value;
use crate::value::number_text;

pub(super) fn decode(text: &str) -> Result<Value, String> {
    let value: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| {
        // The message goes on with an excerpt in several lines.
        format!("this is no YAML: {}", error.to_string().lines().next().unwrap_or_default())
    })?;
    from_json(value)
}

/// Block style, strings in quotes: what every reader of YAML takes for the same.
pub(super) fn encode(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn write(value: &Value, indent: usize, into: &mut String) {
    match value {
        Value::List(list) if !list.is_empty() => {
            for (index, item) in list.iter().enumerate() {
                lead(index, indent, into);
                into.push_str("- ");
                write(item, indent + 2, into);
                end(into);
            }
        }
        Value::Map(map) if !map.is_empty() => {
            for (index, (key, item)) in map.iter().enumerate() {
                lead(index, indent, into);
                into.push_str(&quoted(key));
                into.push(':');
                if matches!(item, Value::List(list) if !list.is_empty())
                    || matches!(item, Value::Map(map) if !map.is_empty())
                {
                    let inner = if matches!(item, Value::List(_)) { indent } else { indent + 2 };
                    let _ = write!(into, "\n{}", " ".repeat(inner));
                    write(item, inner, into);
                } else {
                    into.push(' ');
                    write(item, indent + 2, into);
                }
                end(into);
            }
        }
        Value::List(_) => into.push_str("[]"),
        Value::Map(_) => into.push_str("{}"),
        Value::String(text) => into.push_str(&quoted(text)),
        Value::Number(number) => into.push_str(&number_text(*number)),
        Value::Bool(flag) => into.push_str(if *flag { "true" } else { "false" }),
        Value::Null => into.push_str("null"),
        // Functions get their arguments without marks.
        Value::Sensitive(_) => into.push_str(crate::value::HIDDEN),
    }
}

/// The first entry stands where its parent left off.
fn lead(index: usize, indent: usize, into: &mut String) {
    if index > 0 {
        into.push_str(&" ".repeat(indent));
    }
}

fn end(into: &mut String) {
    if !into.ends_with('\n') {
        into.push('\n');
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
