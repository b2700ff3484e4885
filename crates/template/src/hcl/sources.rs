//! Which sources a build uses.

use hcl_edit::structure::Body;

use super::document::{Document, Found, span};
use crate::assemble::check_name;
use crate::evaluate::{Evaluator, Scope};
use crate::session::Session;
use crate::suggest;
use crate::text::Place;
use crate::{Text, Value};

/// A source as a build uses it.
pub(super) struct Used<'a> {
    /// `type.name` of the source block.
    pub(super) reference: String,
    pub(super) kind: String,
    /// Its name in this build.
    pub(super) name: String,
    pub(super) source: Found<'a>,
    /// What the build adds to it.
    added: Option<Found<'a>>,
}

impl<'a> Used<'a> {
    /// A source as it is.
    pub(super) fn alone(source: Found<'a>) -> Self {
        let (kind, name) = (source.label(0).to_owned(), source.label(1).to_owned());
        Self { reference: format!("{kind}.{name}"), kind, name, source, added: None }
    }

    /// The name the source was declared by, which Packer calls the build's name in braces.
    pub(super) fn declared(&self) -> &str {
        self.source.label(1)
    }

    /// `type.name`, as `only` and `except` write it.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.kind, self.name)
    }

    /// Its body and what the build adds, which goes last.
    pub(super) fn bodies(&self) -> Vec<(&'a Text, &'a Body)> {
        let parts = [Some(self.source), self.added].into_iter().flatten();
        parts.map(|found| (found.text, &found.block.body)).collect()
    }
}

/// All sources of a build: those of `sources`, then those of its `source` blocks.
pub(super) fn used_sources<'a>(
    session: &Session<'_>,
    document: &Document<'a>,
    build: Found<'a>,
    scope: &Scope<'_>,
) -> Vec<Used<'a>> {
    let mut all = Vec::new();
    let mut names_none = build.block.body.get_blocks("source").next().is_none();
    if let Some(attribute) = build.block.body.get_attribute("sources") {
        let range = span(&attribute.value);
        match Evaluator::new(session).keep(&attribute.value, scope) {
            Ok(value) => {
                let names: Option<Vec<&str>> =
                    value.as_list().and_then(|list| list.iter().map(Value::as_str).collect());
                match names {
                    Some(names) => {
                        names_none &= names.is_empty();
                        for name in names.into_iter().take_while(|_| !session.is_full()) {
                            all.extend(find(session, document, name, build.text, &range));
                        }
                    }
                    None => {
                        names_none = false;
                        let hint = "sources = [\"source.arm-image.NAME\"]".to_owned();
                        session.error(build.text, &range, "`sources` is a list of strings", hint);
                    }
                }
            }
            Err(fault) => {
                names_none = false;
                session.fault(build.text, fault, &range);
            }
        }
    }
    if names_none {
        let hint = "sources = [\"source.arm-image.NAME\"]".to_owned();
        session.error(build.text, &build.head(), "the build names no source", hint);
    }
    for block in build.block.body.get_blocks("source").take_while(|_| !session.is_full()) {
        let added = Found { text: build.text, block };
        let label = match &block.labels[..] {
            [label] => label.as_str(),
            _ => {
                let hint = "source \"source.TYPE.NAME\" { … }".to_owned();
                session.error(build.text, &added.head(), "a `source` within a build has one label", hint);
                continue;
            }
        };
        let Some(mut used) = find(session, document, label, build.text, &added.head()) else { continue };
        if let Some(attribute) = block.body.get_attribute("name") {
            match Evaluator::new(session).keep(&attribute.value, scope) {
                Ok(value) => match value.as_str() {
                    Some(name) => {
                        let place = Place { text: build.text, range: span(&attribute.value) };
                        check_name(session, name, &place);
                        used.name = name.to_owned();
                    }
                    None => session.error(build.text, &span(&attribute.value), "the name is no string", None),
                },
                Err(fault) => session.fault(build.text, fault, &span(&attribute.value)),
            }
        }
        used.added = Some(added);
        all.push(used);
    }
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|used| {
        let new = seen.insert(used.path());
        if !new {
            let hint = "a `source` block with a `name` of its own can use a source again".to_owned();
            session.error(build.text, &build.head(), format!("the build uses `{}` twice", used.path()), hint);
        }
        new
    });
    all
}

fn find<'a>(
    session: &Session<'_>,
    document: &Document<'a>,
    reference: &str,
    text: &Text,
    range: &std::ops::Range<usize>,
) -> Option<Used<'a>> {
    let name = reference.strip_prefix("source.").unwrap_or(reference);
    if let Some(source) = document.sources.get(name) {
        return Some(Used::alone(*source));
    }
    let hint = suggest::hint(name, document.sources.keys().take(200).map(String::as_str));
    session.error(text, range, format!("the source `{name}` is not declared"), hint);
    None
}
