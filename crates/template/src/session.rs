//! What one evaluation carries along: the inputs, what it found wrong, what it must not say, and how much it may do.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use crate::redact::{redact, spellings};
use crate::value::HIDDEN;
use crate::{Inputs, Position, Problem, Severity, Text, Value};

/// Steps, values and text together; some hundred times what the largest template met so far takes.
const BUDGET: u64 = 4_000_000;

/// A template this wrong is not looked at further.
const MOST_PROBLEMS: usize = 200;

/// Each is searched for in each message.
const MOST_SECRETS: usize = 4096;

/// A larger file is no template.
pub(crate) const LARGEST_TEXT: usize = 1 << 20;

/// What it costs to look for the name that was meant, of which `try()` may hide the need.
pub(crate) const SUGGESTION: u64 = 5000;

/// What it costs to tell of a mistake.
const ERROR: u64 = 500;

/// No message needs more bytes than this.
const LONGEST_MESSAGE: usize = 2000;

/// Deeper values are refused before walking them could use up the stack.
pub(crate) const DEEPEST_VALUE: usize = 64;

/// Why an expression has no value.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where, in the text it was read from; the whole expression where none.
    pub(crate) range: Option<Range<usize>>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// To be reported.
    Ordinary,
    /// A file that is not there, or cannot be read.
    Unread,
    /// Follows from something that was reported already.
    Quiet,
    /// A local that has no value yet.
    Pending,
    /// The budget is used up; nothing may hide that.
    Exhausted,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { range: None, message: message.into(), hint: None, kind: FaultKind::Ordinary }
    }

    pub(crate) fn of_kind(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, ..Self::new(message) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = self.hint.or(hint.into());
        self
    }

    /// Whether another expression may be tried instead.
    pub(crate) fn may_be_hidden(&self) -> bool {
        matches!(self.kind, FaultKind::Ordinary | FaultKind::Unread)
    }

    /// Sets the place, unless a more precise one is known.
    pub(crate) fn at(mut self, range: Option<Range<usize>>) -> Self {
        self.range = self.range.or(range);
        self
    }
}

#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    problems: RefCell<Vec<Problem>>,
    secrets: RefCell<Vec<String>>,
    /// Parts of texts that hold secrets as written.
    hidden: RefCell<Vec<(String, Range<usize>)>>,
    too_many_secrets: Cell<bool>,
    left: Cell<u64>,
    told_exhausted: Cell<bool>,
    gave_up: Cell<bool>,
    random: Cell<u64>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>) -> Self {
        Self {
            inputs,
            problems: RefCell::default(),
            secrets: RefCell::default(),
            hidden: RefCell::default(),
            too_many_secrets: Cell::new(false),
            left: Cell::new(BUDGET),
            told_exhausted: Cell::new(false),
            gave_up: Cell::new(false),
            random: Cell::new(0),
        }
    }

    /// Takes `cost` from what this evaluation may do.
    pub(crate) fn spend(&self, cost: u64) -> Result<(), Fault> {
        match self.left.get().checked_sub(cost) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(0);
                Err(Fault::of_kind(
                    FaultKind::Exhausted,
                    "the template asks for more work than any build needs",
                )
                .hint("make its loops and values smaller".to_owned()))
            }
        }
    }

    /// A number that was not given before, for what has to look random.
    pub(crate) fn next_random(&self) -> u64 {
        self.random.set(self.random.get() + 1);
        self.random.get()
    }

    pub(crate) fn fault(&self, text: &Text, fault: Fault, otherwise: &Range<usize>) {
        match fault.kind {
            FaultKind::Quiet => {}
            // Like variables without a value: what needs it is left out.
            FaultKind::Unread if self.inputs.incomplete => {}
            FaultKind::Exhausted if self.told_exhausted.replace(true) => {}
            _ => self.add(
                Severity::Error,
                Some((text, fault.range.as_ref().unwrap_or(otherwise))),
                fault.message,
                fault.hint,
            ),
        }
    }

    pub(crate) fn error(
        &self,
        text: &Text,
        range: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.add(Severity::Error, Some((text, range)), message.into(), hint.into());
    }

    pub(crate) fn warning(
        &self,
        text: &Text,
        range: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.add(Severity::Warning, Some((text, range)), message.into(), hint.into());
    }

    /// Something wrong with what stands in no file.
    pub(crate) fn error_outside(&self, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.add(Severity::Error, None, message.into(), hint.into());
    }

    /// A line that the syntax itself refuses, at a known position.
    pub(crate) fn syntax(&self, position: Position, line: &str, message: String) {
        let text = line.trim().chars().take(100).collect::<String>();
        self.push(Problem {
            severity: Severity::Error,
            position: Some(position),
            text: Some(text).filter(|text| !text.is_empty()),
            message,
            hint: None,
        });
    }

    fn add(
        &self,
        severity: Severity,
        place: Option<(&Text, &Range<usize>)>,
        message: String,
        hint: Option<String>,
    ) {
        // What a build does wrong is found again for each of its sources.
        let _ = self.spend(ERROR);
        let text = place.and_then(|(text, range)| {
            let hidden = self.hidden.borrow();
            let secret = hidden
                .iter()
                .any(|(name, part)| *name == text.name && part.start < range.end && range.start < part.end);
            if secret { Some(HIDDEN.to_owned()) } else { text.excerpt(range) }
        });
        let position = place.map(|(text, range)| text.position(range.start));
        self.push(Problem { severity, position, text, message, hint });
    }

    fn push(&self, mut problem: Problem) {
        if problem.message.len() > LONGEST_MESSAGE {
            // To cut it could cut a secret in two, of which a half would show.
            problem.message = "something is wrong here that is too long to be shown".to_owned();
        }
        problem.hint = problem.hint.filter(|hint| hint.len() <= LONGEST_MESSAGE);
        let mut problems = self.problems.borrow_mut();
        // The body of a build is evaluated once for each of its sources, and is wrong once.
        if problems.len() < MOST_PROBLEMS && !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Makes sure that there is no result, even where nobody could say why.
    pub(crate) fn give_up(&self) {
        self.gave_up.set(true);
    }

    /// Whether so much is wrong that looking on would help nobody.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.borrow().len() >= MOST_PROBLEMS || self.left.get() == 0
    }

    /// Keeps everything in `value` out of messages.
    pub(crate) fn keep_secret(&self, value: &Value) {
        let mut leaves = Vec::new();
        value.leaves(&mut leaves);
        let mut secrets = self.secrets.borrow_mut();
        if leaves.len() + secrets.len() > MOST_SECRETS {
            self.too_many_secrets.set(true);
            return;
        }
        for leaf in leaves {
            if leaf.contains('\n') {
                secrets.extend(leaf.lines().map(str::trim).filter(|line| line.len() > 3).map(str::to_owned));
            }
            if !leaf.is_empty() {
                secrets.push(leaf);
            }
        }
    }

    /// Whether there is anything to be kept out of messages.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.secrets.borrow().is_empty()
    }

    /// Keeps a part of a text out of messages.
    pub(crate) fn keep_secret_part(&self, text: &Text, range: Range<usize>) {
        self.hidden.borrow_mut().push((text.name.clone(), range));
    }

    /// What was found, in the order of the places, without secrets; and the secrets, longest first.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        if self.too_many_secrets.get() {
            // What cannot be kept out of messages is kept out by having none.
            let message = format!("the sensitive variables hold more than {MOST_SECRETS} values");
            let problem =
                Problem { severity: Severity::Error, position: None, text: None, message, hint: None };
            return (vec![problem], Vec::new());
        }
        let mut secrets = self.secrets.into_inner();
        let spelled: Vec<String> = secrets.iter().flat_map(|secret| spellings(secret)).collect();
        secrets.extend(spelled);
        secrets.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        secrets.dedup();
        let mut problems = self.problems.into_inner();
        // Whatever was cut short is no result, even where the place that noticed could not say so.
        let cut = self.gave_up.get() || self.left.get() == 0 || problems.len() >= MOST_PROBLEMS;
        if cut && problems.iter().all(|problem| problem.severity == Severity::Warning) {
            let message = "the template is too large, or too much of it is odd".to_owned();
            problems.push(Problem {
                severity: Severity::Error,
                position: None,
                text: None,
                message,
                hint: None,
            });
        }
        for problem in &mut problems {
            problem.message = redact(&problem.message, &secrets);
            problem.text = problem.text.take().map(|text| redact(&text, &secrets));
            problem.hint = problem.hint.take().map(|hint| redact(&hint, &secrets));
        }
        problems.sort_by(|left, right| left.position.cmp(&right.position));
        problems.dedup();
        (problems, secrets)
    }
}
