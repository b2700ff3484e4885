//! Packer's templates: what they are lowered to, and what is said of those that are wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

mod keys;
mod mistakes;
mod options;
mod plans;
mod secrets;
mod steps;

use arm_image_tests::program::{Ended, Place};
use serde_json::Value;

/// The plans that a run has printed.
pub(crate) fn plans(ended: &Ended) -> Vec<Value> {
    ended.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A source with some more keys.
pub(crate) fn source(keys: &str) -> String {
    format!("source \"arm-image\" \"pi\" {{\n  iso_url = \"a.img\"\n  iso_checksum = \"none\"\n{keys}\n}}\n")
}

/// The same with a build of it, which does what `body` says.
pub(crate) fn built(keys: &str, body: &str) -> String {
    format!("{}build {{\n  sources = [\"source.arm-image.pi\"]\n{body}\n}}\n", source(keys))
}

/// The template is refused for what stands on that line.
#[track_caller]
pub(crate) fn refused(place: &Place, template: &str, line: usize, message: &str) {
    place.write("wrong.pkr.hcl", template);
    let ended = place.run(["validate", "wrong.pkr.hcl"]).expect(3);
    assert_eq!(ended.stdout(), "");
    let _ = ended.says(&format!("wrong.pkr.hcl:{line}:")).says(message);
}
