//! What a build does with its sources: provisioners and post-processors.

use hcl_edit::structure::{Block, Body, Structure};

use super::body::Reader;
use super::document::{Found, span};
use crate::assemble::Assembly;
use crate::evaluate::Evaluator;
use crate::keys;
use crate::model::{PostProcessor, Provisioner};
use crate::session::Session;
use crate::suggest;
use crate::text::Place;

/// The blocks of a build that have a type and do something.
const STEPS: &[&str] = &["provisioner", "error-cleanup-provisioner", "post-processor"];

/// What they come to for one source.
#[derive(Default)]
pub(super) struct Steps {
    pub(super) provisioners: Vec<Provisioner>,
    pub(super) post_processors: Vec<Vec<PostProcessor>>,
    /// That there is one, and what it does for this source.
    pub(super) error_cleanup: Option<Option<Provisioner>>,
}

impl Steps {
    /// All that the build at `found` does.
    pub(super) fn read(reader: &Reader<'_, '_>, assembly: &Assembly<'_>, found: Found<'_>) -> Steps {
        let mut steps = Steps::default();
        for structure in &found.block.body {
            let Structure::Block(block) = structure else { continue };
            if reader.session.is_full() {
                break;
            }
            let step = Found { text: found.text, block };
            let place = Place { text: found.text, range: step.head() };
            match block.ident.value().as_str() {
                kind if STEPS.contains(&kind) => {
                    let Some(label) = one_label(reader.session, step) else { continue };
                    steps.add(reader, assembly, kind, label, &block.body, &place);
                }
                "post-processors" => steps.post_processors.push(group(reader, assembly, block)),
                "dynamic" => {
                    let Some(kind) = one_label(reader.session, step) else { continue };
                    if !STEPS.contains(&kind) {
                        let message = format!("a `{kind}` block of a build cannot be made by `dynamic`");
                        reader.session.error(
                            found.text,
                            &place.range,
                            message,
                            suggest::hint(kind, STEPS.iter().copied()),
                        );
                        continue;
                    }
                    reader.each(block, kind, &mut |reader, content| {
                        if let Some(label) = made_label(reader, step) {
                            steps.add(reader, assembly, kind, &label, content, &place);
                        }
                    });
                }
                "hcp_packer_registry" => {
                    reader.session.warning(
                        found.text,
                        &place.range,
                        "`hcp_packer_registry` has no effect",
                        None,
                    );
                }
                _ => {}
            }
        }
        steps
    }

    /// Adds what stands in `body`, a block of that kind, of the type `label`.
    fn add(
        &mut self,
        reader: &Reader<'_, '_>,
        assembly: &Assembly<'_>,
        kind: &str,
        label: &str,
        body: &Body,
        place: &Place<'_>,
    ) {
        if kind == "post-processor" {
            let entries = reader.entries(body, keys::post_processor(label));
            self.post_processors.push(assembly.post_processor(label, place, entries).into_iter().collect());
            return;
        }
        let entries = reader.entries(body, keys::provisioner(label));
        let provisioner = assembly.provisioner(label, place, entries);
        if kind == "provisioner" {
            self.provisioners.extend(provisioner);
        } else if self.error_cleanup.replace(provisioner).is_some() {
            let message = "there is a second `error-cleanup-provisioner`";
            reader.session.error(place.text, &place.range, message, None);
        }
    }
}

/// The type that `labels` of a `dynamic` block gives for one element.
fn made_label(reader: &Reader<'_, '_>, step: Found<'_>) -> Option<String> {
    let hint = || "labels = [\"shell\"]".to_owned();
    let Some(attribute) = step.block.body.get_attribute("labels") else {
        reader.session.error(step.text, &step.head(), "the key `labels` is missing", hint());
        return None;
    };
    match Evaluator::new(reader.session).keep(&attribute.value, reader.scope) {
        Ok(value) => {
            let label = match value.as_list() {
                Some([label]) => label.as_str().map(str::to_owned),
                _ => None,
            };
            if label.is_none() {
                let message = "`labels` is a list of one string, the type";
                reader.session.error(step.text, &span(&attribute.value), message, hint());
            }
            label
        }
        Err(fault) => {
            reader.session.fault(step.text, fault, &span(&attribute.value));
            None
        }
    }
}

fn one_label<'b>(session: &Session<'_>, step: Found<'b>) -> Option<&'b str> {
    match &step.block.labels[..] {
        [label] => Some(label.as_str()),
        labels => {
            let kind = step.block.ident.value().as_str();
            let message = format!("a `{kind}` block has one label, its type, not {}", labels.len());
            session.error(step.text, &step.head(), message, format!("{kind} \"TYPE\" {{ … }}"));
            None
        }
    }
}

fn post_processor(
    reader: &Reader<'_, '_>,
    assembly: &Assembly<'_>,
    step: Found<'_>,
) -> Option<PostProcessor> {
    let label = one_label(reader.session, step)?;
    let entries = reader.entries(&step.block.body, keys::post_processor(label));
    let place = Place { text: reader.text, range: step.head() };
    assembly.post_processor(label, &place, entries)
}

fn group(reader: &Reader<'_, '_>, assembly: &Assembly<'_>, block: &Block) -> Vec<PostProcessor> {
    let mut group = Vec::new();
    for structure in &block.body {
        match structure {
            Structure::Block(inner) if inner.ident.value().as_str() == "post-processor" => {
                group.extend(post_processor(reader, assembly, Found { text: reader.text, block: inner }));
            }
            other => {
                let ident = match other {
                    Structure::Attribute(attribute) => &attribute.key,
                    Structure::Block(block) => &block.ident,
                };
                let name = ident.value().as_str();
                let message = format!("`post-processors` holds `post-processor` blocks only, not `{name}`");
                let hint = suggest::hint(name, ["post-processor"]);
                reader.session.error(reader.text, &span(ident), message, hint);
            }
        }
    }
    group
}
