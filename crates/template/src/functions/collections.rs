//! Functions of lists and maps.

use std::collections::{BTreeMap, BTreeSet};

use unicode_segmentation::UnicodeSegmentation as _;

use super::{Call, Function, MANY, list_of};
use crate::Value;
use crate::evaluate::Evaluated;
use crate::session::{Fault, SUGGESTION};
use crate::suggest;
use crate::value::count;

/// More elements than this are refused by `range()`, as Packer does.
const LONGEST_RANGE: usize = 1024;

pub(super) const FUNCTIONS: &[Function] = &[
    ("alltrue", 1, 1, |call| flags(call).map(|flags| Value::Bool(flags.iter().all(|flag| *flag)))),
    ("anytrue", 1, 1, |call| flags(call).map(|flags| Value::Bool(flags.iter().any(|flag| *flag)))),
    ("chunklist", 2, 2, |call| {
        let size = call.size(1)?;
        let list = call.list(0)?;
        let chunks = list.chunks(if size == 0 { list.len().max(1) } else { size });
        Ok(Value::List(chunks.map(|chunk| Value::List(chunk.to_vec())).collect()))
    }),
    ("coalesce", 1, MANY, |call| {
        let found =
            call.all().iter().find(|value| !matches!(value, Value::Null) && **value != Value::from(""));
        found.cloned().ok_or_else(|| Fault::new("`coalesce` was given nothing but null and empty strings"))
    }),
    ("coalescelist", 1, MANY, |call| {
        let found = call.all().iter().find(|value| matches!(value, Value::List(list) if !list.is_empty()));
        found.cloned().ok_or_else(|| Fault::new("`coalescelist` was given no list with elements"))
    }),
    ("compact", 1, 1, |call| {
        let kept =
            call.list(0)?.iter().filter(|value| !matches!(value, Value::Null) && **value != Value::from(""));
        Ok(Value::List(kept.cloned().collect()))
    }),
    ("concat", 1, MANY, |call| {
        let mut all = Vec::new();
        for index in 0..call.len() {
            all.extend_from_slice(call.list(index)?);
        }
        Ok(Value::List(all))
    }),
    ("contains", 2, 2, |call| Ok(Value::Bool(call.list(0)?.contains(call.value(1)?)))),
    ("distinct", 1, 1, |call| {
        let mut seen = BTreeSet::new();
        let kept = call.list(0)?.iter().filter(|value| seen.insert(value.to_string()));
        Ok(Value::List(kept.cloned().collect()))
    }),
    ("element", 2, 2, |call| {
        let list = call.list(0)?;
        let index = call.size(1)?;
        let wrapped = index.checked_rem(list.len()).ok_or_else(|| Fault::new("the list has no elements"))?;
        Ok(list[wrapped].clone())
    }),
    ("flatten", 1, 1, |call| {
        let mut flat = Vec::new();
        flatten(call.list(0)?, &mut flat);
        Ok(Value::List(flat))
    }),
    ("index", 2, 2, |call| {
        let wanted = call.value(1)?;
        let found = call.list(0)?.iter().position(|value| value == wanted);
        found.map(count).ok_or_else(|| Fault::new("the list does not have that element"))
    }),
    ("keys", 1, 1, |call| Ok(list_of(call.map(0)?.keys().cloned()))),
    ("length", 1, 1, |call| match call.value(0)? {
        Value::List(list) => Ok(count(list.len())),
        Value::Map(map) => Ok(count(map.len())),
        Value::String(text) => Ok(count(text.graphemes(true).count())),
        _ => Err(call.wrong(0, "a list, a map or a string")),
    }),
    ("lookup", 2, 3, |call| {
        let (map, key) = (call.map(0)?, call.text(1)?);
        if let Some(found) = map.get(&key).or_else(|| call.all().get(2)) {
            return Ok(found.clone());
        }
        call.evaluator.session.spend(SUGGESTION)?;
        let hint = suggest::hint(&key, map.keys().take(200).map(String::as_str));
        Err(Fault::new(format!("the map has no `{key}`, and `lookup` no default")).hint(hint))
    }),
    ("merge", 1, MANY, |call| {
        let mut all = BTreeMap::new();
        for index in 0..call.len() {
            // As in HCL, for `merge(local.usual, var.more)` with a variable that is null.
            if !matches!(call.value(index)?, Value::Null) {
                all.extend(call.map(index)?.clone());
            }
        }
        Ok(Value::Map(all))
    }),
    ("range", 1, 3, range),
    ("reverse", 1, 1, |call| Ok(Value::List(call.list(0)?.iter().rev().cloned().collect()))),
    ("setintersection", 1, MANY, |call| {
        let mut result = keyed(call.list(0)?);
        for index in 1..call.len() {
            let other = keyed(call.list(index)?);
            result.retain(|key, _| other.contains_key(key));
        }
        Ok(Value::List(result.into_values().collect()))
    }),
    ("setproduct", 1, MANY, set_product),
    ("setunion", 1, MANY, |call| {
        let mut result = BTreeMap::new();
        for index in 0..call.len() {
            result.extend(keyed(call.list(index)?));
        }
        Ok(Value::List(result.into_values().collect()))
    }),
    ("slice", 3, 3, |call| {
        let (list, start, end) = (call.list(0)?, call.size(1)?, call.size(2)?);
        let part = list.get(start..end);
        let message = format!("{start} to {end} is no part of a list of {}", list.len());
        part.map(|part| Value::List(part.to_vec())).ok_or_else(|| Fault::new(message))
    }),
    ("sort", 1, 1, |call| {
        let mut texts = call.texts(0)?;
        texts.sort();
        Ok(list_of(texts))
    }),
    ("values", 1, 1, |call| Ok(Value::List(call.map(0)?.values().cloned().collect()))),
    ("zipmap", 2, 2, |call| {
        let (keys, values) = (call.texts(0)?, call.list(1)?);
        if keys.len() != values.len() {
            return Err(Fault::new(format!("{} keys do not go with {} values", keys.len(), values.len())));
        }
        Ok(Value::Map(keys.into_iter().zip(values.iter().cloned()).collect()))
    }),
];

fn keyed(list: &[Value]) -> BTreeMap<String, Value> {
    list.iter().map(|value| (value.to_string(), value.clone())).collect()
}

fn flags(call: &Call<'_>) -> Result<Vec<bool>, Fault> {
    let flag = |value: &Value| crate::evaluate::flag(value).ok_or_else(|| call.wrong(0, "a list of bools"));
    call.list(0)?.iter().map(flag).collect()
}

fn flatten(list: &[Value], into: &mut Vec<Value>) {
    for value in list {
        match value {
            Value::List(inner) => flatten(inner, into),
            other => into.push(other.clone()),
        }
    }
}

fn range(call: &Call<'_>) -> Evaluated {
    let (start, end) = match call.len() {
        1 => (0.0, call.number(0)?),
        _ => (call.number(0)?, call.number(1)?),
    };
    let step = match call.len() {
        3 => call.number(2)?,
        _ if end < start => -1.0,
        _ => 1.0,
    };
    if step == 0.0 || (end - start) * step < 0.0 {
        return Err("the step of `range` leads away from its end".into());
    }
    let mut list = Vec::new();
    let mut next = start;
    while (step > 0.0 && next < end) || (step < 0.0 && next > end) {
        if list.len() == LONGEST_RANGE {
            return Err(Fault::new(format!("`range` would have more than {LONGEST_RANGE} elements")));
        }
        list.push(Value::Number(next));
        next += step;
    }
    Ok(Value::List(list))
}

fn set_product(call: &Call<'_>) -> Evaluated {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for index in 0..call.len() {
        let list = call.list(index)?;
        let mut next = Vec::new();
        for row in &rows {
            for value in list {
                let mut longer = row.clone();
                longer.push(value.clone());
                call.evaluator.session.spend(longer.iter().map(Value::weight).sum())?;
                next.push(longer);
            }
        }
        rows = next;
    }
    Ok(Value::List(rows.into_iter().map(Value::List).collect()))
}
