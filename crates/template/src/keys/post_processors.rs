//! The keys of post-processors.

use super::Kind::{Flag, Text, TextMap, Texts, Whole};
use super::Status::Current;
use super::provisioners::{SHELL_LOCAL_KEYS, check_shell_local};
use super::{Schema, complaint};

/// The types of post-processors there are.
pub(crate) const TYPES: &[&str] = &["checksum", "compress", "manifest", "shell-local"];

/// The keys of a post-processor of that type.
pub(crate) fn post_processor(kind: &str) -> Option<&'static Schema> {
    match kind {
        "checksum" => Some(&CHECKSUM),
        "compress" => Some(&COMPRESS),
        "manifest" => Some(&MANIFEST),
        "shell-local" => Some(&SHELL_LOCAL),
        _ => None,
    }
}

const DIGESTS: &[&str] = &["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

static CHECKSUM: Schema = Schema {
    keys: &[("checksum_types", Texts, Current), ("output", Text, Current)],
    check: |settings| {
        let types = settings.texts("checksum_types");
        let wrong = types.iter().find(|name| !DIGESTS.contains(name));
        let message = |name: &&str| format!("`{name}` is none of {}", crate::suggest::list(DIGESTS));
        wrong.map(|name| complaint(Some("checksum_types"), message(name), "")).into_iter().collect()
    },
};

static COMPRESS: Schema = Schema {
    keys: &[("output", Text, Current), ("format", Text, Current), ("compression_level", Whole, Current)],
    check: |_| Vec::new(),
};

static MANIFEST: Schema = Schema {
    keys: &[
        ("output", Text, Current),
        ("strip_path", Flag, Current),
        ("strip_time", Flag, Current),
        ("custom_data", TextMap, Current),
    ],
    check: |_| Vec::new(),
};

static SHELL_LOCAL: Schema = Schema { keys: SHELL_LOCAL_KEYS, check: check_shell_local };
