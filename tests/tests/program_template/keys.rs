//! Keys of sources.

use std::fs;

use arm_image_tests::program::Place;
use serde_json::Value;

use crate::{built, plans, refused};

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
