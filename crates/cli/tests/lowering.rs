//! Whatever keys and values a template has, it becomes plans that can be shown, or is refused with a place.

use std::{cell::Cell, fs};

use arm_image::{
    Error, Plan,
    template::{Request, list, prepare},
};
use arm_image_fetch::Checksum;
use arm_image_template::Severity;
use proptest::{prelude::*, test_runner::TestRunner};

/// A string as HCL2 writes it, of those that mean something somewhere.
fn text() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> = vec![
        "",
        "a",
        "/",
        "/boot",
        "../x",
        "x/y/",
        "A=b",
        "=",
        "4G",
        "4GB",
        "99999999999T",
        "+1G",
        "none",
        "sha256:00",
        "md5",
        "arm64",
        "armbe",
        "raspberrypi",
        "bind",
        "bind-host",
        "download",
        "0600",
        "root:adm",
        "10s",
        "%s='%s'",
        "{{.Path}}",
        "{{ .Vars}}",
        "{{.Script}}",
        "{{.EnvVarFile}}",
        "{{ .BuildName}}.tar.xz",
        "{{",
        "}}",
        "${build.MountPath}",
        "${build.ID}",
        "${build.PackerRunUUID}",
        "$MOUNTPOINT/x",
        "$IMAGE_PATH",
        "it's \\\"q\\\" $(x) `y` \\\\",
        "é\\n\\t\\u0000",
        "s3://x",
        "https://example.org/a.xz",
    ];
    prop::sample::select(known).prop_map(|text| format!("\"{text}\""))
}

fn listed(item: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(", ")))
}

fn value() -> impl Strategy<Value = String> {
    let numbers = vec!["0", "1", "3", "-1", "12", "1.5", "4294967296", "1e300", "255", "256"];
    prop_oneof![
        4 => text(),
        4 => listed(text()),
        1 => listed(listed(text())),
        1 => prop::sample::select(numbers).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned),
        1 => (text(), text()).prop_map(|(one, other)| format!("{{ A = {one}, B = {other} }}")),
    ]
}

/// Some of `keys`, with any values.
fn settings(keys: &'static [&'static str]) -> impl Strategy<Value = String> {
    let some = prop::collection::btree_map(prop::sample::select(keys), value(), 0..3);
    some.prop_map(|some| some.iter().map(|(key, value)| format!("  {key} = {value}\n")).collect())
}

const ARM_IMAGE: &[&str] = &[
    "iso_target_path",
    "output_filename",
    "output_directory",
    "image_type",
    "image_arch",
    "image_mounts",
    "chroot_mounts",
    "additional_chroot_mounts",
    "resolv-conf",
    "target_image_size",
    "last_partition_extra_size",
    "qemu_binary",
    "qemu_args",
    "qemu_required",
];

const ARM: &[&str] = &[
    "file_checksum",
    "file_checksum_url",
    "image_size",
    "image_size_bytes",
    "image_type",
    "image_setup_extra",
    "image_chroot_env",
    "file_unarchive_cmd",
    "qemu_binary_destination_path",
];

/// Types of steps, the key that each needs, and others that it may have.
const STEPS: &[(&str, &str, &[&str])] = &[
    ("shell", "inline", SHELL),
    ("shell", "script", SHELL),
    ("shell-local", "inline", LOCAL),
    ("shell-local", "command", LOCAL),
    ("file", "destination = \"/a\"\n source", FILE),
    ("file", "destination = \"/a\"\n content", FILE),
    (
        "ansible",
        "playbook_file",
        &["extra_arguments", "ansible_env_vars", "galaxy_file", "roles_path", "timeout"],
    ),
    ("breakpoint", "note", &["disable", "pause_before"]),
];

const SHELL: &[&str] = &[
    "environment_vars",
    "env",
    "execute_command",
    "use_env_var_file",
    "env_var_format",
    "inline_shebang",
    "valid_exit_codes",
    "user",
    "working_directory",
    "pause_after",
    "max_retries",
];

const LOCAL: &[&str] = &[
    "environment_vars",
    "env",
    "execute_command",
    "env_var_format",
    "inline_shebang",
    "valid_exit_codes",
    "only_on",
];

const FILE: &[&str] = &["direction", "generated", "mode", "owner", "timeout"];

/// Types of post-processors, what each needs, and what it may have.
const AFTER: &[(&str, &str, &[&str])] = &[
    ("checksum", "", &["output", "checksum_types", "name"]),
    ("compress", "", &["output", "format", "compression_level", "keep_input_artifact"]),
    ("manifest", "", &["output", "strip_path", "strip_time", "custom_data"]),
    ("shell-local", "  inline = [\"a\"]\n", LOCAL),
];

fn step() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["provisioner", "provisioner", "error-cleanup-provisioner"]);
    let kind = prop::sample::select(STEPS);
    kind.prop_flat_map(move |(kind, key, more)| {
        let needed = if key == "inline" { listed(text()).boxed() } else { text().boxed() };
        (word.clone(), needed, settings(more)).prop_map(move |(word, needed, more)| {
            format!("{word} \"{kind}\" {{\n {key} = {needed}\n{more}}}\n")
        })
    })
}

fn after() -> impl Strategy<Value = String> {
    prop::sample::select(AFTER).prop_flat_map(|(kind, needed, more)| {
        (settings(more), any::<bool>()).prop_map(move |(more, grouped)| {
            let one = format!("post-processor \"{kind}\" {{\n{needed}{more}}}\n");
            if grouped { format!("post-processors {{\n{one}}}\n") } else { one }
        })
    })
}

/// A template of either kind of source that has what is needed, and anything else.
fn template() -> impl Strategy<Value = String> {
    let arm_image = settings(ARM_IMAGE)
        .prop_map(|more| ("arm-image", format!("  iso_url = \"a\"\n  iso_checksum = \"none\"\n{more}")));
    let method = prop::sample::select(vec!["reuse", "resize"]);
    let arm = (settings(ARM), text(), method).prop_map(|(more, mountpoint, method)| {
        let size = if more.contains("image_size") { "" } else { "  image_size = \"1G\"\n" };
        let partition = format!("name = \"a\"\n type = \"83\"\n size = \"0\"\n mountpoint = {mountpoint}\n");
        let needed = "  file_urls = [\"a\"]\n  file_checksum_type = \"none\"\n  image_path = \"o\"\n";
        let qemu = "  qemu_binary_source_path = \"none\"\n";
        let method = format!("  image_build_method = \"{method}\"\n");
        ("arm", format!("{needed}{method}{qemu}{size}  image_partitions {{\n {partition}}}\n{more}"))
    });
    let body = (prop::collection::vec(step(), 0..3), prop::collection::vec(after(), 0..2));
    (prop_oneof![arm_image, arm], body).prop_map(|((kind, source), (steps, after))| {
        let body = steps.concat() + &after.concat();
        format!(
            "source \"{kind}\" \"x\" {{\n{source}}}\nbuild {{\n  sources = [\"source.{kind}.x\"]\n{body}}}\n"
        )
    })
}

/// Whether it became plans.
fn lowered(text: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.pkr.hcl");
    fs::write(&path, text).expect("it is written");
    let request = Request { path, ..Request::default() };
    let _ = list(&request);
    match prepare(&request, &Plan::new([], Checksum::None, "output")) {
        Ok(prepared) => {
            let lines = prepared.plans_json().expect("plans are JSON");
            assert_eq!(lines.lines().count(), 1);
            assert!(!prepared.plans().is_empty());
            assert!(!lines.contains(['\u{fdd0}', '\u{fdd1}']), "a mark shows in {lines}");
            assert!(prepared.builds.iter().all(|build| build.disguises(&prepared.template).is_empty()));
            true
        }
        Err(Error::Template { problems }) => {
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error), "{problems:?}");
            assert!(problems.iter().all(|problem| problem.position.is_some()), "{problems:?}");
            false
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn any_keys_and_values_become_plans_or_are_refused_with_their_place() {
    let plans = Cell::new(0);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() });
    let ran = runner.run(&template(), |text| {
        plans.set(plans.get() + u32::from(lowered(&text)));
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    // To refuse all of them would be no test of the lowering.
    assert!(plans.get() > 50, "{} became plans", plans.get());
}
