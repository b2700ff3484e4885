//! JSON with the places of its values.

use std::collections::{BTreeMap, btree_map::Entry};
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::session::{Fault, LARGEST_TEXT, Session};
use crate::{Text, Value, deferred};

/// Deeper templates are refused before they could use up the stack.
const DEEPEST: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) range: Range<usize>,
    pub(super) kind: NodeKind,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A name with its value.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) key: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    /// The value, without places.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(flag) => Value::Bool(*flag),
            NodeKind::Number(number) => Value::Number(*number),
            NodeKind::String(text) => Value::String(text.clone()),
            NodeKind::List(list) => Value::List(list.iter().map(Self::value).collect()),
            NodeKind::Object(members) => {
                Value::Map(members.iter().map(|member| (member.name.clone(), member.value.value())).collect())
            }
        }
    }

    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "null",
            NodeKind::Bool(_) => "a bool",
            NodeKind::Number(_) => "a number",
            NodeKind::String(_) => "a string",
            NodeKind::List(_) => "a list",
            NodeKind::Object(_) => "an object",
        }
    }
}

/// Reads a whole text; what is wrong is reported.
pub(super) fn read(session: &Session<'_>, text: &Text, may_show: bool) -> Option<Node> {
    let source = text.text.as_str();
    if source.len() > LARGEST_TEXT {
        session.error(text, &(0..0), format!("the file is larger than {LARGEST_TEXT} bytes"), None);
        return None;
    }
    let reader = Reader { session, text };
    let raw: &RawValue = match serde_json::from_str(source) {
        Ok(raw) => raw,
        Err(error) => {
            let offset = offset_of(source, error.line(), error.column());
            let line =
                if may_show { source.lines().nth(error.line().saturating_sub(1)).unwrap_or("") } else { "" };
            // The end of the message tells the place, which is told already.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            session.syntax(text.position(offset), line, format!("this is no JSON: {message}"));
            return None;
        }
    };
    match reader.node(raw, 0) {
        Ok(node) => Some(node),
        Err(fault) => {
            session.fault(text, fault, &(0..0));
            None
        }
    }
}

fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(source.len())
}

struct Reader<'a> {
    session: &'a Session<'a>,
    text: &'a Text,
}

impl Reader<'_> {
    fn range(&self, part: &str) -> Range<usize> {
        // `part` was borrowed from the text, as RawValue does; so the difference of the addresses is its place.
        let start = (part.as_ptr() as usize).saturating_sub(self.text.text.as_ptr() as usize);
        start..start + part.len()
    }

    fn node(&self, raw: &RawValue, depth: usize) -> Result<Node, Fault> {
        let part = raw.get();
        let range = self.range(part);
        let place = |fault: Fault| fault.at(Some(range.clone()));
        self.session.spend(1 + part.len() as u64 / 64)?;
        if depth > DEEPEST {
            return Err(place(Fault::new(format!("the file is nested more than {DEEPEST} deep"))));
        }
        let no_json = |error: serde_json::Error| place(Fault::new(format!("this is no JSON: {error}")));
        let kind = match part.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(part).map_err(no_json)?;
                if deferred::is_in(&text) {
                    return Err(place(Fault::new(
                        "the string holds a character that Unicode leaves undefined",
                    )));
                }
                NodeKind::String(text)
            }
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(part).map_err(no_json)?;
                NodeKind::List(
                    list.into_iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?,
                )
            }
            Some(b'{') => {
                let Members(members) = serde_json::from_str(part).map_err(no_json)?;
                NodeKind::Object(self.members(members, depth)?)
            }
            Some(b't') => NodeKind::Bool(true),
            Some(b'f') => NodeKind::Bool(false),
            Some(b'n') => NodeKind::Null,
            _ => {
                let number = part.parse().ok().filter(|number: &f64| number.is_finite());
                NodeKind::Number(number.ok_or_else(|| place(Fault::new("the number is out of range")))?)
            }
        };
        Ok(Node { range, kind })
    }

    fn members(&self, members: Vec<(String, &RawValue)>, depth: usize) -> Result<Vec<Member>, Fault> {
        let mut first = BTreeMap::new();
        let mut result = Vec::new();
        for (name, raw) in members {
            let value = self.node(raw, depth + 1)?;
            let key = self.key(&name, &value.range);
            match first.entry(name.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(key.start);
                    result.push(Member { name, key, value });
                }
                Entry::Occupied(first) => {
                    let first = self.text.position(*first.get());
                    let message = format!("the key `{name}` is there twice, first at {first}");
                    self.session.error(self.text, &key, message, None);
                }
            }
        }
        Ok(result)
    }

    /// Where the name stands, in front of its value; the value itself where it is written with escapes.
    fn key(&self, name: &str, value: &Range<usize>) -> Range<usize> {
        let before = self.text.text[..value.start].trim_end().trim_end_matches(':').trim_end();
        let quoted = format!("\"{name}\"");
        if before.ends_with(&quoted) { before.len() - quoted.len()..before.len() } else { value.clone() }
    }
}

/// The members of an object in their order, the repeated ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
