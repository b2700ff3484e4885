//! Text without secrets.

use crate::value::HIDDEN;

/// `text` with every occurrence of a secret replaced. Secrets have to come longest first, and none of them empty.
pub(crate) fn redact(text: &str, secrets: &[String]) -> String {
    // Pieces of the text, with nothing where a secret was; so what is put in is not searched again.
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
}
