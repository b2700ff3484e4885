//! The keys in the body of a source, provisioner or post-processor.

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Body, Structure};

use super::document::span;
use crate::braces::Braces;
use crate::evaluate::{Evaluator, Scope};
use crate::keys::{Content, Entry, Kind, Schema};
use crate::session::{Fault, Session};
use crate::{Text, Value};

/// Reads bodies, evaluated in one scope.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a, 's> {
    pub(super) session: &'s Session<'s>,
    pub(super) text: &'a Text,
    pub(super) scope: &'s Scope<'s>,
    pub(super) braces: &'s Braces<'s>,
}

/// Keeps what is sensitive in `value` out of messages.
///
/// Short strings and numbers that were derived from a secret, such as its length, are not kept: they are everywhere.
pub(super) fn hide(session: &Session<'_>, value: &Value) {
    match value {
        Value::Sensitive(inner) => hide_strings(session, inner.expose()),
        Value::List(list) => list.iter().for_each(|value| hide(session, value)),
        Value::Map(map) => map.values().for_each(|value| hide(session, value)),
        _ => {}
    }
}

fn hide_strings(session: &Session<'_>, value: &Value) {
    match value {
        Value::String(text) if text.len() > 3 => session.keep_secret(value),
        Value::List(list) => list.iter().for_each(|value| hide_strings(session, value)),
        Value::Map(map) => map.values().for_each(|value| hide_strings(session, value)),
        Value::Sensitive(inner) => hide_strings(session, inner.expose()),
        _ => {}
    }
}

impl<'a> Reader<'a, '_> {
    fn value(&self, expression: &Expression) -> Result<Value, Fault> {
        let value = Evaluator::new(self.session).keep(expression, self.scope)?;
        let value = self.braces.value(value).map_err(|fault| fault.at(self.place_of_braces(expression)))?;
        // What is derived from a secret is one.
        hide(self.session, &value);
        Ok(value)
    }

    /// The element of a list in which braces are wrong: lists of commands are long.
    fn place_of_braces(&self, expression: &Expression) -> Option<Range<usize>> {
        let Expression::Array(array) = expression else { return None };
        let wrong = array.iter().find(|element| {
            let value = Evaluator::new(self.session).evaluate(element, self.scope);
            value.is_ok_and(|value| self.braces.value(value).is_err())
        });
        wrong?.span()
    }

    /// All keys in `body`; `schema` tells which of them are blocks.
    pub(super) fn entries(&self, body: &Body, schema: Option<&'static Schema>) -> Vec<Entry<'a>> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        // Where the first block of each name went.
        let mut blocks: BTreeMap<&str, usize> = BTreeMap::new();
        for structure in body.iter().take_while(|_| !self.session.is_full()) {
            match structure {
                Structure::Attribute(attribute) => {
                    let content = match self.value(&attribute.value) {
                        Ok(value) => Content::Value(value),
                        Err(fault) => {
                            self.session.fault(self.text, fault, &span(&attribute.value));
                            Content::Broken
                        }
                    };
                    entries.push(Entry {
                        name: attribute.key.value().to_string(),
                        text: self.text,
                        key: span(&attribute.key),
                        value: span(&attribute.value),
                        content,
                    });
                }
                Structure::Block(block) => {
                    let name = block.ident.value().as_str();
                    if name == "dynamic" {
                        for (name, range, inside) in self.dynamic(block, schema) {
                            add_block(&mut entries, &mut blocks, self.text, name, range, inside);
                        }
                        continue;
                    }
                    let inner = match schema.and_then(|schema| schema.key(name)) {
                        Some((_, Kind::Blocks(inner), _)) => Some(*inner),
                        _ => None,
                    };
                    // What is in a block that should not be there is not worth a word.
                    let inside = inner.map_or_else(Vec::new, |inner| self.entries(&block.body, Some(inner)));
                    let range = span(&block.ident);
                    add_block(&mut entries, &mut blocks, self.text, name, range, inside);
                }
            }
        }
        entries
    }
}

/// Adds a block to the others of its name.
fn add_block<'a, 'b>(
    entries: &mut Vec<Entry<'a>>,
    blocks: &mut BTreeMap<&'b str, usize>,
    text: &'a Text,
    name: &'b str,
    range: Range<usize>,
    inside: Vec<Entry<'a>>,
) {
    let known = blocks.get(name).and_then(|index| entries.get_mut(*index));
    if let Some(Entry { content: Content::Blocks(blocks), .. }) = known {
        blocks.push((range, inside));
        return;
    }
    blocks.insert(name, entries.len());
    entries.push(Entry {
        name: name.to_owned(),
        text,
        key: range.clone(),
        value: range.clone(),
        content: Content::Blocks(vec![(range, inside)]),
    });
}
