//! How a server tells one version of a file from another.

use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use crate::source::shown;

/// By what a server tells whether a file is still the same (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Validators {
    pub(crate) fn of(header: &HeaderMap) -> Self {
        let text = |name: HeaderName| Some(header.get(name)?.to_str().ok()?.to_owned());
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// The ETag, if equal ones mean equal bytes and not only equal meaning.
    pub(crate) fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| etag.starts_with('"'))
    }

    /// Whether `other` is certainly of another version.
    fn contradicts(&self, other: &Self) -> bool {
        let differ = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one != other)
        };
        differ(&self.etag, &other.etag) || differ(&self.last_modified, &other.last_modified)
    }
}

/// Where the bytes of an unfinished download came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The URL that was asked for.
    pub(crate) url: String,
    /// The URL that answered, after redirects; without its query, which often is a pass that has to stay secret.
    answered: String,
    pub(crate) validators: Validators,
    /// The size of the whole file, in bytes.
    total: Option<u64>,
}

impl Origin {
    pub(crate) fn new(asked: &Url, answered: &Url, validators: Validators, total: Option<u64>) -> Self {
        Self { url: shown(asked), answered: place(answered), validators, total }
    }

    /// Whether `url` led to the bytes without a redirect, so that its server knows their validators.
    fn is_direct(&self, url: &Url) -> bool {
        self.url == shown(url) && self.answered == place(url)
    }

    /// The header lines for the bytes from `start` on; `None` if they could be bytes of another version unnoticed.
    ///
    /// Where a digest judges in the end (`is_judged`), a file from another mirror of the same network may be continued:
    /// their validators differ though their bytes do not, so they are not sent there.
    pub(crate) fn resume(&self, url: &Url, start: u64, is_judged: bool) -> Option<HeaderMap> {
        let condition = match self.validators.strong() {
            Some(etag) if self.url == shown(url) && (!is_judged || self.is_direct(url)) => Some(etag),
            _ if !is_judged => return None,
            _ if self.is_direct(url) => self.validators.last_modified.as_deref(),
            _ => None,
        };
        let mut header = HeaderMap::new();
        header.insert(header::RANGE, format!("bytes={start}-").parse().ok()?);
        if let Some(condition) = condition {
            // What came as a header fits into one, unless the record was tampered with.
            header.insert(header::IF_RANGE, condition.parse().ok()?);
        }
        Some(header)
    }

    /// Whether a part that came as `other` says belongs to the same file as far as can be told.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        let differ = |total: u64| other.total.is_some_and(|other| other != total);
        let is_same_place = self.answered == other.answered;
        let is_other_version = is_same_place && self.validators.contradicts(&other.validators);
        !is_other_version && !self.total.is_some_and(differ)
    }
}

fn place(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    shown(&url)
}

/// What `Content-Range` says (RFC 9110, section 14.4), in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The first byte of the part; `None` where there is no part, but a complaint that the file is not that long.
    pub(crate) start: Option<u64>,
    /// The size of the whole file.
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    pub(crate) fn of(header: &HeaderMap) -> Option<Self> {
        Self::parse(header.get(header::CONTENT_RANGE)?.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (part, total) = rest.trim().split_once('/')?;
        let total = match total {
            "*" => None,
            digits => Some(digits.parse().ok()?),
        };
        let start = match part {
            "*" => None,
            range => {
                let (start, end): (u64, u64) = range
                    .split_once('-')
                    .and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)))?;
                if end < start || total.is_some_and(|total| end >= total) {
                    return None;
                }
                Some(start)
            }
        };
        unit.eq_ignore_ascii_case("bytes").then_some(Self { start, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(etag: Option<&str>, answered: &str) -> Origin {
        let validators = Validators {
            etag: etag.map(str::to_owned),
            last_modified: Some("Mon, 01 Jan 2024 00:00:00 GMT".to_owned()),
        };
        Origin::new(&url("http://h/a"), &url(answered), validators, Some(10))
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn condition(origin: &Origin, asked: &str, is_judged: bool) -> Option<Option<String>> {
        let header = origin.resume(&url(asked), 5, is_judged)?;
        assert_eq!(header[header::RANGE], "bytes=5-");
        Some(header.get(header::IF_RANGE).map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn without_a_digest_only_a_strong_etag_of_the_same_url_resumes() {
        let etag = Some("\"1\"".to_owned());
        assert_eq!(condition(&origin(Some("\"1\""), "http://h/a"), "http://h/a", false), Some(etag.clone()));
        assert_eq!(condition(&origin(Some("\"1\""), "http://m/a"), "http://h/a", false), Some(etag));
        assert_eq!(condition(&origin(Some("\"1\""), "http://h/a"), "http://h/b", false), None);
        assert_eq!(condition(&origin(Some("W/\"1\""), "http://h/a"), "http://h/a", false), None);
        assert_eq!(condition(&origin(None, "http://h/a"), "http://h/a", false), None);
    }

    #[test]
    fn with_a_digest_anything_resumes_and_its_own_server_is_told_the_version() {
        let date = Some("Mon, 01 Jan 2024 00:00:00 GMT".to_owned());
        let etag = Some("\"1\"".to_owned());
        assert_eq!(condition(&origin(Some("\"1\""), "http://h/a"), "http://h/a", true), Some(etag));
        assert_eq!(condition(&origin(Some("W/\"1\""), "http://h/a"), "http://h/a", true), Some(date));
        assert_eq!(condition(&origin(Some("\"1\""), "http://m/a"), "http://h/a", true), Some(None));
        assert_eq!(condition(&origin(Some("\"1\""), "http://h/a"), "http://m/a", true), Some(None));
    }

    #[test]
    fn a_pass_in_the_query_is_not_recorded() {
        let origin = origin(None, "http://m/a?pass=secret#part");
        assert!(!serde_json::to_string(&origin).unwrap().contains("secret"));
    }

    #[test]
    fn another_version_does_not_fit() {
        let one = origin(Some("\"1\""), "http://h/a");
        assert!(one.fits(&one));
        assert!(!one.fits(&origin(Some("\"2\""), "http://h/a")));
        assert!(one.fits(&origin(Some("\"2\""), "http://m/a")), "another server has its own ETags");
        assert!(!one.fits(&Origin { total: Some(11), ..one.clone() }));
        assert!(one.fits(&Origin { total: None, ..one.clone() }));
    }

    #[test]
    fn content_ranges_are_read() {
        let range = |text| ContentRange::parse(text).map(|range| (range.start, range.total));
        assert_eq!(range("bytes 5-9/10"), Some((Some(5), Some(10))));
        assert_eq!(range("Bytes 5-9/*"), Some((Some(5), None)));
        assert_eq!(range("bytes */10"), Some((None, Some(10))));
        for wrong in
            ["", "bytes", "bytes 5-9", "bytes 5-10/10", "bytes 9-5/10", "lines 5-9/10", "bytes -5/10"]
        {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_content_range_is_judged_without_panic(text in r"(bytes )?[0-9*/ -]{0,60}|.*") {
            ContentRange::parse(&text);
        }
    }
}
