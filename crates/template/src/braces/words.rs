//! What stands between braces, in words.

use crate::session::Fault;

/// A word of an action.
pub(super) enum Word<'t> {
    Name(&'t str),
    Literal(String),
    Pipe,
}

/// Where the `}}` of an action begins, outside of strings.
pub(super) fn end_of(action: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (index, letter) in action.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '`' => quote = Some(letter),
            None if action[index..].starts_with("}}") => return Some(index),
            None => {}
        }
    }
    None
}

/// The words of an action; none where it uses a field, which is filled in later by whoever has it.
pub(super) fn words(body: &str) -> Result<Option<Vec<Word<'_>>>, Fault> {
    let mut words = Vec::new();
    let mut rest = body.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '.' | '$' => return Ok(None),
            '|' => {
                words.push(Word::Pipe);
                1
            }
            '"' | '`' => {
                let end = end_of_string(&rest[1..], first)
                    .ok_or_else(|| Fault::new("a string in braces is not closed"))?;
                let inner = &rest[1..=end];
                let text = if first == '`' { inner.to_owned() } else { unescaped(inner)? };
                words.push(Word::Literal(text));
                end + 2
            }
            _ => {
                let end = rest
                    .find(|letter: char| letter.is_whitespace() || "|\"`.".contains(letter))
                    .unwrap_or(rest.len());
                let word = &rest[..end];
                if matches!(word, "if" | "range" | "with" | "end" | "else" | "define" | "template" | "block")
                {
                    return Err(Fault::new(format!("`{{{{ {word} … }}}}` is not supported in braces"))
                        .hint("HCL2 has conditions and `for` for that".to_owned()));
                }
                if word.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-') {
                    words.push(Word::Literal(word.to_owned()));
                } else {
                    words.push(Word::Name(word));
                }
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    if words.is_empty() { Err(Fault::new("there is nothing between the braces")) } else { Ok(Some(words)) }
}

fn end_of_string(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    rest.char_indices().find_map(|(index, letter)| {
        if escaped {
            escaped = false;
        } else if letter == quote {
            return Some(index);
        } else {
            escaped = quote == '"' && letter == '\\';
        }
        None
    })
}

fn unescaped(inner: &str) -> Result<String, Fault> {
    serde_json::from_str(&format!("\"{inner}\""))
        .map_err(|_| Fault::new("a string in braces has a wrong escape"))
}
