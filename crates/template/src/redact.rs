//! Text without secrets.

use crate::value::HIDDEN;

/// `text` with every occurrence of a secret replaced. Secrets have to come longest first, and none of them empty.
pub(crate) fn redact(text: &str, secrets: &[String]) -> String {
    joined(pieces(text, secrets))
}

/// How else a secret is written: in a shell's quotes, in JSON, and in a URL. By these it is known again in commands, in what
/// programs print, and in addresses.
pub(crate) fn spellings(secret: &str) -> Vec<String> {
    let percent = |plain: &str| {
        let bytes = secret.bytes().map(|byte| match byte {
            _ if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        });
        bytes.collect::<String>()
    };
    let json = serde_json::to_string(secret).unwrap_or_default();
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
    let mut all = vec![
        secret.replace('\'', r"'\''"),
        secret.replace('\'', "'\"'\"'"),
        inside.to_owned(),
        // What the URL standard leaves as it is in a path, in a query, and in neither.
        percent("-._~!$&'()*+,;=:@/"),
        percent("-._~!$&()*+,;=:@/?"),
        percent("-._~"),
    ];
    all.retain(|text| text != secret && !text.is_empty());
    all
}

/// The same for a part of a longer text, which begins or ends where that was cut: what may be a part of a secret there
/// is replaced as well.
pub(crate) fn redact_part(text: &str, secrets: &[String], cut_before: bool, cut_after: bool) -> String {
    if (cut_before || cut_after) && secrets.iter().any(|secret| secret.contains(text)) {
        return if text.is_empty() { String::new() } else { HIDDEN.to_owned() };
    }
    let mut pieces = pieces(text, secrets);
    // A character that was cut in two shows as one that stands for anything.
    const HALF: char = '\u{fffd}';
    if cut_after && let Some(Some(last)) = pieces.last().copied() {
        let whole = last.trim_end_matches(HALF);
        let length = longest(secrets, |secret, at| &secret[..at], |part| whole.ends_with(part));
        if length > 0 {
            pieces.pop();
            pieces.extend([Some(&whole[..whole.len() - length]), None]);
        }
    }
    if cut_before && let Some(Some(first)) = pieces.first().copied() {
        let whole = first.trim_start_matches(HALF);
        let length = longest(secrets, |secret, at| &secret[at..], |part| whole.starts_with(part));
        if length > 0 {
            pieces.splice(0..1, [None, Some(&whole[length..])]);
        }
    }
    joined(pieces)
}

/// The length of the longest part of a secret, as `part` cuts it, that fits.
fn longest(
    secrets: &[String],
    part: impl for<'s> Fn(&'s str, usize) -> &'s str,
    fits: impl Fn(&str) -> bool,
) -> usize {
    let lengths = secrets.iter().flat_map(|secret| {
        let cuts = secret.char_indices().map(|(at, _)| at).skip(1);
        cuts.map(|at| part(secret, at)).filter(|part| fits(part)).map(str::len)
    });
    lengths.max().unwrap_or(0)
}

/// Pieces of the text, with nothing where a secret was; so what is put in is not searched again.
fn pieces<'t>(text: &'t str, secrets: &[String]) -> Vec<Option<&'t str>> {
    let mut pieces: Vec<Option<&str>> = vec![Some(text)];
    for secret in secrets.iter().filter(|secret| text.contains(secret.as_str())) {
        let mut split = Vec::new();
        for piece in pieces {
            let Some(piece) = piece else {
                split.push(None);
                continue;
            };
            for (index, part) in piece.split(secret.as_str()).enumerate() {
                if index > 0 {
                    split.push(None);
                }
                split.push(Some(part));
            }
        }
        pieces = split;
    }
    pieces
}

fn joined(pieces: Vec<Option<&str>>) -> String {
    pieces.into_iter().map(|piece| piece.unwrap_or(HIDDEN)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_longest_first() {
        let secrets = ["hunter22".to_owned(), "hunter2".to_owned(), "e".to_owned()];
        assert_eq!(redact("pi:hunter22 hunter2.", &secrets), "pi:(sensitive) (sensitive).");
        assert_eq!(redact("see", &secrets), "s(sensitive)(sensitive)");
        assert_eq!(redact("", &secrets), "");
    }

    #[test]
    fn a_secret_is_known_however_it_is_written() {
        let secret = "it's a \"gr\u{fc}n\" \\x";
        let all = spellings(secret);
        for written in [
            r#"it'\''s a "gr\u{fc}n" \x"#.replace("\\u{fc}", "\u{fc}").as_str(),
            "it's%20a%20%22gr%C3%BCn%22%20%5Cx",
            "it%27s%20a%20%22gr%C3%BCn%22%20%5Cx",
            "it's a \\\"gr\u{fc}n\\\" \\\\x",
            "it'\"'\"'s a \"gr\u{fc}n\" \\x",
        ] {
            assert!(all.iter().any(|one| one == written), "{written} is not in {all:#?}");
        }
        assert_eq!(spellings("hunter2"), Vec::<String>::new());
    }

    #[test]
    fn no_half_of_a_secret_shows_where_a_text_was_cut() {
        let secrets = ["hunter2".to_owned(), "abab".to_owned(), "grün".to_owned()];
        let part = |text, before, after| redact_part(text, &secrets, before, after);
        assert_eq!(part("a line hun", false, true), "a line (sensitive)");
        assert_eq!(part("ter2 and more", true, false), "(sensitive) and more");
        assert_eq!(part("ter2 x hunt", true, true), "(sensitive) x (sensitive)");
        // What is whole is not taken for a part of itself.
        assert_eq!(part("x abab", false, true), "x (sensitive)");
        assert_eq!(part("x ababab", false, true), "x (sensitive)(sensitive)");
        assert_eq!(part("unte", true, true), "(sensitive)");
        assert_eq!(part("x gr\u{fffd}", false, true), "x (sensitive)");
        assert_eq!(part("\u{fffd}n x", true, false), "(sensitive) x");
        assert_eq!(part("a whole line: hun", false, false), "a whole line: hun");
    }
}
