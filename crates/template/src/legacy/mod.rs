//! Templates in the JSON of Packer before 1.5, and variables in JSON.

mod builds;
mod raw;
mod variables;

use std::ops::Range;

use raw::{Member, Node, NodeKind};

use crate::model::{Build, Variable};
use crate::session::Session;
use crate::suggest;
use crate::{Text, Value};

/// The members of a file of variables in JSON: names, where these stand, and values.
pub(crate) fn json_entries(session: &Session<'_>, text: &Text) -> Vec<(String, Range<usize>, Value)> {
    match raw::read(session, text, false) {
        Some(Node { kind: NodeKind::Object(members), .. }) => {
            members.into_iter().map(|member| (member.name, member.key, member.value.value())).collect()
        }
        Some(node) => {
            let message = format!("a file of variables is an object, not {}", node.what());
            session.error(text, &(0..0), message, None);
            Vec::new()
        }
        None => Vec::new(),
    }
}

const KEYS: &[&str] = &[
    "description",
    "min_packer_version",
    "variables",
    "sensitive-variables",
    "builders",
    "provisioners",
    "error-cleanup-provisioner",
    "post-processors",
    "push",
];

/// A template with its top-level members.
struct Document<'a> {
    text: &'a Text,
    members: Vec<Member>,
}

impl Document<'_> {
    fn get(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The elements of the list called `name`.
    fn list(&self, session: &Session<'_>, name: &str) -> &[Node] {
        match self.get(name).map(|member| &member.value) {
            Some(Node { kind: NodeKind::List(list), .. }) => list,
            Some(Node { kind: NodeKind::Null, .. }) | None => &[],
            Some(node) => {
                let message = format!("`{name}` is a list, not {}", node.what());
                session.error(self.text, &node.range, message, None);
                &[]
            }
        }
    }
}

/// Evaluates the template, reporting to `session` what is wrong with it.
pub(crate) fn evaluate(session: &Session<'_>, text: &Text) -> (Vec<Variable>, Vec<Build>) {
    let may_show = !text.text.contains("sensitive");
    let members = match raw::read(session, text, may_show) {
        Some(Node { kind: NodeKind::Object(members), .. }) => members,
        Some(node) => {
            session.error(text, &(0..0), format!("a template is an object, not {}", node.what()), None);
            return (Vec::new(), Vec::new());
        }
        None => return (Vec::new(), Vec::new()),
    };
    let document = Document { text, members };
    for member in document.members.iter().take_while(|_| !session.is_full()) {
        // Names that begin so are remarks.
        if !KEYS.contains(&member.name.as_str()) && !member.name.starts_with(['_', '/']) {
            let hint = suggest::hint(&member.name, KEYS.iter().copied());
            session.error(text, &member.key, format!("a template has no key `{}`", member.name), hint);
        } else if ["min_packer_version", "push"].contains(&member.name.as_str()) {
            let message = format!("`{}` is of Packer, which is not used", member.name);
            session.warning(text, &member.key, message, None);
        }
    }
    let (variables, user, broken) = variables::evaluate(session, &document);
    let builds = builds::evaluate(session, &document, &user, &broken);
    (variables, builds)
}
