//! Packer's templates while they are built: what is run when, with which variables, and several at once.

use std::fs;

use arm_image_tests::images;
use arm_image_tests::program::image::ext4_file;
use arm_image_tests::program::{Place, names_in};
use nix::sys::signal::Signal;

/// Sources of these names, of an image that is small.
fn sources(names: &[&str]) -> String {
    let image = images::raspios_arm64_tiny().with_extension("img.xz");
    let source = |name: &&str| {
        format!(
            "source \"arm-image\" \"{name}\" {{\n iso_url = {image:?}\n iso_checksum = \"none\"\n output_filename = \"o/{name}.img\"\n}}\n"
        )
    };
    names.iter().map(source).collect()
}

/// These sources with a build of all of them, which does what `body` says.
fn template(names: &[&str], body: &str) -> String {
    let all: Vec<_> = names.iter().map(|name| format!("source.arm-image.{name}")).collect();
    format!("{}build {{\n  sources = {all:?}\n{body}\n}}\n", sources(names))
}

#[test]
fn what_a_failed_build_is_to_leave_is_fetched_from_it_and_its_failure_stays_the_first() {
    let place = Place::new();
    let body = r#"
  provisioner "shell-local" {
    inline = ["printf '%s of %s' $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE > made"]
  }
  provisioner "shell" {
    inline = ["x=$(head -c 16374 /dev/zero | tr '\\0' x)", "echo \"$x\"${var.password}$x"]
  }
  provisioner "file" {
    source      = "made"
    destination = "/root/made"
    generated   = true
  }
  provisioner "shell" {
    env              = { WORDS = "it's from a file" }
    inline           = ["test \"$WORDS\" = \"it's from a file\"", "cp /run/arm-image/variables /root/variables"]
    use_env_var_file = true
    execute_command  = "chmod +x {{.Path}}; unset WORDS; . {{.EnvVarFile}} && {{.Path}}"
  }
  provisioner "shell" {
    env    = { PACKER_BUILDER_TYPE = "mine" }
    inline = ["test ! -e /run/arm-image/variables", "{ cat /root/made; echo \" is $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE\"; } > /root/log", "exit 4"]
  }
  provisioner "shell" { inline = ["touch /root/never"] }
  error-cleanup-provisioner "file" {
    direction   = "download"
    sources     = ["/root/never", "/root/log"]
    destination = "logs/"
  }
"#;
    let secret = "variable \"password\" {\n default = \"correct-horse\"\n sensitive = true\n}\n";
    place.write("t.pkr.hcl", secret.to_owned() + &template(&["pi"], body));
    let ended = place.run(["build", "t.pkr.hcl", "--isolation", "guest"]).expect(8);
    let shown = ended.stderr();
    // The line came in two pieces, with the secret across them.
    assert!(shown.contains("x(sensitive)\n(sensitive)x") && !shown.contains("horse"), "{shown}");
    let _ = ended.says("warning: cleaning up after it failed: ").says("step 5").says("exit");
    assert_eq!(fs::read_to_string(place.path("logs/log")).unwrap(), "pi of arm-image is pi mine\n");
    assert_eq!(names_in(&place.path("logs")), ["log"]);
    assert_eq!(names_in(&place.path("o")), Vec::<String>::new());
    place.assert_clean();
}

#[test]
fn packers_ways_to_end_are_ours() {
    let place = Place::new();
    let body = r#"
  provisioner "shell" { inline = ["echo tried > /root/log", "exit 4"] }
  error-cleanup-provisioner "shell-local" { inline = ["echo $PACKER_BUILD_NAME > cleaned"] }
"#;
    place.write("t.pkr.hcl", template(&["pi"], body));
    let ended = |how: &str| {
        place.run(["build", "t.pkr.hcl", "--isolation", "guest", how]).expect(8);
        let cleaned = fs::read_to_string(place.path("cleaned")).ok();
        let left = names_in(&place.path("o"));
        let _ = fs::remove_file(place.path("cleaned"));
        (cleaned, left)
    };
    assert_eq!(ended("-on-error=abort"), (None, vec!["pi.img.partial".to_owned()]));
    assert_eq!(
        ended("-on-error=run-cleanup-provisioner"),
        (Some("pi\n".to_owned()), vec!["pi.img.partial".to_owned()])
    );
    assert_eq!(ext4_file(&place.path("o/pi.img.partial"), 2, "/root/log"), "tried\n");
    place.assert_clean();
}

/// Says that this build is there, and waits until the other one is.
const MEET: &str = r#"
  post-processor "shell-local" {
    inline = [
      "touch ${source.name}.there",
      "for turn in $(seq 300); do test -e one.there -a -e two.there && exit 0; sleep 0.1; done; exit 1",
    ]
  }
"#;

#[test]
fn builds_are_made_at_the_same_time() {
    let place = Place::new();
    place.write("t.pkr.hcl", template(&["one", "two"], MEET));
    let ended = place.run(["build", "t.pkr.hcl"]).expect(0);
    assert_eq!(ended.stdout(), "o/one.img\no/two.img\n");
    place.assert_clean();
}

#[test]
fn one_at_a_time_they_are_made_in_the_templates_order() {
    let place = Place::new();
    let body = r#"post-processor "shell-local" { inline = ["echo $PACKER_BUILD_NAME >> order"] }"#;
    place.write("t.pkr.hcl", template(&["three", "one", "two"], body));
    place.run(["build", "t.pkr.hcl", "-parallel-builds=1"]).expect(0);
    assert_eq!(fs::read_to_string(place.path("order")).unwrap(), "three\none\ntwo\n");
}

#[test]
fn the_first_failure_in_the_templates_order_gives_the_exit_code() {
    let place = Place::new();
    // The second fails first, as its source is not there.
    let missing = sources(&["two"]).replace("tiny", "missing");
    let body = r#"
build {
  sources = ["source.arm-image.one", "source.arm-image.two"]
  post-processor "shell-local" { inline = ["exit 5"] }
}
"#;
    place.write("t.pkr.hcl", [sources(&["one"]), missing, body.to_owned()].concat());
    place.run(["build", "t.pkr.hcl"]).expect(8).says("arm-image.two: error:");
    place.run(["build", "t.pkr.hcl", "--only", "*.two"]).expect(4);
    assert_eq!(names_in(&place.path("o")), ["one.img"]);
}

#[test]
fn one_signal_ends_all_builds_and_nothing_unfinished_is_left() {
    let place = Place::new();
    let body = r#"
  post-processor "shell-local" {
    only   = ["arm-image.one"]
    inline = ["touch one.begun; exec sleep 600"]
  }
  provisioner "shell-local" {
    only   = ["arm-image.two"]
    inline = ["until test -e one.begun; do sleep 0.1; done"]
  }
  provisioner "shell" {
    only   = ["arm-image.two"]
    inline = ["echo begun; exec sleep 600"]
  }
"#;
    place.write("t.pkr.hcl", template(&["one", "two"], body));
    let mut running = place.start(["build", "t.pkr.hcl", "--isolation", "guest"]);
    running.until("arm-image.two: begun");
    running.send(Signal::SIGINT);
    running.wait().expect(130);
    assert_eq!(names_in(&place.work()), ["o", "one.begun", "t.pkr.hcl"]);
    // That of the first was whole before its post-processor began.
    assert_eq!(names_in(&place.path("o")), ["one.img"]);
    place.assert_clean();
}
