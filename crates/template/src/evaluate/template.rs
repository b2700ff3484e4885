//! Strings with `${…}` and `%{…}` in them.

use std::borrow::Cow;

use hcl_edit::Span;
use hcl_edit::template::{Directive, Element, ForDirective, HeredocTemplate, IfDirective, Strip, Template};

use super::{Evaluated, Evaluator, Scope, defined, types};
use crate::Value;
use crate::session::Fault;

/// What is being put together, and whether anything sensitive went in.
#[derive(Debug, Default)]
struct Output {
    text: String,
    sensitive: bool,
    /// How many blanks each line loses; the parser takes them from the outermost template only.
    indent: usize,
    /// Whether it stands in quotes, which takes escapes; the parser undoes those of the outermost template only.
    quoted: bool,
}

impl Evaluator<'_> {
    /// A quoted template: one that is nothing but an interpolation has the value of what is in it.
    pub(super) fn template(&self, template: &Template, scope: &Scope<'_>) -> Evaluated {
        match template.as_single_element() {
            Some(Element::Interpolation(interpolation)) => self.evaluate(&interpolation.expr, scope),
            _ => self.put_together(template, scope, Output { quoted: true, ..Output::default() }),
        }
    }

    /// A heredoc, of which `<<-` takes the indentation.
    pub(super) fn heredoc(&self, heredoc: &HeredocTemplate, scope: &Scope<'_>) -> Evaluated {
        let indent = heredoc.indent().unwrap_or(0);
        self.put_together(&heredoc.template, scope, Output { indent, ..Output::default() })
    }

    /// A template whose value is a string in any case.
    pub(crate) fn template_text(&self, template: &Template, scope: &Scope<'_>) -> Evaluated {
        self.put_together(template, scope, Output::default())
    }

    fn put_together(&self, template: &Template, scope: &Scope<'_>, mut output: Output) -> Evaluated {
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
                    let text = match output.quoted && depth > 0 {
                        true => Cow::Owned(unescaped(literal.value())?),
                        false => Cow::Borrowed(literal.value().as_str()),
                    };
                    defined(&text)?;
                    let whole = text.len();
                    let text = stripped(&text, before, after, output.quoted);
                    match output.indent {
                        indent if indent > 0 && depth > 0 => {
                            // What was cut off before ended a line, so that the rest begins one.
                            let begins = before && text.len() < whole;
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

/// `text` with its escapes undone.
fn unescaped(text: &str) -> Result<String, Fault> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        result.push_str(before);
        let mut letters = after.chars();
        let kind = letters.next().unwrap_or_default();
        rest = letters.as_str();
        result.push(match kind {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '"' | '\\' => kind,
            'u' | 'U' => {
                let (digits, behind) =
                    rest.split_at_checked(if kind == 'u' { 4 } else { 8 }).unwrap_or_default();
                rest = behind;
                let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                let wrong = || Fault::new(format!("`\\{kind}` is followed by the digits of a character"));
                code.ok_or_else(wrong)?
            }
            _ => return Err(Fault::new(format!("`\\{kind}` is no escape in a string"))),
        });
    }
    result.push_str(rest);
    Ok(result)
}

/// `literal` without the white space next to what eats it: all of it in quotes, elsewhere up to the end of the line.
fn stripped(mut literal: &str, before: bool, after: bool, quoted: bool) -> &str {
    if quoted {
        literal = if before { literal.trim_start() } else { literal };
        return if after { literal.trim_end() } else { literal };
    }
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
