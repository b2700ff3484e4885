//! Builds in a guest kernel that do not come to their end: a failing step, and signals. Nothing may be left that could be
//! taken for an image, and nothing that runs.

use std::fs;

use arm_image_tests::program::image::{assert_sound, ext4_file};
use arm_image_tests::program::{Ended, Place, Running, names_in, sha256};
use arm_image_tests::{images, in_guest};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;

fn source() -> String {
    images::raspios_arm64_tiny().with_extension("img.xz").display().to_string()
}

/// A build in a guest of `o/a.img` with these further arguments.
fn arguments(source: &str, more: &[&str]) -> Vec<String> {
    let build = ["build", "--source", source, "--checksum", "none", "--output", "o/a.img"];
    build.iter().chain(&["--isolation", "guest"]).chain(more).map(|&argument| argument.to_owned()).collect()
}

#[test]
fn a_failing_step_is_told_with_its_command_code_and_last_words() {
    let place = Place::new();
    let digest = sha256(source().as_ref());
    let lines = "for number in $(seq 100); do echo line-$number >&2; done; echo the-cause >&2; exit 42";
    let steps = ["--run", "true", "--run", lines, "--run", "echo never > /etc/never"];
    let ended = place.run(arguments(&source(), &steps)).expect(8);
    assert_eq!(ended.stdout(), "");
    let told = ended.stderr();
    let told = told.split("error:").nth(1).unwrap_or_else(|| panic!("no error in {ended:?}"));
    for said in ["step 2", "seq 100", "42", "  | line-100\n", "  | the-cause\n"] {
        assert!(told.contains(said), "no `{said}` in: {told}");
    }
    assert!(!told.contains("  | line-1\n"), "not the last lines: {told}");
    assert_eq!(names_in(&place.path("o")), Vec::<String>::new());
    assert_eq!(sha256(source().as_ref()), digest);
    place.assert_clean();
}

#[test]
fn a_failing_step_is_told_as_json_too() {
    let place = Place::new();
    let more = ["--progress", "json", "--run", "echo a-line; echo the-cause >&2; exit 42"];
    let ended = place.run(arguments(&source(), &more)).expect(8);
    let events: Vec<serde_json::Value> =
        ended.stderr().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let output = |stream: &str, line: &str| {
        let wanted = serde_json::json!({"event": "output", "stream": stream, "line": line});
        assert!(events.contains(&wanted), "no {wanted} in {ended:?}");
    };
    output("stdout", "a-line");
    output("stderr", "the-cause");
    let stages: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "stage")
        .map(|event| event["stage"].as_str().unwrap().to_owned())
        .collect();
    for stage in ["fetch", "unpack", "inspect", "mount", "provision", "finish"] {
        assert!(stages.iter().any(|name| name == stage), "no {stage} in {stages:?}");
    }
    let error = events.last().unwrap();
    assert_eq!((&error["event"], &error["code"]), (&"error".into(), &8.into()), "{error}");
    assert_eq!((&error["status"], &error["stderr"]), (&42.into(), &serde_json::json!(["the-cause"])));
}

#[test]
fn a_failing_build_leaves_the_older_image_as_it_was() {
    let place = Place::new();
    fs::create_dir(place.path("o")).unwrap();
    let old = place.write("o/a.img", "what was there");
    place.run(arguments(&source(), &["--run", "false"])).expect(8);
    assert_eq!(fs::read_to_string(old).unwrap(), "what was there");
    assert_eq!(names_in(&place.path("o")), ["a.img"]);
}

#[test]
fn an_unfinished_image_is_kept_where_that_is_asked_for() {
    let place = Place::new();
    let more = ["--on-error", "keep", "--run", "echo done > /etc/done", "--run", "false"];
    place.run(arguments(&source(), &more)).expect(8);
    assert_eq!(names_in(&place.path("o")), ["a.img.partial"]);
    let kept = place.path("o/a.img.partial");
    assert_eq!(ext4_file(&kept, 2, "/etc/done"), "done\n");
    assert_sound(&kept);
    place.assert_clean();
}

/// A build in the middle of a step that would take ten minutes.
fn interrupted(place: &Place) -> Running {
    let step = "echo begun; sleep 600; echo never";
    let mut running = place.start(arguments(&source(), &["--run", step]));
    running.until("begun");
    assert!(place.processes().iter().any(|line| line.contains("linux")), "{:?}", place.processes());
    running
}

/// What a signal that asks for the end leaves: nothing.
fn asked_to_end(signal: Signal) -> Ended {
    let place = Place::new();
    let running = interrupted(&place);
    running.send(signal);
    let ended = running.wait().expect(128 + signal as i32);
    assert_eq!(names_in(&place.path("o")), Vec::<String>::new());
    place.assert_clean();
    ended
}

#[test]
fn sigint_in_a_step_takes_everything_down() {
    let ended = asked_to_end(Signal::SIGINT);
    assert_eq!(ended.stdout(), "");
    assert!(ended.stderr().lines().all(|line| line != "never"), "{ended:?}");
}

#[test]
fn sigterm_in_a_step_takes_everything_down() {
    asked_to_end(Signal::SIGTERM);
}

#[test]
fn sighup_in_a_step_takes_everything_down() {
    asked_to_end(Signal::SIGHUP);
}

#[test]
fn sigkill_in_a_step_leaves_only_the_partial_image_and_the_next_build_works() {
    let place = Place::new();
    let running = interrupted(&place);
    running.send(Signal::SIGKILL);
    running.wait().expect_signal(Signal::SIGKILL);
    place.assert_processes_end();
    assert_eq!(names_in(&place.path("o")), ["a.img.partial"]);
    let again = arguments(&source(), &["--run", "echo again > /etc/again"]);
    place.run(again).expect(0).prints("o/a.img");
    assert_eq!(names_in(&place.path("o")), ["a.img"]);
    assert_eq!(ext4_file(&place.path("o/a.img"), 2, "/etc/again"), "again\n");
    assert_sound(&place.path("o/a.img"));
    // The next build has swept what the killed one left.
    place.assert_clean();
}

#[test]
fn cleanup_sweeps_what_a_killed_run_left_and_nothing_else() {
    let place = Place::new();
    let running = interrupted(&place);
    let in_use = names_in(&place.temporary());
    fs::write(place.temporary().join("arm-image-notes.txt"), "somebody else's").unwrap();
    place.run(["cleanup"]).expect(0);
    let kept = |names: &[String]| names.iter().all(|name| names_in(&place.temporary()).contains(name));
    assert!(kept(&in_use), "cleanup took what a running build uses: {in_use:?}");
    running.send(Signal::SIGKILL);
    running.wait().expect_signal(Signal::SIGKILL);
    place.assert_processes_end();
    let left = names_in(&place.temporary());
    assert!(left.len() > 1, "nothing to sweep: {left:?}");
    let told = place.run(["cleanup", "--dry-run"]).expect(0).stdout();
    assert!(told.contains("arm-image-"), "{told}");
    assert_eq!(names_in(&place.temporary()), left);
    place.run(["cleanup"]).expect(0);
    assert_eq!(names_in(&place.temporary()), ["arm-image-notes.txt"]);
}

#[test]
fn privileged_cleanup_tells_what_it_has_removed_and_what_it_could_not() {
    in_guest("privileged_cleanup_tells_what_it_has_removed_and_what_it_could_not", || {
        let place = Place::new();
        // As a killed run leaves them: with a lock that nobody holds.
        let [one, held, two] = ["a", "b", "c"].map(|name| {
            let folder = place.temporary().join(format!("arm-image-scratch-{name}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("lock"), "").unwrap();
            folder
        });
        let inner = held.join("mounted");
        fs::create_dir(&inner).unwrap();
        mount(Some("none"), &inner, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let ended = place.run(["cleanup"]).expect(1);
        let ended = ended.prints(&format!("folder {}\nfolder {}", one.display(), two.display()));
        let _ = ended.says(&format!("failed to remove `{}`", held.display())).says("busy");
        assert_eq!(names_in(&place.temporary()), ["arm-image-scratch-b"]);
        umount(&inner).unwrap();
        place.run(["cleanup"]).expect(0).prints(&format!("folder {}", held.display()));
        place.assert_clean();
    });
}
