//! What the builds of a template write: none of it may be read by one of them, or be written by another.

use std::path::{Component, Path, PathBuf, absolute};

use arm_image_template::Position;

/// Everything that is written, in the template's order.
#[derive(Debug, Default)]
pub(super) struct Written(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    at: Position,
    /// Whether others may add to it as well.
    shared: bool,
}

impl Written {
    /// `path`, as the template says at `at`.
    pub(super) fn add(&mut self, path: &Path, at: &Position, shared: bool) {
        self.0.push(Entry { path: plain(path), at: at.clone(), shared });
    }

    /// What is wrong, where, and what would be right. `read` is what the builds read.
    pub(super) fn mistakes<'p>(
        &self,
        read: impl IntoIterator<Item = &'p Path>,
    ) -> Vec<(Position, String, &'static str)> {
        let read: Vec<_> = read.into_iter().map(plain).collect();
        let mut mistakes = Vec::new();
        for (index, entry) in self.0.iter().enumerate() {
            let name = entry.path.display();
            if read.iter().any(|read| entry.takes(read)) {
                let message = format!("writing `{name}` would overwrite what is read");
                mistakes.push((entry.at.clone(), message, "give it another name"));
            }
            let meets = |other: &&Entry| {
                (entry.takes(&other.path) || other.takes(&entry.path)) && !(entry.shared && other.shared)
            };
            if let Some(other) = self.0[..index].iter().find(meets) {
                let message = format!("`{name}` is the same output as at {}", other.at);
                let hint = "give each an output of its own, as by `${source.name}` in its name";
                mistakes.push((entry.at.clone(), message, hint));
            }
        }
        mistakes
    }
}

impl Entry {
    /// Whether it needs this name; while it is unfinished it has one of its own.
    fn takes(&self, path: &Path) -> bool {
        let mut partial = self.path.clone().into_os_string();
        partial.push(".partial");
        self.path == path || path == Path::new(&partial)
    }
}

/// The path without what does not matter, so that one file has one name, as long as no links are about.
fn plain(path: &Path) -> PathBuf {
    let whole = absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(written: &[(&str, bool)], read: &[&str]) -> Vec<String> {
        let mut all = Written::default();
        for (line, (path, shared)) in (1..).zip(written) {
            let at = Position { file: "t.pkr.hcl".into(), line, column: 1 };
            all.add(Path::new(path), &at, *shared);
        }
        all.mistakes(read.iter().map(Path::new)).into_iter().map(|(_, message, _)| message).collect()
    }

    #[test]
    fn one_file_is_written_once_however_it_is_called() {
        for other in ["o.img", "./o.img", "a/../o.img", "o.img.partial"] {
            let found = mistakes(&[("o.img", false), (other, false)], &[]);
            assert!(found[0].ends_with("is the same output as at t.pkr.hcl:1:1"), "{other}: {found:?}");
        }
        assert_eq!(mistakes(&[("o.img", false), ("p.img", false)], &[]), Vec::<String>::new());
        assert_eq!(mistakes(&[("list", true), ("list", true)], &[]), Vec::<String>::new());
        assert_eq!(mistakes(&[("list", true), ("list", false)], &[]).len(), 1);
    }

    #[test]
    fn nothing_that_is_read_is_written() {
        assert_eq!(mistakes(&[("o.img", false)], &["o.img"]).len(), 1);
        assert_eq!(mistakes(&[("t", true)], &["x/../t"]).len(), 1);
        assert_eq!(mistakes(&[("o.img", false)], &["o.img.partial"]).len(), 1);
        assert_eq!(mistakes(&[("o.img", false)], &["o.img.xz"]), Vec::<String>::new());
    }
}
