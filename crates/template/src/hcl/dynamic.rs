//! `dynamic` blocks: one block for each element of a list or map.

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};

use super::body::Reader;
use super::document::{Found, only_keys, span};
use crate::Value;
use crate::evaluate::Evaluator;
use crate::keys::{Entry, Kind, Schema};
use crate::value::count;

/// A block that came of it: its name, its place and its keys.
type Made<'a, 'b> = (&'b str, Range<usize>, Vec<Entry<'a>>);

impl<'a> Reader<'a, '_> {
    /// The blocks that a `dynamic` block stands for.
    pub(super) fn dynamic<'b>(&self, block: &'b Block, schema: Option<&'static Schema>) -> Vec<Made<'a, 'b>> {
        let found = Found { text: self.text, block };
        let head = found.head();
        let [label] = &block.labels[..] else {
            let hint = "dynamic \"NAME\" { for_each = …, content { … } }".to_owned();
            self.session.error(
                self.text,
                &head,
                "a `dynamic` block has one label, the name of a block",
                hint,
            );
            return Vec::new();
        };
        let name = label.as_str();
        let Some((_, Kind::Blocks(inner), _)) = schema.and_then(|schema| schema.key(name)) else {
            self.session.error(self.text, &head, format!("there are no blocks called `{name}` here"), None);
            return Vec::new();
        };
        let mut blocks = Vec::new();
        self.each(block, name, &mut |reader, content| {
            blocks.push((name, head.clone(), reader.entries(content, Some(inner))));
        });
        blocks
    }

    /// Calls `make` for each block that a `dynamic` block called `name` stands for, with what is in it, and what reads that.
    pub(super) fn each(&self, block: &Block, name: &str, make: &mut dyn FnMut(&Reader<'a, '_>, &Body)) {
        let found = Found { text: self.text, block };
        let head = found.head();
        only_keys(self.session, found, &["for_each", "iterator", "labels"], &["content"]);
        let for_each = block.body.get_attribute("for_each").map(|attribute| &attribute.value);
        let content = block.body.get_blocks("content").next();
        let (Some(for_each), Some(content)) = (for_each, content) else {
            let hint = "for_each = …, and content { … }".to_owned();
            self.session.error(self.text, &head, "a `dynamic` block needs `for_each` and `content`", hint);
            return;
        };
        // The iterator is written as a bare name.
        let iterator = match block.body.get_attribute("iterator").map(|attribute| &attribute.value) {
            Some(Expression::Variable(name)) => name.value().as_str(),
            _ => name,
        };
        let value = match Evaluator::new(self.session).keep(for_each, self.scope) {
            Ok(value) => value,
            Err(fault) => {
                self.session.fault(self.text, fault, &span(for_each));
                return;
            }
        };
        let sensitive = matches!(value, Value::Sensitive(_));
        let items: Vec<(Value, Value)> = match value.exposed() {
            Value::List(list) => {
                list.iter().enumerate().map(|(index, item)| (count(index), item.clone())).collect()
            }
            Value::Map(map) => {
                map.iter().map(|(key, item)| (Value::from(key.as_str()), item.clone())).collect()
            }
            other => {
                let message = format!("`for_each` is a list or a map, not {}", other.kind());
                self.session.error(self.text, &span(for_each), message, None);
                return;
            }
        };
        for (key, item) in items.into_iter().take_while(|_| !self.session.is_full()) {
            let item = if sensitive { item.sensitive() } else { item };
            let each = BTreeMap::from([("key".to_owned(), key), ("value".to_owned(), item)]);
            let scope = self.scope.child().with(iterator, Value::Map(each));
            make(&Reader { scope: &scope, ..*self }, &content.body);
        }
    }
}
