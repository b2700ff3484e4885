//! What is given on the command line, and lists.

use std::fs;

use arm_image_tests::program::{Ended, Place};
use serde_json::Value;

use crate::{built, plans, source};

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
fn a_list_needs_none_of_the_files_that_a_template_reads() {
    let place = Place::new();
    let template = r#"
variable "key" {
  default = file("~/key.pub")
}
variable "set" {
  default = file("not-there")
}
locals {
  lines = split("\n", file(pathexpand("~/key.pub")))
  more  = length(local.lines)
  names = fileset("no-folder", "*")
  other = try(file("not-there"), "nothing")
}
"#;
    let body = r#"
  provisioner "file" {
    content     = "${file("not-there")} ${var.key} ${local.more}"
    destination = "/root/.ssh/authorized_keys"
  }
  post-processor "manifest" {
    output = templatefile("not-there", {})
  }
"#;
    place.write("t.pkr.hcl", template.to_owned() + &built("", body));
    let ended = place.run(["validate", "t.pkr.hcl", "--list", "-var", "set=x"]).expect(0);
    assert_eq!(ended.stderr(), "");
    let expected = r#"variable       key = (no value)
variable       set = "x"
local          other = "nothing"
build          arm-image.pi
  source       arm-image.pi
  provisioner  file
  post-processor manifest
"#;
    assert_eq!(ended.stdout(), expected);
    place.run(["validate", "t.pkr.hcl"]).expect(3).says("t.pkr.hcl:3:13: failed to read");
    // What is wrong in itself is wrong in a list, too.
    place.write("t.pkr.hcl", built("", "provisioner \"shell\" {\n inline = [file(7, 8)]\n}"));
    place.run(["validate", "t.pkr.hcl", "--list"]).expect(3).says("t.pkr.hcl:9:");
}
