//! Plans as a whole.

use arm_image_tests::program::Place;
use serde_json::Value;

use crate::{built, plans};

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
