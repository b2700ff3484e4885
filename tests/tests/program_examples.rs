//! The examples are what they say: all valid, and each built from an image of its kind. The one for ansible, which takes
//! root, is in `program_ansible.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::path::{Path, PathBuf};

use arm_image_tests::images;
use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_stat, facts, fat_file};
use arm_image_tests::program::{Place, names_in, program};

const KEY: &str = "ssh-ed25519 AAAA test";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// An example's name, and its variables that have no value of their own.
fn examples(place: &Place) -> Vec<(&'static str, Vec<String>)> {
    let key = format!("key={}", place.write("key.pub", format!("{KEY}\n")).display());
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    vec![
        ("ansible", texts(&[])),
        ("armbian", texts(&["image=armbian.img.xz"])),
        ("beaglebone", texts(&["image=bone.img.xz", "password=correct-horse", &key])),
        ("kiosk/kiosk.json", texts(&[])),
        ("raspberrypi-ssh", texts(&[&key])),
        ("raspberrypi-wifi", texts(&["ssid=home net", "passphrase=correct-horse"])),
        ("ubuntu-cloud-init", texts(&["image=ubuntu.img.xz"])),
    ]
}

#[test]
fn the_examples_are_valid_and_listed() {
    let place = Place::new();
    let mut names = Vec::new();
    for (name, variables) in examples(&place) {
        let path = folder().join(name).display().to_string();
        let mut validate = vec!["validate".to_owned(), path];
        variables.into_iter().for_each(|variable| validate.extend(["--var".to_owned(), variable]));
        let ended = place.run(&validate).expect(0);
        assert_eq!(ended.stderr(), "", "{name}");
        assert!(!ended.stdout().contains("horse"), "{name}");
        names.push(name.split('/').next().unwrap());
    }
    names.extend(["README.md", "resize-only"]);
    names.sort_unstable();
    assert_eq!(names_in(&folder()), names);
    let listed = fs::read_to_string(folder().join("README.md")).unwrap();
    for name in names.into_iter().filter(|name| *name != "README.md") {
        assert!(listed.contains(&format!("[{name}]({name})")), "{name} is not in examples/README.md");
        assert!(name == "resize-only" || folder().join(name).join("README.md").exists(), "{name}");
    }
}

/// Builds an example from `image`, and gives what it made: one that is known for what it is.
fn built(place: &Place, name: &str, image: &Path, variables: &[&str], output: &str, preset: &str) -> PathBuf {
    let mut build = vec!["build".to_owned(), folder().join(name).display().to_string()];
    build.extend(["--isolation".to_owned(), "guest".to_owned()]);
    build.extend(["--var".to_owned(), format!("image={}", image.display())]);
    variables.iter().for_each(|variable| build.extend(["--var".to_owned(), (*variable).to_owned()]));
    let _ = place.run(&build).expect(0).prints(output);
    let made = place.path(output);
    let told = place.run(["inspect", "--json", output]).expect(0).stdout();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["preset"], preset, "{told}");
    assert_sound(&made);
    made
}

#[test]
fn the_examples_for_raspberry_pi_are_built() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny().with_extension("img.xz");
    let key = format!("key={}", place.write("key.pub", format!("{KEY}\n")).display());
    let image = built(&place, "raspberrypi-ssh", &source, &[&key], "card.img", "raspberrypi");
    assert_eq!(ext4_file(&image, 2, "/root/.ssh/authorized_keys"), format!("{KEY}\n"));
    assert!(ext4_stat(&image, 2, "/root/.ssh/authorized_keys").contains("Mode:  0600"));
    assert!(ext4_stat(&image, 2, "/root/.ssh").contains("Mode:  0700"));
    assert_eq!(
        ext4_file(&image, 2, "/etc/ssh/sshd_config.d/10-keys-only.conf"),
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    );
    assert_eq!(fat_file(&image, 1, "/ssh"), "");

    let network = ["ssid=home net", "passphrase=correct-horse"];
    let image = built(&place, "raspberrypi-wifi", &source, &network, "kitchen.img", "raspberrypi");
    assert_eq!(ext4_file(&image, 2, "/etc/hostname"), "kitchen\n");
    let connection = "/etc/NetworkManager/system-connections/wifi.nmconnection";
    assert!(
        ext4_file(&image, 2, connection)
            .contains("ssid=home net\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=correct-horse\n")
    );
    let stat = ext4_stat(&image, 2, connection);
    assert!(stat.contains("Mode:  0600") && stat.contains("User:     0"), "{stat}");
    place.assert_clean();
}

#[test]
fn the_kiosk_is_built() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny();
    let page = ["page=https://example.org/menu"];
    let image = built(&place, "kiosk/kiosk.json", &source, &page, "kiosk.img", "raspberrypi");
    assert_eq!(ext4_file(&image, 2, "/etc/default/kiosk"), "PAGE=https://example.org/menu\n");
    assert_eq!(
        ext4_file(&image, 2, "/etc/systemd/system/kiosk.service"),
        fs::read_to_string(folder().join("kiosk/files/kiosk.service")).unwrap()
    );
    let wanted = ext4_stat(&image, 2, "/etc/systemd/system/multi-user.target.wants/kiosk.service");
    assert!(wanted.contains("../kiosk.service"), "{wanted}");
    place.assert_clean();
}

#[test]
fn the_example_for_ubuntu_seeds_cloud_init() {
    let place = Place::new();
    let source = images::ubuntu_arm64_tiny().with_extension("img.xz");
    let key = format!("key={KEY}");
    let image = built(&place, "ubuntu-cloud-init", &source, &[&key, "hostname=attic"], "attic.img", "ubuntu");
    let label = |number: usize| facts(&image).1[number - 1].label.clone();
    assert_eq!((label(1).as_str(), label(2).as_str()), ("system-boot", "writable"));
    let data =
        format!("#cloud-config\nhostname: attic\nssh_pwauth: false\nssh_authorized_keys:\n  - {KEY}\n");
    assert_eq!(fat_file(&image, 1, "/user-data"), data);
    assert_eq!(
        fat_file(&image, 1, "/network-config"),
        fs::read_to_string(folder().join("ubuntu-cloud-init/network-config")).unwrap()
    );
    // What else was there, stays.
    assert!(fat_file(&image, 1, "/meta-data").contains("instance_id"));
    assert!(ext4_stat(&image, 2, "/etc/resolv.conf").contains("stub-resolv.conf"));
    place.assert_clean();
}

#[test]
fn the_example_for_beaglebone_writes_its_settings() {
    let place = Place::new();
    let source = images::beaglebone_armhf_tiny().with_extension("img.xz");
    let key = format!("key={}", place.write("key.pub", format!("{KEY}\n")).display());
    let settings = ["hostname=shed", "password=correct horse", &key];
    let image = built(&place, "beaglebone", &source, &settings, "shed.img", "beaglebone");
    let text = fat_file(&image, 1, "/sysconf.txt");
    let settings =
        format!("hostname=shed\nuser_name=debian\nuser_password=correct horse\nuser_authorized_key={KEY}\n");
    assert!(text.starts_with("# ") && text.ends_with(&settings), "{text}");
    let wanted = ext4_stat(&image, 3, "/etc/systemd/system/multi-user.target.wants/heartbeat.service");
    assert!(wanted.contains("../heartbeat.service"), "{wanted}");
    assert!(ext4_file(&image, 3, "/etc/systemd/system/heartbeat.service").starts_with("[Unit]\n"));
    assert_eq!(facts(&image).1[1].filesystem, "swap");
    place.assert_clean();
}

#[test]
fn the_example_for_armbian_installs_a_package_by_the_images_own_apt() {
    let place = Place::new();
    let source = images::armbian_arm64(&program());
    let size = 512 << 20;
    let image = built(&place, "armbian", &source, &[&format!("size={size}")], "armbian.img", "armbian");
    assert_eq!(fs::metadata(&image).unwrap().len(), size);
    let status = ext4_file(&image, 1, "/var/lib/dpkg/status");
    let package = status.split("\n\n").find(|package| package.starts_with("Package: tree\n")).unwrap();
    assert!(package.contains("Status: install ok installed\n") && package.contains("Architecture: arm64\n"));
    assert!(ext4_stat(&image, 1, "/usr/bin/tree").contains("Type: regular"));
    assert_eq!(facts(&image).1[0].label, "armbi_root");
    place.assert_clean();
}
