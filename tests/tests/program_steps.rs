//! Steps and surroundings beyond the everyday ones, in a guest and on this kernel.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_names, ext4_stat};
use arm_image_tests::program::{Place, Terminal, names_in};
use arm_image_tests::{images, in_guest};

/// What a Linux file may be called, and JSON has no letters for.
const ODD: &[u8] = b"odd \xff name";

fn build<'a>(source: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["build", "--source", source, "--checksum", "none", "--output", "o.img"], more].concat()
}

fn image(path: &Path) -> String {
    path.display().to_string()
}

/// Everything that an embedder can ask for, in one build.
fn embedded(source: &Path, isolation: &str) -> Place {
    let place = Place::new();
    fs::create_dir_all(place.path("up/sub")).unwrap();
    place.write("up/plain", "plain\n");
    fs::write(place.path("up/sub").join(OsStr::from_bytes(ODD)), "odd\n").unwrap();
    fs::set_permissions(place.path("up/sub"), fs::Permissions::from_mode(0o751)).unwrap();
    symlink("/etc/passwd", place.path("up/link")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_embedder"));
    command.arg(source).arg(place.path("o.img")).arg(place.work()).arg(isolation);
    command.env("TMPDIR", place.temporary());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let made = place.path("o.img");
    assert_sound(&made);
    assert_eq!(ext4_file(&made, 2, "/etc/content"), "written\n");
    assert!(ext4_stat(&made, 2, "/etc/content").contains("Mode:  0604"));
    assert_eq!(ext4_file(&made, 2, "/opt/said"), "daemon\n/opt/up\na 'quoted' word\n");
    let stat = ext4_stat(&made, 2, "/opt/up/plain");
    assert!(stat.contains("Mode:  0640") && stat.contains("User:     1   Group:     7"), "{stat}");
    assert!(ext4_stat(&made, 2, "/opt/up/sub").contains("Mode:  0751"));
    assert!(ext4_stat(&made, 2, "/opt/up/link").contains("Fast link dest: \"/etc/passwd\""));
    assert!(ext4_names(&made, 2, "/opt").contains("tried"));

    let down = place.path("down/up");
    assert_eq!(fs::read_to_string(down.join("plain")).unwrap(), "plain\n");
    assert_eq!(fs::read_link(down.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs::read(down.join("sub").join(OsStr::from_bytes(ODD))).unwrap(), b"odd\n");
    assert_eq!(fs::metadata(down.join("plain")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names_in(&place.temporary()), Vec::<String>::new());
    place
}

#[test]
fn an_embedders_steps_are_carried_out_in_a_guest() {
    let place = embedded(&images::raspios_arm64_tiny(), "guest");
    let mount = fs::read_to_string(place.path("mount")).unwrap();
    assert!(mount.starts_with("/dev/null/"), "{mount}");
    assert!(!place.path("seen").exists());
}

#[test]
fn privileged_embedders_steps_are_carried_out_here() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_embedders_steps_are_carried_out_here", || {
        let place = embedded(&source, "host");
        assert_eq!(fs::read_to_string(place.path("seen")).unwrap(), "written\nboot\naarch64\nproc\n");
        let mount = fs::read_to_string(place.path("mount")).unwrap();
        assert!(!Path::new(mount.trim()).exists(), "it ends with the build");
    });
}

/// Shows folders in the image, one of them read-only.
fn shown(source: &Path, isolation: &str) -> Place {
    let place = Place::new();
    for name in ["packages", "a folder"] {
        fs::create_dir(place.path(name)).unwrap();
    }
    place.write("a folder/word", "of the host\n");
    let run = "cp /srv/word /var/cache/apt/archives/copied; echo x 2> /dev/null > /srv/new || echo refused";
    let binds = ["--bind", "packages:/var/cache/apt/archives", "--bind", "a folder:/srv:ro"];
    let source = image(source);
    let more = [&["--isolation", isolation, "--run", run], binds.as_slice()].concat();
    place.run(build(&source, &more)).expect(0).says("refused\n");
    assert_eq!(fs::read_to_string(place.path("packages/copied")).unwrap(), "of the host\n");
    assert_eq!(names_in(&place.path("a folder")), ["word"]);
    let made = place.path("o.img");
    assert_sound(&made);
    assert_eq!(ext4_stat(&made, 2, "/var/cache/apt/archives"), "", "what was made for it goes");
    place
}

#[test]
fn folders_of_the_host_are_shown_in_a_guest_and_files_are_not() {
    let place = shown(&images::raspios_arm64_tiny(), "guest");
    place.write("file", "x");
    // Before anything is fetched: there is nothing at this address.
    let fetch = build("http://127.0.0.1:1/a.img", &["--isolation", "guest", "--run", "true"]);
    place.run([&fetch, ["--bind", "file:/etc/file"].as_slice()].concat()).expect(3).says("it is no folder");
    place.run([&fetch, ["--bind", "missing:/srv"].as_slice()].concat()).expect(3).says("`missing`");
    place.assert_clean();
}

#[test]
fn privileged_folders_of_the_host_are_shown_here() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_folders_of_the_host_are_shown_here", || {
        let place = shown(&source, "host");
        place.write("file", "of a file\n");
        let more = ["--isolation", "host", "--bind", "file:/etc/file", "--run", "cat /etc/file"];
        place.run(build(&image(&source), &more)).expect(0).says("of a file\n");
    });
}

/// Only a kernel that was asked can tell that `/dev/null` has nothing to write back to.
const ASK: &str = "sync -d /dev/null 2> /dev/null && echo held || echo asked";

#[test]
fn services_and_the_disk_are_as_asked_for() {
    let place = Place::new();
    let copy = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let source = image(&copy);
    let guest = ["--isolation", "guest", "--run", "echo offline=$SYSTEMD_OFFLINE", "--run", ASK];
    place.run(build(&source, &guest)).expect(0).says("\noffline=1\n").says("\nheld\n");
    let more = [&guest, ["--services", "--sync"].as_slice()].concat();
    place.run(build(&source, &more)).expect(0).says("\noffline=\n").says("\nasked\n");
    // An image that is changed in place cannot be thrown away if the power fails.
    place.run(["shell", "a.img", "--isolation", "guest", "--", "sh", "-c", ASK]).expect(0).prints("asked");
}

/// What becomes of the image's own name servers, as a link and as a file.
fn name_servers(source: &Path, isolation: &str) {
    let place = Place::new();
    // Its number, kind, owner and times, but for the one that no program can set, and what goes with it.
    let inode = |image: &Path| {
        let stat = ext4_stat(image, 2, "/etc/resolv.conf");
        let changing = ["ctime", "Inode checksum", "Version"];
        let kept = |line: &&str| !changing.iter().any(|name| line.contains(name));
        stat.lines().filter(kept).collect::<Vec<_>>().join("\n")
    };
    for (make, kind) in [
        ("ln -sf /run/stub.conf /etc/resolv.conf", "Fast link dest: \"/run/stub.conf\""),
        ("rm -f /etc/resolv.conf; echo own > /etc/resolv.conf", "Type: regular"),
    ] {
        let off = ["--isolation", isolation, "--resolv-conf", "off", "--run", make];
        place.run(build(&image(source), &off)).expect(0);
        let own = place.path("own.img");
        fs::rename(place.path("o.img"), &own).unwrap();
        let before = inode(&own);
        assert!(before.contains(kind), "{before}");
        let copy = ["--isolation", isolation, "--resolv-conf", "copy-host", "--run", "cat /etc/resolv.conf"];
        for restored in [false, true] {
            let restore = if restored { ["--restore-resolv-conf"].as_slice() } else { &[] };
            place.run(build("own.img", &[&copy, restore].concat())).expect(0).says("\nnameserver ");
            let made = place.path("o.img");
            assert_sound(&made);
            let after = inode(&made);
            assert_eq!(after == before, restored, "{after}");
            assert!(!ext4_names(&made, 2, "/etc").contains(".arm-image"));
        }
        let delete = ["--resolv-conf", "delete", "--restore-resolv-conf", "--isolation", isolation];
        let look = ["--run", "test ! -e /etc/resolv.conf && test ! -L /etc/resolv.conf"];
        place.run(build("own.img", &[&delete, look.as_slice()].concat())).expect(0);
        assert_eq!(inode(&place.path("o.img")), before);
    }
}

#[test]
fn the_images_own_name_servers_come_back_in_a_guest() {
    name_servers(&images::raspios_arm64_tiny(), "guest");
}

#[test]
fn privileged_images_own_name_servers_come_back_here() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_images_own_name_servers_come_back_here", || {
        name_servers(&source, "host");
    });
}

#[test]
fn a_step_that_fills_tmp_stops_no_other() {
    let place = Place::new();
    let source = image(&images::raspios_arm64_tiny());
    let fill = "! dd if=/dev/zero of=/tmp/full bs=64k 2> /dev/null && test -s /tmp/full";
    place.write("later.sh", "#!/bin/sh\necho later > /etc/later\n");
    let steps = ["--isolation", "guest", "--run", fill, "--script", "later.sh", "--run", "cat /etc/later"];
    place.run(build(&source, &steps)).expect(0).says("\nlater\n");
    assert_eq!(ext4_file(&place.path("o.img"), 2, "/etc/later"), "later\n");
}

/// The processor that a Raspberry Pi's image is made for, and what the user says of it instead.
fn processors(source: &Path, isolation: &str) {
    let place = Place::new();
    let source = image(source);
    let armv6 = ["--isolation", isolation, "--arch", "armv6", "--preset", "raspberrypi"];
    let with = |more: &[&str]| place.run(build(&source, &[&armv6, more].concat()));
    // The image is Debian's, whose programs take a later one.
    with(&["--run", "true"]).expect(8).says("hint: qemu met an instruction");
    let cpu = ["--qemu-arg", "-cpu", "--qemu-arg", "cortex-a7"];
    let ended = with(&[&cpu, ["--run", "uname -m"].as_slice()].concat()).expect(0);
    let _ = ended.says("armv7l\n").says("-cpu cortex-a7").says("qemu-arm version ");
    assert_sound(&place.path("o.img"));
}

#[test]
fn the_processor_is_the_presets_unless_said_in_a_guest() {
    processors(&images::raspios_armhf_tiny(), "guest");
}

#[test]
fn privileged_processor_is_the_presets_unless_said_here() {
    let source = images::raspios_armhf_tiny();
    in_guest("privileged_processor_is_the_presets_unless_said_here", || processors(&source, "host"));
}

#[test]
fn arguments_of_qemu_are_carried_as_bytes() {
    let place = Place::new();
    let source = image(&images::raspios_arm64_tiny());
    let mut command = place.command(build(&source, &["--isolation", "guest", "--run", "echo $WORD"]));
    command.arg("--qemu-arg=-E").arg("--qemu-arg").arg(OsStr::from_bytes(b"WORD=it's \\ \"\xff\""));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = b"it's \\ \"\xff\"\n";
    assert!(output.stderr.windows(said.len()).any(|window| window == said), "{output:?}");
}

#[test]
fn a_failed_step_can_be_looked_at_from_a_terminal() {
    let place = Place::new();
    let source = image(&images::raspios_arm64_tiny());
    let steps = ["--isolation", "guest", "--on-error", "shell", "--run", "echo half > /etc/half; exit 9"];
    let mut terminal = Terminal::start(place.command(build(&source, &steps)));
    terminal.wait_for("step 1 failed");
    terminal.wait_for("# ");
    terminal.type_keys("cat /etc/ha''lf\r");
    terminal.wait_for("half\r\n");
    terminal.type_keys("exit 0\r");
    terminal.wait_for("error:");
    assert_eq!(terminal.finish().code(), Some(8));
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
    // Without one there is nobody to ask.
    place.run(build(&source, &steps)).expect(8).says("no terminal");
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
    place.assert_clean();
}
