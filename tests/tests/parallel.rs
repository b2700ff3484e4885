//! Eight builds at once on one kernel, from one source: what they make is what they make one by one, and other ARM programs
//! of the machine go on undisturbed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use arm_image_tests::program::image::{assert_sound, ext4_file, facts};
use arm_image_tests::program::kernel::{BINFMT, Kernel, mount_binfmt};
use arm_image_tests::program::{Place, names_in, sha256, stdout_of, tool, wait_for};
use arm_image_tests::{images, in_guest};

const BUILDS: usize = 8;

/// The arguments of one build. Those with odd numbers have arguments for qemu: what `uname -r` is to say. With `together`,
/// a folder, each waits in the middle until all have come that far.
fn arguments(source: &str, number: usize, mapper: &str, together: Option<&Path>) -> Vec<String> {
    let output = format!("{number}.img");
    let build = ["build", "--source", source, "--checksum", "none", "--output", &output, "--size", "+16M"];
    let begin =
        format!("echo build-{number} > /etc/number; uname -r > /etc/release; seq 3000 > /root/numbers");
    // Whoever came last, the programs that are started from now on have the arguments of their own image.
    let end = "uname -r >> /etc/release; uname -m > /boot/firmware/machine; rm /root/numbers; mkdir -m 2750 /srv/made; \
               ln -s made /srv/link; chown 1:2 /srv/made";
    let mut all: Vec<_> = build.iter().map(|&word| word.to_owned()).collect();
    all.extend(["--isolation", "host", "--mapper", mapper, "--run", &begin].map(str::to_owned));
    if let Some(folder) = together {
        let wait =
            format!(": > /met/{number}; while [ $(ls /met | wc -l) -lt {BUILDS} ]; do sleep 0.1; done");
        all.extend(["--bind", &format!("{}:/met", folder.display()), "--run", &wait].map(str::to_owned));
    }
    all.extend(["--run", end].map(str::to_owned));
    if number % 2 == 1 {
        all.extend(["--qemu-arg=-r", &format!("--qemu-arg=6.6.{number} \"it's\" \\ odd")].map(str::to_owned));
    }
    all
}

/// All that is in an image, but for times: its table, and of each file system the kinds, modes, owners, sizes and contents; hard
/// links, extended attributes and device numbers by the digest of an archive.
fn manifest(place: &Place, image: &Path) -> String {
    let look = "here=$(mktemp -d); cd \"$here\"; for device in \"$PART1\" \"$PART2\"; do mkdir m; mount -o ro \"$device\" m; \
                (find m -printf '%P %y %m %U %G %l\n'; find m -type f -exec sha256sum {} +; find m -type f -printf '%P %s\n') | \
                sort; tar --format=pax --pax-option=delete=atime,delete=ctime --mtime=@0 --sort=name --xattrs \
                --xattrs-include='*' -cf - m | sha256sum; umount m; rmdir m; done; cd /; rmdir \"$here\"";
    let map = ["map", &image.display().to_string(), "--mapper", "loop", "--", "sh", "-ec", look];
    let listed = place.run(map).expect(0).stdout();
    assert!(listed.lines().count() > 300, "{listed}");
    format!("{:?}\n{listed}", facts(image))
}

/// A stranger's ARM program in a root of its own, in namespaces of its own as in a container, that starts others without end.
struct Stranger {
    child: Child,
    folder: tempfile::TempDir,
}

impl Stranger {
    fn start(busybox: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::copy(busybox, folder.path().join("bin/busybox")).unwrap();
        // Errors are kept, and each round leaves a line.
        let script = "while :; do /bin/busybox uname -r || exit 9; /bin/busybox sleep 0.2; done";
        let output = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "chroot"])
            .arg(folder.path())
            .args(["/bin/busybox", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(output("said"))
            .stderr(output("errors"))
            .spawn()
            .unwrap();
        let stranger = Stranger { child, folder };
        wait_for("the stranger's first program", || (!stranger.said().is_empty()).then_some(()));
        stranger
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// It has been running all the time, and its programs were as ever.
    fn end(mut self, release: &str) {
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {:?}", self.folder);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert_eq!(fs::read_to_string(self.folder.path().join("errors")).unwrap(), "");
        let said = self.said();
        let whole = said.rsplit_once('\n').unwrap().0;
        assert_eq!(whole.lines().find(|line| *line != release), None);
        assert!(whole.lines().count() > 5);
    }
}

/// A handler of the host's, as Debian's packages register them.
fn host_handler() {
    let magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    let line = format!(":qemu-aarch64:M::{magic}:{mask}:/usr/bin/qemu-aarch64-static:F");
    fs::write(Path::new(BINFMT).join("register"), line).unwrap();
}

fn eight_at_once(name: &str, mapper: &'static str) {
    let image = images::raspios_arm64_tiny();
    let resolv_conf = fs::read("/etc/resolv.conf").unwrap();
    in_guest(name, || {
        mount_binfmt();
        host_handler();
        let handler = fs::read(Path::new(BINFMT).join("qemu-aarch64")).unwrap();
        let (source, digest) = (image.display().to_string(), sha256(&image));
        let place = Place::new();
        fs::create_dir(place.path("met")).unwrap();
        let own = place.path("busybox");
        stdout_of(
            tool("debugfs")
                .arg("-R")
                .arg(format!("dump /bin/busybox {}", own.display()))
                .arg(root_of(&place, &image)),
        );
        stdout_of(tool("chmod").arg("755").arg(&own));
        let before = Kernel::look();
        let stranger = Stranger::start(&own);
        let with_stranger = Kernel::look();

        let met = place.path("met");
        let running: Vec<_> =
            (0..BUILDS).map(|number| place.start(arguments(&source, number, mapper, Some(&met)))).collect();
        for (number, running) in running.into_iter().enumerate() {
            running.wait().expect(0).prints(&format!("{number}.img"));
        }
        assert_eq!(names_in(&met).len(), BUILDS, "they have met");
        assert_eq!(Kernel::look().handlers, with_stranger.handlers);
        assert_eq!(Kernel::look().dm, with_stranger.dm);
        assert_eq!(Kernel::look().loops, with_stranger.loops);
        assert_eq!(Kernel::look().mounts, with_stranger.mounts);

        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        for number in 0..BUILDS {
            let together = place.path(&format!("{number}.img"));
            assert_sound(&together);
            let said = match number % 2 {
                1 => format!("6.6.{number} \"it's\" \\ odd\n"),
                _ => release.clone(),
            };
            assert_eq!(ext4_file(&together, 2, "/etc/release"), said.repeat(2), "{number}");
            let at_once = manifest(&place, &together);
            fs::remove_file(&together).unwrap();
            // The same again, with nobody beside it.
            place.run(arguments(&source, number, mapper, None)).expect(0);
            // The place that was made to show the folder at is gone again.
            assert_eq!(manifest(&place, &together), at_once, "{number}");
            fs::remove_file(&together).unwrap();
        }
        stranger.end(release.trim());
        assert_eq!(Kernel::look(), before);
        assert_eq!(fs::read(Path::new(BINFMT).join("qemu-aarch64")).unwrap(), handler);
        assert_eq!(fs::read("/etc/resolv.conf").unwrap(), resolv_conf);
        assert_eq!(sha256(&image), digest);
        assert_eq!(names_in(&place.temporary()), Vec::<String>::new());
    });
}

/// The image's root file system as a file of its own.
fn root_of(place: &Place, image: &Path) -> std::path::PathBuf {
    let root = facts(image).1.pop().unwrap();
    let own = place.path("root.ext4");
    let mut dd = tool("dd");
    dd.arg(format!("if={}", image.display()))
        .arg(format!("of={}", own.display()))
        .arg("bs=1M")
        .arg("status=none");
    stdout_of(dd.arg(format!("skip={}", root.start >> 20)).arg("conv=sparse"));
    own
}

#[test]
fn privileged_eight_builds_at_once_with_dm_make_what_they_make_one_by_one() {
    eight_at_once("privileged_eight_builds_at_once_with_dm_make_what_they_make_one_by_one", "dm");
}

#[test]
fn privileged_eight_builds_at_once_with_loop_devices_make_what_they_make_one_by_one() {
    eight_at_once("privileged_eight_builds_at_once_with_loop_devices_make_what_they_make_one_by_one", "loop");
}
