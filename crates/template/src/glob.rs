//! Patterns for names of builds and files.

use regex::Regex;

use crate::functions;

/// A pattern with `*`, `?`, `[abc]`, `[!abc]`, `{a,b}` and `\`; none where it cannot be read.
///
/// With `folders`, `*` and `?` stop at `/`, and `**` does not.
pub(crate) fn compile(pattern: &str, folders: bool) -> Option<Regex> {
    let (any, one) = if folders { ("[^/]*", "[^/]") } else { (".*", ".") };
    let mut source = String::from("(?s)^");
    let mut letters = pattern.chars().peekable();
    let mut open = 0_usize;
    while let Some(letter) = letters.next() {
        match letter {
            '*' if letters.next_if_eq(&'*').is_some() => {
                // `**/` also stands for no folder at all.
                if letters.next_if_eq(&'/').is_some() {
                    source.push_str("(?:.*/)?")
                } else {
                    source.push_str(".*")
                }
            }
            '*' => source.push_str(any),
            '?' => source.push_str(one),
            '{' => {
                open += 1;
                source.push_str("(?:");
            }
            '}' if open > 0 => {
                open -= 1;
                source.push(')');
            }
            ',' if open > 0 => source.push('|'),
            '[' => {
                source.push('[');
                if letters.next_if(|next| "!^".contains(*next)).is_some() {
                    source.push('^');
                }
                let mut empty = true;
                loop {
                    match letters.next()? {
                        ']' if !empty => break,
                        '-' => source.push('-'),
                        other => source.push_str(&regex::escape(&other.to_string())),
                    }
                    empty = false;
                }
                source.push(']');
            }
            '\\' => source.push_str(&regex::escape(&letters.next()?.to_string())),
            other => source.push_str(&regex::escape(&other.to_string())),
        }
    }
    source.push('$');
    if open > 0 { None } else { functions::limited_pattern(&source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_they_read() {
        let matches = |pattern, name| compile(pattern, false).expect("a pattern").is_match(name);
        assert!(matches("*", "kiosk.arm-image.pi"));
        assert!(matches("*.arm-image.{pi,bone}", "kiosk.arm-image.bone"));
        assert!(matches("arm-image.p?", "arm-image.pi"));
        assert!(!matches("arm-image.p", "arm-image.pi"));
        assert!(matches("a[!b]c", "axc") && !matches("a[!b]c", "abc"));
        assert!(compile("a{b", false).is_none() && compile("a[b", false).is_none());
        let files = |pattern, name| compile(pattern, true).expect("a pattern").is_match(name);
        assert!(files("*.sh", "a.sh") && !files("*.sh", "b/a.sh") && files("**/*.sh", "b/c/a.sh"));
        assert!(files("**/*.sh", "a.sh"));
    }
}
