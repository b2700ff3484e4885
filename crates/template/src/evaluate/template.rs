//! Strings with `${…}` and `%{…}` in them.

use hcl_edit::Span;
use hcl_edit::template::{Directive, Element, ForDirective, HeredocTemplate, IfDirective, Strip, Template};

use super::{Evaluated, Evaluator, Scope, types};
use crate::Value;
use crate::session::Fault;

/// What is being put together, and whether anything sensitive went in.
#[derive(Debug, Default)]
struct Output {
    text: String,
    sensitive: bool,
    /// How many blanks each line loses; the parser takes them from the outermost template only.
    indent: usize,
}

impl Evaluator<'_> {
    /// A quoted template: one that is nothing but an interpolation has the value of what is in it.
    pub(super) fn template(&self, template: &Template, scope: &Scope<'_>) -> Evaluated {
        match template.as_single_element() {
            Some(Element::Interpolation(interpolation)) => self.evaluate(&interpolation.expr, scope),
            _ => self.template_text(template, scope),
        }
    }

    /// A heredoc, of which `<<-` takes the indentation.
    pub(super) fn heredoc(&self, heredoc: &HeredocTemplate, scope: &Scope<'_>) -> Evaluated {
        self.indented(&heredoc.template, scope, heredoc.indent().unwrap_or(0))
    }

    /// A template whose value is a string in any case.
    pub(crate) fn template_text(&self, template: &Template, scope: &Scope<'_>) -> Evaluated {
        self.indented(template, scope, 0)
    }

    fn indented(&self, template: &Template, scope: &Scope<'_>, indent: usize) -> Evaluated {
        let mut output = Output { indent, ..Output::default() };
        self.elements(template, scope, (false, false), 0, &mut output)?;
        let value = Value::String(output.text);
        Ok(if output.sensitive { value.sensitive() } else { value })
    }

    /// `strip` says whether what stands before and after the template eats white space.
    fn elements(
        &self,
        template: &Template,
        scope: &Scope<'_>,
        strip: (bool, bool),
        depth: usize,
        output: &mut Output,
    ) -> Result<(), Fault> {
        let elements: Vec<&Element> = template.iter().collect();
        for (index, element) in elements.iter().enumerate() {
            self.session.spend(1)?;
            match element {
                Element::Literal(literal) => {
                    let before = match index.checked_sub(1) {
                        Some(previous) => strips(elements[previous]).1,
                        None => strip.0,
                    };
                    let after = match elements.get(index + 1) {
                        Some(next) => strips(next).0,
                        None => strip.1,
                    };
                    let text = stripped(literal.value(), before, after);
                    match output.indent {
                        indent if indent > 0 && depth > 0 => {
                            // What was cut off before ended a line, so that the rest begins one.
                            let begins = before && text.len() < literal.value().len();
                            self.push(&dedented(text, indent, begins), output)?;
                        }
                        _ => self.push(text, output)?,
                    }
                }
                Element::Interpolation(interpolation) => {
                    let (value, sensitive) = self.evaluate(&interpolation.expr, scope)?.unmark();
                    output.sensitive |= sensitive;
                    let text = types::text(&value)
                        .map_err(|message| Fault::new(message).at(interpolation.expr.span()))?;
                    self.push(&text, output)?;
                }
                Element::Directive(directive) => match &**directive {
                    Directive::If(directive) => self.if_directive(directive, scope, depth + 1, output)?,
                    Directive::For(directive) => self.for_directive(directive, scope, depth + 1, output)?,
                },
            }
        }
        Ok(())
    }

    fn push(&self, text: &str, output: &mut Output) -> Result<(), Fault> {
        self.session.spend(text.len() as u64 / 16)?;
        output.text.push_str(text);
        Ok(())
    }

    fn if_directive(
        &self,
        directive: &IfDirective,
        scope: &Scope<'_>,
        depth: usize,
        output: &mut Output,
    ) -> Result<(), Fault> {
        let (condition, sensitive) =
            self.condition(&directive.if_expr.cond_expr, scope, "the condition of an `if`")?;
        output.sensitive |= sensitive;
        let after_first = edges(directive.if_expr.strip).1;
        let before_end = edges(directive.endif_expr.strip).0;
        match (&directive.else_expr, condition) {
            (None, true) => {
                self.elements(&directive.if_expr.template, scope, (after_first, before_end), depth, output)
            }
            (Some(other), true) => {
                let strip = (after_first, edges(other.strip).0);
                self.elements(&directive.if_expr.template, scope, strip, depth, output)
            }
            (Some(other), false) => {
                self.elements(&other.template, scope, (edges(other.strip).1, before_end), depth, output)
            }
            (None, false) => Ok(()),
        }
    }

    fn for_directive(
        &self,
        directive: &ForDirective,
        scope: &Scope<'_>,
        depth: usize,
        output: &mut Output,
    ) -> Result<(), Fault> {
        let head = &directive.for_expr;
        let (items, sensitive) = self.items(&head.collection_expr, scope)?;
        output.sensitive |= sensitive;
        let strip = (edges(head.strip).1, edges(directive.endfor_expr.strip).0);
        for (key, item) in items {
            let mut inner = scope.child().with(head.value_var.value().as_str(), item);
            if let Some(name) = &head.key_var {
                inner = inner.with(name.value().as_str(), key);
            }
            self.elements(&head.template, &inner, strip, depth, output)?;
        }
        Ok(())
    }
}

/// Whether an element eats the white space before it, and after it.
fn strips(element: &Element) -> (bool, bool) {
    match element {
        Element::Literal(_) => (false, false),
        Element::Interpolation(interpolation) => edges(interpolation.strip),
        Element::Directive(directive) => match &**directive {
            Directive::If(directive) => {
                (edges(directive.if_expr.strip).0, edges(directive.endif_expr.strip).1)
            }
            Directive::For(directive) => {
                (edges(directive.for_expr.strip).0, edges(directive.endfor_expr.strip).1)
            }
        },
    }
}

fn edges(strip: Strip) -> (bool, bool) {
    (strip.strip_start(), strip.strip_end())
}

/// `literal` without the blanks, and at most one end of line, next to what eats them.
fn stripped(mut literal: &str, before: bool, after: bool) -> &str {
    let blank = |letter: char| letter.is_whitespace() && letter != '\n';
    if before {
        let rest = literal.trim_start_matches(blank);
        literal = rest.strip_prefix('\n').unwrap_or(rest);
    }
    if after {
        let rest = literal.trim_end_matches(blank);
        literal = rest.strip_suffix('\n').unwrap_or(rest).trim_end_matches('\r');
    }
    literal
}

/// `text` without `indent` blanks at the beginning of each line.
fn dedented(text: &str, indent: usize, begins: bool) -> String {
    let mut result = String::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        let cut = if index > 0 || begins { blanks.min(indent) } else { 0 };
        result.push_str(&line[cut..]);
    }
    result
}
