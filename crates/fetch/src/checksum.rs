//! What the bytes are checked against.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, Error, Source};

/// What the fetched bytes have to match.
///
/// ```
/// use arm_image_fetch::{Checksum, Source};
///
/// let list: Checksum = "file:/srv/SHA256SUMS".parse()?;
/// assert_eq!(list, Checksum::List(Source::Path("/srv/SHA256SUMS".into())));
/// assert_eq!("none".parse::<Checksum>()?, Checksum::None);
/// assert!("sha256:too-short".parse::<Checksum>().is_err());
/// # Ok::<(), arm_image_fetch::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// This digest.
    Digest(Digest),
    /// The digest that a list gives for the file's name.
    ///
    /// Lists as `sha256sum`, `sha256sum --tag` (BSD) and `openssl` write them are understood, and files that hold one
    /// digest and nothing else. Where the list has several digests for the name, the strongest counts.
    List(Source),
    /// Nothing: the bytes are taken as they come.
    None,
}

/// Takes `sha256:HEX`, `sha512:HEX`, `sha1:HEX`, `md5:HEX`, hexadecimal digits alone, `file:` with the URL or path of a
/// list, or `none`.
impl FromStr for Checksum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        match text.split_once(':') {
            Some((scheme, list)) if scheme.eq_ignore_ascii_case("file") => match list {
                "" => Err(Error::Syntax { text: text.to_owned(), reason: "it names no list".to_owned() }),
                // `file:///srv/SHA256SUMS` is a file URL as a whole, and may hold escapes.
                _ if list.starts_with("//") => text.parse().map(Self::List),
                _ => list.parse().map(Self::List),
            },
            _ => text.parse().map(Self::Digest),
        }
    }
}

/// The text from which it can be parsed again, but for the password of a list's URL.
impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(formatter),
            Self::List(list) => write!(formatter, "file:{list}"),
            Self::None => formatter.write_str("none"),
        }
    }
}

impl From<Digest> for Checksum {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_taken() {
        let hex = "900150983cd24fb0d6963f7d28e17f72";
        let digest = Checksum::Digest(hex.parse().unwrap());
        for (text, expected) in [
            (hex, digest.clone()),
            (&format!("MD5: {hex} "), digest),
            ("None", Checksum::None),
            ("file:sums", Checksum::List(Source::Path("sums".into()))),
            ("file:///srv/my%20sums", Checksum::List(Source::Path("/srv/my sums".into()))),
            ("file:https://h/sums", Checksum::List("https://h/sums".parse().unwrap())),
        ] {
            assert_eq!(text.parse::<Checksum>().unwrap(), expected);
            assert_eq!(expected.to_string().parse::<Checksum>().unwrap(), expected);
        }
    }

    #[test]
    fn the_error_teaches_the_syntax() {
        for text in ["", "sha3:12", "sha256:12", "file:", "sums.txt"] {
            let message = text.parse::<Checksum>().unwrap_err().to_string();
            assert!(message.contains("sha256:HEX") && message.contains("file:"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in ".*") {
            let _ = text.parse::<Checksum>();
        }
    }
}
