//! Functions of strings.

use std::collections::BTreeMap;

use regex::{Captures, Regex, RegexBuilder};
use unicode_segmentation::UnicodeSegmentation as _;

use super::{Call, Function, MANY, format, list_of};
use crate::Value;
use crate::evaluate::Evaluated;
use crate::session::Fault;

pub(super) const FUNCTIONS: &[Function] = &[
    ("chomp", 1, 1, |call| Ok(Value::from(call.text(0)?.trim_end_matches(['\r', '\n'])))),
    ("endswith", 2, 2, |call| Ok(Value::Bool(call.text(0)?.ends_with(&call.text(1)?)))),
    ("format", 1, MANY, |call| {
        let text = format::format(&call.text(0)?, &call.all().iter().skip(1).collect::<Vec<_>>())?;
        Ok(Value::String(text))
    }),
    ("formatlist", 1, MANY, format_list),
    ("indent", 2, 2, indent),
    ("join", 2, MANY, join),
    ("lower", 1, 1, |call| Ok(Value::String(call.text(0)?.to_lowercase()))),
    ("regex", 2, 2, regex),
    ("regex_replace", 3, 3, regex_replace),
    ("regexall", 2, 2, regex_all),
    ("replace", 3, 3, replace),
    ("split", 2, 2, |call| {
        let (separator, text) = (call.text(0)?, call.text(1)?);
        call.spend(text.len())?;
        if separator.is_empty() {
            return Ok(list_of(text.chars()));
        }
        Ok(list_of(text.split(&separator)))
    }),
    ("startswith", 2, 2, |call| Ok(Value::Bool(call.text(0)?.starts_with(&call.text(1)?)))),
    ("strcontains", 2, 2, |call| Ok(Value::Bool(call.text(0)?.contains(&call.text(1)?)))),
    ("strrev", 1, 1, |call| Ok(Value::String(call.text(0)?.graphemes(true).rev().collect()))),
    ("substr", 3, 3, substr),
    ("title", 1, 1, title),
    ("trim", 2, 2, |call| {
        let letters: Vec<char> = call.text(1)?.chars().collect();
        call.spend(letters.len())?;
        let text = call.text(0)?;
        call.spend(text.len().saturating_mul(letters.len()) / 16)?;
        Ok(Value::from(text.trim_matches(&letters[..])))
    }),
    ("trimprefix", 2, 2, |call| {
        let (text, prefix) = (call.text(0)?, call.text(1)?);
        Ok(Value::from(text.strip_prefix(&prefix).unwrap_or(&text)))
    }),
    ("trimspace", 1, 1, |call| Ok(Value::from(call.text(0)?.trim()))),
    ("trimsuffix", 2, 2, |call| {
        let (text, suffix) = (call.text(0)?, call.text(1)?);
        Ok(Value::from(text.strip_suffix(&suffix).unwrap_or(&text)))
    }),
    ("upper", 1, 1, |call| Ok(Value::String(call.text(0)?.to_uppercase()))),
];

fn join(call: &Call<'_>) -> Evaluated {
    let separator = call.text(0)?;
    let mut texts = Vec::new();
    for index in 1..call.len() {
        texts.extend(call.texts(index)?);
    }
    call.spend(texts.len().saturating_mul(separator.len()) / 16)?;
    Ok(Value::String(texts.join(&separator)))
}

fn indent(call: &Call<'_>) -> Evaluated {
    let (width, text) = (call.size(0)?, call.text(1)?);
    call.spend(text.matches('\n').count().saturating_mul(width) / 16)?;
    Ok(Value::String(text.replace('\n', &format!("\n{}", " ".repeat(width.min(1 << 20))))))
}

fn replace(call: &Call<'_>) -> Evaluated {
    let (text, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let found = if from.is_empty() { text.chars().count() + 1 } else { text.matches(&from).count() };
    call.spend(found.saturating_mul(to.len()) / 16)?;
    Ok(Value::String(text.replace(&from, &to)))
}

fn substr(call: &Call<'_>) -> Evaluated {
    let text = call.text(0)?;
    // What a reader takes for a letter may be several characters.
    let letters: Vec<&str> = text.graphemes(true).collect();
    let (offset, length) = (call.integer(1)?, call.integer(2)?);
    call.spend(letters.len())?;
    let start = match usize::try_from(offset) {
        Ok(start) => start.min(letters.len()),
        Err(_) => letters.len().saturating_sub(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let end = match usize::try_from(length) {
        Ok(length) => start.saturating_add(length).min(letters.len()),
        Err(_) => letters.len(),
    };
    Ok(Value::String(letters[start..end].concat()))
}

fn title(call: &Call<'_>) -> Evaluated {
    let mut result = String::new();
    let mut inside = false;
    for letter in call.text(0)?.chars() {
        if inside {
            result.push(letter)
        } else {
            result.extend(letter.to_uppercase())
        }
        // What separates words for Go: everything in ASCII but letters, digits and `_`, and otherwise only spaces.
        inside = letter.is_alphanumeric() || letter == '_' || !letter.is_ascii() && !letter.is_whitespace();
    }
    Ok(Value::String(result))
}

fn format_list(call: &Call<'_>) -> Evaluated {
    let pattern = call.text(0)?;
    let lists: Vec<&[Value]> = call
        .all()
        .iter()
        .skip(1)
        .filter_map(|value| if let Value::List(list) = value { Some(&list[..]) } else { None })
        .collect();
    let length = lists.first().map_or(1, |list| list.len());
    if lists.iter().any(|list| list.len() != length) {
        return Err("the lists given to `formatlist` differ in length".into());
    }
    let mut result = Vec::new();
    for row in 0..length {
        let arguments: Vec<&Value> = call
            .all()
            .iter()
            .skip(1)
            .map(|value| if let Value::List(list) = value { &list[row] } else { value })
            .collect();
        let text = format::format(&pattern, &arguments)?;
        call.spend(1 + (text.len() + pattern.len()) / 4)?;
        result.push(Value::String(text));
    }
    Ok(Value::List(result))
}

/// A compiled pattern, of limited size; matching is linear in the text.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(1 << 18).dfa_size_limit(1 << 18).nest_limit(32).build().map_err(
        |error| {
            match error {
                regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
                // The whole message draws the pattern over several lines; its last line is the reason.
                other => {
                    let message = other.to_string();
                    let reason =
                        message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    format!("the regular expression is wrong: {reason}")
                }
            }
        },
    )
}

fn compiled(call: &Call<'_>, index: usize, text: &str) -> Result<Regex, Fault> {
    let source = call.text(index)?;
    call.spend(2000 + source.len().saturating_mul(100))?;
    call.spend(text.len())?;
    Ok(pattern(&source)?)
}

/// The whole match, its groups as a list, or its named groups as a map.
fn captured(regex: &Regex, captures: &Captures<'_>) -> Value {
    let group = |index: usize| captures.get(index).map_or(Value::Null, |found| Value::from(found.as_str()));
    let names: BTreeMap<String, Value> = regex
        .capture_names()
        .enumerate()
        .filter_map(|(index, name)| Some((name?.to_owned(), group(index))))
        .collect();
    match (captures.len(), names.is_empty()) {
        (1, _) => group(0),
        (_, false) => Value::Map(names),
        (groups, true) => Value::List((1..groups).map(group).collect()),
    }
}

fn regex(call: &Call<'_>) -> Evaluated {
    let text = call.text(1)?;
    let regex = compiled(call, 0, &text)?;
    match regex.captures(&text) {
        Some(captures) => Ok(captured(&regex, &captures)),
        None => Err(Fault::new("the regular expression matches nothing")
            .hint("`regexall` gives an empty list then".to_owned())),
    }
}

fn regex_all(call: &Call<'_>) -> Evaluated {
    let text = call.text(1)?;
    let regex = compiled(call, 0, &text)?;
    let mut found = Vec::new();
    for captures in regex.captures_iter(&text) {
        let value = captured(&regex, &captures);
        call.spend(8 + captures.len())?;
        found.push(value);
    }
    Ok(Value::List(found))
}

fn regex_replace(call: &Call<'_>) -> Evaluated {
    let (text, replacement) = (call.text(0)?, call.text(2)?);
    let regex = compiled(call, 1, &text)?;
    let (mut result, mut end) = (String::new(), 0);
    for captures in regex.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        result.push_str(&text[end..whole.start()]);
        let before = result.len();
        captures.expand(&replacement, &mut result);
        call.spend(8 + (replacement.len() + result.len() - before) / 8)?;
        end = whole.end();
    }
    result.push_str(&text[end..]);
    Ok(Value::String(result))
}
