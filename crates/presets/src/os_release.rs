//! What system an image holds, as it says itself.

use serde::Serialize;

/// The fields of os-release(5) that matter here.
///
/// ```
/// use arm_image_presets::OsRelease;
/// let os = OsRelease::parse("ID=ubuntu\nVERSION_ID=\"24.04\"\n");
/// assert_eq!((os.id.as_str(), os.version()), ("ubuntu", Some((24, 4))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OsRelease {
    /// The system, lower case: `debian`. By the manual, `linux` when it does not say.
    pub id: String,
    /// Its version: `12`, `24.04`. None for rolling releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The version's name: `bookworm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_codename: Option<String>,
    /// For people: `Debian GNU/Linux 12 (bookworm)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretty_name: Option<String>,
}

impl OsRelease {
    /// Reads the text of `/etc/os-release`; lines that are no assignments are passed over.
    #[must_use]
    pub fn parse(text: &str) -> OsRelease {
        let mut os =
            OsRelease { id: "linux".to_owned(), version_id: None, version_codename: None, pretty_name: None };
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once('=') else { continue };
            let value = unquote(value);
            match key {
                "ID" if !value.is_empty() => os.id = value,
                "VERSION_ID" => os.version_id = Some(value),
                "VERSION_CODENAME" => os.version_codename = Some(value),
                "PRETTY_NAME" => os.pretty_name = Some(value),
                _ => {}
            }
        }
        os
    }

    /// Major and minor of the version; none when there is none or it does not begin with a number.
    #[must_use]
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version_id.as_deref()?.split(|char: char| !char.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        Some((major, minor))
    }
}

/// Undoes the shell's quoting; of an unclosed quote the rest of the line counts.
fn unquote(value: &str) -> String {
    let (quote, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => (Some(quote), value.get(1..).unwrap_or_default()),
        _ => (None, value),
    };
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(char) = chars.next() {
        match char {
            _ if Some(char) == quote => break,
            '\\' if quote != Some('\'') => text.extend(chars.next()),
            _ => text.push(char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_real_one_is_read() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
                    VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n";
        let os = OsRelease::parse(text);
        assert_eq!(os.id, "debian");
        assert_eq!(os.version(), Some((12, 0)));
        assert_eq!(os.version_codename.as_deref(), Some("bookworm"));
        assert_eq!(os.pretty_name.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
    }

    #[test]
    fn quotes_comments_and_gaps_are_the_shells() {
        let os = OsRelease::parse("# ID=no\n\n  ID='my-os'\nPRETTY_NAME=\"a \\\"b\\\" \\\\\"\nVERSION_ID\n");
        assert_eq!(os.id, "my-os");
        assert_eq!(os.pretty_name.as_deref(), Some("a \"b\" \\"));
        assert_eq!((os.version_id.as_deref(), os.version()), (None, None));
        assert_eq!(OsRelease::parse("ID=\n").id, "linux");
        assert_eq!(OsRelease::parse("VERSION_ID=2025.3").version(), Some((2025, 3)));
        assert_eq!(OsRelease::parse("VERSION_ID=rolling").version(), None);
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text in "(?s).{0,200}") {
            let _ = OsRelease::parse(&text).version();
        }

        #[test]
        fn random_lines_never_panic(value in "[\"'\\\\a-z0-9.= ]{0,20}") {
            let _ = OsRelease::parse(&format!("ID={value}\nVERSION_ID={value}")).version();
        }
    }
}
