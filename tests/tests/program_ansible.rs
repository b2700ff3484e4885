//! Ansible's playbooks, run by root on this kernel in an image that this machine's ansible sees mounted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::path::{Path, PathBuf};

use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_names, ext4_stat};
use arm_image_tests::program::kernel::{Kernel, mount_binfmt};
use arm_image_tests::program::{Place, names_in, stdout_of, tool, wait_for};
use arm_image_tests::{images, in_guest};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;

/// Packer's own documentation has such a playbook; the image of this test has no Python, which these modules do not take.
const RAW: &str = r#"
- hosts: default
  gather_facts: false
  tasks:
    - raw: echo {{ greeting }} from {{ inventory_hostname }}, {{ packer_build_name | quote }} of {{ packer_builder_type }} > /etc/raw
    - script: note.sh {{ mount }}
- hosts: kitchens
  gather_facts: false
  tasks:
    - raw: echo {{ groups['kitchens'] | length }} {{ groups['attics'] | length }} > /etc/groups-seen
  roles:
    - of_the_galaxy
- hosts: attics:elsewhere
  gather_facts: false
  tasks:
    - raw: touch /etc/not-for-us
"#;

const TEMPLATE: &str = r#"
variable "image" {}
variable "playbook" {}
variable "command" {
  default = "ansible-playbook"
}
source "arm-image" "it's a" {
  iso_url         = var.image
  iso_checksum    = "none"
  output_filename = "o.img"
}
build {
  sources = ["source.arm-image.it's a"]
  provisioner "ansible" {
    playbook_file       = var.playbook
    command             = var.command
    groups              = ["kitchens"]
    empty_groups        = ["attics"]
    inventory_directory = "inventory"
    galaxy_file         = "requirements.yml"
    roles_path          = "roles"
    ansible_env_vars    = ["ANSIBLE_NOCOLOR=1"]
    extra_arguments     = ["--connection=chroot", "--inventory=/mnt/image,", "-e ansible_host=/mnt/image", "-e", "mount=${build.MountPath}"]
    user                = "pi"

    inventory_file_template = "default ansible_host=${build.MountPath} ansible_connection=chroot\n"
  }
}
"#;

fn materials(place: &Place) {
    place.write("t.pkr.hcl", TEMPLATE);
    place.write("raw.yml", RAW);
    place.write("note.sh", "#!/bin/sh\necho \"$1\" > /etc/mount\n");
    place.write("other.yml", "- hosts: webservers\n  tasks:\n    - raw: touch /etc/not-for-us\n");
    fs::create_dir_all(place.path("inventory/group_vars")).unwrap();
    place.write("inventory/group_vars/kitchens.yml", "greeting: hello\n");
    // As it comes from the galaxy: packed.
    for (name, text) in [
        ("meta", "galaxy_info: {author: a, description: d, license: MIT, min_ansible_version: '2.9'}\n"),
        ("tasks", "- raw: echo role > /etc/role\n"),
    ] {
        fs::create_dir_all(place.path("unpacked/role").join(name)).unwrap();
        place.write(&format!("unpacked/role/{name}/main.yml"), text);
    }
    stdout_of(tool("tar").args(["-czf", "role.tar.gz", "-C", "unpacked", "role"]).current_dir(place.work()));
    place.write("requirements.yml", "- src: role.tar.gz\n  name: of_the_galaxy\n");
}

/// Runs `body` with an image that has been made before, as there is no network inside.
fn with_ansible(name: &str, make: fn() -> PathBuf, body: fn(&Path)) {
    let found = tool("sh").args(["-c", "command -v ansible-playbook"]).output().unwrap().status.success();
    assert!(found, "there is no ansible-playbook: scripts/install-dependencies installs Debian's `ansible`");
    let image = make();
    in_guest(name, || body(&image));
}

#[test]
fn privileged_ansibles_modules_run_in_the_image() {
    let name = "privileged_ansibles_modules_run_in_the_image";
    with_ansible(name, images::raspios_arm64_python, |image| {
        what_modules_do(image);
        what_a_signal_leaves(image);
    });
}

#[test]
fn privileged_a_playbook_finds_the_image_by_its_names() {
    let name = "privileged_a_playbook_finds_the_image_by_its_names";
    with_ansible(name, images::raspios_arm64_tiny, |image| {
        what_the_inventory_holds(image);
        what_goes_wrong(image);
    });
}

/// The example, with modules that are Python programs and run in the image.
fn what_modules_do(image: &Path) {
    let place = Place::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ansible");
    let image = format!("image={}", image.display());
    let build = ["build", example, "--var", &image, "--var", "hostname=attic", "--isolation", "host"];
    place.run(build).expect(0).prints("attic.img");
    let image = place.path("attic.img");
    assert_eq!(ext4_file(&image, 2, "/etc/hostname"), "attic\n");
    assert!(ext4_file(&image, 2, "/etc/hosts").contains("127.0.1.1 attic\n"));
    assert_eq!(ext4_file(&image, 2, "/etc/motd"), "This is attic, Debian 12 on aarch64.\n");
    assert!(ext4_stat(&image, 2, "/etc/motd").contains("Mode:  0644"));
    assert!(ext4_stat(&image, 2, "/var/log/journal").contains("Mode:  02755"));
    let told = place.run(["inspect", "--json", "attic.img"]).expect(0).stdout();
    assert!(told.contains("\"preset\":\"raspberrypi\""), "{told}");
    for folder in ["/root", "/tmp"] {
        assert_eq!(ext4_names(&image, 2, folder), ".\n..", "ansible leaves nothing in {folder}");
    }
    assert_sound(&image);
    place.assert_clean();
}

fn what_the_inventory_holds(image: &Path) {
    let place = Place::new();
    materials(&place);
    let image = format!("image={}", image.display());
    let ended = place.run(["build", "t.pkr.hcl", "--var", &image, "--var", "playbook=raw.yml"]).expect(0);
    let _ = ended.says("the key `user` has no effect").says("not `/mnt/image`");
    let image = place.path("o.img");
    assert_eq!(ext4_file(&image, 2, "/etc/raw"), "hello from default, it's a of arm-image\n");
    assert_eq!(ext4_file(&image, 2, "/etc/groups-seen"), "1 0\n");
    assert_eq!(ext4_file(&image, 2, "/etc/role"), "role\n");
    assert_eq!(names_in(&place.path("roles")), ["of_the_galaxy"]);
    let seen = ext4_file(&image, 2, "/etc/mount");
    assert!(seen.starts_with("/proc/"), "{seen}");
    assert!(ext4_stat(&image, 2, "/etc/not-for-us").is_empty());
    assert_sound(&image);
    place.assert_clean();
}

fn what_goes_wrong(image: &Path) {
    let place = Place::new();
    materials(&place);
    // The galaxy has nothing to do with it.
    let template: Vec<_> = TEMPLATE.lines().filter(|line| !line.contains("galaxy")).collect();
    place.write("t.pkr.hcl", template.join("\n"));
    let image = format!("image={}", image.display());
    // To ansible, a playbook that is for nobody is a success.
    let nobody = place.run(["build", "t.pkr.hcl", "--var", &image, "--var", "playbook=other.yml"]);
    let _ = nobody.expect(8).says("no play of the playbook is for the image");
    assert_eq!(names_in(&place.work()).iter().filter(|name| name.starts_with("o.img")).count(), 0);

    let variables = ["--var", &image, "--var", "playbook=other.yml", "--var", "command=/opt/no-such-ansible"];
    let missing = place.run(["build", "t.pkr.hcl"].iter().chain(&variables)).expect(3);
    let _ = missing.says("t.pkr.hcl:16:").says("there is no program `/opt/no-such-ansible`");
    // What a step before is to make is looked for when it is needed.
    place.write("later.pkr.hcl", template.join("\n").replace("user   ", "skip_version_check = true\nuser"));
    let missing = place.run(["build", "later.pkr.hcl"].iter().chain(&variables)).expect(8);
    let _ = missing.says("there is no `/opt/no-such-ansible` on this machine");

    // As with ansible-core alone.
    let python = "import ansible_collections; print(list(ansible_collections.__path__)[0])";
    let collections = stdout_of(tool("python3").args(["-c", python]));
    let collections = Path::new(collections.trim());
    let none: Option<&str> = None;
    mount(none, collections, Some("tmpfs"), MsFlags::empty(), none).unwrap();
    place.write("all.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - raw: 'true'\n");
    let core = place.run(["build", "t.pkr.hcl", "--var", &image, "--var", "playbook=all.yml"]);
    umount(collections).unwrap();
    let _ = core.expect(8).says("ansible-galaxy collection install community.general");
    place.assert_clean();
}

/// A module that runs in the image ends with the build, and so does ansible here; nothing is held by them.
fn what_a_signal_leaves(image: &Path) {
    let place = Place::new();
    fs::create_dir(place.path("shown")).unwrap();
    place.write(
        "sleep.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - raw: sleep 800 & setsid sleep 900 & touch /srv/started; sleep 1000\n",
    );
    let template = format!(
        "source \"arm-image\" \"a\" {{\n iso_url = {image:?}\n iso_checksum = \"none\"\n output_filename = \"o.img\"\n \
         additional_chroot_mounts = [[\"bind\", \"shown\", \"/srv\"]]\n}}\n\
         build {{\n sources = [\"source.arm-image.a\"]\n provisioner \"ansible\" {{ playbook_file = \"sleep.yml\" }}\n}}\n"
    );
    place.write("t.pkr.hcl", template);
    mount_binfmt();
    let before = Kernel::look();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let running = place.start(["build", "t.pkr.hcl"]);
        wait_for("the module to begin", || fs::remove_file(place.path("shown/started")).ok());
        assert_ne!(Kernel::look().processes, before.processes);
        running.send(signal);
        let ended = running.wait();
        let mut names = vec!["shown", "sleep.yml", "t.pkr.hcl"];
        if signal == Signal::SIGKILL {
            let _ = ended.expect_signal(signal);
            place.assert_processes_end();
            names.insert(0, "o.img.partial");
            // What the kernel takes down by itself nobody waits for.
            wait_for("the mounts to go", || (Kernel::look().mounts == before.mounts).then_some(()));
            place.run(["cleanup"]).expect(0);
            wait_for("the devices to go", || (Kernel::look() == before).then_some(()));
        } else {
            let _ = ended.expect(128 + signal as i32);
        }
        assert_eq!(Kernel::look(), before, "{signal}");
        assert_eq!(names_in(&place.work()), names, "{signal}");
        place.assert_clean();
    }
}
