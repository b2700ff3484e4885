//! Builders, provisioners and post-processors.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use super::Document;
use super::raw::{Member, Node, NodeKind};
use crate::Value;
use crate::assemble::{Assembly, check_name};
use crate::braces::Braces;
use crate::keys::{self, Content, Entry, Kind, Schema};
use crate::model::{Build, PostProcessor};
use crate::session::{Fault, Session};
use crate::text::Place;

pub(super) fn evaluate(
    session: &Session<'_>,
    document: &Document<'_>,
    user: &BTreeMap<String, Value>,
    broken: &BTreeSet<String>,
) -> Vec<Build> {
    let mut builders = Vec::new();
    let mut names = BTreeMap::new();
    for node in document.list(session, "builders") {
        let Some((kind, members)) = typed(session, document, node) else { continue };
        let name = members.iter().find(|member| member.name == "name").map(|member| &member.value);
        let name = match name.map(|node| (node, &node.kind)) {
            None => kind.to_owned(),
            Some((node, NodeKind::String(name))) => {
                let braces = Braces {
                    session,
                    user: Some(user),
                    broken,
                    waiting: None,
                    env: false,
                    build: None,
                    running: false,
                };
                match braces.text(name).map(|value| value.as_str().unwrap_or_default().to_owned()) {
                    Ok(name) => {
                        check_name(session, &name, &Place { text: document.text, range: node.range.clone() });
                        name
                    }
                    Err(fault) => {
                        session.fault(document.text, fault, &node.range);
                        name.clone()
                    }
                }
            }
            Some((node, _)) => {
                session.error(
                    document.text,
                    &node.range,
                    format!("the name is a string, not {}", node.what()),
                    None,
                );
                continue;
            }
        };
        match names.entry(name.clone()) {
            btree_map::Entry::Vacant(entry) => {
                entry.insert(node.range.start);
                builders.push((node, kind, name, members));
            }
            btree_map::Entry::Occupied(first) => {
                let first = document.text.position(*first.get());
                let message = format!("there is another builder called `{name}` at {first}");
                let hint = "give each builder a `name`".to_owned();
                session.error(document.text, &node.range, message, hint);
            }
        }
    }
    if builders.is_empty() && !session.is_full() {
        let hint = "\"builders\": [{ \"type\": \"arm-image\", … }]".to_owned();
        session.error(document.text, &(0..0), "the template has no builders", hint);
    }
    let known: Vec<String> = builders.iter().map(|(_, _, name, _)| name.clone()).collect();
    let mut builds = Vec::new();
    for (node, kind, name, members) in builders {
        if session.is_full() {
            break;
        }
        let braces = |running| Braces {
            session,
            user: Some(user),
            broken,
            waiting: None,
            env: false,
            build: Some((&name, kind)),
            running,
        };
        let assembly = Assembly { session, names: vec![name.clone()], known: &known, weak: true };
        let builder = Reader { session, document, braces: braces(false) };
        let entries = builder.entries(members, &["type", "name"], keys::source(kind));
        let place = Place { text: document.text, range: head(node) };
        let source = assembly.source(kind, &name, &place, entries);
        let reader = Reader { session, document, braces: braces(true) };
        let mut provisioners = Vec::new();
        for node in document.list(session, "provisioners") {
            provisioners.extend(reader.provisioner(&assembly, node));
        }
        let error_cleanup = document.get("error-cleanup-provisioner");
        let error_cleanup = error_cleanup.and_then(|member| reader.provisioner(&assembly, &member.value));
        let mut post_processors = Vec::new();
        for node in document.list(session, "post-processors") {
            let group: Vec<PostProcessor> = match &node.kind {
                NodeKind::List(list) => {
                    list.iter().filter_map(|node| reader.post_processor(&assembly, node)).collect()
                }
                _ => reader.post_processor(&assembly, node).into_iter().collect(),
            };
            post_processors.extend((!group.is_empty()).then_some(group));
        }
        let Some(source) = source else { continue };
        builds.push(Build {
            block: None,
            name: name.clone(),
            source,
            provisioners,
            post_processors,
            error_cleanup,
        });
    }
    builds
}

/// The place of an object is its first line.
fn head(node: &Node) -> std::ops::Range<usize> {
    node.range.clone()
}

/// The type of an object, and its members.
fn typed<'n>(
    session: &Session<'_>,
    document: &Document<'_>,
    node: &'n Node,
) -> Option<(&'n str, &'n [Member])> {
    let NodeKind::Object(members) = &node.kind else {
        session.error(
            document.text,
            &node.range,
            format!("an object is needed here, not {}", node.what()),
            None,
        );
        return None;
    };
    match members.iter().find(|member| member.name == "type").map(|member| &member.value) {
        Some(Node { kind: NodeKind::String(kind), .. }) => Some((kind, members)),
        Some(node) => {
            session.error(
                document.text,
                &node.range,
                format!("the type is a string, not {}", node.what()),
                None,
            );
            None
        }
        None => {
            session.error(document.text, &node.range, "the key `type` is missing", None);
            None
        }
    }
}

struct Reader<'a> {
    session: &'a Session<'a>,
    document: &'a Document<'a>,
    braces: Braces<'a>,
}

impl<'a> Reader<'a> {
    fn entries(&self, members: &[Member], skip: &[&str], schema: Option<&'static Schema>) -> Vec<Entry<'a>> {
        let members = members.iter().filter(|member| !skip.contains(&member.name.as_str()));
        let entries = members.take_while(|_| !self.session.is_full()).map(|member| {
            let content = match (schema.and_then(|schema| schema.key(&member.name)), &member.value.kind) {
                (Some((_, Kind::Blocks(inner), _)), NodeKind::List(list)) => self.blocks(list, inner),
                (Some((_, Kind::Blocks(inner), _)), NodeKind::Object(_)) => {
                    self.blocks(std::slice::from_ref(&member.value), inner)
                }
                _ => self.content(&member.value),
            };
            Entry {
                name: member.name.clone(),
                text: self.document.text,
                key: member.key.clone(),
                value: member.value.range.clone(),
                content,
            }
        });
        entries.collect()
    }

    fn content(&self, node: &Node) -> Content<'a> {
        match self.value(node) {
            Ok(value) => Content::Value(value),
            Err(fault) => {
                self.session.fault(self.document.text, fault, &node.range);
                Content::Broken
            }
        }
    }

    /// The value of a node, what is in braces evaluated.
    fn value(&self, node: &Node) -> Result<Value, Fault> {
        self.session.spend(1 + node.range.len() as u64 / 64)?;
        match &node.kind {
            NodeKind::List(list) => {
                list.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::List)
            }
            NodeKind::Object(members) => {
                let entries =
                    members.iter().map(|member| Ok((member.name.clone(), self.value(&member.value)?)));
                entries.collect::<Result<_, _>>().map(Value::Map)
            }
            _ => self.braces.value(node.value()).map_err(|fault| fault.at(Some(node.range.clone()))),
        }
    }

    fn blocks(&self, list: &[Node], schema: &'static Schema) -> Content<'a> {
        let mut blocks = Vec::new();
        for node in list {
            match &node.kind {
                NodeKind::Object(members) => {
                    blocks.push((head(node), self.entries(members, &[], Some(schema))));
                }
                _ => {
                    let message = format!("an object is needed here, not {}", node.what());
                    self.session.error(self.document.text, &node.range, message, None);
                    return Content::Broken;
                }
            }
        }
        Content::Blocks(blocks)
    }

    fn provisioner(&self, assembly: &Assembly<'_>, node: &Node) -> Option<crate::model::Provisioner> {
        if self.session.is_full() {
            return None;
        }
        let (kind, members) = typed(self.session, self.document, node)?;
        let entries = self.entries(members, &["type"], keys::provisioner(kind));
        assembly.provisioner(kind, &Place { text: self.document.text, range: head(node) }, entries)
    }

    fn post_processor(&self, assembly: &Assembly<'_>, node: &Node) -> Option<PostProcessor> {
        if self.session.is_full() {
            return None;
        }
        let place = Place { text: self.document.text, range: head(node) };
        if let NodeKind::String(kind) = &node.kind {
            return assembly.post_processor(kind, &place, Vec::new());
        }
        let (kind, members) = typed(self.session, self.document, node)?;
        let entries = self.entries(members, &["type"], keys::post_processor(kind));
        assembly.post_processor(kind, &place, entries)
    }
}
