//! Whole builds without privilege, in a guest kernel, judged by what the usual tools find in the image afterwards.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use arm_image_tests::images;
use arm_image_tests::program::image::{
    assert_sound, ext4_file, ext4_names, ext4_size, ext4_stat, facts, fat_file,
};
use arm_image_tests::program::{Place, names_in, sha256};

const MIB: u64 = 1 << 20;
/// No user of most machines: what kernels show for users they do not know.
const NOBODY: u32 = 65534;

/// The digests of the files in a folder.
fn digests(folder: &Path) -> Vec<(String, String)> {
    names_in(folder).into_iter().map(|name| (sha256(&folder.join(&name)), name)).collect()
}

/// What is to be copied and run, in the folder that the program works in.
fn materials(place: &Place) {
    place.write("motd", "Welcome to the kitchen\n");
    fs::create_dir_all(place.path("tree/sub/empty")).unwrap();
    place.write("tree/plain", "plain\n");
    let tool = place.write("tree/sub/tool", "#!/bin/sh\necho \"tool of $(uname -m)\"\n");
    fs::set_permissions(tool, PermissionsExt::from_mode(0o755)).unwrap();
    symlink("sub/tool", place.path("tree/link")).unwrap();
    let script = "#!/bin/sh\nset -e\necho \"$GREETING from $0\" > /etc/from-script\necho to-stderr >&2\n";
    place.write("script.sh", script);
}

/// A build with every kind of step; `root` is the number of the root's partition, `boot` where the image mounts the
/// first, `machine` what the image's own programs are to say of theirs.
fn built(image: &Path, root: u64, boot: &str, machine: &str) {
    let place = Place::new();
    materials(&place);
    let folder = image.parent().unwrap();
    let digests_before = digests(folder);
    let source = image.with_extension("img.xz").display().to_string();
    let boot_line = format!("echo from-the-build > {boot}/hello.txt");
    let run = "uname -m > /etc/machine; id -u > /etc/user; busybox | head -n 1 > /etc/busybox; cat /etc/motd";
    let build = ["build", "--source", &source, "--checksum", "none", "--output", "o/kitchen.img"];
    let steps = [
        ["--size", "+64M", "--isolation", "guest", "--env", "GREETING=a word with 'quotes' & more"]
            .as_slice(),
        &["--copy", "motd:/etc/motd", "--run", run, "--copy", "tree:/opt/tree"],
        &["--run", "/opt/tree/link > /etc/tool", "--script", "script.sh", "--run", &boot_line],
        &["--run", "df -k / | tail -n 1 | awk '{ print $2 }' > /etc/space"],
    ];
    let ended = place.run(build.iter().chain(&steps.concat())).expect(0).prints("o/kitchen.img");
    let _ = ended.says("Welcome to the kitchen\n").says("to-stderr\n");

    let output = place.path("o/kitchen.img");
    let read = |path: &str| ext4_file(&output, root, path);
    assert_eq!(read("/etc/machine"), format!("{machine}\n"));
    assert_eq!(read("/etc/user"), "0\n");
    assert!(read("/etc/busybox").starts_with("BusyBox v"), "{}", read("/etc/busybox"));
    assert_eq!(read("/etc/motd"), "Welcome to the kitchen\n");
    assert_eq!(read("/opt/tree/plain"), "plain\n");
    assert_eq!(read("/etc/tool"), format!("tool of {machine}\n"));
    assert!(read("/etc/from-script").starts_with("a word with 'quotes' & more from "));
    assert!(ext4_stat(&output, root, "/opt/tree/sub/empty").contains("Type: directory"));
    assert!(ext4_stat(&output, root, "/opt/tree/link").contains("Fast link dest: \"sub/tool\""));
    let stat = ext4_stat(&output, root, "/opt/tree/sub/tool");
    assert!(stat.contains("Mode:  0755") && stat.contains("User:     0   Group:     0"), "{stat}");
    assert_eq!(fat_file(&output, 1, "/hello.txt"), "from-the-build\n");
    let kilobytes: u64 = read("/etc/space").trim().parse().unwrap();
    assert!(kilobytes * 1024 > 64 * MIB, "inside, the root had {kilobytes} KiB");
    // Nothing of the build stays inside.
    for path in ["/script.sh", "/usr/bin/arm-image-qemu"] {
        assert_eq!(ext4_stat(&output, root, path), "", "{path}");
    }
    assert_eq!(read("/etc/resolv.conf"), ext4_file(image, root, "/etc/resolv.conf"));
    for folder in ["/", "/tmp", "/dev", "/run", "/root"] {
        assert_eq!(ext4_names(&output, root, folder), ext4_names(image, root, folder), "{folder}");
    }

    assert_sound(&output);
    let (id, before) = facts(image);
    let (id_after, after) = facts(&output);
    assert_eq!(id_after, id);
    let (last, rest) = before.split_last().unwrap();
    let (grown, same) = after.split_last().unwrap();
    assert_eq!(same, rest);
    assert_eq!((&grown.partuuid, grown.start), (&last.partuuid, last.start));
    assert_eq!((&grown.uuid, &grown.label), (&last.uuid, &last.label));
    assert!(grown.size >= last.size + 64 * MIB);
    assert!(grown.size - ext4_size(&output, root) < 4096, "the file system fills its partition");
    assert_eq!(fs::metadata(&output).unwrap().len(), fs::metadata(image).unwrap().len() + 64 * MIB);
    assert_eq!(digests(folder), digests_before);
    assert_eq!(names_in(&place.path("o")), ["kitchen.img"]);
    assert_eq!(names_in(&place.cache()), Vec::<String>::new());
    place.assert_clean();
}

#[test]
fn an_arm64_image_is_customised_by_its_own_programs() {
    built(&images::raspios_arm64_tiny(), 2, "/boot/firmware", "aarch64");
}

#[test]
fn an_armhf_image_is_customised_by_its_own_programs() {
    built(&images::raspios_armhf_tiny(), 2, "/boot/firmware", "armv7l");
}

#[test]
fn a_gpt_image_is_customised_by_its_own_programs() {
    built(&images::gpt_arm64_tiny(), 3, "/config", "aarch64");
}

#[test]
fn an_ordinary_user_needs_no_more_than_root() {
    let place = Place::of_user(NOBODY);
    let source = place.copy(&images::raspios_arm64_tiny().with_extension("img.xz"), "source.img.xz");
    let source = source.display().to_string();
    let build = ["build", "--source", &source, "--checksum", "none", "--output", "o.img", "--size", "+16M"];
    let steps = ["--run", "id -u > /etc/user; uname -m > /etc/machine; chown 1:1 /etc/user"];
    place.run(build.iter().chain(&steps)).expect(0).prints("o.img");
    let output = place.path("o.img");
    assert_eq!(ext4_file(&output, 2, "/etc/user"), "0\n");
    assert_eq!(ext4_file(&output, 2, "/etc/machine"), "aarch64\n");
    assert!(ext4_stat(&output, 2, "/etc/user").contains("User:     1   Group:     1"));
    assert_sound(&output);
    place.assert_clean();
}

#[test]
fn two_builds_at_once_from_one_source_do_not_meet() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().with_extension("img.xz").display().to_string();
    let digest = sha256(Path::new(&source));
    let runs = ["one.img", "two.img"].map(|output| {
        let build = ["build", "--source", &source, "--checksum", &digest, "--output", output];
        let steps =
            ["--isolation", "guest", "--run", "uname -a > /etc/built; seq 5000 > /root/numbers; sync"];
        place.start(build.iter().chain(&steps))
    });
    for run in runs {
        run.wait().expect(0);
    }
    let outputs = ["one.img", "two.img"].map(|name| place.path(name));
    for output in &outputs {
        assert_sound(output);
        assert_eq!(ext4_file(output, 2, "/root/numbers").lines().count(), 5000);
    }
    for path in ["/root/numbers", "/etc/fstab", "/etc/passwd", "/etc/hostname"] {
        assert_eq!(ext4_file(&outputs[0], 2, path), ext4_file(&outputs[1], 2, path), "{path}");
    }
    assert_eq!(fat_file(&outputs[0], 1, "/cmdline.txt"), fat_file(&outputs[1], 1, "/cmdline.txt"));
    assert_eq!(sha256(Path::new(&source)), digest);
    place.assert_clean();
}

#[test]
fn an_output_that_is_being_written_is_refused_to_others() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().display().to_string();
    let build = ["build", "--source", &source, "--checksum", "none", "--output", "o.img"];
    let steps = ["--isolation", "guest", "--run", "echo begun; sleep 600"];
    let mut first = place.start(build.iter().chain(&steps));
    first.until("begun");
    place.run(build).expect(3).says("another build is writing");
    assert_eq!(names_in(&place.work()), ["o.img.partial"]);
    first.send(nix::sys::signal::Signal::SIGINT);
    first.wait().expect(130);
    place.run(build).expect(0);
    place.assert_clean();
}

#[test]
fn name_servers_copied_into_the_image_are_the_hosts_and_bound_ones_do_not_stay() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().display().to_string();
    let build = |mode: &str, output: &str| {
        let build = ["build", "--source", &source, "--checksum", "none", "--output", output];
        let steps = ["--isolation", "guest", "--resolv-conf", mode, "--run", "cat /etc/resolv.conf"];
        place.run(build.iter().chain(&steps)).expect(0).says("nameserver");
        ext4_file(&place.path(output), 2, "/etc/resolv.conf")
    };
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    assert_eq!(build("copy-host", "copied.img").trim(), host.trim());
    assert!(!build("bind-host", "bound.img").contains("nameserver"));
}

/// The guest's line takes no more than 4 KiB at once; what is asked may be longer.
#[test]
fn a_command_of_any_length_is_run_in_a_guest() {
    let place = Place::new();
    place.copy(&images::raspios_arm64_tiny(), "a.img");
    let shell = ["shell", "a.img", "--isolation", "guest", "--", "/bin/sh", "-c"];
    for length in [900, 1100, 60_000] {
        let script = format!("echo {} | wc -c", "x".repeat(length));
        let ended = place.run(shell.iter().copied().chain([script.as_str()])).expect(0);
        assert_eq!(ended.stdout(), format!("{}\n", length + 1));
    }
}
