mod files;
mod paced;

use super::*;
use crate::{Entry, Node};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// A runner without an image: remembers what was made and answers as told.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) made: BTreeMap<PathBuf, (String, u32)>,
    pub(super) removed: Vec<PathBuf>,
    pub(super) ran: Vec<Command>,
    pub(super) status: i32,
    pub(super) stderr: Vec<String>,
    /// What can be read.
    pub(super) files: BTreeMap<PathBuf, &'static str>,
    pub(super) folders: BTreeMap<PathBuf, Vec<Entry>>,
    pub(super) owned: Vec<(PathBuf, u32, u32)>,
}

impl ChrootRunner for Fake {
    fn run(&mut self, command: &Command, tick: OutputTick<'_>) -> Result<ExitStatus, Error> {
        self.ran.push(command.clone());
        for line in &self.stderr {
            if tick(Output::Stderr(line.as_bytes())).is_break() {
                return Err(Error::Cancelled);
            }
        }
        Ok(ExitStatus::from_raw(self.status))
    }
    fn create(&mut self, path: &Path, node: Node<'_>, mode: u32) -> Result<(), Error> {
        let what = match node {
            Node::Directory => "directory".into(),
            Node::Link(target) => format!("-> {}", target.display()),
            Node::File(content) => {
                let mut text = String::new();
                content
                    .read_to_string(&mut text)
                    .map_err(|source| Error::Create { path: path.into(), source })?;
                text
            }
        };
        self.made.insert(path.into(), (what, mode));
        Ok(())
    }
    fn read(&mut self, path: &Path, into: &mut dyn io::Write) -> Result<(), Error> {
        let failed = |source| Error::Read { path: path.into(), source };
        let content = self.files.get(path).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        into.write_all(content.as_bytes()).map_err(failed)
    }
    fn list(&mut self, path: &Path) -> Result<Vec<Entry>, Error> {
        Ok(self.folders[path].clone())
    }
    fn own(&mut self, path: &Path, user: u32, group: u32) -> Result<(), Error> {
        self.owned.push((path.into(), user, group));
        Ok(())
    }
    fn is_directory(&mut self, path: &Path) -> Result<bool, Error> {
        Ok(path == Path::new("/etc") || path == Path::new("/") || self.folders.contains_key(path))
    }
    fn remove(&mut self, path: &Path) -> Result<(), Error> {
        self.removed.push(path.into());
        Ok(())
    }
}

pub(super) fn go_on(_: Output<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn inline(text: &str) -> Scripts {
    Scripts { env: vec![("A".into(), "b".into())], ..Scripts::of([Script::Inline(text.into())]) }
}

#[test]
fn an_inline_script_stops_at_the_first_failure_unless_it_names_its_interpreter() {
    let mut fake = Fake::default();
    inline("true").provision(&mut fake, &mut go_on).unwrap();
    inline("#!/usr/bin/perl\n1").provision(&mut fake, &mut go_on).unwrap();
    assert_eq!(fake.ran[0].argv, ["/bin/sh", "-e", "/run/arm-image/inline"]);
    assert_eq!(fake.ran[0].env, [("A".into(), "b".into())]);
    assert_eq!(fake.ran[1].argv, ["/run/arm-image/inline"]);
    assert_eq!(fake.removed.len(), 2);
}

#[test]
fn a_failure_keeps_the_command_its_code_and_the_end_of_its_stderr() {
    let stderr = (0..15).map(|number| format!("line {number}")).collect();
    let mut fake = Fake { status: 100 << 8, stderr, ..Fake::default() };
    let error = inline("# comment\napt-get update\nfalse").provision(&mut fake, &mut go_on).unwrap_err();
    assert_eq!(error.to_string(), "`apt-get update…` failed with exit status: 100");
    assert_eq!(error.code(), Some(100));
    assert_eq!(error.stderr_tail().len(), TAIL);
    assert_eq!(error.stderr_tail()[TAIL - 1], "line 14");
    assert_eq!(fake.removed, [Path::new("/run/arm-image/inline")], "the script goes after a failure too");

    let mut fake = Fake { status: libc::SIGSEGV, ..Fake::default() };
    let error = inline("x").provision(&mut fake, &mut go_on).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("SIGSEGV")), (Some(139), true));
}

#[test]
fn a_tree_is_copied_by_the_rules_of_cp() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/tool"), "content").unwrap();
    fs::set_permissions(tree.join("sub/tool"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("/etc/passwd", tree.join("link")).unwrap();

    let copied = |from: &Path, to: &str| {
        let mut fake = Fake::default();
        Copy { from: from.into(), to: to.into() }.provision(&mut fake, &mut go_on).unwrap();
        fake.made
    };
    let made = copied(&tree, "/etc");
    assert_eq!(made[Path::new("/etc/tree/sub/tool")], ("content".into(), 0o750));
    assert_eq!(made[Path::new("/etc/tree/link")].0, "-> /etc/passwd");
    assert!(copied(&tree, "/new").contains_key(Path::new("/new/sub/tool")));
    assert!(copied(&tree, "/new/").contains_key(Path::new("/new/tree/sub/tool")));
    assert!(copied(&tree.join("."), "/etc").contains_key(Path::new("/etc/sub/tool")));
    assert!(copied(&tree.join("sub/tool"), "/etc").contains_key(Path::new("/etc/tool")));
    assert!(copied(&tree.join("sub/tool"), "/etc/other").contains_key(Path::new("/etc/other")));
}

#[test]
fn a_special_file_and_a_missing_source_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let mut fake = Fake::default();
    let error =
        Copy { from: folder.path().into(), to: "/new".into() }.provision(&mut fake, &mut go_on).unwrap_err();
    assert!(matches!(error, Error::Special { path } if path.ends_with("pipe")));
    let error = Copy { from: folder.path().join("none"), to: "/new".into() }
        .provision(&mut fake, &mut go_on)
        .unwrap_err();
    assert!(matches!(error, Error::Source { path, .. } if path.ends_with("none")));
}

#[test]
fn copying_and_running_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "x").unwrap();
    let mut ticks = 0;
    let mut second = |_: Output<'_>| {
        ticks += 1;
        if ticks == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut fake = Fake::default();
    let copy = Copy { from: folder.path().join("file"), to: "/new".into() };
    assert!(matches!(copy.provision(&mut fake, &mut second), Err(Error::Cancelled)));
    assert!(fake.made.is_empty());
    let mut fake = Fake { stderr: vec!["x".into()], ..Fake::default() };
    let cancelled = inline("true").provision(&mut fake, &mut |_| ControlFlow::Break(()));
    assert!(matches!(cancelled, Err(Error::Cancelled)));
}
