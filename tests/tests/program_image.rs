//! What is done to an image without entering it: inspect, fetch, unpack, resize, doctor.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_size, facts};
use arm_image_tests::program::{Place, Server, names_in, sha256, stdout_of, tool};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

fn json_of(place: &Place, arguments: &[&str]) -> Value {
    let text = place.run(arguments).expect(0).stdout();
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Both the raw and the compressed image have to be told as `sfdisk`, `blkid` and the image's maker know it.
fn inspected(image: &Path, table: &str, arch: &str, preset: &Value, mounts: &[Option<&str>]) {
    let place = Place::new();
    let raw = image.display().to_string();
    let compressed = format!("{raw}.xz");
    let (id, partitions) = facts(image);
    let mut expected = json!({
        "path": raw,
        "size": fs::metadata(image).unwrap().len(),
        "table": table,
        "disk_id": id.trim_start_matches("0x"),
        "partitions": [],
        "os": {"id": "debian", "version_id": "12", "pretty_name": "Debian GNU/Linux 12 (bookworm)"},
        "arch": arch,
        "preset": preset,
        "obstacle": null,
    });
    let rows = partitions.iter().zip(mounts).map(|(partition, mount)| {
        json!({
            "number": partition.number, "start": partition.start, "size": partition.size,
            // sfdisk writes no leading zero, as fdisk's users know it.
            "type": format!("{:0>2}", partition.kind),
            "filesystem": partition.filesystem, "label": partition.label, "uuid": partition.uuid,
            "partuuid": partition.partuuid, "mount": mount,
        })
    });
    expected["partitions"] = rows.collect();
    assert_eq!(json_of(&place, &["inspect", "--json", &raw]), expected);
    expected["path"] = compressed.clone().into();
    assert_eq!(json_of(&place, &["inspect", "--json", &compressed]), expected);
    let words = place.run(["inspect", &compressed]).expect(0).stdout();
    assert!(words.contains(arch) && words.contains("Debian GNU/Linux 12"), "{words}");
    place.assert_clean();
}

#[test]
fn inspect_agrees_with_the_tools_on_raspberry_pi_os_for_arm64() {
    let mounts = [Some("/boot/firmware"), Some("/")];
    inspected(&images::raspios_arm64_tiny(), "mbr", "arm64", &"raspberrypi".into(), &mounts);
}

#[test]
fn inspect_agrees_with_the_tools_on_raspberry_pi_os_for_armhf() {
    let mounts = [Some("/boot/firmware"), Some("/")];
    inspected(&images::raspios_armhf_tiny(), "mbr", "armv7", &"raspberrypi".into(), &mounts);
}

#[test]
fn inspect_agrees_with_the_tools_on_a_gpt() {
    let mounts = [Some("/config"), Some("/boot/efi"), Some("/")];
    inspected(&images::gpt_arm64_tiny(), "gpt", "arm64", &Value::Null, &mounts);
}

#[test]
fn fetch_prints_a_path_that_serves_offline_later() {
    let place = Place::new();
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let digest = sha256(&archive);
    let server = Server::new("raspios.img.xz", fs::read(&archive).unwrap());
    let url = server.url("raspios.img.xz");
    let checksum = format!("sha256:{digest}");
    let fetch = ["fetch", &url, "--checksum", &checksum];
    let first = place.run(fetch).expect(0).stdout();
    let path = Path::new(first.trim_end());
    assert!(path.starts_with(place.cache()), "{first}");
    assert_eq!(sha256(path), digest);
    let asked = server.requests().len();
    assert_eq!(place.run(fetch.iter().chain(&["--offline"])).expect(0).stdout(), first);
    place.run(fetch.iter().chain(&["--offline", "-o", "copy.img.xz"])).expect(0).prints("copy.img.xz");
    assert_eq!(sha256(&place.path("copy.img.xz")), digest);
    // The bare digest is the same checksum, and a build takes what was fetched.
    let build = ["build", "--source", &url, "--checksum", &digest, "--offline", "--output", "o.img"];
    place.run(build).expect(0);
    assert_eq!(sha256(&place.path("o.img")), sha256(&images::raspios_arm64_tiny()));
    assert_eq!(server.requests().len(), asked);
    place.assert_clean();
}

#[test]
fn a_second_source_serves_where_the_first_does_not_and_the_cache_can_be_cleaned() {
    let place = Place::new();
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let checksum = format!("sha256:{}", sha256(&archive));
    let [empty, server] =
        [Vec::new(), fs::read(&archive).unwrap()].map(|bytes| Server::new("a.img.xz", bytes));
    let (first, second) = (empty.url("gone.img.xz"), server.url("a.img.xz"));
    let build =
        ["build", "--source", &first, "--source", &second, "--checksum", &checksum, "--output", "o.img"];
    place.run(build).expect(0).prints("o.img");
    assert_eq!(sha256(&place.path("o.img")), sha256(&images::raspios_arm64_tiny()));
    assert!(place.run(["cache", "list"]).expect(0).stdout().contains(&second));
    assert_eq!(place.run(["cache", "clean", "--older-than", "1"]).expect(0).stdout(), "");
    assert!(place.run(["cache", "clean"]).expect(0).stdout().contains(&second));
    assert_eq!(place.run(["cache", "list"]).expect(0).stdout(), "");
    place.run(build.iter().chain(&["--offline"])).expect(4).says("gone.img.xz");
}

#[test]
fn a_member_is_chosen_and_a_size_that_is_too_large_refused() {
    let place = Place::new();
    let image = place.copy(&images::raspios_arm64_tiny(), "board-a.img");
    place.write("board-b.img", b"another board's");
    stdout_of(tool("zip").current_dir(place.work()).args(["-q", "both.zip", "board-a.img", "board-b.img"]));
    place.run(["unpack", "both.zip", "o.img"]).expect(6).says("board-a.img").says("board-b.img");
    place.run(["unpack", "both.zip", "o.img", "--member", "*-a.img", "--max-size", "1M"]).expect(6);
    assert!(!place.path("o.img").exists());
    place.run(["unpack", "both.zip", "o.img", "--member", "*-a.img"]).expect(0);
    assert_eq!(sha256(&place.path("o.img")), sha256(&image));
}

#[test]
fn a_checksum_may_come_from_a_list_beside_the_image() {
    let place = Place::new();
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let list = format!("file:{}", archive.with_file_name("SHA256SUMS").display());
    let source = archive.display().to_string();
    let fetch = ["fetch", &source, "--checksum", &list];
    place.run(fetch).expect(0).prints(&source);
    let wrong = place.write("SHA256SUMS", format!("{:064}  raspios-arm64-tiny.img.xz\n", 0));
    place.run(["fetch", &source, "--checksum", &format!("file:{}", wrong.display())]).expect(5);
}

#[test]
fn unpack_is_exact_and_sparse() {
    let place = Place::new();
    let image = images::raspios_arm64_tiny();
    place.run([Path::new("unpack"), &image.with_extension("img.xz"), Path::new("o.img")]).expect(0);
    let output = place.path("o.img");
    stdout_of(tool("cmp").arg(&image).arg(&output));
    let found = fs::metadata(&output).unwrap();
    assert!(found.blocks() * 512 < found.len() / 2, "{} of {} bytes", found.blocks() * 512, found.len());
    assert_eq!(names_in(&place.work()), ["o.img"]);
    place.assert_clean();
}

/// An ordinary process, wherever the program finds a way, grows the table, the last partition and what is in it.
fn resized(image: &Path, last: usize) {
    let place = Place::new();
    let copy = place.copy(image, "a.img");
    let (id, before) = facts(&copy);
    let size = fs::metadata(&copy).unwrap().len();
    place.run(["resize", "a.img", "+64M"]).expect(0).prints("a.img");
    let (id_after, after) = facts(&copy);
    assert_eq!(fs::metadata(&copy).unwrap().len(), size + 64 * MIB);
    assert_eq!(id_after, id);
    assert_eq!(after[..last - 1], before[..last - 1]);
    let (old, new) = (&before[last - 1], &after[last - 1]);
    assert_eq!(
        (new.start, &new.partuuid, &new.uuid, &new.label),
        (old.start, &old.partuuid, &old.uuid, &old.label)
    );
    let file_system = ext4_size(&copy, new.number);
    assert!(new.size >= old.size + 64 * MIB, "the partition grew from {} to {}", old.size, new.size);
    assert!(new.size - file_system < 4096, "of {} bytes, the file system has {file_system}", new.size);
    assert_sound(&copy);
    // Larger only: an image that is cut off would lose files.
    let digest = sha256(&copy);
    place.run(["resize", "a.img", "32M"]).expect(3);
    assert_eq!(sha256(&copy), digest);
    assert_eq!(names_in(&place.work()), ["a.img"]);
    place.assert_clean();
}

#[test]
fn resize_grows_the_last_partition_of_an_mbr_and_its_file_system() {
    resized(&images::raspios_arm64_tiny(), 2);
}

#[test]
fn resize_grows_the_last_partition_of_a_gpt_and_its_file_system() {
    resized(&images::gpt_arm64_tiny(), 3);
}

#[test]
fn doctor_tells_the_facts_of_this_machine() {
    let place = Place::new();
    let told = json_of(&place, &["doctor", "--json"]);
    let check = |name: &str| -> bool {
        let checks = told["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        assert!(check["found"].as_str().is_some_and(|text| !text.is_empty()), "{check}");
        check["ok"].as_bool().unwrap()
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let may_mount = u64::from_str_radix(effective.trim(), 16).unwrap() & 1 << 21 != 0;
    assert_eq!(check("privilege"), nix::unistd::geteuid().is_root() && may_mount);
    let misc = fs::read_to_string("/proc/misc").unwrap_or_default();
    let has_dm = misc.contains("device-mapper");
    assert!(has_dm || !check("device-mapper"), "{told}");
    let listed = fs::read_to_string("/proc/filesystems").unwrap();
    for kind in ["vfat", "ext4"] {
        if listed.lines().any(|line| line.trim() == kind) {
            assert!(check(kind), "{told}");
        }
    }
    assert_eq!(check("guest kernel"), Path::new("/usr/bin/linux.uml").exists());
    assert_eq!(check("guest network"), Path::new("/usr/bin/slirp-fullbolt").exists());
    let host = check("privilege") && check("vfat") && check("ext4") && check("binfmt_misc");
    let host = host && (check("device-mapper") || check("loop devices"));
    let verdict = told["verdict"].as_str().unwrap();
    let place_told = if host { "(host, " } else { "(guest)" };
    assert!(verdict.contains(place_told), "{told}");
    let words = place.run(["doctor"]).expect(0).stdout();
    assert!(words.trim_end().ends_with(verdict), "{words}");
    place.assert_clean();
}
