//! `{{ .Field }}` in texts: what is filled in when it is known.

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// What stands between braces, without spaces around it.
    Field(&'a str),
    /// Braces that are not closed.
    Open,
}

/// The parts of `text`, in their order.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        parts.push(Part::Text(before));
        let Some((name, behind)) = after.split_once("}}") else {
            parts.push(Part::Open);
            return parts;
        };
        parts.push(Part::Field(name.trim()));
        rest = behind;
    }
    parts.push(Part::Text(rest));
    parts
}

/// `text` with what `value` gives for each field; what it does not know, and braces that are not closed, are left out:
/// who filled in a text has checked it.
pub(super) fn fill<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let part = |part: &Part<'_>| match part {
        Part::Text(text) => (*text).to_owned(),
        Part::Field(name) => value(name).unwrap_or_default().to_owned(),
        Part::Open => String::new(),
    };
    parts(text).iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_braces_do_not_matter() {
        let value = |name: &str| (name == ".Name").then_some("pi");
        for text in ["a {{.Name}} b", "a {{ .Name}} b", "a {{.Name }} b", "a {{\t.Name  }} b"] {
            assert_eq!(fill(text, value), "a pi b", "{text}");
        }
        assert_eq!(fill("no braces", value), "no braces");
        assert_eq!(parts("x {{ .Name"), [Part::Text("x "), Part::Open]);
        assert_eq!(fill("{{.Other}}}}", value), "}}");
    }
}
