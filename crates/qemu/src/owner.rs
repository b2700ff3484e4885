//! Whose handler it is: a process, named so that a successor can tell whether it still lives.

use std::fs;
use std::io;

use crate::Error;

/// Begins the name of everything we leave where the kernel does not clean up after us.
const MARK: &str = "arm-image-";

/// A process: its id alone is used again; together with its start it is unique until the machine restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    process: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks after boot.
    start: u64,
    /// Inode number of its PID namespace: in another one the same id means another process.
    namespace: u64,
}

impl Owner {
    pub(crate) fn current() -> Result<Owner, Error> {
        let path = "/proc/self/stat";
        let text = fs::read(path).map_err(|source| Error::Identity { path, source })?;
        let malformed = |path| Error::Identity { path, source: io::ErrorKind::InvalidData.into() };
        let start = Status::parse(&text).ok_or_else(|| malformed(path))?.start;
        let path = "/proc/self/ns/pid";
        let link = fs::read_link(path).map_err(|source| Error::Identity { path, source })?;
        let number =
            link.to_str().and_then(|link| link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok());
        let namespace = number.ok_or_else(|| malformed(path))?;
        Ok(Owner { process: std::process::id(), start, namespace })
    }

    /// The name of this process's handler called `what`.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{MARK}{}-{}-{}-{what}", self.process, self.start, self.namespace)
    }

    /// The owner that a name tells of; none when the name is not of our making.
    pub(crate) fn of(name: &str) -> Option<Owner> {
        let mut fields = name.strip_prefix(MARK)?.splitn(4, '-');
        let process = fields.next()?.parse().ok()?;
        let start = fields.next()?.parse().ok()?;
        let namespace = fields.next()?.parse().ok()?;
        fields.next()?;
        Some(Owner { process, start, namespace })
    }

    /// Whether `name` is a handler of this crate, of whatever process.
    pub(crate) fn marked(name: &str) -> bool {
        name.starts_with(MARK)
    }

    /// Whether the process is known to be gone, as `current` sees it.
    pub(crate) fn is_gone(&self, current: &Owner) -> bool {
        if self.namespace != current.namespace {
            return false;
        }
        match fs::read(format!("/proc/{}/stat", self.process)) {
            Ok(text) => Status::parse(&text).is_some_and(|status| status.start != self.start || status.dead),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// What `/proc/PID/stat` says (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Status {
    start: u64,
    /// A zombie without further threads: it waits for its parent only.
    dead: bool,
}

impl Status {
    fn parse(text: &[u8]) -> Option<Status> {
        // Field 2, the program's name, may hold blanks and parentheses; the last one ends it.
        let end = text.iter().rposition(|&byte| byte == b')')?;
        let mut fields = str::from_utf8(text.get(end.checked_add(1)?..)?).ok()?.split_ascii_whitespace();
        let state = fields.next()?; // field 3
        let threads: u64 = fields.nth(16)?.parse().ok()?; // field 20
        let start = fields.nth(1)?.parse().ok()?; // field 22
        Some(Status { start, dead: matches!(state, "Z" | "X") && threads <= 1 })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_process_lives() {
        let current = Owner::current().unwrap();
        assert_eq!(Owner::of(&current.name("arm64")), Some(current.clone()));
        assert!(!current.is_gone(&current));
    }

    #[test]
    fn a_used_process_id_with_another_start_is_gone() {
        let current = Owner::current().unwrap();
        let earlier = Owner { start: current.start - 1, ..current.clone() };
        assert!(earlier.is_gone(&current));
    }

    #[test]
    fn a_process_that_ended_is_gone_even_before_its_parent_notices() {
        let current = Owner::current().unwrap();
        // It runs until its standard input closes.
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let stat = fs::read(format!("/proc/{}/stat", child.id())).unwrap();
        let start = Status::parse(&stat).unwrap().start;
        let owner = Owner { process: child.id(), start, namespace: current.namespace };
        assert!(!owner.is_gone(&current));
        child.wait().unwrap();
        assert!(owner.is_gone(&current));
        let zombie = Status::parse(b"9 (cat) Z 1 9 9 0 -1 4228300 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0").unwrap();
        assert_eq!(zombie, Status { start: 777, dead: true });
    }

    #[test]
    fn another_namespace_is_not_judged() {
        let current = Owner::current().unwrap();
        let foreign = Owner { start: current.start - 1, namespace: current.namespace + 1, ..current.clone() };
        assert!(!foreign.is_gone(&current));
    }

    #[test]
    fn names_that_are_not_ours_have_no_owner() {
        for name in
            ["qemu-aarch64", "arm-image", "arm-image-", "arm-image-1", "arm-image-1-2", "arm-image-1-2-3"]
        {
            assert_eq!(Owner::of(name), None, "{name}");
        }
        assert_eq!(Owner::of("arm-image-a-2-3-arm64"), None);
        assert!(Owner::of("arm-image-1-2-3-arm64-2").is_some());
    }

    #[test]
    fn the_name_of_a_program_cannot_deceive() {
        let text = b"42 (a) Z 1 (b) S 1 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(Status::parse(text), Some(Status { start: 12345, dead: false }));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..128), name in ".*") {
            let _ = (Status::parse(&text), Owner::of(&name));
        }
    }
}
