//! Steps in words and as JSON.

use std::{ffi::OsString, time::Duration};

use arm_image_chroot::{Copy, Download, Owner, Script, Scripts, Source, Upload};
use serde_json::{Map, Value, json};

use super::lossy;
use crate::{Local, Step, Work};

/// The step on one line.
pub(super) fn words(step: &Step) -> String {
    let mut text = match &step.work {
        Work::Scripts(Scripts { scripts, .. }) => names(scripts),
        Work::Local(Local { scripts, .. }) => format!("on this machine: {}", names(scripts)),
        Work::Copy(Copy { from, to }) => format!("copy {} to {}", from.display(), to.display()),
        Work::Upload(Upload { from: Source::Path(from), to, .. }) => {
            format!("upload {} to {}", from.display(), to.display())
        }
        Work::Upload(Upload { from: Source::Content(_), to, .. }) => format!("write {}", to.display()),
        Work::Download(Download { from, to }) => format!("download {} to {}", from.display(), to.display()),
        Work::Breakpoint(note) => format!("breakpoint: {note}"),
    };
    if let Some(limit) = step.timeout {
        text += &format!(", within {limit:?}");
    }
    if step.retries > 0 {
        text += &format!(", {} more times if it fails", step.retries);
    }
    text
}

fn names(scripts: &[Script]) -> String {
    let name = |script: &Script| match script {
        Script::Inline(line) => format!("run {line}"),
        Script::File(path) => format!("script {}", path.display()),
    };
    scripts.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The step as an object; what is as it is by default, is left out.
pub(super) fn json(step: &Step) -> Value {
    let mut object = match &step.work {
        Work::Scripts(work) => {
            let mut object = scripts(&work.scripts, &work.env, &work.valid_exit_codes);
            object.insert("directory".to_owned(), lossy(&work.directory).into());
            insert(&mut object, "user", work.user.clone());
            insert(&mut object, "execute_command", work.execute_command.clone());
            insert(&mut object, "env_format", work.env_format.clone());
            insert(&mut object, "env_file", work.env_file.then_some(true));
            object
        }
        Work::Local(work) => {
            let mut object = scripts(&work.scripts, &work.env, &work.valid_exit_codes);
            object.insert("local".to_owned(), true.into());
            let words: Vec<_> = work.interpreter.iter().map(|word| word.to_string_lossy()).collect();
            insert(&mut object, "interpreter", Some(words).filter(|words| !words.is_empty()));
            object
        }
        Work::Copy(Copy { from, to }) => object([("copy", lossy(from)), ("to", lossy(to))]),
        Work::Download(Download { from, to }) => object([("download", lossy(from)), ("to", lossy(to))]),
        Work::Breakpoint(note) => object([("breakpoint", note.clone())]),
        Work::Upload(Upload { from, to, mode, owner }) => {
            let mut object = match from {
                Source::Path(from) => object([("upload", lossy(from)), ("to", lossy(to))]),
                Source::Content(content) => {
                    object([("content", String::from_utf8_lossy(content).into_owned()), ("to", lossy(to))])
                }
            };
            insert(&mut object, "mode", mode.map(|mode| format!("{mode:04o}")));
            insert(&mut object, "owner", owner.as_ref().map(Owner::to_string));
            object
        }
    };
    let seconds = |time: Duration| Some(time.as_secs_f64()).filter(|&seconds| seconds > 0.0);
    insert(&mut object, "pause_before", seconds(step.pause_before));
    insert(&mut object, "pause_after", seconds(step.pause_after));
    insert(&mut object, "timeout", step.timeout.map(|limit| limit.as_secs_f64()));
    insert(&mut object, "retries", Some(step.retries).filter(|&retries| retries > 0));
    insert(&mut object, "generated", step.generated.then_some(true));
    object.into()
}

/// One script stands for itself, several in a list.
fn scripts(scripts: &[Script], env: &[(OsString, OsString)], valid: &[i32]) -> Map<String, Value> {
    let one = |script: &Script| match script {
        Script::Inline(line) => object([("run", line.clone())]),
        Script::File(path) => object([("script", lossy(path))]),
    };
    let mut object = match scripts {
        [script] => one(script),
        all => Map::from_iter([("scripts".to_owned(), all.iter().map(one).map(Value::from).collect())]),
    };
    let text =
        |(name, value): &(OsString, OsString)| json!([name.to_string_lossy(), value.to_string_lossy()]);
    object.insert("env".to_owned(), env.iter().map(text).collect());
    insert(&mut object, "valid_exit_codes", Some(valid).filter(|&valid| valid != [0]));
    object
}

fn object<const N: usize>(fields: [(&str, String); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn insert(object: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value.into());
    }
}
