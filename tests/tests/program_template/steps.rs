//! Provisioners and post-processors.

use arm_image_tests::program::{Place, names_in, sha256};

use crate::{built, plans, refused};

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
    let playbook = plan["steps"][9]["run"].as_str().unwrap();
    for line in [
        "default ansible_host=$ARM_IMAGE_MOUNT_PATH",
        "ansible-playbook --inventory \"$folder/hosts\" --extra-vars ",
        " --tags 'a b' a.sh",
    ] {
        assert!(playbook.contains(line), "{playbook}");
    }
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
        {"run": playbook, "env": [["ANSIBLE_REMOTE_TMP", "/tmp"], ["ANSIBLE_PIPELINING", "1"]], "local": true},
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
    assert_eq!(packed(""), "compress as tar.gz to packer_pi_arm-image");
    assert_eq!(packed("output = \"a.tar.xz\""), "compress as tar.xz to a.tar.xz");
    assert_eq!(packed("output = \"b.img\""), "compress as tar.gz to b.img");
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
