//! Functions of paths and files.

use std::path::{Component, Path, PathBuf};

use base64::Engine as _;

use super::encoding::utf8;
use super::{Call, Function, list_of};
use crate::Value;
use crate::evaluate::{Evaluated, Evaluator, Scope};
use crate::glob;
use crate::session::{Fault, FaultKind, LARGEST_TEXT};

pub(super) const FUNCTIONS: &[Function] = &[
    ("abspath", 1, 1, |call| {
        let path = Path::new(&call.evaluator.session.inputs.working_folder).join(call.text(0)?);
        Ok(Value::from(cleaned(&path)))
    }),
    ("basename", 1, 1, |call| {
        let text = call.text(0)?;
        let trimmed = text.trim_end_matches('/');
        Ok(Value::from(match (text.as_str(), trimmed) {
            ("", _) => ".",
            (_, "") => "/",
            _ => trimmed.rsplit('/').next().unwrap_or_default(),
        }))
    }),
    ("dirname", 1, 1, |call| {
        let text = call.text(0)?;
        // A slash at the end is followed by an empty name.
        let folder = text.rfind('/').map_or("", |slash| &text[..=slash]);
        Ok(Value::String(cleaned(Path::new(folder))))
    }),
    ("env", 1, 1, |call| {
        let found = call.evaluator.session.inputs.environment.get(&call.text(0)?).cloned();
        utf8(found.unwrap_or_default().into_bytes())
    }),
    ("file", 1, 1, |call| utf8(bytes(call)?)),
    ("filebase64", 1, 1, |call| {
        Ok(Value::String(base64::engine::general_purpose::STANDARD.encode(bytes(call)?)))
    }),
    ("fileexists", 1, 1, |call| Ok(Value::Bool(call.evaluator.session.inputs.files.exists(&path(call, 0)?)))),
    ("fileset", 2, 2, file_set),
    ("pathexpand", 1, 1, |call| Ok(Value::String(expanded(call, &call.text(0)?)))),
    ("templatefile", 2, 2, template_file),
];

/// A path without `.` and with `..` taken back, where that can be seen from the text.
fn cleaned(path: &Path) -> String {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() => drop(clean.pop()),
            Component::ParentDir if clean.has_root() => {}
            other => clean.push(other),
        }
    }
    let text = clean.to_string_lossy().into_owned();
    if text.is_empty() { ".".to_owned() } else { text }
}

fn expanded(call: &Call<'_>, text: &str) -> String {
    let home = call.evaluator.session.inputs.home.as_deref();
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => text.to_owned(),
    }
}

/// The path an argument names, from the folder of the template.
fn path(call: &Call<'_>, index: usize) -> Result<PathBuf, Fault> {
    let text = call.text(index)?;
    if text.contains('\0') {
        return Err("a path has no zero byte".into());
    }
    Ok(Path::new(&call.evaluator.session.inputs.root).join(expanded(call, &text)))
}

fn unread(message: String) -> Fault {
    Fault::of_kind(FaultKind::Unread, message)
}

fn bytes(call: &Call<'_>) -> Result<Vec<u8>, Fault> {
    let path = path(call, 0)?;
    let bytes = call.evaluator.session.inputs.files.read(&path);
    let bytes = bytes.map_err(|error| {
        unread(format!("failed to read `{}`: {error}", path.display())).hint(
            "paths start at the folder of the template; `${path.cwd}/…` starts where the program runs"
                .to_owned(),
        )
    })?;
    call.spend(bytes.len() / 8)?;
    Ok(bytes)
}

fn file_set(call: &Call<'_>) -> Evaluated {
    let folder = path(call, 0)?;
    let source = call.text(1)?;
    let pattern =
        glob::compile(&source, true).ok_or_else(|| Fault::new(format!("`{source}` is no pattern")))?;
    let names = call.evaluator.session.inputs.files.list(&folder);
    let mut names = names
        .map_err(|error| unread(format!("failed to read the folder `{}`: {error}", folder.display())))?;
    call.spend(names.iter().map(|name| 1 + name.len()).sum())?;
    names.retain(|name| pattern.is_match(name));
    names.sort();
    Ok(list_of(names))
}

fn template_file(call: &Call<'_>) -> Evaluated {
    // As in Packer, which keeps templates from calling each other for ever, and the stack small.
    if call.evaluator.in_file {
        return Err("`templatefile` cannot be called within a template file".into());
    }
    let bytes = bytes(call)?;
    call.spend(bytes.len())?;
    let name = path(call, 0)?.display().to_string();
    if bytes.len() > LARGEST_TEXT {
        return Err(Fault::new(format!("`{name}` is too large for a template")));
    }
    let Value::String(text) = utf8(bytes)? else { return Err("the text is not UTF-8".into()) };
    let template = hcl_edit::parser::parse_template(&text).map_err(|error| {
        let place = error.location();
        Fault::new(format!("`{name}` line {}, column {}: {}", place.line(), place.column(), error.message()))
    })?;
    let scope = Scope { names: call.map(1)?.clone(), ..Scope::default() };
    let inner = Evaluator { session: call.evaluator.session, in_file: true };
    inner.template_text(&template, &scope).map_err(|fault| {
        // Its place is in the other file; ours is the call.
        let line =
            fault.range.map_or(1, |range| text[..range.start.min(text.len())].matches('\n').count() + 1);
        Fault { range: None, message: format!("`{name}` line {line}: {}", fault.message), ..fault }
    })
}
