//! A root with a real kernel's ext4 and vfat: what runs in it sees only it, and nothing of it stays.
//!
//! The image's programs are one static busybox, the host's own (Debian's `busybox-static`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]
#![expect(clippy::print_stdout, reason = "a child tells its parent where it is")]
#![expect(clippy::print_stderr, reason = "what the image says belongs to the test's output")]

#[path = "privileged_chroot/binds.rs"]
mod binds;
#[path = "privileged_chroot/disks.rs"]
mod disks;
#[path = "privileged_chroot/fsync.rs"]
mod fsync;
#[path = "privileged_chroot/hostile.rs"]
mod hostile;
#[path = "privileged_chroot/image.rs"]
mod image;
#[path = "privileged_chroot/inside.rs"]
mod inside;
#[path = "privileged_chroot/killed.rs"]
mod killed;
#[path = "privileged_chroot/mounts.rs"]
mod mounts;
#[path = "privileged_chroot/provisioners.rs"]
mod provisioners;
#[path = "privileged_chroot/resolv.rs"]
mod resolv;
#[path = "privileged_chroot/runs.rs"]
mod runs;
#[path = "privileged_chroot/threads.rs"]
mod threads;
