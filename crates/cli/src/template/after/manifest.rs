//! The list of what was built, as Packer writes it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};

use crate::{Error, output::refuse, template::TemplateBuild};

/// What is said of one build.
pub(super) fn entry(
    build: &TemplateBuild,
    input: &Path,
    strip_path: bool,
    strip_time: bool,
    custom_data: &[(String, String)],
) -> Result<Value, Error> {
    let size = fs::metadata(input)
        .map_err(|cause| Error::File { operation: "look at", path: input.into(), cause })?
        .len();
    let name = if strip_path { Path::new(input.file_name().unwrap_or_default()) } else { input };
    let custom: Map<String, Value> =
        custom_data.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let mut entry = json!({
        "name": build.source,
        "builder_type": build.kind,
        "files": [{"name": name.display().to_string(), "size": size}],
        "artifact_id": "",
        "packer_run_uuid": build.run,
        "custom_data": if custom.is_empty() { Value::Null } else { custom.into() },
    });
    if !strip_time {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        entry["build_time"] = now.as_secs().into();
    }
    Ok(entry)
}

/// Puts `entry` at the end of the list at `path`, which other builds add to as well.
pub(super) fn add(path: &Path, entry: Value, read: &[&Path], owner: Option<(u32, u32)>) -> Result<(), Error> {
    change(path, read, owner, |text| {
        let mut all = match text.trim() {
            "" => json!({"builds": []}),
            text => serde_json::from_str(text)?,
        };
        let run = entry["packer_run_uuid"].clone();
        let builds = all.get_mut("builds").and_then(Value::as_array_mut);
        let no_list = || io::Error::new(io::ErrorKind::InvalidData, "it has no list called `builds`");
        builds.ok_or_else(no_list)?.push(entry);
        all["last_run_uuid"] = run;
        Ok(serde_json::to_vec_pretty(&all)?)
    })
}

/// Makes what `change` makes of the text at `path`, which other builds change as well. It is none of what is `read`.
pub(super) fn change(
    path: &Path,
    read: &[&Path],
    owner: Option<(u32, u32)>,
    change: impl FnOnce(&str) -> io::Result<Vec<u8>>,
) -> Result<(), Error> {
    refuse(path, read)?;
    let failed = |cause| Error::File { operation: "add to", path: path.into(), cause };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let is_new = !path.exists();
    let mut file: File =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let text = change(&text).map_err(failed)?;
    file.rewind().and_then(|()| file.set_len(0)).and_then(|()| file.write_all(&text)).map_err(failed)?;
    if let Some((user, group)) = owner.filter(|_| is_new) {
        std::os::unix::fs::fchown(&file, Some(user), Some(group)).map_err(failed)?;
    }
    Ok(())
}
