//! What becomes of templates: each of those that `crates/template` reads, and of those in `plans/`, has its plans, and what its
//! author is told, in a file `plans/NAME.plan`.
//!
//! `NAME.inputs` gives a template more than an empty environment, as `crates/template/tests/templates.rs` has it. With
//! `UPDATE_EXPECTED=1` in the environment, the files are written instead of compared.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arm_image::Plan;
use arm_image::template::{Request, prepare};
use arm_image_fetch::Checksum;
use arm_image_tests::program::names_in;

/// What templates name and nobody looks into; a folder ends with a slash.
const STUBS: &[&str] = &[
    "a",
    "a.sh",
    "b.sh",
    "bin/ansible-galaxy",
    "bin/ansible-playbook",
    "bin/qemu-aarch64-static",
    "bin/qemu-arm-static",
    "group/group_vars/",
    "motd",
    "requirements.yml",
    "site.yml",
    "srv/cache/",
    "t/files/",
    "tree/",
];

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

fn parsers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/template/tests/templates")
}

/// The templates by their names: those of the parser that it takes, and ours.
fn templates() -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    for folder in [parsers(), own()] {
        for name in names_in(&folder) {
            let builds = fs::read_to_string(folder.join(format!("{name}.expected"))).unwrap_or_default();
            let taken = folder == own() || builds.lines().any(|line| line.starts_with("build "));
            if taken && (name.ends_with(".pkr.hcl") || name.ends_with(".json")) {
                let path = folder.join(&name);
                assert!(all.insert(name, path).is_none(), "a name is given twice");
            }
        }
    }
    all
}

/// What comes of a template, without what differs between machines.
///
/// It moves this process into a folder of the template's own, as relative paths start there.
fn result_of(name: &str, path: &Path) -> String {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    std::env::set_current_dir(&root).unwrap();
    for stub in STUBS {
        let stub = if stub.ends_with('/') { format!("{stub}file") } else { (*stub).to_owned() };
        fs::create_dir_all(root.join(&stub).parent().unwrap()).unwrap();
        fs::write(&stub, "#!/bin/sh\n").unwrap();
    }
    let files = parsers().join("files");
    for file in names_in(&files).iter().filter(|name| !name.contains(".auto.") && !name.ends_with(".pkr.hcl"))
    {
        fs::copy(files.join(file), root.join("t").join(file)).unwrap();
    }
    let mut text = fs::read_to_string(path).unwrap();
    // Absolute paths of this machine, which may not have them.
    let absolute = [("/srv", root.join("srv")), ("/usr/bin/qemu-", root.join("bin/qemu-"))];
    for (from, to) in &absolute {
        text = text.replace(&format!("\"{from}"), &format!("\"{}", to.display()));
    }
    fs::write(root.join("t").join(name), text).unwrap();

    let mut request = Request {
        path: Path::new("t").join(name),
        working_folder: root.clone(),
        now: 1_710_506_096,
        ..Request::default()
    };
    let inputs = fs::read_to_string(path.with_file_name(format!("{name}.inputs"))).unwrap_or_default();
    for line in inputs.lines() {
        let (word, rest) = line.split_once(' ').expect("a word and what it is about");
        let pair = || {
            let (name, value) = rest.split_once('=').expect("NAME=VALUE");
            (name.to_owned(), value.to_owned())
        };
        match word {
            "var" => request.variables.push(pair()),
            "env" => drop(request.environment.insert(pair().0, pair().1)),
            "var-file" => request.variable_files.push(Path::new("t").join(rest)),
            "only" => request.only.push(rest.to_owned()),
            "except" => request.except.push(rest.to_owned()),
            "also" | "auto" => {
                fs::copy(files.join(rest), root.join("t").join(rest)).unwrap();
                request.path = "t".into();
            }
            other => panic!("{other} in the inputs of {name}"),
        }
    }
    let mut base = Plan::new([], Checksum::None, PathBuf::new());
    base.enter.search = vec![root.join("bin")];
    let mut result = String::new();
    match prepare(&request, &base) {
        Ok(prepared) => {
            prepared.warnings.iter().for_each(|warning| result += &format!("{warning}\n"));
            for plan in prepared.plans_json().unwrap().lines() {
                let plan: serde_json::Value = serde_json::from_str(plan).unwrap();
                result += &format!("{plan:#}\n");
            }
        }
        Err(error) => error.problems().iter().for_each(|problem| result += &format!("{problem}\n")),
    }
    for (from, to) in &absolute {
        result = result.replace(&to.display().to_string(), from);
    }
    result.replace(&root.display().to_string(), "/work")
}

#[test]
fn every_template_comes_to_the_plans_beside_it() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let templates = templates();
    assert!(templates.len() >= 30, "there are {} templates", templates.len());
    let mut wrong = Vec::new();
    for (name, path) in &templates {
        let result = result_of(name, path);
        let expected = own().join(format!("{name}.plan"));
        if update {
            fs::write(&expected, &result).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != result {
            wrong.push(format!("{name} came to\n{result}"));
        }
        assert!(!result.contains("hunter2"), "a secret shows in what {name} came to");
    }
    for plan in names_in(&own()).iter().filter_map(|name| name.strip_suffix(".plan")) {
        assert!(templates.contains_key(plan), "{plan}.plan is of no template");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
