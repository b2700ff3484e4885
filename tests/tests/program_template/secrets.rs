//! What must not be shown.

use std::fs;

use arm_image_tests::program::{Ended, Place};

use crate::built;

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
fn what_is_sensitive_is_never_shown_in_quotes_or_addresses_either() {
    let place = Place::new();
    place.write("a.sh", "");
    let template = "variable \"pw\" {\n  sensitive = true\n  default = \"it's hunter2\"\n}\n".to_owned()
        + &built(
            "",
            "provisioner \"ansible\" {\n playbook_file = \"a.sh\"\n extra_arguments = [\"-e\", \"p=${var.pw}\"]\n}",
        )
        .replace("\"a.img\"", "\"https://example.org/a.img?t=${var.pw}\"");
    place.write("t.pkr.hcl", template);
    for how in [
        ["validate", "t.pkr.hcl"].as_slice(),
        &["validate", "t.pkr.hcl", "--json"],
        &["validate", "t.pkr.hcl", "--list"],
    ] {
        let shown = place.run(how).expect(0).stdout();
        assert!(!shown.contains("hunter2"), "{shown}");
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
