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
