//! No space left, on this machine and in the image.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use arm_image_tests::program::image::{ext4_file, ext4_names};
use arm_image_tests::program::kernel::Kernel;
use arm_image_tests::program::{Place, Server, names_in, sha256};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::judge::{Judge, with_image};
use crate::traced;
use crate::traced::Call::{self, First};

const MIB: u64 = 1 << 20;

/// A file system of so many bytes on a folder, for as long as this lives.
struct Small(PathBuf);

impl Small {
    fn on(folder: PathBuf, size: u64) -> Self {
        let options = format!("size={size}");
        mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Small(folder)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A test that fails has more to say than this.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// How many bytes `o.img` takes of its disk, after a build with these arguments; it goes.
fn used_by(judge: &Judge, arguments: &[String]) -> u64 {
    judge.place.run(arguments).expect(0);
    let used = 512 * std::fs::metadata(judge.place.path("o.img")).unwrap().blocks();
    std::fs::remove_file(judge.place.path("o.img")).unwrap();
    used
}

#[test]
fn privileged_no_space_for_the_output_leaves_nothing() {
    with_image("full::privileged_no_space_for_the_output_leaves_nothing", |image| {
        let judge = Judge::new(image);
        // What an image that nothing is written to takes, with the blocks that the kernel writes to mount it, and without.
        let used = used_by(&judge, &judge.build("dm", &["--run", "true"]));
        let source =
            ["build", "--source", image.to_str().unwrap(), "--checksum", "none", "--output", "o.img"];
        let unpacked = used_by(&judge, &source.map(str::to_owned));
        for mapper in ["dm", "loop"] {
            for (when, room, step, why) in [
                (
                    "unpacking",
                    4 * MIB,
                    "true",
                    "hint: free some space, or choose another place for the output",
                ),
                // The kernel takes what a step writes, and fails to write it back.
                (
                    "what a step writes",
                    used + 6 * MIB,
                    "dd if=/dev/urandom of=/fill bs=1M count=12",
                    "no space is left for `o.img.partial`",
                ),
            ] {
                let small = Small::on(judge.place.work(), room);
                let ended = judge.place.run(judge.build(mapper, &["--run", step])).expect(1).says(why);
                assert_eq!(names_in(&judge.place.work()), Vec::<String>::new(), "{ended:?}");
                drop(small);
                judge.nothing_is_left(&format!("no space for {when}, {mapper}"), false);
            }
            // The table has room, and what a larger file system has more of has not. Nobody else is told by the kernel.
            let small = Small::on(judge.place.work(), unpacked);
            let grow = ["--size", "+512M", "--isolation", "host", "--mapper", mapper, "--run", "true"];
            let ended = judge.place.run(source.iter().chain(&grow)).expect(1);
            let ended = ended.says("no space is left for `o.img.partial`").says("hint: make room");
            let _ = ended.says("failed to grow the file system of partition 2");
            assert_eq!(names_in(&judge.place.work()), Vec::<String>::new());
            drop(small);
            judge.nothing_is_left(&format!("no space for growing, {mapper}"), false);
        }
    });
}

#[test]
fn privileged_no_space_for_the_tools_that_grow_a_file_system_leaves_nothing() {
    with_image("full::privileged_no_space_for_the_tools_that_grow_a_file_system_leaves_nothing", |image| {
        // Nobody who could do it otherwise.
        let place = Place::of_user(1000);
        let source =
            ["build", "--source", image.to_str().unwrap(), "--checksum", "none", "--output", "o.img"];
        place.run(source).expect(0);
        let unpacked = 512 * std::fs::metadata(place.path("o.img")).unwrap().blocks();
        std::fs::remove_file(place.path("o.img")).unwrap();
        let small = Small::on(place.work(), unpacked);
        let ended = place.run(source.iter().chain(&["--size", "+512M"])).expect(1);
        let ended = ended.says("no space is left for `o.img.partial`").says("hint: make room");
        let _ = ended.says("failed to grow the file system of partition 2");
        assert_eq!(names_in(&place.work()), Vec::<String>::new());
        drop(small);
        place.assert_clean();
    });
}

const PARTIAL: Option<&str> = Some("o.img.partial");
/// What a file system does that fails to write.
const FAILS: (Call, &str) = (First("syncfs", None, 3), "error=EIO");

/// What the program asks then.
const QUOTA: (Call, &str) = (First("fallocate", None, 1), "error=EDQUOT");

type Refused = &'static [(Call, &'static str)];
/// Calls that are refused, the exit code, and what is said then.
const REFUSED: &[(Refused, i32, &[&str])] = &[
    (
        &[(First("pwrite64", PARTIAL, 3), "error=EDQUOT")],
        1,
        &[
            "failed to write the image at byte",
            "hint: free some space, or choose another place for the output",
        ],
    ),
    (
        &[(First("ftruncate", None, 2), "error=ENOSPC")],
        1,
        &[
            "failed to make `o.img.partial` 83886080 bytes long",
            "hint: make room on the disk of `o.img.partial`",
        ],
    ),
    (
        &[(First("write", PARTIAL, 1), "error=ENOSPC")],
        1,
        &["failed to write the partition table", "hint: make room on the disk of `o.img.partial`"],
    ),
    // Nobody but the disk itself can say why.
    (
        &[FAILS],
        9,
        &["failed to take down what the build had set up", "failed to write `/boot/firmware` back"],
    ),
    (&[FAILS, QUOTA], 1, &["no space is left for `o.img.partial`", "failed to write `/boot/firmware` back"]),
    (
        &[(First("fsync", None, 1), "error=EIO"), QUOTA],
        1,
        &["no space is left for `o.img.partial`", "failed to grow the file system of partition 2"],
    ),
    (
        &[(First("fsync", None, 3), "error=EIO"), QUOTA],
        1,
        &[
            "no space is left for `o.img.partial`",
            "failed to write all that is for `/dev/dm-1` into the image",
        ],
    ),
    (
        &[(First("fsync", None, 4), "error=ENOSPC")],
        1,
        &["failed to write out `o.img.partial`", "hint: make room on the disk of `o.img.partial`"],
    ),
    (
        &[(First("rename", None, 1), "error=EDQUOT")],
        1,
        &["failed to give the finished image the name `o.img`", "hint: make room on the disk of `o.img`"],
    ),
];

#[test]
fn privileged_no_space_at_any_write_leaves_nothing() {
    with_image("full::privileged_no_space_at_any_write_leaves_nothing", |image| {
        let judge = Judge::new(image);
        for (calls, code, said) in REFUSED {
            let build = judge.build("dm", &["--run", "true"]);
            let ended = traced::run(&judge.place, &build, calls.iter().copied()).expect(*code);
            let ended = said.iter().fold(ended, |ended, text| ended.says(text));
            assert_eq!(ended.stderr().contains("no space is left for"), calls.len() > 1, "{ended:?}");
            judge.nothing_is_left(&format!("{calls:?}"), false);
        }
    });
}

#[test]
fn privileged_no_space_in_the_cache_leaves_nothing() {
    with_image("full::privileged_no_space_in_the_cache_leaves_nothing", |image| {
        let judge = Judge::new(image);
        let archive = image.with_extension("img.xz");
        let content = std::fs::read(&archive).unwrap();
        let (length, server) = (content.len() as u64, Server::new("a.img.xz", content));
        let (url, checksum) = (server.url("a.img.xz"), format!("sha256:{}", sha256(&archive)));
        let build = ["build", "--source", &url, "--checksum", &checksum, "--output", "o.img"];
        let build = |more: &[&'static str]| judge.place.run(build.iter().chain(more));
        for (folder, more) in [(judge.place.cache(), &[][..]), (judge.place.temporary(), &["--no-cache"])] {
            let small = Small::on(folder.clone(), length / 2);
            let ended = build(more).expect(1).says("No space left on device").says(folder.to_str().unwrap());
            let _ = ended.says("hint: free some space there, or choose a cache folder elsewhere");
            drop(small);
            judge.nothing_is_left("no space for the archive", false);
        }
        // The archive has room, and what was in it has not: the next build unpacks it again.
        for _ in 0..2 {
            let small = Small::on(judge.place.cache(), length + MIB);
            let ended = build(&[]).expect(0).says("warning: the unpacked image is not kept in the cache");
            let _ = ended.says("No space left on device");
            let names = names_in(&judge.place.cache());
            assert!(names.iter().all(|name| !name.contains("partial")), "{names:?}");
            drop(small);
            judge.is_sound("no space for the unpacked image in the cache");
            judge.nothing_is_left("no space for the unpacked image in the cache", false);
        }
    });
}

/// Fills a file system to its last byte, by root, for whom some are kept.
fn fill(folder: &str) -> String {
    let fill = |size| format!("dd if=/dev/zero of={folder}/fill-{size} bs={size} 2> /dev/null");
    [fill("1M"), fill("1k"), fill("1")].join("; ")
}

#[test]
fn privileged_an_image_without_room_is_entered_all_the_same() {
    with_image("full::privileged_an_image_without_room_is_entered_all_the_same", |image| {
        let mut judge = Judge::new(image);
        let own = "rm -f /etc/resolv.conf; echo own > /etc/resolv.conf; echo /own.so > /etc/ld.so.preload";
        let asker = "touch /usr/sbin/invoke-rc.d; chmod +x /usr/sbin/invoke-rc.d";
        let full = [own, asker, "set +e", &fill("/boot/firmware"), &fill(""), "test -s /fill-1M"].join("; ");
        judge.place.run(judge.build("dm", &["--resolv-conf", "off", "--services", "--run", &full])).expect(0);
        std::fs::rename(judge.place.path("o.img"), judge.place.path("full")).unwrap();
        judge.material("full", std::fs::read(judge.place.path("full")).unwrap());
        let full = judge.place.path("full");
        let look = |image: &Path| {
            let files = ["/etc/resolv.conf", "/etc/ld.so.preload"].map(|path| ext4_file(image, 2, path));
            (files, ["/etc", "/usr/sbin"].map(|path| ext4_names(image, 2, path)))
        };
        let before = look(&full);
        assert_eq!(before.0, ["own\n", "/own.so\n"]);
        let seen =
            "grep nameserver /etc/resolv.conf; test ! -s /etc/ld.so.preload; grep 101 /usr/sbin/policy-rc.d";
        for mapper in ["dm", "loop"] {
            let source = ["build", "--source", "full", "--checksum", "none", "--output", "o.img"];
            let build = |more: &[&'static str]| {
                let here = ["--isolation", "host", "--mapper", mapper];
                judge.place.run(source.iter().chain(&here).chain(more))
            };
            let _ = build(&["--run", seen]).expect(0);
            assert_eq!(look(&judge.place.path("o.img")), before);
            judge.is_sound("an image without room");
            judge.nothing_is_left("an image without room", false);
            let room = "that file system of the image is full: let it grow before";
            for (what, code, more) in [
                (
                    "make the mount point `/new/place`",
                    7,
                    ["--mount", "2=/", "--mount", "1=/new/place"].as_slice(),
                ),
                ("create `/etc/new`", 8, &["--copy", "full:/etc/new"]),
                ("create `/boot/firmware/new`", 8, &["--copy", "full:/boot/firmware/new"]),
            ] {
                let ended = build(&[more, &["--run", "true"]].concat()).expect(code);
                let _ = ended.says(what).says("No space left on device").says(room);
                judge.nothing_is_left(what, false);
            }
        }
    });
}

#[test]
fn privileged_no_space_on_this_machine_for_what_a_step_makes_leaves_nothing() {
    with_image("full::privileged_no_space_on_this_machine_for_what_a_step_makes_leaves_nothing", |image| {
        let mut judge = Judge::new(image);
        judge.template("provisioner \"shell-local\" {\n inline = [\"true\"]\n}\n");
        let before = Kernel::look();
        let small = Small::on(judge.place.temporary(), 4096);
        std::fs::write(judge.place.temporary().join("full"), [0; 4096]).unwrap();
        let ended = judge.place.run(["build", "t.pkr.hcl", "--isolation", "host"]).expect(8);
        let _ = ended.says("No space left on device");
        assert_eq!(names_in(&judge.place.temporary()), ["full"]);
        drop(small);
        assert_eq!(Kernel::look(), before);
        judge.nothing_is_left("no space for temporary files", false);

        let download = "direction = \"download\"\n source = \"/bin/busybox\"\n destination = \"down/new\"";
        judge.template(&format!("provisioner \"file\" {{\n {download}\n}}\n"));
        judge.material("down", "");
        std::fs::remove_file(judge.place.path("down")).unwrap();
        std::fs::create_dir(judge.place.path("down")).unwrap();
        let small = Small::on(judge.place.path("down"), 64 * 1024);
        let ended = judge.place.run(["build", "t.pkr.hcl", "--isolation", "host"]).expect(8);
        let ended = ended.says("failed to write `down/new`").says("No space left on device");
        let _ = ended.says("hint: make room on that disk of this machine");
        assert_eq!(names_in(&judge.place.path("down")), Vec::<String>::new());
        drop(small);
        judge.nothing_is_left("no space for what is downloaded out of the image", false);

        judge.material("packages", "");
        std::fs::remove_file(judge.place.path("packages")).unwrap();
        std::fs::create_dir(judge.place.path("packages")).unwrap();
        let small = Small::on(judge.place.path("packages"), 64 * 1024);
        let step =
            ["--apt-cache", "packages", "--run", "dd if=/dev/zero of=/var/cache/apt/archives/a.deb bs=1M"];
        let _ = judge.place.run(judge.build("dm", &step)).expect(8).says("No space left on device");
        assert_eq!(names_in(&judge.place.path("packages")), Vec::<String>::new());
        drop(small);
        judge.nothing_is_left("no space for packages", false);
    });
}

#[test]
fn privileged_no_space_in_the_image_leaves_nothing() {
    with_image("full::privileged_no_space_in_the_image_leaves_nothing", |image| {
        let mut judge = Judge::new(image);
        let file = std::fs::File::create(judge.place.path("large")).unwrap();
        file.set_len(200 * MIB).unwrap();
        judge.material("small", "");
        std::fs::rename(judge.place.path("large"), judge.place.path("small")).unwrap();
        for mapper in ["dm", "loop"] {
            for steps in [
                ["--run", "dd if=/dev/zero of=/fill bs=1M"],
                ["--run", "dd if=/dev/zero of=/boot/firmware/fill bs=1M"],
                ["--copy", "small:/etc/large"],
                ["--copy", "small:/boot/firmware/large"],
            ] {
                let ended = judge.place.run(judge.build(mapper, &steps)).expect(8);
                let _ = ended.says("No space left on device");
                judge.nothing_is_left(&format!("{steps:?}, {mapper}"), false);
            }
        }
    });
}
