//! The mounts that a template asks for besides the image's own.

use arm_image_chroot::Bind;
use arm_image_template::Setting;

use super::lowering::Lowering;
use crate::plan::is_private;

/// What of this machine is to be shown for a mount of `device` at `folder`; nothing for what every build has.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    setting: &Setting,
    kind: &str,
    device: &str,
    folder: &str,
) -> Option<Bind> {
    match kind {
        // Each build has these of its own, and a `/dev` without this machine's devices.
        "proc" | "sysfs" | "devpts" | "devtmpfs" | "tmpfs" | "binfmt_misc" if is_private(folder.as_ref()) => {
            None
        }
        "bind" | "rbind" if ["/dev", "/dev/pts", "/proc", "/sys"].contains(&folder) && device == folder => {
            None
        }
        "bind" | "rbind" => Some(Bind { source: device.into(), target: folder.into(), read_only: false }),
        _ => {
            let hint = "bind a folder of this machine: [\"bind\", \"/srv/packages\", \"/var/cache/apt\"]";
            let message = format!("a mount of the type `{kind}` at `{folder}` is not supported");
            lowering.error(&setting.at, message, hint);
            None
        }
    }
}
