//! What is said of templates that are wrong.

use std::fs;

use arm_image_tests::program::{Place, Server, names_in};

use crate::{built, refused};

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
    after("compress", "format = \"rar\"\noutput = \"a.zip\"", "format rar are not made");
    after("checksum", "output = \"./output-pi/image\"", "is the same output as at wrong.pkr.hcl:1:1");
    after("compress", "output = \"sub/../a.img\"", "would overwrite what is read");
    after("manifest", "output = \"wrong.pkr.hcl\"", "would overwrite what is read");
    step("shell", "script = \".\"", "`.` is a folder, and no script");
    step("shell", "inline = []", "the key `inline` is empty");
    step("file", "destination = \"/etc/\"\ncontent = \"x\"", "the name of a file to go to");
    after("manifest", "custom_data = { id = build.ID }", "`build.ID` is not known here");
    after("manifest", "output = \"{{.Nothing}}\"", "means nothing here");
}

#[test]
fn steps_that_do_less_than_they_say_are_told() {
    let place = Place::new();
    let download = |to: &str| {
        let keys = "direction = \"download\"\nsources = [\"/etc/motd\", \"/etc/issue\"]";
        let step = format!("  provisioner \"file\" {{\n{keys}\ndestination = {to:?}\n  }}");
        place.write("t.pkr.hcl", built("", &step));
        place.run(["validate", "t.pkr.hcl"]).expect(0).stderr()
    };
    assert!(download("etc").contains("t.pkr.hcl:11:1: each of `sources` may replace the one before"));
    assert_eq!(download("etc/"), "");
    assert_eq!(download("."), "");
    let warned = |command: &str| {
        let step =
            format!("  provisioner \"shell\" {{\nexecute_command = {command:?}\ninline = [\"a\"]\n  }}");
        place.write("t.pkr.hcl", built("", &step));
        place.run(["validate", "t.pkr.hcl"]).expect(0).stderr()
    };
    assert!(warned("{{ .Vars }} sudo sh").contains("t.pkr.hcl:9:1: `execute_command` runs no script"));
    assert_eq!(warned("{{.Vars}} sudo sh {{.Path}}"), "");
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
            .says("folder/t.pkr.json:1:1: ")
            .says("(*.pkr.json) is not supported")
            .says("write it as *.pkr.hcl");
    }
    fs::remove_file(place.path("folder/t.pkr.json")).unwrap();
    place.run(["build", "folder"]).expect(3).says("there is no template in the folder `folder`");
    fs::remove_dir_all(place.path("folder")).unwrap();
    place.write("t.pkr.hcl", two("", ""));
    place.run(["build", "t.pkr.hcl", "--only", "nothing"]).expect(3).says("arm-image.a, arm-image.b");
    place.run(["build", "t.pkr.hcl", "--var", "x=1"]).expect(3).says("-var x");
    assert_eq!(server.requests(), Vec::<String>::new());
    assert_eq!(names_in(&place.work()), ["t.pkr.hcl"]);
    place.assert_clean();
}
