//! The program's contract with scripts: exit codes, what goes to standard output, progress as JSON, help.

use std::fs;

use arm_image_tests::images;
use arm_image_tests::program::{Place, Server, names_in, sha256, stdout_of, tool};

/// No test image has this digest.
const WRONG: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Every subcommand has its page.
const COMMANDS: [&str; 13] = [
    "build",
    "inspect",
    "fetch",
    "unpack",
    "resize",
    "shell",
    "map",
    "presets",
    "doctor",
    "cleanup",
    "cache",
    "completions",
    "man",
];

/// The image as a path in an argument.
fn tiny_xz() -> String {
    images::raspios_arm64_tiny().with_extension("img.xz").display().to_string()
}

#[test]
fn usage_errors_end_with_2() {
    let place = Place::new();
    for arguments in [
        &["no-such-command"][..],
        &["build"],
        &["build", "--source", "a.img", "--checksum", "sha256:abc"],
        &["build", "--source", "a.img", "--checksum", "none", "--size", "8Q"],
        &["build", "--source", "a.img", "--checksum", "none", "--copy", "no-target"],
        &["build", "--source", "a.img", "--checksum", "none", "--copy", "a:relative"],
        &["build", "--source", "a.img", "--checksum", "none", "--mount", "0=/"],
        &["build", "--source", "a.img", "--checksum", "none", "--env", "A=b"],
        &["build", "--source", "a.img", "--checksum", "none", "--env", "A=b", "--copy", "a:/b"],
        &["build", "--source", "a.img", "--checksum", "none", "--bind", "a:relative"],
        &["build", "--source", "a.img", "--checksum", "none", "--bind", "/only-one"],
        &["build", "--source", "a.img", "--checksum", "none", "--arch", "vax"],
        &["build", "--source", "a.img", "--checksum", "none", "--preset", "no-such-preset"],
        &["build", "--source", "a.img", "--checksum", "none", "--json"],
        &["build", "--source", "ftp://127.0.0.1/a.img", "--checksum", "none"],
        &["map", "a.img"],
    ] {
        let ended = place.run(arguments).expect(2);
        assert_eq!(ended.stdout(), "", "{arguments:?}");
    }
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
}

#[test]
fn a_missing_script_or_copy_source_ends_with_3_before_anything_is_fetched() {
    let place = Place::new();
    let server = Server::new("a.img", vec![0; 512]);
    for step in [["--script", "missing.sh"], ["--copy", "missing.d:/opt"]] {
        let url = server.url("a.img");
        let build = ["build", "--source", &url, "--checksum", "none", "--output", "o/a.img"];
        place.run(build.iter().chain(&step)).expect(3).says("`missing.");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
    place.assert_clean();
}

#[test]
fn a_source_that_is_not_there_ends_with_4() {
    let place = Place::new();
    let build = |source: &str| {
        place.run(["build", "--source", source, "--checksum", "none", "--output", "o.img"]).expect(4)
    };
    build("missing.img").says("missing.img");
    let server = Server::new("there.img", Vec::new());
    build(&server.url("gone.img")).says("404");
    assert!(!server.requests().is_empty());
    place.run(["fetch", &server.url("gone.img"), "--checksum", "none"]).expect(4).says("gone.img");
    place.run(["fetch", &server.url("there.img"), "--checksum", WRONG, "--offline"]).expect(4);
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
    place.assert_clean();
}

#[test]
fn what_is_no_file_ends_with_6_and_is_not_waited_for() {
    let place = Place::new();
    nix::unistd::mkfifo(&place.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    for name in ["pipe", "folder"] {
        let build = ["build", "--source", name, "--checksum", "none", "--output", "o.img"];
        place.run(build).expect(6).says(name);
        place.run(["inspect", name]).expect(6).says(name);
        place.run(["unpack", name, "o.img"]).expect(6).says(name);
    }
    place.run(["inspect", "missing.img"]).expect(6).says("missing.img");
    assert_eq!(names_in(&place.work()), ["folder", "pipe"]);
}

#[test]
fn mount_points_that_cannot_be_end_with_3_before_anything_is_fetched() {
    let place = Place::new();
    let server = Server::new("a.img", Vec::new());
    let build = |mounts: &[&str]| {
        let mut arguments = vec!["build", "--source", "", "--checksum", "none", "--run", "true"];
        let url = server.url("a.img");
        arguments[2] = &url;
        for mount in mounts {
            arguments.extend(["--mount", *mount]);
        }
        place.run(arguments).expect(3)
    };
    build(&["2=/../.."]).says("/../..");
    build(&["2=/", "1=/dev/x"]).says("/dev/x");
    build(&["2=/", "2=/boot"]).says("twice");
    build(&["2=/", "1=/"]).says("twice");
    assert!(server.requests().is_empty());
}

#[test]
fn names_that_are_no_utf_8_are_told_as_well_as_can_be() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff.img");
    fs::copy(images::raspios_arm64_tiny(), place.work().join(odd)).unwrap();
    let inspect = [std::ffi::OsStr::new("inspect"), odd, "--json".as_ref()];
    assert!(place.run(inspect).expect(0).stdout().contains("raspberrypi"));
    let build = ["build", "--source", "x", "--checksum", "none", "--dry-run", "--json", "--output"];
    let build = build.iter().map(std::ffi::OsStr::new).chain([odd]);
    assert!(place.run(build).expect(0).stdout().contains("odd"));
}

#[test]
fn a_wrong_digest_ends_with_5_and_leaves_nothing_that_could_be_taken_for_the_image() {
    let place = Place::new();
    let content = fs::read(tiny_xz()).unwrap();
    let server = Server::new("raspios.img.xz", content.clone());
    for source in [&server.url("raspios.img.xz"), &tiny_xz()] {
        let build = ["build", "--source", source, "--checksum", WRONG, "--output", "o.img"];
        place.run(build).expect(5).says("0000000000000000");
        place.run(["fetch", source, "--checksum", WRONG, "--output", "f.img.xz"]).expect(5);
    }
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
    let left = stdout_of(tool("find").arg(place.cache()).args(["-type", "f", "-size", "+4k"]));
    assert_eq!(left, "", "something is left in the cache");
    place.assert_clean();
    // What was refused is not taken from the cache later, either.
    let url = server.url("raspios.img.xz");
    place.run(["fetch", &url, "--checksum", WRONG, "--offline"]).expect(4);
}

#[test]
fn damaged_archives_end_with_6() {
    let place = Place::new();
    let whole = fs::read(tiny_xz()).unwrap();
    let cut = place.write("cut.img.xz", &whole[..whole.len() / 2]);
    let long = place.write("long.img.xz", [&whole[..], b"and more"].concat());
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 0x10;
    let flipped = place.write("flipped.img.xz", flipped);
    for archive in [&cut, &long, &flipped] {
        let archive = archive.display().to_string();
        place.run(["unpack", &archive, "o.img"]).expect(6).says(&archive);
        place.run(["build", "--source", &archive, "--checksum", "none", "--output", "o.img"]).expect(6);
        place.run(["inspect", &archive]).expect(6);
    }
    assert_eq!(names_in(&place.work()), ["cut.img.xz", "flipped.img.xz", "long.img.xz"]);
    place.assert_clean();
}

#[test]
fn a_file_without_a_table_ends_with_6() {
    let place = Place::new();
    let file = place.write("zeros.img", vec![0; 1 << 20]);
    let digest = sha256(&file);
    place.run(["inspect", "zeros.img"]).expect(6).says("zeros.img");
    place.run(["resize", "zeros.img", "+1M"]).expect(6);
    place.run(["shell", "zeros.img", "--", "true"]).expect(6);
    place
        .run(["build", "--source", "zeros.img", "--checksum", "none", "--output", "o.img", "--run", "true"])
        .expect(6);
    assert_eq!(names_in(&place.work()), ["zeros.img"]);
    assert_eq!(sha256(&file), digest);
    place.assert_clean();
}

#[test]
fn the_result_stands_alone_on_standard_output() {
    let place = Place::new();
    let source = tiny_xz();
    let build = ["build", "--source", &source, "--checksum", "none"];
    place.run(build).expect(0).prints("output-arm-image/image");
    assert_eq!(sha256(&place.path("output-arm-image/image")), sha256(&images::raspios_arm64_tiny()));
    place.run(["unpack", &source, "u.img"]).expect(0).prints("u.img");
    for form in ["bar", "plain", "json", "none"] {
        place.run(["unpack", &source, "u.img", "--progress", form]).expect(0).prints("u.img");
    }
    let quiet = place.run(["unpack", &source, "u.img", "-q"]).expect(0).prints("u.img");
    assert_eq!(quiet.stderr(), "");
    assert_eq!(names_in(&place.work()), ["output-arm-image", "u.img"]);
    place.assert_clean();
}

#[test]
fn progress_as_json_is_one_object_a_line() {
    let place = Place::new();
    let source = tiny_xz();
    let events = |arguments: &[&str], code| -> Vec<serde_json::Value> {
        let ended = place.run([&["--progress", "json"], arguments].concat()).expect(code);
        ended.stderr().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    let names = |events: &[serde_json::Value]| -> Vec<String> {
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    };
    let good = events(&["build", "--source", &source, "--checksum", "none", "--output", "o.img"], 0);
    assert_eq!(good[0]["version"], 1);
    let stages: Vec<_> = good.iter().filter_map(|event| event["stage"].as_str()).collect();
    assert!(stages.contains(&"fetch") && stages.contains(&"unpack"), "{stages:?}");
    let bytes = good.iter().rfind(|event| event["event"] == "bytes").unwrap();
    assert!(bytes["done"].as_u64().unwrap() > 0 && bytes["done"] == bytes["total"], "{bytes}");
    let last = good.last().unwrap();
    assert_eq!((&last["event"], &last["path"]), (&"done".into(), &"o.img".into()));
    assert!(!names(&good).contains(&"error".to_owned()));

    let bad = events(&["build", "--source", &source, "--checksum", WRONG, "--output", "o.img"], 5);
    let last = bad.last().unwrap();
    assert_eq!((&last["event"], &last["code"]), (&"error".into(), &5.into()));
    assert!(last["message"].as_str().is_some_and(|text| !text.is_empty()), "{last}");
    assert!(!names(&bad).contains(&"done".to_owned()));
}

#[test]
fn a_dry_run_touches_nothing() {
    let place = Place::new();
    let server = Server::new("a.img", vec![0; 512]);
    let url = server.url("a.img");
    place.write("script.sh", "#!/bin/sh\n");
    let build = ["build", "--source", &url, "--checksum", "none", "--output", "o/o.img", "--size", "+64M"];
    let steps = ["--run", "first", "--copy", "script.sh:/opt/s", "--script", "script.sh", "--run", "last"];
    let more = [
        "--env",
        "A=b",
        "--bind",
        "a:/b:ro",
        "--qemu-arg",
        "-cpu",
        "--qemu-arg=--x y",
        "--sync",
        "--apt-cache=debs",
    ];
    let steps =
        [steps.as_slice(), &more, &["--services", "--restore-resolv-conf", "--on-error", "shell"]].concat();
    let plan = place.run(build.iter().chain(&steps).chain(&["--dry-run"])).expect(0).stdout();
    for said in [&url, "o/o.img", "+64 MiB", "run first", "/opt/s", "last", "a at /b", "services", "sync"] {
        assert!(plan.contains(said), "no {said} in {plan}");
    }
    let plan = place.run(build.iter().chain(&steps).chain(&["--dry-run", "--json"])).expect(0).stdout();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let kinds = ["run", "copy", "script", "run"];
    for (step, kind) in plan["steps"].as_array().unwrap().iter().zip(kinds) {
        assert!(step[kind].is_string(), "{step} is no {kind}");
    }
    assert_eq!(plan["output"], "o/o.img");
    assert_eq!(plan["steps"][0], serde_json::json!({"run": "first", "env": [["A", "b"]], "directory": "/"}));
    let shown = serde_json::json!([{"source": "a", "target": "/b", "read_only": true}]);
    assert_eq!(plan["binds"], shown);
    assert_eq!(plan["qemu_args"], serde_json::json!(["-cpu", "--x y"]));
    assert_eq!(plan["apt_cache"], "debs");
    for said in ["sync", "services", "restore_resolv_conf"] {
        assert_eq!(plan[said], true, "{said}");
    }
    assert_eq!(plan["on_error"], "shell");
    assert_eq!(server.requests(), Vec::<String>::new());
    assert_eq!(names_in(&place.work()), ["script.sh"]);
    assert_eq!(names_in(&place.cache()), Vec::<String>::new());
    place.assert_clean();
}

#[test]
fn help_fits_a_terminal_and_ends_with_an_example() {
    let place = Place::new();
    let pages = COMMANDS.iter().map(|command| vec![*command, "--help"]).chain([vec!["--help"]]);
    for arguments in pages {
        let mut command = place.command(&arguments);
        let page = stdout_of(command.env("COLUMNS", "200"));
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
        let example = page.split("Example:\n").nth(1).unwrap_or_else(|| panic!("{arguments:?}: no example"));
        let line = example.lines().next().unwrap_or_default();
        assert!(line.contains("arm-image "), "{arguments:?}: {line}");
        if arguments.len() == 2 {
            assert!(!example.contains("\n\n"), "{arguments:?}: the example is not the end");
            assert!(line.contains(&format!("arm-image {}", arguments[0])), "{arguments:?}: {line}");
        }
    }
}

#[test]
fn bash_takes_the_completions() {
    let place = Place::new();
    let script = place.run(["completions", "bash"]).expect(0).stdout();
    assert!(COMMANDS.iter().all(|command| script.contains(command)));
    let path = place.write("completions.bash", script);
    stdout_of(tool("bash").arg("-n").arg(path));
}

#[test]
fn the_output_may_not_be_the_source() {
    let place = Place::new();
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let digest = sha256(&image);
    std::os::unix::fs::symlink("a.img", place.path("link.img")).unwrap();
    fs::hard_link(&image, place.path("second.img")).unwrap();
    for output in ["a.img", "./a.img", "link.img", "second.img"] {
        let build = ["build", "--source", "a.img", "--checksum", "none", "--output", output];
        place.run(build).expect(3).says("is one of the files that the build reads");
        place.run(["unpack", "a.img", output]).expect(3).says("is one of the files that the build reads");
    }
    assert_eq!(sha256(&image), digest);
    assert_eq!(names_in(&place.work()), ["a.img", "link.img", "second.img"]);
}
