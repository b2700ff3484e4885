//! Which process a device belongs to: the mark in its name, and whether that process still runs.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Error;

/// A process, told apart from every other process the machine has run since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Inode of its PID namespace: the same number is another process in another container.
    namespace: u64,
    process: u32,
    /// Start time in clock ticks since boot: a number is given again, but not with the same time.
    started: u64,
}

impl Owner {
    /// The calling process.
    pub(crate) fn current() -> Result<Self, Error> {
        let stat = read_stat(Path::new("/proc/self/stat"))?;
        Ok(Self { namespace: namespace()?, process: stat.process, started: stat.started })
    }

    /// Name of its device `number`; at most 60 of the 127 bytes that device-mapper allows.
    pub(crate) fn name(&self, number: u64) -> String {
        format!("arm-image-{}-{}-{number}", self.process, self.started)
    }

    /// The mark of ownership kept beside the name, as the device's UUID.
    pub(crate) fn uuid(&self, number: u64) -> String {
        format!("ARM-IMAGE-{}-{}-{}-{number}", self.namespace, self.process, self.started)
    }

    /// Reads a mark; `None` for what is not one.
    pub(crate) fn parse(uuid: &str) -> Option<Self> {
        let mut fields = uuid.strip_prefix("ARM-IMAGE-")?.split('-');
        let owner = Self {
            namespace: fields.next()?.parse().ok()?,
            process: fields.next()?.parse().ok()?,
            started: fields.next()?.parse().ok()?,
        };
        let number: u64 = fields.next()?.parse().ok()?;
        // Only what is written exactly as we write it is ours.
        (owner.uuid(number) == uuid).then_some(owner)
    }

    /// Whether it is known that the process has ended. Of a process in another PID namespace nothing is known.
    pub(crate) fn is_gone(&self) -> Result<bool, Error> {
        if self.namespace != namespace()? {
            return Ok(false);
        }
        match read_stat(Path::new(&format!("/proc/{}/stat", self.process))) {
            Ok(stat) => Ok(stat.ended || stat.started != self.started),
            // ESRCH: it ended between the opening and the reading of its file.
            Err(Error::Process { source, .. })
                if source.kind() == io::ErrorKind::NotFound
                    || source.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) =>
            {
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

/// The inode of our PID namespace.
fn namespace() -> Result<u64, Error> {
    let path = Path::new("/proc/self/ns/pid");
    let metadata = fs::metadata(path).map_err(|source| Error::Process { path: path.to_owned(), source })?;
    Ok(metadata.ino())
}

/// What `/proc/PID/stat` tells of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    process: u32,
    /// A zombie or dead: its descriptors are closed already.
    ended: bool,
    started: u64,
}

fn read_stat(path: &Path) -> Result<Stat, Error> {
    let failed = |source| Error::Process { path: path.to_owned(), source };
    // Bytes, as the name in it is whatever the process chose.
    let bytes = fs::read(path).map_err(failed)?;
    parse_stat(&String::from_utf8_lossy(&bytes)).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
}

/// Reads the fields 1 (pid), 3 (state) and 22 (starttime) of proc_pid_stat(5).
fn parse_stat(text: &str) -> Option<Stat> {
    // The name in parentheses may itself contain spaces and parentheses.
    let (before, after) = text.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Stat {
        process: before.split_once(' ')?.0.parse().ok()?,
        ended: matches!(state, "Z" | "X"),
        started: fields.nth(18)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_process_is_not_gone_and_another_start_time_is() {
        let owner = Owner::current().unwrap();
        assert_eq!(owner.process, std::process::id());
        assert!(!owner.is_gone().unwrap());
        assert!(Owner { started: owner.started + 1, ..owner.clone() }.is_gone().unwrap());
        // Larger than any pid_max.
        assert!(Owner { process: 1 << 30, ..owner.clone() }.is_gone().unwrap());
        assert!(!Owner { process: 1 << 30, namespace: owner.namespace + 1, ..owner }.is_gone().unwrap());
    }

    #[test]
    fn a_zombie_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let path = format!("/proc/{}/stat", child.id());
        let started = read_stat(Path::new(&path)).unwrap().started;
        let owner = Owner { namespace: namespace().unwrap(), process: child.id(), started };
        // Waits until it has ended, but leaves it unreaped.
        let id = rustix::process::Pid::from_child(&child);
        let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(id), options).unwrap();
        assert!(owner.is_gone().unwrap());
        child.wait().unwrap();
        assert!(owner.is_gone().unwrap());
    }

    #[test]
    fn a_process_may_have_an_odd_name() {
        let text = "42 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(parse_stat(text), Some(Stat { process: 42, ended: false, started: 777 }));
    }

    #[test]
    fn what_we_did_not_write_is_not_ours() {
        for uuid in [
            "",
            "ARM-IMAGE-",
            "ARM-IMAGE-1-2-3",
            "ARM-IMAGE-1-2-3-4-5",
            "ARM-IMAGE-1-2-03-4",
            "CRYPT-1-2-3-4",
        ] {
            assert_eq!(Owner::parse(uuid), None, "{uuid}");
        }
    }

    #[test]
    fn the_longest_names_fit() {
        let owner = Owner { namespace: u64::MAX, process: u32::MAX, started: u64::MAX };
        assert!(owner.name(u64::MAX).len() <= 64);
        assert!(owner.uuid(u64::MAX).len() < 128);
    }

    proptest! {
        #[test]
        fn marks_are_read_as_written(namespace: u64, process: u32, started: u64, number: u64) {
            let owner = Owner { namespace, process, started };
            prop_assert_eq!(Owner::parse(&owner.uuid(number)), Some(owner));
        }

        #[test]
        fn random_text_never_panics(text: String) {
            let _ = (Owner::parse(&text), parse_stat(&text));
        }
    }
}
