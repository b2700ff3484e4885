//! Where an image comes from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::Error;

/// Where bytes come from: a file of this machine, or a web server.
///
/// ```
/// use arm_image_fetch::Source;
///
/// let source: Source = "https://example.org/images/rasp%20ios.img.xz?mirror=1".parse()?;
/// assert_eq!(source.file_name().as_deref(), Some("rasp ios.img.xz"));
/// assert_eq!("file:///srv/a%20b.img".parse::<Source>()?, Source::Path("/srv/a b.img".into()));
/// assert_eq!("raspios.img".parse::<Source>()?, Source::Path("raspios.img".into()));
/// # Ok::<(), arm_image_fetch::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this machine.
    Path(PathBuf),
    /// A file on a web server; `http` or `https`.
    Url(Url),
}

impl Source {
    /// The last part of the path, decoded: the name by which checksum lists know the file.
    ///
    /// `None` where there is none, as in `https://example.org/`.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        match self {
            Self::Path(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Self::Url(url) => url
                .path_segments()?
                .next_back()
                .filter(|name| !name.is_empty())
                .map(|name| percent_decode_str(name).decode_utf8_lossy().into_owned()),
        }
    }
}

/// Takes `http://`, `https://` and `file://` URLs; anything without a scheme is a path.
impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Ok(Self::Path(PathBuf::from(text)));
        };
        let url = Url::parse(text).map_err(|source| Error::Url { text: text.to_owned(), source })?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Url(url)),
            "file" => {
                url.to_file_path().map(Self::Path).map_err(|()| Error::FileUrl { text: text.to_owned() })
            }
            _ => Err(Error::Scheme { scheme: scheme.to_owned() }),
        }
    }
}

/// The syntax of RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '+' | '-' | '.'))
}

/// The path, or the URL with `***` for its password: it goes into messages and logs.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(formatter),
            Self::Url(url) => shown(url).fmt(formatter),
        }
    }
}

/// `url` as it may be shown: without its password.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // Only a URL without a host refuses a password, and such a one has none.
        let _ = url.set_password(Some("***"));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(text: &str) -> Source {
        text.parse().unwrap()
    }

    #[test]
    fn what_has_no_scheme_is_a_path() {
        for text in ["a.img", "/a.img", "./a:b.img", "a/b://c", "C:\\a.img", "", "https:a.img"] {
            assert_eq!(source(text), Source::Path(text.into()));
        }
    }

    #[test]
    fn schemes_are_told_apart_in_any_case() {
        assert!(matches!(source("HTTP://example.org/a"), Source::Url(_)));
        assert_eq!(source("file://localhost/a%C3%A4"), Source::Path("/aä".into()));
        assert!(matches!("ftp://example.org/a".parse::<Source>(), Err(Error::Scheme { .. })));
        assert!(matches!("https://".parse::<Source>(), Err(Error::Url { .. })));
        assert!(matches!("file://elsewhere/a".parse::<Source>(), Err(Error::FileUrl { .. })));
    }

    #[test]
    fn the_file_name_is_the_last_part_of_the_path() {
        assert_eq!(source("/tmp/a.img").file_name().as_deref(), Some("a.img"));
        assert_eq!(source("http://h/x/a.img#part").file_name().as_deref(), Some("a.img"));
        for text in ["http://h", "http://h/x/", "/", ".."] {
            assert_eq!(source(text).file_name(), None, "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let shown = source("https://user:secret@h/a").to_string();
        assert_eq!(shown, "https://user:***@h/a");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in ".*") {
            if let Ok(source) = text.parse::<Source>() {
                let _ = (source.file_name(), source.to_string());
            }
        }
    }
}
