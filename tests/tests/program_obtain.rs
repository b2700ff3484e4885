//! From the network to the image: fetched, verified and unpacked at once, and kept for the next build.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::path::Path;

use arm_image_tests::images;
use arm_image_tests::program::{Place, Server, names_in, sha256, stdout_of, tool};

/// A server with the compressed test image, and the checksum of that.
fn served() -> (Server, String) {
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let checksum = format!("sha256:{}", sha256(&archive));
    (Server::new("raspios.img.xz", fs::read(&archive).unwrap()), checksum)
}

fn assert_is_image(path: &Path) {
    assert_eq!(sha256(path), sha256(&images::raspios_arm64_tiny()), "{}", path.display());
}

/// The files in the cache whose names end so.
fn kept(place: &Place, ending: &str) -> usize {
    names_in(&place.cache()).iter().filter(|name| name.ends_with(ending)).count()
}

#[test]
fn a_second_build_copies_the_image_that_the_first_left() {
    let place = Place::new();
    let (server, checksum) = served();
    let url = server.url("raspios.img.xz");
    let build = ["build", "--source", &url, "--checksum", &checksum, "--output"];
    place.run(build.iter().chain(&["first.img"])).expect(0).prints("first.img");
    assert_is_image(&place.path("first.img"));
    assert_eq!(kept(&place, ".unpacked"), 1);
    assert_eq!(kept(&place, ".partial"), 0);
    let asked = server.requests().len();
    // Not even the archive is needed any more.
    let archive = names_in(&place.cache()).into_iter().find(|name| !name.contains('.')).unwrap();
    fs::remove_file(place.cache().join(archive)).unwrap();
    place.run(build.iter().chain(&["second.img"])).expect(0).says("unpacked earlier");
    assert_is_image(&place.path("second.img"));
    assert_eq!(server.requests().len(), asked);
    // The one in the cache is not the one that was made of it.
    assert_eq!(kept(&place, ".unpacked"), 1);
    let listed = place.run(["cache", "list"]).expect(0).stdout();
    assert!(listed.contains(&checksum[7..]) || listed.contains(&url), "{listed}");
    place.run(["cache", "clean"]).expect(0);
    assert_eq!(kept(&place, ".unpacked"), 0);
    place.assert_clean();
}

#[test]
fn an_image_without_a_digest_is_kept_for_as_long_as_the_server_has_the_same() {
    let place = Place::new();
    let (server, _) = served();
    let url = server.url("raspios.img.xz");
    let build = ["build", "--source", &url, "--checksum", "none", "--output", "o.img"];
    place.run(build).expect(0);
    place.run(build.iter().chain(&["--offline"])).expect(0).says("unpacked earlier");
    assert_is_image(&place.path("o.img"));
    // This server gives no validators, so the next download is another file for all that is known.
    let again = place.run(build).expect(0);
    assert!(!again.stderr().contains("unpacked earlier"), "{again:?}");
    assert_is_image(&place.path("o.img"));
}

#[test]
fn builds_at_the_same_time_share_download_and_image() {
    let place = Place::new();
    let (server, checksum) = served();
    let url = server.url("raspios.img.xz");
    let running: Vec<_> = (0..8)
        .map(|number| {
            let output = format!("{number}.img");
            place.start(["build", "--source", &url, "--checksum", &checksum, "--output", &output])
        })
        .collect();
    for (number, one) in running.into_iter().enumerate() {
        one.wait().expect(0);
        assert_is_image(&place.path(&format!("{number}.img")));
    }
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|line| line.starts_with("GET")).count(), 1, "{requests:?}");
    assert_eq!(kept(&place, ".unpacked"), 1);
    place.assert_clean();
}

#[test]
fn nothing_is_kept_where_that_is_asked_for() {
    let place = Place::new();
    let (server, checksum) = served();
    let url = server.url("raspios.img.xz");
    let build = ["build", "--source", &url, "--checksum", &checksum, "--output", "o.img", "--no-cache"];
    place.run(build).expect(0);
    assert_is_image(&place.path("o.img"));
    assert_eq!(names_in(&place.cache()), Vec::<String>::new());
    place.assert_clean();
}

#[test]
fn a_zip_that_cannot_be_unpacked_while_it_arrives_is_unpacked_afterwards() {
    let place = Place::new();
    place.copy(&images::raspios_arm64_tiny(), "raspios.img");
    stdout_of(tool("zip").current_dir(place.work()).args(["-q", "raspios.zip", "raspios.img"]));
    let server = Server::new("raspios.zip", fs::read(place.path("raspios.zip")).unwrap());
    let url = server.url("raspios.zip");
    place.run(["build", "--source", &url, "--checksum", "none", "--output", "o.img"]).expect(0);
    assert_is_image(&place.path("o.img"));
    assert_eq!(kept(&place, ".unpacked"), 1);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn damage_on_the_way_ends_with_5_and_damage_at_the_origin_with_6() {
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let right = format!("sha256:{}", sha256(&archive));
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let place = Place::new();
    let own = format!("sha256:{}", sha256(&place.write("damaged.img.xz", &bytes)));
    fs::remove_file(place.path("damaged.img.xz")).unwrap();
    let server = Server::new("a.img.xz", bytes);
    let url = server.url("a.img.xz");
    let build = |checksum: &str, code| {
        let build = ["build", "--source", &url, "--checksum", checksum, "--output", "o.img"];
        let ended = place.run(build).expect(code);
        assert_eq!(names_in(&place.work()), Vec::<String>::new());
        assert_eq!(kept(&place, ".unpacked"), 0);
        place.assert_clean();
        ended
    };
    build(&right, 5).says(&right[7..]);
    build(&own, 6).says("xz");
}

#[test]
fn the_unpacked_image_may_have_the_checksum() {
    let place = Place::new();
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let source = archive.display().to_string();
    let digest = sha256(&images::raspios_arm64_tiny());
    let build = |sum: &str| {
        let build = ["build", "--source", &source, "--image-checksum", sum, "--output", "o.img"];
        place.run(build)
    };
    build(&digest).expect(0).prints("o.img");
    fs::remove_file(place.path("o.img")).unwrap();
    let list = place.write("SHA256SUMS", format!("{digest}  raspios-arm64-tiny.img\n"));
    build(&format!("file:{}", list.display())).expect(0);
    fs::remove_file(place.path("o.img")).unwrap();
    // That of the archive is another.
    build(&sha256(&archive)).expect(5).says(&digest);
    assert_eq!(names_in(&place.work()), ["SHA256SUMS"]);
    place.run(["build", "--source", &source, "--output", "o.img"]).expect(2).says("--checksum");
}

#[test]
fn a_list_has_to_be_signed_by_a_key_of_the_keyring() {
    let place = Place::new();
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let source = archive.display().to_string();
    let list = place.write("SHA256SUMS", format!("{}  raspios-arm64-tiny.img.xz\n", sha256(&archive)));
    let keys = place.path("keys");
    fs::create_dir(&keys).unwrap();
    let gpg = |arguments: &[&str]| {
        stdout_of(
            tool("gpg").current_dir(place.work()).env("GNUPGHOME", &keys).arg("--batch").args(arguments),
        )
    };
    gpg(&["--quick-generate-key", "--passphrase", "", "Image maker <maker@example.org>", "ed25519", "sign"]);
    gpg(&["--output", "keyring.gpg", "--export"]);
    let checksum = format!("file:{}", list.display());
    let fetch = ["fetch", &source, "--checksum", &checksum, "--keyring", "keyring.gpg"];
    place.run(fetch).expect(5).says("SHA256SUMS");
    gpg(&["--output", "SHA256SUMS.gpg", "--detach-sign", "SHA256SUMS"]);
    place.run(fetch).expect(0).prints(&source);
    let build = ["build", "--source", &source, "--checksum", &checksum, "--keyring", "keyring.gpg"];
    place.run(build.iter().chain(&["--output", "o.img"])).expect(0);
    assert_is_image(&place.path("o.img"));
    // What was signed is another list now.
    place.write("SHA256SUMS", format!("{:064}  raspios-arm64-tiny.img.xz\n", 0));
    place.run(fetch).expect(5).says("SHA256SUMS");
    let _ = tool("gpgconf").env("GNUPGHOME", &keys).args(["--kill", "all"]).status();
}

#[test]
fn what_the_build_reads_is_never_its_output() {
    let place = Place::new();
    let image = images::raspios_arm64_tiny();
    let first = image.display().to_string();
    for name in ["second.img", "o.img.partial", "list", "list2.partial", "step.partial"] {
        place.write(name, format!("{:064}  x.img\n", 0));
    }
    let refused = |output: &str, more: &[&str]| {
        let before = sha256(&place.path(more.last().unwrap().trim_start_matches("file:")));
        let build = ["build", "--source", &first, "--output", output];
        let ended = place.run(build.iter().chain(more)).expect(3);
        assert_eq!(
            sha256(&place.path(more.last().unwrap().trim_start_matches("file:"))),
            before,
            "{ended:?}"
        );
    };
    refused("second.img", &["--checksum", "none", "--source", "second.img"]);
    refused("o.img", &["--checksum", "none", "--source", "o.img.partial"]);
    refused("list", &["--checksum", "file:list"]);
    refused("list2", &["--image-checksum", "file:list2.partial"]);
    refused("step", &["--checksum", "none", "--script", "step.partial"]);
    place.assert_clean();
}

#[test]
fn what_cannot_be_unpacked_is_not_downloaded_to_its_end() {
    let place = Place::new();
    let mut content = vec![0xeb; 64 << 20];
    content[510..512].copy_from_slice(&[0x55, 0xaa]);
    let checksum = format!("sha256:{}", sha256(&place.write("a.img", &content)));
    let server = Server::new("a.img", content);
    let url = server.url("a.img");
    let build = ["build", "--source", &url, "--checksum", &checksum, "--max-size", "1M", "--output", "o.img"];
    place.run(build).expect(6).says(&url);
    let partial = names_in(&place.cache()).into_iter().find(|name| name.ends_with(".partial")).unwrap();
    assert!(fs::metadata(place.cache().join(partial)).unwrap().len() < 60 << 20);
}

#[test]
fn bytes_without_a_digest_that_are_of_no_use_are_fetched_anew() {
    let place = Place::new();
    let archive = images::raspios_arm64_tiny().with_extension("img.xz");
    let server = Server::new("a.img.xz", fs::read(&archive).unwrap());
    let url = server.url("a.img.xz");
    let wrong = format!("sha256:{:064}", 0);
    let build = ["build", "--source", &url, "--output", "o.img", "--image-checksum"];
    place.run(build.iter().chain(&[wrong.as_str()])).expect(5);
    assert_eq!(kept(&place, ".unpacked"), 0, "it is verified before it is kept");
    assert_eq!(kept(&place, ".json"), 0);
    place.run(build.iter().chain(&[sha256(&images::raspios_arm64_tiny()).as_str()])).expect(0);
    assert_is_image(&place.path("o.img"));
}
