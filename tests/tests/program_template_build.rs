//! Packer's templates, built in a guest kernel, judged by what is in the images then.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_stat};
use arm_image_tests::program::{Place, Terminal, names_in, sha256, stdout_of, tool};

fn tiny_xz() -> String {
    images::raspios_arm64_tiny().with_extension("img.xz").display().to_string()
}

/// What both templates are to make of the image.
fn assert_kitchen(place: &Place, output: &str) {
    let image = place.path(output);
    assert_eq!(ext4_file(&image, 2, "/etc/machine"), "aarch64\n");
    assert_eq!(ext4_file(&image, 2, "/etc/greeting"), "hello & welcome\n");
    assert_eq!(ext4_file(&image, 2, "/opt/tree/plain"), "plain\n");
    assert_eq!(ext4_file(&image, 2, "/etc/motd"), "Welcome to the kitchen\n");
    assert!(ext4_stat(&image, 2, "/run/arm-image/inline").is_empty());
    assert_sound(&image);
    assert_eq!(fs::read_to_string(place.path("got")).unwrap(), "hello & welcome\n");
}

fn materials(place: &Place) {
    fs::create_dir(place.path("tree")).unwrap();
    place.write("tree/plain", "plain\n");
    place.write("greet.sh", "#!/bin/sh\necho \"$GREETING\" > /etc/greeting\n");
}

#[test]
fn a_template_in_hcl2_is_built() {
    let place = Place::new();
    materials(&place);
    let template = r#"
variable "image" {}
variable "hostname" {
  default = "kitchen"
}

locals {
  motd = "Welcome to the ${var.hostname}\n"
}

source "arm-image" "pi" {
  iso_url         = var.image
  iso_checksum    = "none"
  output_filename = "o/${var.hostname}.img"
}

build {
  sources = ["source.arm-image.pi"]

  provisioner "shell" {
    inline = ["uname -m > /etc/machine"]
  }
  provisioner "shell" {
    env    = { GREETING = "hello & welcome" }
    script = "${path.root}/greet.sh"
  }
  provisioner "file" {
    source      = "tree"
    destination = "/opt"
  }
  provisioner "file" {
    content     = local.motd
    destination = "/etc/motd"
  }
  provisioner "file" {
    direction   = "download"
    source      = "/etc/greeting"
    destination = "got"
  }
  provisioner "shell-local" {
    inline = ["echo built ${source.name} > local"]
  }

  post-processor "checksum" {
    checksum_types = ["sha256", "md5"]
    output         = "o/{{.BuildName}}.{{.ChecksumType}}"
  }
  post-processor "manifest" {
    output      = "o/manifest.json"
    strip_path  = true
    custom_data = { host = var.hostname }
  }
  post-processors {
    post-processor "compress" {
      output              = "o/kitchen.img.xz"
      compression_level   = 1
      keep_input_artifact = true
    }
    post-processor "shell-local" {
      inline = ["test -s o/kitchen.img.xz"]
    }
  }
}
"#;
    place.write("kitchen.pkr.hcl", template);
    let image = format!("image={}", tiny_xz());
    let build = ["build", "kitchen.pkr.hcl", "--var", &image, "--isolation", "guest"];
    let _ = place.run(build).expect(0).prints("o/kitchen.img");
    assert_kitchen(&place, "o/kitchen.img");
    assert_eq!(fs::read_to_string(place.path("local")).unwrap(), "built pi\n");
    assert_eq!(
        names_in(&place.path("o")),
        ["kitchen.img", "kitchen.img.xz", "manifest.json", "pi.md5", "pi.sha256"]
    );
    let output = place.path("o/kitchen.img");
    let line = format!("{}  kitchen.img\n", sha256(&output));
    assert_eq!(fs::read_to_string(place.path("o/pi.sha256")).unwrap(), line);
    stdout_of(tool("md5sum").args(["-c", "pi.md5"]).current_dir(place.path("o")));
    place.run(["unpack", "o/kitchen.img.xz", "again.img"]).expect(0);
    assert_eq!(sha256(&place.path("again.img")), sha256(&output));
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("o/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["builds"][0]["files"][0]["name"], "kitchen.img");
    assert_eq!(manifest["builds"][0]["files"][0]["size"], fs::metadata(&output).unwrap().len());
    assert_eq!(manifest["builds"][0]["custom_data"]["host"], "kitchen");
    assert_eq!(manifest["last_run_uuid"], manifest["builds"][0]["packer_run_uuid"]);
    place.assert_clean();
}

#[test]
fn a_template_in_json_is_built() {
    let place = Place::new();
    materials(&place);
    let template = r#"{
  "variables": {"image": "", "hostname": "kitchen"},
  "builders": [{
    "type": "arm-image",
    "iso_url": "{{user `image`}}",
    "iso_checksum": "none",
    "image_mounts": ["/boot/firmware", "/"]
  }],
  "provisioners": [
    {"type": "shell", "inline": ["uname -m > /etc/machine"]},
    {"type": "breakpoint", "note": "look around"},
    {
      "type": "shell",
      "environment_vars": ["GREETING=hello & welcome"],
      "execute_command": "chmod +x {{ .Path }}; {{ .Vars }} {{ .Path }}",
      "script": "{{template_dir}}/greet.sh"
    },
    {"type": "file", "source": "tree/", "destination": "/opt/tree"},
    {"type": "file", "content": "Welcome to the {{user `hostname`}}\n", "destination": "/etc/motd"},
    {"type": "file", "direction": "download", "source": "/etc/greeting", "destination": "got"}
  ],
  "post-processors": [{"type": "compress", "output": "packed.img.gz"}]
}"#;
    place.write("kitchen.json", template);
    let image = format!("image={}", tiny_xz());
    let build = ["build", "-var", &image, "-on-error=keep", "kitchen.json", "--isolation", "guest"];
    // What is packed and not to be kept, goes.
    let ended = place.run(build).expect(0).prints("packed.img.gz");
    let _ = ended.says("breakpoint: look around\n").says("passed over: there is no terminal");
    assert_eq!(names_in(&place.path("output-arm-image")), Vec::<String>::new());
    place.run(["unpack", "packed.img.gz", "o.img"]).expect(0);
    assert_kitchen(&place, "o.img");
    place.assert_clean();
}

#[test]
fn sources_are_built_in_parallel_and_one_that_fails_does_not_stop_the_others() {
    let place = Place::new();
    let sources: String = ["one", "two", "bad"]
        .iter()
        .map(|name| {
            format!(
                "source \"arm-image\" \"{name}\" {{\n iso_url = {:?}\n iso_checksum = \"none\"\n output_filename = \"o/{name}.img\"\n}}\n",
                tiny_xz()
            )
        })
        .collect();
    let build = r#"
variable "password" {
  default   = "correct-horse"
  sensitive = true
}
build {
  name    = "all"
  sources = ["source.arm-image.one", "source.arm-image.bad", "source.arm-image.two"]
  provisioner "shell" {
    inline = ["echo the name is ${source.name} | tee /etc/name", "echo $((1 + 1)) ${var.password}"]
  }
  provisioner "shell" {
    only   = ["arm-image.bad"]
    inline = ["echo correct-horse went wrong >&2", "exit 4"]
  }
}
"#;
    place.write("t.pkr.hcl", sources + build);
    let ended = place.run(["build", "t.pkr.hcl", "--isolation", "guest", "--parallel-builds", "2"]).expect(8);
    assert_eq!(ended.stdout(), "o/one.img\no/two.img\n");
    let said = ended.stderr();
    assert!(!said.contains("horse"), "{said}");
    for line in said.lines() {
        assert!(line.starts_with("all.arm-image."), "`{line}` does not say whose it is");
    }
    let _ = ended
        .says("all.arm-image.one: the name is one\n")
        .says("all.arm-image.two: the name is two\n")
        .says("all.arm-image.bad: the name is bad\n")
        .says("all.arm-image.bad: error: ")
        .says("all.arm-image.two: 2 (sensitive)\n")
        .says("(sensitive) went wrong");
    for name in ["one", "two"] {
        assert_eq!(
            ext4_file(&place.path(&format!("o/{name}.img")), 2, "/etc/name"),
            format!("the name is {name}\n")
        );
    }
    assert_eq!(names_in(&place.path("o")), ["one.img", "two.img"]);
    place.assert_clean();
}

#[test]
fn a_breakpoint_waits_for_a_key() {
    let place = Place::new();
    let template = format!(
        "source \"arm-image\" \"a\" {{\n iso_url = {:?}\n iso_checksum = \"none\"\n output_filename = \"o.img\"\n}}\n\
         build {{\n sources = [\"source.arm-image.a\"]\n provisioner \"breakpoint\" {{ note = \"look\" }}\n\
         provisioner \"shell\" {{ inline = [\"echo went on\"] }}\n}}\n",
        tiny_xz()
    );
    place.write("t.pkr.hcl", template);
    let mut terminal = Terminal::start(place.command(["build", "t.pkr.hcl", "--isolation", "guest"]));
    // Its colours stand between the words.
    terminal.wait_for(" look");
    let shown = terminal.wait_for("press Enter to go on");
    assert!(!shown.contains("went on"), "{shown}");
    terminal.type_keys("\r");
    terminal.wait_for("went on");
    assert_eq!(terminal.finish().code(), Some(0));
    place.assert_clean();
}

#[test]
fn a_post_processor_that_fails_leaves_the_image() {
    let place = Place::new();
    let template = format!(
        "source \"arm-image\" \"a\" {{\n iso_url = {:?}\n iso_checksum = \"none\"\n output_filename = \"o.img\"\n}}\n\
         build {{\n sources = [\"source.arm-image.a\"]\n post-processor \"shell-local\" {{ inline = [\"exit 5\"] }}\n}}\n",
        tiny_xz()
    );
    place.write("t.pkr.hcl", template);
    place.run(["build", "t.pkr.hcl"]).expect(8).says("shell-local").says("exit 5");
    assert_eq!(names_in(&place.work()), ["o.img", "t.pkr.hcl"]);
    place.assert_clean();
}
