//! What this machine can do: the facts behind `arm-image doctor` and the choice of a place.

use std::{collections::BTreeSet, fs, path::PathBuf};

use arm_image_mapper::{DmMapper, LoopMapper};
use arm_image_qemu::Arch;
use serde::Serialize;

/// One thing that a build may need.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// What was found, or what is missing.
    pub found: String,
    /// The command or step that mends it.
    pub mend: Option<String>,
}

impl Check {
    fn new(name: &'static str, result: Result<String, (String, Option<String>)>) -> Self {
        match result {
            Ok(found) => Check { name, ok: true, found, mend: None },
            Err((found, mend)) => Check { name, ok: false, found, mend },
        }
    }
}

/// What this kernel lets this process do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Host {
    /// Root, with the capability to mount.
    pub privilege: Check,
    /// device-mapper.
    pub device_mapper: Check,
    /// Loop devices.
    pub loop_devices: Check,
    /// FAT, which most images boot from.
    pub vfat: Check,
    /// ext4, which most images live on.
    pub ext4: Check,
    /// binfmt_misc, through which the kernel hands ARM programs to qemu.
    pub binfmt_misc: Check,
    #[serde(skip)]
    filesystems: BTreeSet<String>,
}

impl Host {
    /// Looks around; changes nothing, and starts no program.
    pub fn look() -> Host {
        let filesystems = filesystems();
        let known = |name: &'static str, otherwise: &str| {
            let found = match filesystems.contains(name) {
                true => Ok("the kernel knows it".to_owned()),
                false => Err((otherwise.to_owned(), None)),
            };
            Check::new(name, found)
        };
        let no_such = "the kernel has no such file system, built in or as a module";
        Host {
            privilege: privilege(),
            device_mapper: driver("device-mapper", "/proc/misc", "device-mapper", DmMapper::available),
            loop_devices: driver("loop devices", "/proc/devices", "loop", LoopMapper::available),
            vfat: known("vfat", no_such),
            ext4: known("ext4", no_such),
            binfmt_misc: known("binfmt_misc", "the kernel was built without it"),
            filesystems,
        }
    }

    /// What keeps this kernel from mounting file systems of these `kinds` and running programs of `arch`: a line each.
    pub fn missing_for(&self, kinds: &[&str], arch: Option<Arch>) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.privilege.ok {
            missing.push(self.privilege.found.clone());
        } else if !self.device_mapper.ok && !self.loop_devices.ok {
            missing.push(format!("neither device-mapper nor loop devices: {}", self.loop_devices.found));
        }
        for kind in kinds {
            if !self.filesystems.contains(*kind) {
                missing.push(format!("this kernel has no {kind} file system"));
            }
        }
        if !arch.is_none_or(Arch::runs_natively) && !self.binfmt_misc.ok {
            missing.push("this kernel has no binfmt_misc".to_owned());
        }
        missing
    }
}

/// What this machine can do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// Its kernel.
    pub host: Host,
    /// A static qemu for 64-bit ARM.
    pub qemu_arm64: Check,
    /// A static qemu for 32-bit ARM.
    pub qemu_arm: Check,
    /// The guest kernel.
    pub guest: Check,
    /// The guest's network.
    pub guest_network: Check,
}

impl Machine {
    /// Looks around; programs are looked for in `search`, the folders of `PATH`. Changes nothing.
    pub fn look(search: &[PathBuf]) -> Machine {
        Machine {
            host: Host::look(),
            qemu_arm64: qemu("qemu for arm64", Arch::Arm64, search),
            qemu_arm: qemu("qemu for armv6 and armv7", Arch::Armv7, search),
            guest: Check::new(
                "guest kernel",
                arm_image_guest::available(search)
                    .map(|kernel| kernel.display().to_string())
                    .map_err(|error| (crate::chain(&error), error.hint())),
            ),
            guest_network: Check::new(
                "guest network",
                arm_image_guest::network_available(search)
                    .map(|program| program.display().to_string())
                    .map_err(|error| (crate::chain(&error), error.hint())),
            ),
        }
    }

    /// All checks, in the order they are shown.
    pub fn checks(&self) -> [&Check; 10] {
        [
            &self.host.privilege,
            &self.host.device_mapper,
            &self.host.loop_devices,
            &self.host.vfat,
            &self.host.ext4,
            &self.host.binfmt_misc,
            &self.qemu_arm64,
            &self.qemu_arm,
            &self.guest,
            &self.guest_network,
        ]
    }

    /// One sentence: how a build of an ordinary image (FAT and ext4) would run here.
    pub fn verdict(&self) -> String {
        let missing = self.host.missing_for(&["vfat", "ext4"], Some(Arch::Arm64));
        match (missing.is_empty(), self.host.device_mapper.ok, self.guest.ok) {
            (true, true, _) => "builds run on this kernel, through device-mapper (host, dm)".to_owned(),
            (true, false, _) => "builds run on this kernel, through loop devices (host, loop)".to_owned(),
            (false, _, true) => {
                format!("builds run in a guest kernel (guest), as {}", missing.join(", and "))
            }
            (false, _, false) => {
                format!("builds cannot run here: {}, and there is no guest kernel", missing.join(", "))
            }
        }
    }

    /// Whether some way of building works.
    pub fn able(&self) -> bool {
        self.guest.ok || self.host.missing_for(&["vfat", "ext4"], Some(Arch::Arm64)).is_empty()
    }
}

/// Whether a kind of devices can be made; who may not open them is told at least whether the kernel has the driver, which
/// stands in `list` as `listed` then.
fn driver(
    name: &'static str,
    list: &str,
    listed: &str,
    available: fn() -> Result<(), arm_image_mapper::Error>,
) -> Check {
    let drivers = fs::read_to_string(list).unwrap_or_default();
    let listed = drivers.lines().any(|line| line.split_whitespace().next_back() == Some(listed));
    Check::new(
        name,
        match available() {
            Ok(()) => Ok("can be used".to_owned()),
            Err(_) if listed && !may_mount() => Err(("the kernel has it, for root".to_owned(), None)),
            Err(_) if !may_mount() => Err(("the kernel has none, or not loaded".to_owned(), None)),
            Err(error) => Err((crate::chain(&error), error.hint())),
        },
    )
}

const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_SYS_RESOURCE: u64 = 1 << 24;

/// Whether this process has the capability to mount.
pub(crate) fn may_mount() -> bool {
    has_capability(CAP_SYS_ADMIN)
}

/// Whether this process has the capability to grow a mounted file system of the ext family.
pub(crate) fn may_grow_mounted() -> bool {
    has_capability(CAP_SYS_RESOURCE)
}

fn has_capability(capability: u64) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0) & capability != 0
}

fn privilege() -> Check {
    let result = if may_mount() {
        Ok("root, with the capability to mount".to_owned())
    } else if rustix::process::geteuid().is_root() {
        let mend = "give the container CAP_SYS_ADMIN (docker: --privileged), or let the guest do it";
        Err(("root without the capability to mount (CAP_SYS_ADMIN)".to_owned(), Some(mend.to_owned())))
    } else {
        Err(("this is an ordinary user".to_owned(), Some("use sudo, or let the guest do it".to_owned())))
    };
    Check::new("privilege", result)
}

/// What /proc/filesystems lists, and what the kernel would load as a module when it is asked to mount it.
fn filesystems() -> BTreeSet<String> {
    let listed = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let mut names: BTreeSet<String> =
        listed.lines().filter_map(|line| line.split_whitespace().next_back()).map(str::to_owned).collect();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules =
        fs::read_to_string(format!("/lib/modules/{}/modules.dep", release.trim())).unwrap_or_default();
    for line in modules.lines() {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        if let Some(name) = file.split(".ko").next().filter(|name| file.len() > name.len()) {
            names.insert(name.to_owned());
        }
    }
    names
}

fn qemu(name: &'static str, arch: Arch, search: &[PathBuf]) -> Check {
    let options = arm_image_qemu::Options { search: search.to_vec(), ..Default::default() };
    let found = if arch.runs_natively() {
        Ok("not needed: this machine runs such programs itself".to_owned())
    } else {
        arm_image_qemu::find_binary(arch, &options)
            .map(|path| path.display().to_string())
            .map_err(|error| (crate::chain(&error), error.hint()))
    };
    Check::new(name, found)
}
