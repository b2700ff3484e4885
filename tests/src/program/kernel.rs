//! What a run of the program could leave in a kernel, looked at by root in a guest where nothing else goes on.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::{names_in, stdout_of, tool};

/// Where the kernel lists its handlers of foreign programs.
pub const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// Devices, mounts, handlers and processes, to be compared with those at another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The devices of device-mapper, as dmsetup(8) lists them.
    pub dm: String,
    /// The loop devices that are in use, as losetup(8) lists them.
    pub loops: String,
    /// The mounts of this namespace.
    pub mounts: String,
    /// The names in [`BINFMT`].
    pub handlers: Vec<String>,
    /// The processes that run a program, a line each: the kernel's own come and go.
    pub processes: Vec<String>,
}

impl Kernel {
    /// As it is now.
    pub fn look() -> Self {
        Kernel {
            dm: stdout_of(tool("dmsetup").arg("ls")),
            loops: stdout_of(tool("losetup").arg("-a")),
            mounts: fs::read_to_string("/proc/self/mountinfo").unwrap(),
            handlers: names_in(BINFMT.as_ref()),
            processes: processes(),
        }
    }
}

fn processes() -> Vec<String> {
    let mut found = Vec::new();
    for number in names_in("/proc".as_ref()) {
        let command = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        if number.parse::<u32>().is_ok() && !command.is_empty() {
            found.push(format!("{number} {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    found
}

/// Mounts [`BINFMT`] if it is not.
pub fn mount_binfmt() {
    if !Path::new(BINFMT).join("register").exists() {
        let flags = MsFlags::empty();
        mount(Some("binfmt_misc"), BINFMT, Some("binfmt_misc"), flags, None::<&str>).unwrap();
    }
}
