//! Packer's templates: what they are lowered to, and what is said of those that are wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;

use arm_image_tests::program::{Ended, Place, Server, names_in, sha256};
use serde_json::Value;

/// The plans that a run has printed.
fn plans(ended: &Ended) -> Vec<Value> {
    ended.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A source with some more keys.
fn source(keys: &str) -> String {
    format!("source \"arm-image\" \"pi\" {{\n  iso_url = \"a.img\"\n  iso_checksum = \"none\"\n{keys}\n}}\n")
}

/// The same with a build of it, which does what `body` says.
fn built(keys: &str, body: &str) -> String {
    format!("{}build {{\n  sources = [\"source.arm-image.pi\"]\n{body}\n}}\n", source(keys))
}

/// The template is refused for what stands on that line.
#[track_caller]
fn refused(place: &Place, template: &str, line: usize, message: &str) {
    place.write("wrong.pkr.hcl", template);
    let ended = place.run(["validate", "wrong.pkr.hcl"]).expect(3);
    assert_eq!(ended.stdout(), "");
    let _ = ended.says(&format!("wrong.pkr.hcl:{line}:")).says(message);
}

/// What options of the same build are.
const OPTIONS: [&str; 27] = [
    "--source",
    "https://example.org/a.img.xz",
    "--source",
    "mirror/a.img.xz",
    "--checksum",
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "--output",
    "o/kitchen.img",
    "--size",
    "4G",
    "--mount",
    "1=/boot/firmware",
    "--mount",
    "2=/",
    "--arch",
    "arm64",
    "--preset",
    "raspberrypi",
    "--resolv-conf",
    "copy-host",
    "--qemu-arg",
    "-cpu",
    "--qemu-arg",
    "cortex-a72",
    "--env",
    "GREETING=hello there",
    "--run=apt-get update",
];

#[test]
fn a_template_and_the_same_build_by_options_have_the_same_plan() {
    let place = Place::new();
    let hcl = r#"
        variable "release" { default = "a" }
        source "arm-image" "kitchen" {
          iso_urls          = ["https://example.org/${var.release}.img.xz", "mirror/a.img.xz"]
          iso_checksum      = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
          output_filename   = "o/${source.name}.img"
          target_image_size = 4 * 1024 * 1024 * 1024
          image_mounts      = ["/boot/firmware", "/"]
          image_arch        = "arm64"
          image_type        = "raspberrypi"
          resolv-conf       = "copy-host"
          qemu_args         = ["-cpu", "cortex-a72"]
        }
        build {
          sources = ["source.arm-image.kitchen"]
          provisioner "shell" {
            environment_vars = ["GREETING=hello there"]
            inline           = ["apt-get update"]
          }
        }
    "#;
    let json = r#"{
        "variables": {"release": "a"},
        "builders": [{
            "type": "arm-image", "name": "kitchen",
            "iso_urls": ["https://example.org/{{user `release`}}.img.xz", "mirror/a.img.xz"],
            "iso_checksum": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "output_filename": "o/{{build_name}}.img",
            "target_image_size": "4294967296",
            "image_mounts": ["/boot/firmware", "/"],
            "image_arch": "arm64",
            "image_type": "raspberrypi",
            "resolv-conf": "copy-host",
            "qemu_args": ["-cpu", "cortex-a72"]
        }],
        "provisioners": [
            {"type": "shell", "environment_vars": ["GREETING=hello there"], "inline": ["apt-get update"]}
        ]
    }"#;
    place.write("kitchen.pkr.hcl", hcl);
    place.write("kitchen.json", json);
    let how = ["--dry-run", "--json", "--isolation", "guest", "--mapper", "loop", "--on-error", "keep"];
    let of = |what: &[&str]| {
        let arguments = ["build"].iter().chain(what).chain(&how).copied();
        place.run(arguments).expect(0).stdout()
    };
    let by_options = of(&OPTIONS);
    assert!(by_options.contains("cortex-a72") && by_options.contains("hello there"), "{by_options}");
    assert_eq!(of(&["kitchen.pkr.hcl"]), by_options);
    assert_eq!(of(&["kitchen.json"]), by_options);
    // And `validate` shows the same but for what only `build` can be told.
    let validated = plans(&place.run(["validate", "kitchen.json", "--json"]).expect(0));
    assert_eq!(
        validated[0]["steps"],
        plans(&place.run(["build", "kitchen.json", "--dry-run", "--json"]))[0]["steps"]
    );
}

#[test]
fn what_a_template_leaves_open_is_as_packer_has_it() {
    let place = Place::new();
    place.write("pi.pkr.hcl", built("", ""));
    let plan = plans(&place.run(["validate", "pi.pkr.hcl", "--json"]).expect(0)).remove(0);
    assert_eq!(plan["output"], "output-pi/image");
    assert_eq!(plan["resolv_conf"], "off");
    assert_eq!((&plan["size"], &plan["arch"], &plan["preset"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(plan["steps"], Value::Array(Vec::new()));
    assert_eq!(plan.get("then"), None);
}

#[test]
fn every_key_of_a_source_has_its_place_or_is_told() {
    let place = Place::new();
    fs::create_dir(place.path("packages")).unwrap();
    let keys = r#"
  iso_target_path = "cache/a.img"
  iso_target_extension = "img.xz"
  command_wrapper = "sudo {{.Command}}"
  output_directory = "out"
  image_mounts = ["", "/"]
  mount_path = "/mnt"
  chroot_mounts = [["proc", "proc", "/proc"], ["bind", "/dev", "/dev"], ["binfmt_misc", "binfmt_misc", "/proc/sys/fs/binfmt_misc"]]
  additional_chroot_mounts = [["bind", "packages", "/var/cache/apt"]]
  last_partition_extra_size = 1048576
  disable_embedded = true
  qemu_required = true
"#;
    place.write("pi.pkr.hcl", built(keys, ""));
    let ended = place.run(["validate", "pi.pkr.hcl", "--json"]).expect(0);
    let plan = plans(&ended).remove(0);
    assert_eq!(plan["output"], "out/image");
    assert_eq!(plan["size"]["extra"], 1 << 20);
    assert_eq!(plan["mounts"], serde_json::json!(["2=/"]));
    assert_eq!(
        plan["binds"],
        serde_json::json!([{"source": "packages", "target": "/var/cache/apt", "read_only": false}])
    );
    let mut ended = ended;
    for (line, told) in [
        (5, "`iso_target_path` has no effect"),
        (6, "`iso_target_extension` has no effect"),
        (7, "`command_wrapper` has no effect"),
        (8, "`output_directory` is deprecated"),
        (10, "`mount_path` has no effect"),
        (13, "`last_partition_extra_size` is deprecated"),
        (14, "`disable_embedded` has no effect"),
        (15, "`qemu_required` has no effect"),
    ] {
        ended = ended.says(&format!("pi.pkr.hcl:{line}:3: the key {told}"));
    }
}

#[test]
fn what_there_is_not_is_refused_with_its_place_and_reason() {
    let place = Place::new();
    let key = |key: &str, message: &str| refused(&place, &built(key, ""), 4, message);
    key("image_arch = \"armbe\"", "big-endian");
    key("image_type = \"raspberypi\"", "no kind of images is called `raspberypi`");
    key("image_mounts = [\"boot\", \"/\"]", "cannot be mounted at `boot`");
    key("image_mounts = [\"/\", \"/\"]", "twice");
    key("qemu_binary = \"no-such-qemu\"", "there is no program `no-such-qemu`");
    key("chroot_mounts = [[\"nfs\", \"host:/x\", \"/mnt\"]]", "type `nfs`");
    key("additional_chroot_mounts = [[\"bind\", \"missing\", \"/mnt\"]]", "`missing`");
    refused(&place, &built("", "").replace("\"none\"", "\"sha256:12\""), 3, "sha256:HEX");
    refused(&place, &built("", "").replace("\"a.img\"", "\"s3://bucket/a.img\""), 2, "s3");
    refused(&place, &built("", "  provisioner \"shell\" { script = \"missing.sh\" }"), 8, "`missing.sh`");
}

#[test]
fn mistakes_in_steps_are_told_with_their_line() {
    let place = Place::new();
    let step = |kind: &str, keys: &str, message: &str| {
        refused(&place, &built("", &format!("  provisioner \"{kind}\" {{\n{keys}\n  }}")), 9, message);
    };
    step("file", "source = \"missing\"\ndestination = \"/a\"", "`missing` cannot be read");
    step("shell", "execute_command = \"{{ .EnvVarFile }} sh\"\ninline = [\"a\"]", "`{{ .EnvVarFile }}`");
    step("shell", "env_var_format = \"%s=\"\ninline = [\"a\"]", "two `%s`");
    step("shell", "inline = [\"ls ${build.MountPath}\"]", "`build.MountPath` is not known here");
    step("shell", "valid_exit_codes = [0, 256]\ninline = [\"a\"]", "from 0 to 255");
    step(
        "shell-local",
        "execute_command = [\"ssh\", \"{{.Script}}\", \"x\"]\ninline = [\"a\"]",
        "`execute_command`",
    );
    step("shell-local", "inline_shebang = build.MountPath\ninline = [\"a\"]", "ARM_IMAGE_MOUNT_PATH");
    step("file", "mode = \"0999\"\ncontent = \"\"\ndestination = \"/a\"", "octal digits");
    step(
        "file",
        "owner = \"pi\"\nsource = \"/a\"\ndestination = \"a\"\ndirection = \"download\"",
        "goes into the image",
    );
    refused(
        &place,
        &built("", "  post-processor \"shell-local\" {\n    inline = [\"ls ${build.MountPath}\"]\n  }"),
        9,
        "not mounted any more",
    );
    let after = |kind: &str, keys: &str, message: &str| {
        refused(&place, &built("", &format!("  post-processor \"{kind}\" {{\n{keys}\n  }}")), 9, message);
    };
    after("compress", "output = \"a.bgzf\"", "format bgzf");
    after("checksum", "output = \"sum\"\nchecksum_types = [\"md5\", \"sha1\"]", "cannot go to one file");
    after("manifest", "custom_data = { id = build.ID }", "`build.ID` is not known here");
    after("manifest", "output = \"{{.Nothing}}\"", "means nothing here");
}

#[test]
fn provisioners_become_steps() {
    let place = Place::new();
    place.write("a.sh", "#!/bin/sh\n");
    place.write("motd", "hello\n");
    let steps = r#"
  provisioner "shell" {
    inline_shebang   = "/bin/bash -ex"
    inline           = ["a", "b"]
    execute_command  = "{{ .Vars }} sudo -E {{ .Path }}"
    valid_exit_codes = [0, 3]
    pause_before     = "1s"
    pause_after      = "2s"
    timeout          = "5m"
    max_retries      = 2
  }
  provisioner "shell" {
    scripts = ["a.sh"]
    env     = { B = "2" }
  }
  provisioner "shell" {
    inline           = ["a"]
    use_env_var_file = true
  }
  provisioner "shell" {
    inline         = ["a"]
    env_var_format = "%s=\"%s\" "
  }
  provisioner "file" {
    sources     = ["motd", "a.sh"]
    destination = "/opt/"
  }
  provisioner "file" {
    content     = "text"
    destination = "etc/x"
  }
  provisioner "file" {
    direction   = "download"
    source      = "/etc/os-release"
    destination = "got/"
  }
  provisioner "shell-local" { inline = ["ls ${build.MountPath}/boot"] }
  provisioner "ansible" {
    playbook_file   = "a.sh"
    extra_arguments = ["--tags", "a b"]
  }
  provisioner "breakpoint" { disable = true }
  provisioner "breakpoint" { note = "look" }
"#;
    place.write("pi.pkr.hcl", built("", steps));
    let plan = plans(&place.run(["validate", "pi.pkr.hcl", "--json"]).expect(0)).remove(0);
    let playbook =
        "ansible-playbook --connection chroot --inventory \"$ARM_IMAGE_MOUNT_PATH\", --tags 'a b' a.sh";
    let expected = serde_json::json!([
        {"run": "#!/bin/bash -ex\na\nb\n", "env": [], "directory": "/", "valid_exit_codes": [0, 3],
         "execute_command": "{{ .Vars }} sudo -E {{ .Path }}", "pause_before": 1.0, "pause_after": 2.0,
         "timeout": 300.0, "retries": 2},
        {"script": "a.sh", "env": [["B", "2"]], "directory": "/"},
        {"run": "a", "env": [], "directory": "/", "env_file": true,
         "execute_command": "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"},
        {"run": "a", "env": [], "directory": "/", "env_format": "%s=\"%s\" ",
         "execute_command": "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"},
        {"upload": "motd", "to": "/opt/"},
        {"upload": "a.sh", "to": "/opt/"},
        {"content": "text", "to": "/etc/x"},
        {"download": "/etc/os-release", "to": "got/"},
        {"run": "ls ${ARM_IMAGE_MOUNT_PATH}/boot", "env": [], "local": true},
        {"run": playbook, "env": [], "local": true},
        {"breakpoint": "look"},
    ]);
    assert_eq!(plan["steps"], expected);
    // What has to see the image runs where it can.
    assert_eq!(plan["isolation"], "host");
    place
        .run(["build", "pi.pkr.hcl", "--isolation", "guest", "--dry-run"])
        .expect(3)
        .says("in a guest kernel");
}

#[test]
fn archives_are_named_and_packed_as_packer_has_them() {
    let place = Place::new();
    let packed = |keys: &str| {
        place.write("t.pkr.hcl", built("", &format!("post-processor \"compress\" {{\n{keys}\n}}")));
        let plan = plans(&place.run(["validate", "t.pkr.hcl", "--json"]).expect(0)).remove(0);
        plan["then"][0][0]["post_processor"].as_str().unwrap().to_owned()
    };
    assert_eq!(packed(""), "compress as tar.gz to packer_{{.BuildName}}_{{.BuilderType}}");
    assert_eq!(packed("output = \"a.tar.xz\""), "compress as tar.xz to a.tar.xz");
    assert_eq!(packed("output = \"a.img\""), "compress as tar.gz to a.img");
    assert_eq!(packed("output = \"a\"\nformat = \"zip\""), "compress as zip to a");
    assert_eq!(packed("output = \"a.xz\"\ncompression_level = 12"), "compress as xz to a.xz");
}

#[test]
fn post_processors_fill_in_names_however_they_are_spaced() {
    let place = Place::new();
    let image = arm_image_tests::images::raspios_arm64_tiny();
    let body = r#"
  post-processor "checksum" {
    checksum_types = ["sha1", "sha256"]
    output         = "{{.BuildName}}-{{ .BuilderType}}-{{.ChecksumType }}-{{   .BuildName}}"
  }
  post-processor "compress" {
    output            = "{{ .BuildName}}.tar.zst"
    compression_level = 1
  }
"#;
    let template = built("", body).replace("\"a.img\"", &format!("{image:?}"));
    place.write("t.pkr.hcl", template);
    place.run(["build", "t.pkr.hcl"]).expect(0);
    let left = ["output-pi", "pi-arm-image-sha1-pi", "pi-arm-image-sha256-pi", "pi.tar.zst", "t.pkr.hcl"];
    assert_eq!(names_in(&place.work()), left);
    place.run(["unpack", "pi.tar.zst", "again.img"]).expect(0);
    assert_eq!(sha256(&place.path("again.img")), sha256(&image));
    // Left out by its type, as it has no name.
    let rest = place.run(["validate", "t.pkr.hcl", "--json", "-except=checksum"]).expect(0);
    assert_eq!(plans(&rest)[0]["then"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_done_after_a_failure_is_part_of_the_plan() {
    let place = Place::new();
    let steps = r#"
  provisioner "file" {
    source      = "made/later"
    destination = "/opt/"
    generated   = true
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["tar c ${build.MountPath}/var/log > log.tar"]
  }
"#;
    place.write("pi.pkr.hcl", built("", steps));
    let plan = plans(&place.run(["validate", "pi.pkr.hcl", "--json"]).expect(0)).remove(0);
    let upload = serde_json::json!([{"upload": "made/later", "to": "/opt/", "generated": true}]);
    assert_eq!(plan["steps"], upload);
    assert_eq!(plan["on_failure"][0]["run"], "tar c ${ARM_IMAGE_MOUNT_PATH}/var/log > log.tar");
    // It has to see the image as a step has.
    assert_eq!(plan["isolation"], "host");
    let text = place.run(["build", "pi.pkr.hcl", "--dry-run"]).expect(0).stdout();
    assert!(text.contains("\nif it fails on this machine: run tar"), "{text}");
    let kept = place.run(["build", "pi.pkr.hcl", "--dry-run", "-on-error=abort"]).expect(0).stdout();
    assert!(kept.contains("image stays") && !kept.contains("if it fails"), "{kept}");
    let wrong = "error-cleanup-provisioner \"shell\" { script = \"missing.sh\" }";
    refused(&place, &built("", wrong), 8, "`missing.sh` cannot be read");
}

#[test]
fn keys_of_our_own_and_programs_for_local_scripts_are_in_the_plan() {
    let place = Place::new();
    let steps = r#"
  provisioner "shell" {
    inline            = ["a"]
    user              = "pi"
    working_directory = "/home/pi"
  }
  provisioner "file" {
    content     = "secret"
    destination = "/root/.key"
    mode        = "0600"
    owner       = "root:adm"
  }
  provisioner "shell-local" {
    execute_command = ["/bin/bash", "-x", "{{ .Script }}"]
    environment_vars = ["ETC=${build.MountPath}/etc"]
    inline          = ["a ${build.PackerRunUUID}"]
  }
  provisioner "shell-local" {
    execute_command = ["/bin/sh", "-c", "{{.Vars}}", "{{.Script}}"]
    inline          = ["b"]
  }
"#;
    // Any kind of image that is known, not only those of the plugin.
    place.write("pi.pkr.hcl", built("image_type = \"orangepi\"", steps));
    let plan = plans(&place.run(["validate", "pi.pkr.hcl", "--json"]).expect(0)).remove(0);
    let run = plan["steps"][2]["run"].as_str().unwrap();
    let uuid: Vec<_> = run.strip_prefix("a ").unwrap().split('-').map(str::len).collect();
    assert_eq!(uuid, [8, 4, 4, 4, 12], "{run}");
    let expected = serde_json::json!([
        {"run": "a", "env": [], "directory": "/home/pi", "user": "pi"},
        {"content": "secret", "to": "/root/.key", "mode": "0600", "owner": "root:adm"},
        {"run": run, "env": [["ETC", "${build.MountPath}/etc"]], "local": true, "interpreter": ["/bin/bash", "-x"]},
        {"run": "b", "env": [], "local": true},
    ]);
    assert_eq!(plan["steps"], expected);
    assert_eq!((&plan["preset"], &plan["isolation"]), (&"orangepi".into(), &"host".into()));
}

#[test]
fn templates_of_the_other_plugin_are_lowered_too() {
    let place = Place::new();
    let template = r#"
source "arm" "rpi" {
  file_urls               = ["https://example.org/raspios.zip"]
  file_checksum           = "0123456789abcdef0123456789abcdef"
  file_checksum_type      = "md5"
  image_build_method      = "METHOD"
  image_path              = "raspios.img"
  image_size              = "4GB"
  image_type              = "dos"
  image_chroot_env        = ["LANG=C"]
  qemu_binary_source_path = "qemu-arm"
  image_partitions {
    name       = "boot"
    type       = "c"
    size       = "256M"
    mountpoint = "/boot"
  }
  image_partitions {
    name       = "root"
    type       = "83"
    size       = "0"
    mountpoint = "/"
  }
}
build {
  sources = ["source.arm.rpi"]
  provisioner "shell" { inline = ["a"] }
}
"#;
    place.write("qemu-arm", "");
    let plan = |method: &str| {
        let text = template.replace("METHOD", method).replace("\"qemu-arm\"", "\"./qemu-arm\"");
        place.write("rpi.pkr.hcl", text);
        plans(&place.run(["validate", "rpi.pkr.hcl", "--json"]).expect(0)).remove(0)
    };
    let resized = plan("resize");
    assert_eq!(resized["size"]["total"], 4_u64 << 30);
    assert_eq!(resized["mounts"], serde_json::json!(["1=/boot", "2=/"]));
    assert_eq!(resized["checksum"], "md5:0123456789abcdef0123456789abcdef");
    assert_eq!(resized["output"], "raspios.img");
    assert_eq!(resized["steps"][0]["env"], serde_json::json!([["LANG", "C"]]));
    assert_eq!(plan("reuse")["size"], Value::Null);
    let ended = place.run(["validate", "rpi.pkr.hcl"]).expect(0);
    let _ = ended.says("`image_size` has no effect: the method `reuse`").says("only the order, `int` and");
    assert_eq!(resized["qemu_binary"], "./qemu-arm");
    fs::remove_file(place.path("qemu-arm")).unwrap();
    let ended = place.run(["validate", "rpi.pkr.hcl", "--json"]).expect(0);
    assert_eq!(plans(&ended)[0]["qemu_binary"], Value::Null);
    let _ = ended.says("there is no program `./qemu-arm`");
    place.write("qemu-arm", "");
    refused(&place, &template.replace("METHOD", "new"), 6, "`new` is not supported");
    // Commands of this machine come first, and have to see the image.
    let extra =
        "image_setup_extra = [[\"cp\", \"a b\", \"$MOUNTPOINT/boot/\"], [\"stat\", \"$IMAGE_PATH\"]]\n";
    let template =
        template.replace("METHOD", "reuse").replace("  image_type ", &format!("  {extra}  image_type "));
    place.write("rpi.pkr.hcl", template);
    let plan = plans(&place.run(["validate", "rpi.pkr.hcl", "--json"]).expect(0)).remove(0);
    let lines = "cp 'a b' \"$ARM_IMAGE_MOUNT_PATH\"/boot/\nstat raspios.img.partial";
    let first = serde_json::json!({"run": lines, "env": [], "local": true});
    assert_eq!((&plan["steps"][0], &plan["isolation"]), (&first, &"host".into()));
    assert_eq!(plan["steps"].as_array().unwrap().len(), 2);
}

#[test]
fn variables_come_from_everywhere_the_command_line_last() {
    let place = Place::new();
    let variables: String = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| format!("variable \"{name}\" {{ default = \"default\" }}\n"))
        .collect();
    let inline = r#"provisioner "shell" { inline = [join(" ", [var.a, var.b, var.c, var.d, var.e])] }"#;
    fs::create_dir(place.path("t")).unwrap();
    place.write("t/build.pkr.hcl", built("", inline));
    place.write("t/variables.pkr.hcl", variables);
    place.write("t/x.auto.pkrvars.hcl", "c = \"auto\"\nd = \"auto\"\ne = \"auto\"\n");
    place.write("given.pkrvars.hcl", "d = \"file\"\ne = \"file\"\n");
    let mut command = place.command([
        "build",
        "-var-file=given.pkrvars.hcl",
        "-var",
        "e=given",
        "--dry-run",
        "--json",
        "t",
    ]);
    let output = command.env("PKR_VAR_b", "env").env("PKR_VAR_e", "env").output().unwrap();
    let plan = plans(&Ended(output).expect(0)).remove(0);
    assert_eq!(plan["steps"][0]["run"], "default env auto file given");
}

#[test]
fn mistakes_end_with_3_before_anything_is_fetched() {
    let place = Place::new();
    let server = Server::new("a.img", vec![0; 512]);
    let two = |first: &str, second: &str| {
        let source = |name: &str, url: &str, more: &str| {
            format!(
                "source \"arm-image\" \"{name}\" {{\n iso_url = \"{url}\"\n iso_checksum = \"none\"\n {more}\n}}\n"
            )
        };
        let build = "build { sources = [\"source.arm-image.a\", \"source.arm-image.b\"] }\n";
        [source("a", &server.url("a.img"), first), source("b", &server.url("a.img"), second)].concat() + build
    };
    place.write("t.pkr.hcl", two("", "image_arch = \"armbe\""));
    place.run(["build", "t.pkr.hcl"]).expect(3).says("t.pkr.hcl:9:").says("image_arch = \"armbe\"");
    place.write("t.pkr.hcl", two("output_filename = \"x\"", "output_filename = \"x\""));
    place.run(["build", "t.pkr.hcl"]).expect(3).says("the same output");
    place.write("t.pkr.hcl", two("", "size = 3"));
    place
        .run(["build", "t.pkr.hcl", "--progress", "json"])
        .expect(3)
        .says("\"line\":9")
        .says("\"severity\":\"error\"");
    place.run(["build", "missing.pkr.hcl"]).expect(3).says("missing.pkr.hcl");
    fs::create_dir(place.path("folder")).unwrap();
    place.write("folder/t.pkr.json", "{}");
    for path in ["folder", "folder/t.pkr.json"] {
        place
            .run(["build", path])
            .expect(3)
            .says("(*.pkr.json) is not supported")
            .says("write it as *.pkr.hcl");
    }
    fs::remove_dir_all(place.path("folder")).unwrap();
    place.write("t.pkr.hcl", two("", ""));
    place.run(["build", "t.pkr.hcl", "--only", "nothing"]).expect(3).says("arm-image.a, arm-image.b");
    place.run(["build", "t.pkr.hcl", "--var", "x=1"]).expect(3).says("-var x");
    assert_eq!(server.requests(), Vec::<String>::new());
    assert_eq!(names_in(&place.work()), ["t.pkr.hcl"]);
    place.assert_clean();
}

#[test]
fn a_template_and_what_to_build_by_options_exclude_each_other() {
    let place = Place::new();
    place.write("t.pkr.hcl", built("", ""));
    for options in [
        &["--source", "a.img"][..],
        &["--checksum", "none"],
        &["--output", "o.img"],
        &["--size", "4G"],
        &["--run", "true"],
        &["--mount", "1=/"],
        &["--resolv-conf", "off"],
    ] {
        place.run(["build", "t.pkr.hcl"].iter().chain(options)).expect(2).says("cannot be used with");
    }
    let forced = place.run(["build", "-force", "t.pkr.hcl"]).expect(2);
    let _ = forced.says("`-force` is an option of Packer's").says("replaces what is at its output");
    place.run(["build", "-color=false", "-on-error=ask", "t.pkr.hcl", "--dry-run"]).expect(0);
    let plain = ["build", "--source", "a", "--checksum", "none"];
    for options in [&["--var", "a=b"][..], &["--only", "x"], &["--parallel-builds", "1"]] {
        place.run(plain.iter().chain(options)).expect(2);
    }
}

#[test]
fn builds_are_chosen_by_their_names() {
    let place = Place::new();
    let two = [source(""), source("").replace("\"pi\"", "\"zero\"")].concat();
    place.write(
        "t.pkr.hcl",
        two + "build { sources = [\"source.arm-image.pi\", \"source.arm-image.zero\"] }\n",
    );
    let names = |arguments: &[&str]| {
        let all = ["validate", "t.pkr.hcl", "--json"].iter().chain(arguments);
        let plans = plans(&place.run(all).expect(0));
        plans.iter().map(|plan| plan["output"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["output-pi/image", "output-zero/image"]);
    assert_eq!(names(&["--only", "*.zero"]), ["output-zero/image"]);
    assert_eq!(names(&["-only=arm-image.pi"]), ["output-pi/image"]);
    assert_eq!(names(&["--except", "*.pi"]), ["output-zero/image"]);
}

#[test]
fn a_list_says_what_is_in_a_template() {
    let place = Place::new();
    let variable = "variable \"host\" {\n default = \"kitchen\"\n description = \"its name\"\n}\n";
    let body = "provisioner \"shell\" { inline = [\"a\"] }\n post-processor \"manifest\" {}";
    place.write("t.pkr.hcl", variable.to_owned() + &built("", body));
    let text = place.run(["validate", "t.pkr.hcl", "--list"]).expect(0).stdout();
    for part in ["host = \"kitchen\"", "its name", "arm-image.pi", "provisioner  shell", "manifest"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let list = plans(&place.run(["validate", "t.pkr.hcl", "--list", "--json"]).expect(0)).remove(0);
    assert_eq!(list["variables"][0]["name"], "host");
    assert_eq!(list["builds"][0]["provisioners"][0]["kind"], "shell");
    assert_eq!(list["builds"][0]["source"]["settings"]["iso_url"], "a.img");
}

#[test]
fn a_list_needs_no_values_and_names_what_is_there() {
    let place = Place::new();
    let template = r#"
variable "image" {}
variable "password" {
  sensitive = true
}
locals {
  title = upper("kitchen")
  path  = "${var.image}.img"
}
source "arm-image" "a" {
  iso_url      = local.path
  iso_checksum = "none"
}
source "arm-image" "b" {
  iso_url      = var.image
  iso_checksum = var.image
}
source "arm-image" "c" {
  iso_url      = "c.img"
  iso_checksum = "none"
}
build {
  sources = ["source.arm-image.a", "source.arm-image.b"]
  provisioner "shell" {
    inline = ["echo ${var.password}"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["true"]
  }
  post-processor "checksum" {}
}
"#;
    place.write("t.pkr.hcl", template);
    let listed =
        |more: &[&str]| place.run(["validate", "t.pkr.hcl", "--list"].iter().chain(more)).expect(0).stdout();
    let expected = r#"variable       image = (no value)
variable       password = (no value)
local          title = "KITCHEN"
build          arm-image.b
  source       arm-image.b
  provisioner  shell
  error-cleanup-provisioner shell-local
unused source  arm-image.c
"#;
    assert_eq!(listed(&["--only", "*.b", "--except", "checksum"]), expected);
    assert!(listed(&[]).contains("build          arm-image.a\n"));
    assert!(listed(&["-var", "image=x"]).contains("local          path = \"x.img\"\n"));
    let json: Value = serde_json::from_str(&listed(&["--json", "-only=*.a"])).unwrap();
    assert_eq!(
        (&json["variables"][0]["origin"], &json["variables"][0]["value"]),
        (&"missing".into(), &Value::Null)
    );
    assert_eq!(json["builds"].as_array().unwrap().len(), 1);
    assert_eq!(json["builds"][0]["error_cleanup"]["kind"], "shell-local");
    assert_eq!(json["unused_sources"][0]["name"], "c");
    place.run(["validate", "t.pkr.hcl", "--list", "--only", "x"]).expect(3);
    place.run(["validate", "t.pkr.hcl"]).expect(3).says("the variable `image` has no value");
    // In JSON, a variable that has to be given is null.
    let json = r#"{"variables": {"image": null}, "builders": [{"type": "arm-image", "iso_url": "{{user `image`}}", "iso_checksum": "none"}]}"#;
    place.write("t.json", json);
    let text = place.run(["validate", "t.json", "--list"]).expect(0).stdout();
    assert!(text.starts_with("variable       image = (no value)\nbuild          arm-image\n"), "{text}");
    place.run(["validate", "t.json"]).expect(3).says("has no value");
}

#[test]
fn what_is_sensitive_is_never_shown() {
    let place = Place::new();
    let secret = "correct \"horse\" battery";
    let variable = "variable \"password\" {\n  sensitive = true\n}\n";
    let body = r#"
  provisioner "shell" {
    environment_vars = ["PASSWORD=${var.password}"]
    inline = ["echo 'pi:${var.password}' | chpasswd"]
  }
  provisioner "file" {
    content     = var.password
    destination = "/etc/${var.password}"
  }
  post-processor "manifest" { custom_data = { password = var.password } }
"#;
    place.write("t.pkr.hcl", variable.to_owned() + &built("", body));
    place.write("wrong.pkr.hcl", variable.to_owned() + &built("image_mounts = [var.password]", body));
    place.write("fails.pkr.hcl", variable.to_owned() + &built("output_filename = var.password", body));
    for arguments in [
        &["validate", "t.pkr.hcl"][..],
        &["validate", "t.pkr.hcl", "--json"],
        &["validate", "t.pkr.hcl", "--list"],
        &["validate", "t.pkr.hcl", "--list", "--json"],
        &["build", "t.pkr.hcl", "--dry-run"],
        &["build", "t.pkr.hcl", "--dry-run", "--json"],
        &["build", "wrong.pkr.hcl"],
        &["build", "wrong.pkr.hcl", "--progress", "json"],
        // There is no such source.
        &["build", "fails.pkr.hcl", "-v"],
        &["build", "fails.pkr.hcl", "--progress", "json"],
    ] {
        let output = place.command(arguments).env("PKR_VAR_password", secret).output().unwrap();
        let ended = Ended(output);
        let shown = ended.stdout() + &ended.stderr();
        assert!(!shown.is_empty(), "{arguments:?}");
        assert!(!shown.contains("horse"), "{arguments:?} shows {shown}");
    }
}

#[test]
fn what_a_template_in_json_calls_sensitive_is_never_shown() {
    let place = Place::new();
    let template = r#"{
  "variables": {"password": "correct \"horse\" battery", "other": "plain"},
  "sensitive-variables": ["password"],
  "builders": [{"type": "arm-image", "iso_url": "a.img", "iso_checksum": "none", "output_filename": "OUTPUT"}],
  "provisioners": [
    {"type": "shell", "inline": ["echo 'pi:{{user `password`}}' {{user `other`}}"]},
    {"type": "shell-local", "execute_command": ["/bin/sh", "-c", "{{.Vars}} {{.Command}}"], "command": "{{user `password`}}"}
  ]
}"#;
    place.write("t.json", template);
    place.write("fails.json", template.replace("OUTPUT", "{{user `password`}}"));
    for arguments in [
        &["validate", "t.json"][..],
        &["validate", "t.json", "--json"],
        &["validate", "t.json", "--list", "--json"],
        &["build", "fails.json", "--progress", "json"],
        &["build", "fails.json", "-v"],
    ] {
        let ended = place.run(arguments);
        let shown = ended.stdout() + &ended.stderr();
        assert!(shown.contains("(sensitive)") || arguments[0] == "build", "{shown}");
        assert!(!shown.contains("horse"), "{arguments:?} shows {shown}");
    }
    assert!(place.run(["validate", "t.json", "--list"]).stdout().contains("other = \"plain\""));
}

#[test]
fn each_value_of_a_key_has_its_place_in_the_plan() {
    let place = Place::new();
    let planned = |key: &str, field: &str| {
        place.write("t.pkr.hcl", built(key, ""));
        plans(&place.run(["validate", "t.pkr.hcl", "--json"]).expect(0)).remove(0)[field].clone()
    };
    for name in ["off", "copy-host", "bind-host", "delete"] {
        assert_eq!(planned(&format!("resolv-conf = \"{name}\""), "resolv_conf"), name);
    }
    assert_eq!(planned("image_arch = \"arm64\"", "arch"), "arm64");
    // Which one, the image's programs tell.
    assert_eq!(planned("image_arch = \"arm\"", "arch"), Value::Null);
    for name in ["armbe", "arm64be"] {
        refused(&place, &built(&format!("image_arch = \"{name}\""), ""), 4, "big-endian");
    }
    refused(
        &place,
        &("data \"null\" \"x\" {}\n".to_owned() + &built("", "")),
        1,
        "data sources are not supported",
    );
}

#[test]
fn a_secret_that_is_cut_short_is_not_shown_in_part() {
    let place = Place::new();
    // Lines are cut after 72 letters where a step is named.
    let line = format!("echo {} ${{var.password}}", "x".repeat(60));
    let variable = "variable \"password\" {\n  default = \"correct-horse-battery\"\n  sensitive = true\n}\n";
    let body = format!("provisioner \"shell-local\" {{ inline = [\"{line}\"] }}");
    let wrong = "post-processor \"shell-local\" {\n inline = [\"exit 1 # ".to_owned() + &line + "\"]\n}";
    place.write("t.pkr.hcl", variable.to_owned() + &built("", &(body + "\n" + &wrong)));
    let image = arm_image_tests::images::raspios_arm64_tiny();
    fs::write(
        place.path("t.pkr.hcl"),
        fs::read_to_string(place.path("t.pkr.hcl")).unwrap().replace("a.img", image.to_str().unwrap()),
    )
    .unwrap();
    for progress in ["plain", "json"] {
        let ended =
            place.run(["build", "t.pkr.hcl", "--isolation", "guest", "--progress", progress]).expect(8);
        let shown = ended.stdout() + &ended.stderr();
        assert!(shown.contains("xxxx") && !shown.contains("corr"), "{shown}");
    }
}

#[test]
fn a_secret_across_the_pieces_of_a_long_line_is_not_shown_in_halves() {
    let place = Place::new();
    let variable = "variable \"password\" {\n  default = \"correct-horse-battery\"\n  sensitive = true\n}\n";
    // Written at once, so that it is read in pieces of 16 KiB.
    let body = r#"
  post-processor "shell-local" {
    inline = [
      "{ head -c 16374 /dev/zero | tr '\\0' x; printf %s '${var.password}'; head -c 20000 /dev/zero | tr '\\0' z; echo; } > line",
      "cat line; cat line >&2; exit 1",
    ]
  }
"#;
    let image = arm_image_tests::images::raspios_arm64_tiny();
    place.write(
        "t.pkr.hcl",
        variable.to_owned() + &built("", body).replace("\"a.img\"", &format!("{image:?}")),
    );
    for progress in ["plain", "json"] {
        let ended = place.run(["build", "t.pkr.hcl", "--progress", progress]).expect(8);
        let shown = ended.stdout() + &ended.stderr();
        for half in ["corr", "horse", "battery", "tery"] {
            assert!(!shown.contains(half), "`{half}` shows");
        }
        // Of both streams, and of the error's own last lines.
        for edge in ["x(sensitive)", "(sensitive)z"] {
            assert_eq!(shown.matches(edge).count(), 3, "{edge}");
        }
    }
}

#[test]
fn the_examples_are_valid() {
    let place = Place::new();
    let key = format!("key={}", place.write("key.pub", "ssh-ed25519 AAAA test\n").display());
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for (name, variables) in [
        ("raspberrypi-ssh", &["--var", &key][..]),
        ("raspberrypi-wifi", &["--var", "ssid=home", "--var", "passphrase=correct-horse"]),
        ("ubuntu-cloud-init", &["--var", "image=ubuntu.img.xz"]),
        ("kiosk/kiosk.json", &[]),
    ] {
        let path = examples.join(name).display().to_string();
        let ended = place.run(["validate", &path].iter().chain(variables)).expect(0);
        assert_eq!(ended.stderr(), "", "{name}");
        assert!(!ended.stdout().contains("horse"), "{name}");
    }
}
