//! The blocks of all files of a template, by what they are.

use std::collections::{BTreeMap, btree_map::Entry};
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body, Structure};

use crate::assemble::check_name;
use crate::deferred;
use crate::session::{LARGEST_TEXT, Session};
use crate::suggest;
use crate::text::Place;
use crate::{Position, Text};

/// A block and the file it is in.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) text: &'a Text,
    pub(super) block: &'a Block,
}

impl Found<'_> {
    /// The head of the block: its name and labels.
    pub(super) fn head(&self) -> Range<usize> {
        let start = self.block.ident.span().map_or(0, |span| span.start);
        let last = self.block.labels.last().and_then(Span::span);
        start..last.or_else(|| self.block.ident.span()).map_or(start, |span| span.end)
    }

    pub(super) fn label(&self, index: usize) -> &str {
        self.block.labels.get(index).map_or("", |label| label.as_str())
    }
}

/// A local before it has a value.
pub(super) struct LocalFound<'a> {
    pub(super) text: &'a Text,
    pub(super) name: String,
    pub(super) key: Range<usize>,
    pub(super) expression: &'a Expression,
    pub(super) sensitive: Option<&'a Expression>,
}

#[derive(Default)]
pub(super) struct Document<'a> {
    pub(super) variables: Vec<Found<'a>>,
    pub(super) locals: Vec<LocalFound<'a>>,
    /// The places of locals by name.
    first_locals: BTreeMap<String, Position>,
    /// By `type.name`.
    pub(super) sources: BTreeMap<String, Found<'a>>,
    pub(super) builds: Vec<Found<'a>>,
}

pub(super) fn span(thing: &impl Span) -> Range<usize> {
    thing.span().unwrap_or(0..0)
}

/// The body of a text, or nothing where it has none; what is wrong is reported.
pub(super) fn parse(session: &Session<'_>, text: &Text, may_show: bool) -> Option<Body> {
    if text.text.len() > LARGEST_TEXT {
        session.error(text, &(0..0), format!("the file is larger than {LARGEST_TEXT} bytes"), None);
        return None;
    }
    if let Some(offset) = text.text.find(|letter: char| deferred::is_in(letter.encode_utf8(&mut [0; 4]))) {
        session.error(
            text,
            &(offset..offset),
            "the file holds a character that Unicode leaves undefined",
            None,
        );
        return None;
    }
    let body = hcl_edit::parser::parse_body(&text.text);
    match body {
        Ok(body) => Some(body),
        Err(error) => {
            let line = if may_show { error.line() } else { "" };
            session.syntax(
                text.position(error.location().offset()),
                line,
                format!("syntax error: {}", error.message()),
            );
            None
        }
    }
}

pub(super) fn parse_all<'a>(session: &Session<'a>) -> Vec<(&'a Text, Body)> {
    let texts = session.inputs.templates.iter();
    // What is sensitive is not known of a file that cannot be read.
    let bodies = texts.map(|text| (text, parse(session, text, !text.text.contains("sensitive"))));
    bodies.filter_map(|(text, body)| Some((text, body?))).collect()
}

const BLOCKS: &[&str] = &["packer", "variable", "variables", "local", "locals", "source", "build"];

pub(super) fn read<'a>(session: &Session<'_>, bodies: &'a [(&'a Text, Body)]) -> Document<'a> {
    let mut document = Document::default();
    for (text, body) in bodies {
        for structure in body.iter().take_while(|_| !session.is_full()) {
            match structure {
                Structure::Attribute(attribute) => {
                    let message =
                        format!("`{}` cannot stand outside of a block", attribute.key.value().as_str());
                    session.error(
                        text,
                        &span(&attribute.key),
                        message,
                        "put it into `locals { … }`".to_owned(),
                    );
                }
                Structure::Block(block) => document.add(session, Found { text, block }),
            }
        }
    }
    document
}

impl<'a> Document<'a> {
    fn add(&mut self, session: &Session<'_>, found: Found<'a>) {
        let kind = found.block.ident.value().as_str();
        let labels = match kind {
            "source" => 2,
            "variable" | "local" => 1,
            _ => 0,
        };
        if BLOCKS.contains(&kind) && found.block.labels.len() != labels {
            let form = match kind {
                "source" => "source \"TYPE\" \"NAME\" { … }".to_owned(),
                _ if labels == 1 => format!("{kind} \"NAME\" {{ … }}"),
                _ => format!("{kind} {{ … }}"),
            };
            let labels = if labels == 1 { "1 label".to_owned() } else { format!("{labels} labels") };
            let message = format!("a `{kind}` block has {labels}, not {}", found.block.labels.len());
            session.error(found.text, &found.head(), message, form);
            return;
        }
        match kind {
            "packer" => packer(session, found),
            "variable" | "variables" => self.variables.push(found),
            "locals" => self.add_locals(session, found),
            "local" => self.add_local(session, found),
            "source" => {
                check_name(session, found.label(1), &Place { text: found.text, range: found.head() });
                let name = format!("{}.{}", found.label(0), found.label(1));
                if let Some(first) = self.sources.insert(name.clone(), found) {
                    let first = first.text.position(first.head().start);
                    let message = format!("the source `{name}` is there twice, first at {first}");
                    session.error(found.text, &found.head(), message, None);
                }
            }
            "build" => self.builds.push(found),
            "data" => {
                let hint = "set a variable to the value instead, by -var or PKR_VAR_name".to_owned();
                let message = format!("data sources are not supported: `{}`", found.label(0));
                session.error(found.text, &found.head(), message, hint);
            }
            other => {
                let hint = match other {
                    "provisioner" | "post-processor" | "post-processors" | "error-cleanup-provisioner" => {
                        Some("put it into `build { … }`".to_owned())
                    }
                    _ => suggest::hint(other, BLOCKS.iter().copied()),
                };
                session.error(found.text, &found.head(), format!("there is no block `{other}`"), hint);
            }
        }
    }

    fn add_locals(&mut self, session: &Session<'_>, found: Found<'a>) {
        for structure in &found.block.body {
            match structure {
                Structure::Attribute(attribute) => self.push_local(
                    session,
                    LocalFound {
                        text: found.text,
                        name: attribute.key.value().to_string(),
                        key: span(&attribute.key),
                        expression: &attribute.value,
                        sensitive: None,
                    },
                ),
                Structure::Block(block) => {
                    let hint = format!("{} = {{ … }}", block.ident.value().as_str());
                    session.error(found.text, &span(&block.ident), "`locals` holds no blocks", hint);
                }
            }
        }
    }

    fn add_local(&mut self, session: &Session<'_>, found: Found<'a>) {
        const KEYS: &[&str] = &["expression", "sensitive"];
        only_keys(session, found, KEYS, &[]);
        match found.block.body.get_attribute("expression") {
            Some(attribute) => self.push_local(
                session,
                LocalFound {
                    text: found.text,
                    name: found.label(0).to_owned(),
                    key: found.head(),
                    expression: &attribute.value,
                    sensitive: found.block.body.get_attribute("sensitive").map(|attribute| &attribute.value),
                },
            ),
            None => session.error(found.text, &found.head(), "the key `expression` is missing", None),
        }
    }

    fn push_local(&mut self, session: &Session<'_>, local: LocalFound<'a>) {
        match self.first_locals.entry(local.name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(local.text.position(local.key.start));
                self.locals.push(local);
            }
            Entry::Occupied(first) => {
                let (name, first) = (first.key(), first.get());
                let message = format!("the local `{name}` is there twice, first at {first}");
                session.error(local.text, &local.key, message, None);
            }
        }
    }
}

/// Reports whatever stands in a block besides attributes and blocks of these names.
pub(super) fn only_keys(session: &Session<'_>, found: Found<'_>, attributes: &[&str], blocks: &[&str]) {
    let kind = found.block.ident.value().as_str();
    for structure in found.block.body.iter().take_while(|_| !session.is_full()) {
        let (ident, names, what) = match structure {
            Structure::Attribute(attribute) => (&attribute.key, attributes, "key"),
            Structure::Block(block) => (&block.ident, blocks, "block"),
        };
        let name = ident.value().as_str();
        if !names.contains(&name) {
            let hint = suggest::hint(name, attributes.iter().chain(blocks).copied());
            session.error(found.text, &span(ident), format!("`{kind}` has no {what} `{name}`"), hint);
        }
    }
}

fn packer(session: &Session<'_>, found: Found<'_>) {
    // Plugins are Packer's own; here, everything is in one program.
    only_keys(session, found, &["required_version"], &["required_plugins"]);
    if let Some(attribute) = found.block.body.get_attribute("required_version") {
        let message = "`required_version` is of Packer, which is not used";
        session.warning(found.text, &span(&attribute.key), message, None);
    }
}
