//! Steps on a real image: scripts as other users, files with owners, in and out.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use arm_image_chroot::{
    Download, Error, Output, Owner, Paced, Provisioner, ResolvConf, Root, Script, Scripts, Source, Upload,
};
use arm_image_tests::in_guest;

use crate::image::{Image, go_on, is_running, sh, text, tool};

/// With a user `pi`, and what is needed to become that user.
fn image() -> Image {
    Image::with(|tree| {
        fs::write(tree.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\n")
            .unwrap();
        fs::write(tree.join("etc/group"), "root:x:0:\npi:x:1000:\nvideo:x:44:pi\n").unwrap();
        fs::create_dir_all(tree.join("home/pi")).unwrap();
        for name in ["su", "id", "env", "chmod"] {
            symlink("busybox", tree.join("bin").join(name)).unwrap();
        }
    })
}

fn output(step: &dyn Provisioner, root: &mut Root<'_>) -> (Result<(), Error>, String) {
    let mut said = String::new();
    let outcome = step.provision(root, &mut |output| {
        if let Output::Stdout(line) | Output::Stderr(line) = output {
            said += &format!("{}\n", String::from_utf8_lossy(line));
        }
        ControlFlow::Continue(())
    });
    (outcome, said)
}

fn inline(text: &str) -> Scripts {
    Scripts::of([Script::Inline(text.into())])
}

#[test]
fn privileged_chroot_runs_scripts_as_told() {
    in_guest("provisioners::privileged_chroot_runs_scripts_as_told", || {
        let image = image();
        let mut root = image.root();
        let mut run = |scripts: &Scripts| output(scripts, &mut root);
        let env = vec![("WORD".into(), "it's $HOME".into())];
        let script = "id -un; pwd; echo \"$WORD\"; test -t 0 || echo no terminal; exit 3";
        let scripts = Scripts {
            user: Some("pi".into()),
            directory: "/boot/firmware".into(),
            valid_exit_codes: vec![3],
            env: env.clone(),
            ..inline(script)
        };
        let (outcome, said) = run(&scripts);
        assert_eq!(said, "pi\n/boot/firmware\nit's $HOME\nno terminal\n");
        outcome.unwrap();
        // Its own failure, and not that of who runs it.
        let failing = Scripts { user: Some("pi".into()), ..inline("echo gone >&2; exit 42") };
        let (outcome, _) = run(&failing);
        let error = outcome.unwrap_err();
        assert_eq!((error.code(), error.stderr_tail()), (Some(42), &["gone".to_owned()][..]));
        // As a shell tells it, and as a failure is told.
        let killed = Scripts { valid_exit_codes: vec![137], ..inline("kill -KILL $$") };
        run(&killed).0.unwrap();
        let nobody = Scripts { user: Some("nobody".into()), ..inline("echo never") };
        assert!(run(&nobody).0.unwrap_err().stderr_tail()[0].contains("nobody"));

        let template = Some("chmod +x {{.Path}}; env -i {{ .Vars }} SEEN=yes {{.Path}}".into());
        let scripts = Scripts {
            execute_command: template,
            env,
            ..inline("#!/bin/sh\necho $WORD $SEEN ${LANG-cleared}")
        };
        let (outcome, said) = run(&scripts);
        outcome.unwrap();
        assert_eq!(said, "it's $HOME yes cleared\n");
        let missing = Script::Inline("#!/opt/interpreter\n".into());
        let error = run(&Scripts::of([missing])).0.unwrap_err();
        assert_eq!(error.code(), Some(127));
        assert!(error.stderr_tail()[0].contains("not found"), "{error:?}");
        assert_eq!(sh(&mut root, "ls -A /tmp"), "");
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_ends_a_step_that_takes_too_long() {
    in_guest("provisioners::privileged_chroot_ends_a_step_that_takes_too_long", || {
        let image = image();
        let mut root = image.root();
        let step = Scripts { user: Some("pi".into()), ..inline("trap '' TERM; sleep 75757 & sleep 75757") };
        let paced =
            Paced { timeout: Some(Duration::from_millis(300)), retries: 1, ..Paced::of(Box::new(step)) };
        let (outcome, said) = output(&paced, &mut root);
        assert!(matches!(outcome, Err(Error::TimedOut { .. })), "{outcome:?}");
        assert!(said.contains("trying again"), "{said}");
        assert!(!is_running("75757"));
        let step = inline("echo x >>/etc/tries; test $(busybox wc -l </etc/tries) = 3");
        let paced = Paced { retries: 2, ..Paced::of(Box::new(step)) };
        paced.provision(&mut root, &mut go_on).unwrap();
        root.close().unwrap();
    });
}

#[test]
fn privileged_chroot_moves_files_in_and_out_with_owners_and_modes() {
    in_guest("provisioners::privileged_chroot_moves_files_in_and_out_with_owners_and_modes", || {
        let image = image();
        let host = tempfile::tempdir().unwrap();
        let tree = host.path().join("tree");
        fs::create_dir_all(tree.join("sub")).unwrap();
        fs::write(tree.join("sub/tool"), "#!/bin/sh\necho tool\n").unwrap();
        fs::set_permissions(tree.join("sub/tool"), fs::Permissions::from_mode(0o4750)).unwrap();
        symlink("/etc/shadow", tree.join("link")).unwrap();
        let mut root = image.root();
        let upload = |from: Source, to: &str, mode, owner: Option<&str>| Upload {
            from,
            to: to.into(),
            mode,
            owner: owner.map(Owner::from),
        };
        let mut put = |step: Upload| step.provision(&mut root, &mut go_on);
        put(upload(Source::Path(tree.clone()), "/home/pi", None, Some("pi:video"))).unwrap();
        put(upload(Source::Content(b"word\n".to_vec()), "/etc/secret", Some(0o400), Some("1000"))).unwrap();
        put(upload(Source::Content(b"arm_64bit=1\n".to_vec()), "/boot/firmware/config.txt", None, None))
            .unwrap();
        let error = put(upload(Source::Content(b"x".to_vec()), "/x", None, Some("mallory"))).unwrap_err();
        assert!(error.to_string().contains("no such user"), "{error}");
        let listing = "busybox stat -c '%n %a %u %g' /home/pi /home/pi/tree/sub/tool /home/pi/tree/sub /home/pi/tree/link /etc/secret";
        let expected = "/home/pi 755 0 0\n/home/pi/tree/sub/tool 4750 1000 44\n/home/pi/tree/sub 755 1000 44\n\
            /home/pi/tree/link 777 1000 44\n/etc/secret 400 1000 1000\n";
        assert_eq!(sh(&mut root, listing), expected);
        assert_eq!(text(&mut root, "/boot/firmware/config.txt"), "arm_64bit=1\n");

        let out = host.path().join("out");
        let get = |from: &str| Download { from: from.into(), to: out.clone() };
        get("/home/pi/").provision(&mut root, &mut go_on).unwrap();
        get("/boot/firmware/config.txt").provision(&mut root, &mut go_on).unwrap();
        assert_eq!(fs::read(out.join("tree/sub/tool")).unwrap(), fs::read(tree.join("sub/tool")).unwrap());
        assert_eq!(fs::metadata(out.join("tree/sub/tool")).unwrap().mode() & 0o7777, 0o750);
        assert_eq!(fs::read_link(out.join("tree/link")).unwrap(), Path::new("/etc/shadow"));
        assert_eq!(fs::read(out.join("config.txt")).unwrap(), b"arm_64bit=1\n");
        sh(&mut root, "busybox mkfifo /home/pi/pipe");
        assert!(matches!(get("/home/pi").provision(&mut root, &mut go_on), Err(Error::Special { .. })));
        root.close().unwrap();
    });
}

#[test]
fn privileged_download_takes_a_place_on_a_file_system_whose_files_all_have_names() {
    in_guest(
        "provisioners::privileged_download_takes_a_place_on_a_file_system_whose_files_all_have_names",
        || {
            let image = image();
            let host = tempfile::tempdir().unwrap();
            tool("mount", &[], &[&image.devices[1], host.path()]);
            let mut root = Root::builder().resolv_conf(ResolvConf::Off).mount(&image.mounts()[1..]).unwrap();
            let get = |from: &str| Download { from: from.into(), to: host.path().join("got") };
            let names = || {
                fs::read_dir(host.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
            };
            let mut most = 0;
            let mut tick = |_: Output<'_>| {
                most = most.max(names().len());
                ControlFlow::Continue(())
            };
            // A new file, one in the place of another, and a failure.
            get("/etc/group").provision(&mut root, &mut tick).unwrap();
            get("/etc/passwd").provision(&mut root, &mut tick).unwrap();
            assert!(get("/etc/none").provision(&mut root, &mut go_on).is_err());
            assert_eq!(names(), ["got"]);
            assert_eq!(most, 2, "the unfinished one has a name");
            assert!(fs::read_to_string(host.path().join("got")).unwrap().contains("/home/pi"));
            root.close().unwrap();
            tool("umount", &[], &[host.path()]);
        },
    );
}
