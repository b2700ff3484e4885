//! Which qemu runs the image's programs, and what is said where that fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use arm_image_qemu::Arch;
use arm_image_tests::machine_code::{MACHINE_ARM, lister, program};
use arm_image_tests::program::image::{assert_sound, ext4_file, ext4_stat};
use arm_image_tests::program::kernel::{BINFMT, mount_binfmt};
use arm_image_tests::program::{Ended, Place, Terminal, names_in};
use arm_image_tests::{images, in_guest};
use nix::mount::{MsFlags, mount};

const QEMU: &str = "/usr/bin/qemu-aarch64-static";

fn build(place: &Place, source: &Path, more: &[&str]) -> Ended {
    let source = source.display().to_string();
    let build = ["build", "--source", &source, "--checksum", "none", "--output", "o.img"];
    place.run([&build, more].concat())
}

/// A program of a few instructions in the folder that the program works in.
fn write_program(place: &Place, name: &str, arch: Arch, code: &[u32]) {
    let path = place.write(name, program(arch, code));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A handler of the host's for arm64.
fn register_theirs(flags: &str) {
    let magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    let line = format!(":theirs:M::{magic}:{mask}:{QEMU}:{flags}");
    fs::write(Path::new(BINFMT).join("register"), line).unwrap();
}

/// Uses the qemu that is asked for, or says why it does not.
fn chosen(source: &Path, isolation: &str, shown_as: &str) {
    let place = Place::new();
    fs::copy(QEMU, place.path("my-qemu")).unwrap();
    place.write("script", "#!/bin/sh\n");
    let with = |qemu: &str| {
        // The quickest processor, unless a step knows better.
        let look = "uname -m; echo on $QEMU_CPU; QEMU_CPU=none-such /bin/busybox true || echo refused";
        build(&place, source, &["--isolation", isolation, "--qemu-binary", qemu, "--run", look])
    };
    let used = with("./my-qemu").expect(0).says("\naarch64\n").says(shown_as).says("qemu-aarch64 version ");
    let _ = used.says("\non max,pauth=off,sve=off\n").says("none-such").says("\nrefused\n");
    fs::remove_file(place.path("o.img")).unwrap();
    // All but the last before anything is fetched.
    for (qemu, why, hint) in [
        ("/bin/true", "is not static: inside an image its loader `", "hint: install a static qemu-user"),
        ("script", "/script` is not an ELF program", "hint: the kernel starts qemu directly"),
        ("absent", "failed to read `", ""),
        (
            "/usr/bin/qemu-arm-static",
            "`/usr/bin/qemu-arm-static` is qemu-arm, but arm64 programs need qemu-aarch64",
            "hint: give qemu-aarch64-static",
        ),
    ] {
        let ended = with(qemu).expect(7).says(why).says(hint);
        assert_eq!(ended.stderr().contains("unpack:"), qemu.contains("qemu-arm"), "{ended:?}");
    }
    assert_eq!(names_in(&place.work()), ["my-qemu", "script"]);
    place.assert_clean();
}

#[test]
fn the_qemu_that_is_asked_for_is_used_in_a_guest() {
    chosen(&images::raspios_arm64_tiny(), "guest", "own handler");
}

#[test]
fn privileged_qemu_that_is_asked_for_is_used_here() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_qemu_that_is_asked_for_is_used_here", || chosen(&source, "host", "/my-qemu "));
}

/// The kernel's newest handler runs all programs: whoever has another is told of it, or is left alone.
#[test]
fn privileged_qemu_that_is_asked_for_does_not_take_over_others_unsaid() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_qemu_that_is_asked_for_does_not_take_over_others_unsaid", || {
        mount_binfmt();
        let place = Place::new();
        fs::copy(QEMU, place.path("my-qemu")).unwrap();
        let with = |more: &[&str]| {
            let run = ["--qemu-binary", "./my-qemu", "--run", "uname -m"];
            build(&place, &source, &[&run, more].concat())
        };
        let here = |ended: Ended, handler: Option<&str>| {
            let ended =
                ended.expect(0).says("on this machine's kernel\n").says("/my-qemu ").says("\naarch64\n");
            let warning = handler.map(|handler| {
                format!(
                    "warning: until the image is taken down, the qemu asked for also runs this machine's other arm64 \
                     programs, in the place of the handler `{handler}`; --isolation guest keeps it to the image\n"
                )
            });
            assert_eq!(ended.stderr().contains("warning: "), warning.is_some(), "{ended:?}");
            let _ = ended.says(&warning.unwrap_or_default());
            fs::remove_file(place.path("o.img")).unwrap();
        };
        // Nobody else is there.
        here(with(&["--isolation", "auto"]), None);
        register_theirs("F");
        let own = build(&place, &source, &["--run", "uname -m"]).expect(0);
        assert!(!own.stderr().contains("warning: "), "{own:?}");
        fs::remove_file(place.path("o.img")).unwrap();
        here(with(&["--isolation", "host"]), Some("theirs"));
        let away =
            "in a guest kernel, as the qemu asked for would run this machine's other arm64 programs, too\n";
        // In this kernel it does not start; what is chosen is told before.
        let _ = with(&["--isolation", "auto"]).says(away);
        // A guest cannot show a file.
        here(with(&["--bind", "my-qemu:/srv/file"]), Some("theirs"));
        mount(Some("/dev/null"), "/usr/bin/linux", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        here(with(&["--isolation", "auto"]), Some("theirs"));
        // Another build of ours is somebody else, too.
        fs::write(Path::new(BINFMT).join("theirs"), "-1").unwrap();
        let options = arm_image_qemu::Options { search: vec!["/usr/bin".into()], ..Default::default() };
        let other = arm_image_qemu::enable(Arch::Arm64, &options).unwrap();
        let name = names_in(BINFMT.as_ref()).into_iter().find(|name| name.starts_with("arm-image-")).unwrap();
        here(with(&["--isolation", "auto"]), Some(&name));
        other.close().unwrap();
        place.assert_clean();
    });
}

/// In a container, the host's handlers are there, cannot be changed, and may be of the kind that looks for qemu at each start.
#[test]
fn privileged_qemu_is_shown_in_the_image_where_handlers_cannot_be_changed() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_qemu_is_shown_in_the_image_where_handlers_cannot_be_changed", || {
        let binfmt = |flags| mount(Some("none"), BINFMT, Some("binfmt_misc"), flags, None::<&str>).unwrap();
        binfmt(MsFlags::empty());
        register_theirs("OP");
        let theirs = fs::read(Path::new(BINFMT).join("theirs")).unwrap();
        binfmt(MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);

        let place = Place::new();
        let look = format!("uname -m; test -x {QEMU} && echo it is here");
        let ended = build(&place, &source, &["--isolation", "host", "--run", &look]).expect(0);
        let ended = ended.says("\naarch64\n").says("\nit is here\n");
        let _ = ended
            .says("by the host's handler theirs using /usr/bin/qemu-aarch64-static")
            .says("shown in the image");
        let made = place.path("o.img");
        assert_sound(&made);
        assert_eq!(ext4_stat(&made, 2, QEMU), "", "what was made for it goes");
        // What cannot be done without a handler of ours says what forbids it.
        let cpu = ["--isolation", "host", "--qemu-arg", "-cpu", "--qemu-arg", "max", "--run", "true"];
        build(&place, &source, &cpu).expect(7).says("failed to register").says("Read-only file system");
        assert_eq!(fs::read(Path::new(BINFMT).join("theirs")).unwrap(), theirs);
        place.assert_clean();
    });
}

/// Steps that empty what is private in the image, and what may be planted there.
#[test]
fn privileged_arguments_of_qemu_outlast_what_steps_do_to_them() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_arguments_of_qemu_outlast_what_steps_do_to_them", || {
        let place = Place::new();
        let file = "/dev/.arm-image-qemu-arguments";
        let mut steps = vec!["--isolation", "host", "--qemu-arg=-r", "--qemu-arg=5.5.5-x"];
        let all = [
            "rm -rf /run/* /run/.[a-z]* || umount -l /run",
            &format!("rm {file}"),
            &format!("umount -l /dev; rm -f {file}"),
            &format!("rm -f {file}; ln -s /etc/planted {file}; echo planted > /etc/planted"),
            &format!("echo 6.6.6 > {file}"),
            "uname -r",
        ]
        .map(|damage| format!("uname -r >> /etc/releases; {damage}"));
        steps.extend(all.iter().flat_map(|step| ["--run", step]));
        build(&place, &source, &steps).expect(0).says("\n5.5.5-x\n").says("-r 5.5.5-x");
        let made = place.path("o.img");
        assert_sound(&made);
        assert_eq!(ext4_file(&made, 2, "/etc/releases"), "5.5.5-x\n".repeat(all.len()));
        assert_eq!(ext4_file(&made, 2, "/etc/planted"), "planted\n");
        assert_eq!(ext4_stat(&made, 2, file), "", "nothing of it stays");
        // A shell and a command in the image have them as well.
        let shell = ["shell", "o.img", "--isolation", "host", "--qemu-arg=-r", "--qemu-arg=5.5.5-x"];
        let ended = place.run(shell.iter().chain(&["--", "uname", "-r"])).expect(0);
        assert_eq!(ended.stdout(), "5.5.5-x\n");
        let mut terminal = Terminal::start(place.command(shell));
        terminal.wait_for("# ");
        terminal.type_keys("rm /dev/.arm-image*; uname -r\r");
        terminal.wait_for("5.5.5-x\r\n");
        terminal.type_keys("exit 0\r");
        assert_eq!(terminal.finish().code(), Some(0));
        place.assert_clean();
    });
}

#[test]
fn more_arguments_of_qemu_than_can_be_are_told_at_once_and_many_are_told_in_short() {
    let place = Place::new();
    let source = images::raspios_arm64_tiny();
    let with = |length: usize| {
        let word = format!("--qemu-arg=WORD={}", "x".repeat(length));
        build(&place, &source, &["--isolation", "guest", "--qemu-arg=-E", &word, "--run", "echo ${#WORD}."])
    };
    // `-E` and `WORD=` with the NULs are nine bytes.
    let ended = with((64 << 10) - 8).expect(3).says(
        "error: qemu cannot be given these arguments: the arguments have 65537 bytes, but at most 65536 are possible\n",
    );
    assert!(!ended.stderr().contains("fetch:"), "{ended:?}");
    assert_eq!(names_in(&place.work()), Vec::<String>::new());
    let ended =
        with(5000).expect(0).says("\n5000.\n").says(" -E WORD=xxx").says("xxx…: qemu-aarch64 version ");
    assert!(!ended.stderr().contains(&"x".repeat(200)), "{ended:?}");
}

/// Programs for the first Raspberry Pi see its processor.
fn machine(source: &Path, isolation: &str) {
    let place = Place::new();
    write_program(&place, "machine", Arch::Armv6, &MACHINE_ARM);
    build(&place, source, &["--isolation", isolation, "--copy", "machine:/root/machine"]).expect(0);
    // Of the two kinds of image that the preset stands for, one is made for a later processor.
    for (arch, said) in [("armv6", "armv6l"), ("armv7", "armv7l")] {
        let shell = ["shell", "o.img", "--isolation", isolation, "--arch", arch, "--preset", "raspberrypi"];
        let ended = place.run(shell.iter().chain(&["--", "/root/machine"])).expect(7);
        assert_eq!(ended.stdout().trim(), said, "{ended:?}");
    }
}

#[test]
fn the_first_raspberry_pis_programs_run_in_a_guest() {
    machine(&images::raspios_armhf_tiny(), "guest");
}

#[test]
fn privileged_first_raspberry_pis_programs_run_here() {
    let source = images::raspios_armhf_tiny();
    in_guest("privileged_first_raspberry_pis_programs_run_here", || machine(&source, "host"));
}

/// The quickest processor for arm64 is none for programs of 32 bits, which a handler of the host's may run.
#[test]
fn privileged_programs_of_another_architecture_have_a_processor_of_theirs() {
    let source = images::raspios_arm64_tiny();
    in_guest("privileged_programs_of_another_architecture_have_a_processor_of_theirs", || {
        mount_binfmt();
        let magic = r"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00";
        let line = format!(":theirs:M::{magic}::/usr/bin/qemu-arm-static:F");
        fs::write(Path::new(BINFMT).join("register"), line).unwrap();
        let place = Place::new();
        write_program(&place, "machine", Arch::Armv7, &MACHINE_ARM);
        let with = |source: &Path, copy: &str, run: &str| {
            build(&place, source, &["--isolation", "host", "--copy", copy, "--run", run])
        };
        // Nothing tells of such programs.
        let _ = with(&source, "machine:/bin/machine", "machine")
            .expect(8)
            .says("hint: the processor that `QEMU_CPU` names is none of this qemu's");
        let run = "env -u QEMU_CPU machine || test $? = 7";
        let _ = with(&source, "machine:/bin/machine", run).expect(0).says("\narmv7l");
        // What loads them does.
        with(&source, "machine:/lib/ld-linux-armhf.so.3", "test $QEMU_CPU").expect(0);
        fs::rename(place.path("o.img"), place.path("both.img")).unwrap();
        let run = "test ! $QEMU_CPU; uname -m; machine || test $? = 7";
        let ended = with("both.img".as_ref(), "machine:/bin/machine", run).expect(0);
        let _ = ended.says("\naarch64\n").says("\narmv7l");
        place.assert_clean();
    });
}

/// Debian's own C library for armhf, in qemu, with the positions that a real ext4 and a real tmpfs hand out.
#[test]
fn folders_that_32_bit_programs_cannot_list_are_explained() {
    let place = Place::new();
    let path = place.write("lister", lister());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let library = images::c_library_armhf();
    let copy = |name: &str, folder: &str| format!("{}:{folder}/{name}", library.join(name).display());
    let (loader, library) =
        (copy("ld-linux-armhf.so.3", "/usr/lib"), copy("libc.so.6", "/usr/lib/arm-linux-gnueabihf"));
    let copies = ["--copy", &loader, "--copy", &library, "--copy", "lister:/usr/bin/lister"];
    let list = ["--run", "mkdir /tmp/d && touch /tmp/d/a /tmp/d/b", "--run", "lister /tmp/d && lister /etc"];
    let steps = [&["--isolation", "guest"], copies.as_slice(), &list].concat();
    let ended = build(&place, &images::raspios_armhf_tiny(), &steps).expect(8);
    let ended = ended.says("\n/tmp/d: Success\n").says("\n/etc: Value too large for defined data type\n");
    ended.says("exit status: 75").says("cannot list folders on ext4, as positions");
}

#[test]
fn a_crash_under_emulation_is_explained() {
    let place = Place::new();
    // mov x0, #0 and ldr x0, [x0], which reads from address 0.
    write_program(&place, "crash", Arch::Arm64, &[0xd280_0000, 0xf940_0000]);
    let steps = ["--isolation", "guest", "--copy", "crash:/root/crash", "--run", "/root/crash"];
    let ended = build(&place, &images::raspios_arm64_tiny(), &steps).expect(8);
    ended.says("hint: some versions of qemu crash in programs that are sound");
}
