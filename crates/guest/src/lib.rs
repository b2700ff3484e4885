//! A [`Guest`]: a throw-away Linux kernel to work in, for any user, without KVM, whose first program is one of ours.
//!
//! The kernel is User-Mode Linux, an ordinary process. Its init is a program of the caller's choice, usually the very
//! program that starts it: the two sides talk over a [channel](Guest::channel), and an exit code comes home.
//!
//! ```no_run
//! use std::io::{Read, Write};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     if arm_image_guest::is_init() {
//!         // The guest's side: root, with /proc, /sys, /dev and the disk as /dev/ubda.
//!         arm_image_guest::init(|mut channel| {
//!             let mut name = [0; 5];
//!             channel.read_exact(&mut name).map_or(1, |()| u8::from(&name != b"world"))
//!         })
//!     }
//!     let mut guest = arm_image_guest::Guest::builder().init(std::env::current_exe()?).disk("sd-card.img").start()?;
//!     guest.channel().write_all(b"world")?;
//!     assert_eq!(guest.wait()?, 0);
//!     Ok(())
//! }
//! ```
//!
//! # What is left behind
//!
//! Nothing: the initramfs, the disk, the shared folder and the console reach the guest as open files, never by name. A
//! keeper process waits for the end of the program that started the guest, even by SIGKILL, and takes the guest's
//! processes with it.
//!
//! # What it is not
//!
//! A wall against hostile code. Root in the guest can reach, through hostfs, every file of the user who started it:
//! Linux 6.1 does not stop a mount option with `..` in it from leaving the shared folder.

mod available;
mod builder;
mod error;
mod init;
mod initramfs;
mod keeper;
mod libraries;
mod modules;
mod network;
mod passed;
mod running;
mod setup;

pub use available::{available, network_available};
pub use builder::Builder;
pub use error::Error;
pub use init::{Channel, arguments, init, is_init};
pub use running::Guest;

/// Where the guest sees the folder given to [`Builder::job`].
pub const JOB: &str = "/job";
/// Where the guest sees the host's tree after [`Builder::share_host`].
pub const HOST: &str = "/host";
/// The guest's name for the image given to [`Builder::disk`].
pub const DISK: &str = "/dev/ubda";
/// The guest's name for the terminal line whose other end is [`Guest::terminal`]: in cooked mode, 80 by 24 at first.
pub const TERMINAL: &str = "/dev/ttyS2";
