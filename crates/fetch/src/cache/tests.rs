use super::*;
use crate::Digest;
use reqwest::Url;

fn folder(variables: &[(&str, &str)]) -> Option<PathBuf> {
    default_cache_dir(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    })
}

#[test]
fn the_folder_goes_by_custom() {
    let (own, xdg, home) = (("ARM_IMAGE_CACHE_DIR", "own"), ("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/pi"));
    assert_eq!(folder(&[own, xdg, home]), Some("own".into()));
    assert_eq!(folder(&[xdg, home]), Some("/xdg/arm-image".into()));
    assert_eq!(folder(&[("XDG_CACHE_HOME", "relative"), home]), Some("/home/pi/.cache/arm-image".into()));
    assert_eq!(folder(&[("ARM_IMAGE_CACHE_DIR", ""), home]), Some("/home/pi/.cache/arm-image".into()));
    assert_eq!(folder(&[]), None);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Cache::open(file.path().join("cache")).unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn keys_tell_digests_and_urls_apart() {
    let url = |text: &str| Url::parse(text).unwrap();
    let digest: Digest = "md5:900150983cd24fb0d6963f7d28e17f72".parse().unwrap();
    assert_eq!(Key::new(&url("http://h/a"), Some(&digest)).as_str(), "md5-900150983cd24fb0d6963f7d28e17f72");
    let key = |text| Key::new(&url(text), None).as_str().to_owned();
    assert!(key("http://h/a").starts_with("url-"));
    assert_ne!(key("http://h/a"), key("http://h/a?version=2"));
    assert_eq!(key("http://h/a"), key("http://h/a#part"));
}
