//! Functions that encode and decode.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Call, Function, yaml};
use crate::Value;
use crate::deferred;
use crate::evaluate::Evaluated;
use crate::session::Fault;

pub(super) const FUNCTIONS: &[Function] = &[
    ("base64decode", 1, 1, |call| utf8(decode(call, 0)?)),
    ("base64encode", 1, 1, |call| Ok(Value::String(STANDARD.encode(call.text(0)?)))),
    ("csvdecode", 1, 1, csv),
    ("jsondecode", 1, 1, |call| {
        let text = call.text(0)?;
        call.spend(text.len() / 4)?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| Fault::new(format!("this is no JSON: {error}")))?;
        Ok(from_json(value)?)
    }),
    ("jsonencode", 1, 1, |call| {
        let text = serde_json::to_string(call.value(0)?).map_err(|error| Fault::new(error.to_string()))?;
        // Only inside strings can these letters stand, and there the escapes mean the same.
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        Ok(Value::String(text))
    }),
    ("textdecodebase64", 2, 2, |call| match encoding(call)? {
        Encoding::Utf8 => utf8(decode(call, 0)?),
        wide => {
            let bytes = decode(call, 0)?;
            let (pairs, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return Err("the text ends in the middle of a letter".into());
            }
            let units = pairs.iter().map(|pair| match wide {
                Encoding::Utf16Be => u16::from_be_bytes(*pair),
                _ => u16::from_le_bytes(*pair),
            });
            let text: Result<String, _> = char::decode_utf16(units).collect();
            utf8(text.map_err(|_| Fault::new("the text is not in that encoding"))?.into_bytes())
        }
    }),
    ("textencodebase64", 2, 2, |call| {
        let text = call.text(0)?;
        let bytes: Vec<u8> = match encoding(call)? {
            Encoding::Utf8 => text.into_bytes(),
            Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        };
        Ok(Value::String(STANDARD.encode(bytes)))
    }),
    ("urlencode", 1, 1, |call| {
        let mut result = String::new();
        for byte in call.text(0)?.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    result.push(byte.into())
                }
                b' ' => result.push('+'),
                _ => result.push_str(&format!("%{byte:02X}")),
            }
        }
        Ok(Value::String(result))
    }),
    ("yamldecode", 1, 1, |call| {
        let text = call.text(0)?;
        call.spend(text.len())?;
        Ok(yaml::decode(&text)?)
    }),
    ("yamlencode", 1, 1, |call| Ok(Value::String(yaml::encode(call.value(0)?)))),
];

enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

fn encoding(call: &Call<'_>) -> Result<Encoding, Fault> {
    let name = call.text(1)?;
    match name.to_ascii_uppercase().as_str() {
        "UTF-8" => Ok(Encoding::Utf8),
        "UTF-16LE" => Ok(Encoding::Utf16Le),
        "UTF-16BE" => Ok(Encoding::Utf16Be),
        _ => Err(Fault::new(format!("the encoding `{name}` is not supported"))
            .hint("one of `UTF-8`, `UTF-16LE`, `UTF-16BE` would do".to_owned())),
    }
}

fn decode(call: &Call<'_>, index: usize) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(call.text(index)?).map_err(|error| Fault::new(format!("this is no base64: {error}")))
}

/// Text from outside the template: it may hold no marks of deferred values.
pub(super) fn utf8(bytes: Vec<u8>) -> Evaluated {
    match String::from_utf8(bytes) {
        Ok(text) if !deferred::is_in(&text) => Ok(Value::String(text)),
        _ => Err("the text is not UTF-8".into()),
    }
}

pub(crate) fn from_json(value: serde_json::Value) -> Result<Value, String> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => {
            let number = number.as_f64().filter(|number| number.is_finite());
            Value::Number(number.ok_or("a number is out of range")?)
        }
        Json::String(text) if deferred::is_in(&text) => return Err("the text is not UTF-8".to_owned()),
        Json::String(text) => Value::String(text),
        Json::Array(list) => Value::List(list.into_iter().map(from_json).collect::<Result<_, _>>()?),
        Json::Object(map) => Value::Map(
            map.into_iter()
                .map(|(key, value)| Ok((key, from_json(value)?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}

/// Lines of fields; the first names them.
fn csv(call: &Call<'_>) -> Evaluated {
    let text = call.text(0)?;
    call.spend(text.len())?;
    let mut records = records(&text)?.into_iter();
    let Some(head) = records.next() else { return Err("there is no line with names".into()) };
    let mut rows = Vec::new();
    for (index, record) in records.enumerate() {
        if record.len() != head.len() {
            let message = format!("record {} has {} fields, not {}", index + 1, record.len(), head.len());
            return Err(Fault::new(message));
        }
        call.spend(head.iter().map(|name| 1 + name.len() / 16).sum())?;
        let row: BTreeMap<String, Value> =
            head.iter().cloned().zip(record.into_iter().map(Value::String)).collect();
        rows.push(Value::Map(row));
    }
    Ok(Value::List(rows))
}

fn records(text: &str) -> Result<Vec<Vec<String>>, Fault> {
    let mut records = vec![];
    let (mut record, mut field, mut quoted, mut touched) = (Vec::new(), String::new(), false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            _ if quoted => field.push(letter),
            '"' if field.is_empty() => (quoted, touched) = (true, true),
            ',' => {
                record.push(std::mem::take(&mut field));
                touched = true;
            }
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' if field.is_empty() && !touched => {}
            '\n' => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
                touched = false;
            }
            _ => field.push(letter),
        }
    }
    if quoted {
        return Err("a quoted field is not closed".into());
    }
    if touched || !field.is_empty() {
        record.push(field);
        records.push(record);
    }
    Ok(records)
}
