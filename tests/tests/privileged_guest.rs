//! The guest kernel, as the privileged tests find it.

use arm_image_tests::in_guest;

#[test]
fn privileged_the_guest_has_what_customising_an_image_takes() {
    in_guest("privileged_the_guest_has_what_customising_an_image_takes", || {
        assert!(nix::unistd::getuid().is_root());
        let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap();
        for name in ["ext4", "vfat", "btrfs", "xfs", "f2fs", "binfmt_misc", "overlay", "tmpfs"] {
            assert!(filesystems.split_whitespace().any(|known| known == name), "no {name} in {filesystems}");
        }
        for device in ["/dev/loop-control", "/dev/mapper/control"] {
            assert!(std::fs::metadata(device).is_ok(), "no {device}");
        }
    });
}

#[test]
#[should_panic(expected = "failed in the guest with exit code 101")]
fn privileged_a_failure_in_the_guest_is_a_failure() {
    in_guest("privileged_a_failure_in_the_guest_is_a_failure", || {
        // Outside, only a panic with the text above will do; this one is seen inside.
        assert!(nix::unistd::getpid().as_raw() == 1, "this test is not init");
    });
}

#[test]
#[should_panic(expected = "failed in the guest with exit code 0")]
fn privileged_a_test_that_does_not_exist_is_a_failure() {
    in_guest("privileged_no_such_test", || ());
}

#[test]
fn privileged_a_test_cannot_write_to_this_machine() {
    in_guest("privileged_a_test_cannot_write_to_this_machine", || {
        // A name that nothing has, so that nothing is lost should it be possible.
        for folder in ["/etc", "/var/tmp", env!("CARGO_MANIFEST_DIR")] {
            let path = std::path::Path::new(folder).join(".arm-image-test-of-writing");
            let written = std::fs::write(&path, "");
            let _ = std::fs::remove_file(&path);
            assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{folder}");
        }
        for folder in ["/tmp", "/run"] {
            std::fs::write(format!("{folder}/file"), "").unwrap();
        }
    });
}
