//! `build` blocks, each of their sources a build of its own.

use std::collections::BTreeSet;

use super::body::Reader;
use super::document::{Document, Found, only_keys, span};
use super::sources::{Used, used_sources};
use super::steps::Steps;
use super::{NOTHING, map};
use crate::Value;
use crate::assemble::Assembly;
use crate::braces::{Braces, RUN};
use crate::deferred;
use crate::evaluate::{Evaluator, Scope};
use crate::keys;
use crate::model::{Build, PostProcessor, Source};
use crate::session::Session;
use crate::text::Place;

/// All builds, and the sources that none of them uses.
pub(super) fn evaluate(
    session: &Session<'_>,
    document: &Document<'_>,
    scope: &Scope<'_>,
) -> (Vec<Build>, Vec<Source>) {
    let mut builds = Vec::new();
    let mut unused: BTreeSet<&String> = document.sources.keys().collect();
    for found in document.builds.iter().take_while(|_| !session.is_full()) {
        for used in &evaluate_build(session, document, *found, scope, &mut builds) {
            unused.remove(&used.reference);
        }
    }
    // A source that nobody builds from may still be wrong.
    let mut alone = Vec::new();
    for name in unused.into_iter().take_while(|_| !session.is_full()) {
        let found = &document.sources[name];
        let used = Used::alone(*found);
        let known = [name.clone()];
        alone.extend(source(session, &used, None, scope, &known));
        if !document.builds.is_empty() {
            let message = format!("the source `{name}` is not used by any build");
            session.warning(found.text, &found.head(), message, None);
        }
    }
    (builds, alone)
}

const ATTRIBUTES: &[&str] = &["name", "description", "sources"];
const BLOCKS: &[&str] = &[
    "source",
    "provisioner",
    "post-processor",
    "post-processors",
    "error-cleanup-provisioner",
    "dynamic",
    "hcp_packer_registry",
];

fn evaluate_build<'a>(
    session: &Session<'_>,
    document: &Document<'a>,
    found: Found<'a>,
    scope: &Scope<'_>,
    builds: &mut Vec<Build>,
) -> Vec<Used<'a>> {
    only_keys(session, found, ATTRIBUTES, BLOCKS);
    let name = attribute_text(session, found, "name", scope);
    let all = used_sources(session, document, found, scope);
    let known: Vec<String> = all.iter().flat_map(|used| [used.path(), used.name.clone()]).collect();
    for used in &all {
        if session.is_full() {
            break;
        }
        let whole = [name.as_deref().unwrap_or_default(), &used.path()].join(".");
        let whole = whole.trim_start_matches('.').to_owned();
        let build = evaluate_one(session, found, used, name.clone(), whole, scope, &known);
        builds.extend(build);
    }
    all
}

fn attribute_text(session: &Session<'_>, found: Found<'_>, key: &str, scope: &Scope<'_>) -> Option<String> {
    let attribute = found.block.body.get_attribute(key)?;
    let value = Evaluator::new(session).keep(&attribute.value, scope);
    match value.and_then(|value| crate::evaluate::text(&value).map_err(Into::into)) {
        Ok(text) => Some(text),
        Err(fault) => {
            session.fault(found.text, fault, &span(&attribute.value));
            None
        }
    }
}

fn assembly<'s>(session: &'s Session<'s>, used: &Used<'_>, known: &'s [String]) -> Assembly<'s> {
    Assembly { session, names: vec![used.path(), used.name.clone()], known, weak: false }
}

/// The scope in which a source, or what is done to it, is evaluated.
fn scope_of<'s>(
    session: &Session<'_>,
    scope: &'s Scope<'s>,
    used: &Used<'_>,
    block: Option<&str>,
    running: bool,
) -> Scope<'s> {
    let mut build = vec![("name".to_owned(), Value::from(block.unwrap_or_default()))];
    if running {
        build.extend(
            deferred::NAMES.iter().map(|name| ((*name).to_owned(), Value::String(deferred::mark(name)))),
        );
        build.push((RUN.to_owned(), Value::from(session.inputs.run.clone())));
    }
    scope
        .child()
        .with("source", map([("name", &used.name), ("type", &used.kind)]))
        .with("build", Value::Map(build.into_iter().collect()))
}

fn source(
    session: &Session<'_>,
    used: &Used<'_>,
    block: Option<&str>,
    scope: &Scope<'_>,
    known: &[String],
) -> Option<Source> {
    let scope = scope_of(session, scope, used, block, false);
    let braces = Braces {
        session,
        user: None,
        broken: &NOTHING,
        waiting: None,
        env: false,
        build: Some((used.declared(), &used.kind)),
        running: false,
    };
    let schema = keys::source(&used.kind);
    let mut entries: Vec<keys::Entry<'_>> = Vec::new();
    for (index, (text, body)) in used.bodies().into_iter().enumerate() {
        let reader = Reader { session, text, scope: &scope, braces: &braces };
        let mut more = reader.entries(body, schema);
        // What the build says of its source goes before what the source says, and its name there is no key of it.
        let names: BTreeSet<String> = more.iter().map(|entry| entry.name.clone()).collect();
        entries.retain(|entry| !names.contains(&entry.name));
        more.retain(|entry| index == 0 || entry.name != "name");
        entries.extend(more);
    }
    let place = Place { text: used.source.text, range: used.source.head() };
    assembly(session, used, known).source(&used.kind, &used.name, &place, entries)
}

fn evaluate_one(
    session: &Session<'_>,
    found: Found<'_>,
    used: &Used<'_>,
    block: Option<String>,
    whole: String,
    outer: &Scope<'_>,
    known: &[String],
) -> Option<Build> {
    let source = source(session, used, block.as_deref(), outer, known);
    let scope = scope_of(session, outer, used, block.as_deref(), true);
    let braces = Braces {
        session,
        user: None,
        broken: &NOTHING,
        waiting: None,
        env: false,
        build: Some((used.declared(), &used.kind)),
        running: true,
    };
    let reader = Reader { session, text: found.text, scope: &scope, braces: &braces };
    let assembly = assembly(session, used, known);
    let Steps { provisioners, mut post_processors, error_cleanup } = Steps::read(&reader, &assembly, found);
    post_processors.retain(|group: &Vec<PostProcessor>| !group.is_empty());
    let error_cleanup = error_cleanup.flatten();
    Some(Build { block, name: whole, source: source?, provisioners, post_processors, error_cleanup })
}
