//! What errors came of.

use std::fmt;

/// Causes that came as text from the guest, outermost first.
#[derive(Debug)]
pub struct Causes {
    message: String,
    cause: Option<Box<Causes>>,
}

impl Causes {
    pub(crate) fn chain(messages: Vec<String>) -> Option<Box<Causes>> {
        let inner = messages.into_iter().rev();
        inner.fold(None, |cause, message| Some(Box::new(Causes { message, cause })))
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Causes {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// `error` and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What caused `error`, what caused that, and so on, each as text.
pub fn causes(error: &dyn std::error::Error) -> impl Iterator<Item = String> {
    std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string)
}
