//! What a killed process left.

use std::fmt;

use crate::Error;
use crate::owner::Owner;
use crate::registry::Registry;

/// Lists the handlers that an earlier process registered through this crate and did not live to remove.
///
/// Handlers of processes that live, or that belong to another PID namespace and so cannot be judged from
/// here, are not among them; nor is anything that does not bear our mark. A kernel without
/// `binfmt_misc` has none.
///
/// # Errors
/// When `binfmt_misc` cannot be read: where it is not mounted, that takes root.
pub fn stale() -> Result<Vec<Stale>, Error> {
    let registry = match Registry::open() {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        other => other?,
    };
    let current = Owner::current()?;
    let names = registry.names()?;
    let gone = names.into_iter().filter(|name| Owner::of(name).is_some_and(|owner| owner.is_gone(&current)));
    gone.map(|name| Ok(Stale { registry: registry.try_clone()?, name })).collect()
}

/// A handler whose process is gone.
#[derive(Debug)]
pub struct Stale {
    registry: Registry,
    name: String,
}

impl Stale {
    /// Its name in `binfmt_misc`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unregisters it.
    ///
    /// # Errors
    /// When the kernel refuses: it takes root.
    pub fn remove(self) -> Result<(), Error> {
        self.registry.remove(&self.name)
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
