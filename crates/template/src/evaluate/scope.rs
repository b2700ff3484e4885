//! The names that mean something where an expression stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::Value;

/// The names an expression can use.
#[derive(Debug, Default)]
pub(crate) struct Scope<'a> {
    pub(crate) names: BTreeMap<String, Value>,
    /// `var.x` and `local.x` that have been reported as wrong: following from them is no second mistake.
    pub(crate) broken: BTreeSet<String>,
    /// `local.x` that have no value yet.
    pub(crate) pending: BTreeSet<String>,
    pub(crate) parent: Option<&'a Scope<'a>>,
    /// Whether `env()` may be called: in defaults of variables only.
    pub(crate) env: bool,
}

impl<'a> Scope<'a> {
    /// A scope in which some more names mean something.
    pub(crate) fn child(&'a self) -> Scope<'a> {
        Scope { parent: Some(self), env: self.env, ..Scope::default() }
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.names.insert(name.to_owned(), value);
        self
    }

    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        self.names.get(name).or_else(|| self.parent?.find(name))
    }

    pub(super) fn is_in(&self, list: fn(&Self) -> &BTreeSet<String>, name: &str) -> bool {
        list(self).contains(name) || self.parent.is_some_and(|parent| parent.is_in(list, name))
    }

    /// The names below `root` that were reported as wrong.
    pub(super) fn broken_in(&self, root: &str) -> Vec<String> {
        let here = self.broken.iter().filter_map(|path| path.strip_prefix(root)?.strip_prefix('.'));
        let mut names: Vec<String> = here.map(str::to_owned).collect();
        names.extend(self.parent.map(|parent| parent.broken_in(root)).unwrap_or_default());
        names
    }

    pub(super) fn all_names(&self) -> Vec<&str> {
        let mut names = self.parent.map(Scope::all_names).unwrap_or_default();
        names.extend(self.names.keys().map(String::as_str));
        names
    }
}
