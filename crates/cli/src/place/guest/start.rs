//! What a guest is given of the host.

use std::path::Path;

use arm_image_chroot::ResolvConf;
use arm_image_guest::Guest;
use arm_image_qemu::Arch;

use super::Remote;
use crate::{
    Enter, Error, Event, OnEvent, Stage,
    build::tell,
    place::{Job, conversation::Conversation},
    sweep::Scratch,
};

/// Where the guest finds the qemu that was chosen on the host.
const QEMU: &str = "/usr/bin/arm-image-qemu";
/// Where it finds the host's name servers.
const RESOLV_CONF: &str = "/etc/host-resolv.conf";

/// Where it finds the host's folders that the image is shown, each with its number behind.
const SHARE: &str = "/share/";

impl Remote {
    /// Starts a guest that has the image as its disk, and everything else that `job` needs.
    pub(super) fn start(
        path: &Path,
        job: &Job,
        enter: &Enter,
        scratch: &Path,
        on: OnEvent<'_>,
    ) -> Result<(Remote, Job), Error> {
        tell(on, Event::Stage(Stage::Guest, "starting a guest kernel"))?;
        let mut job = job.clone();
        let folder = Scratch::make(scratch)?;
        let this = std::env::current_exe().map_err(|cause| Error::File {
            operation: "find",
            path: "this program".into(),
            cause,
        })?;
        let mut builder = Guest::builder().search(&enter.search).memory_folder(scratch).init(this);
        builder = builder.disk(path).job(folder.path());
        let network = arm_image_guest::network_available(&enter.search);
        builder = builder.network(network.is_ok());
        if let Err(error) = network {
            let note = format!("programs in the image have no network: {}", crate::chain(&error));
            tell(on, Event::Warning(&note))?;
        }
        // The guest's kernel is an x86-64 one, whatever this machine can run itself.
        if let Some(arch) = job.arch()?.filter(|arch| !matches!(arch, Arch::X86_64 | Arch::X86)) {
            let options = arm_image_qemu::Options {
                binary: job.qemu.take(),
                search: enter.search.clone(),
                ..Default::default()
            };
            let qemu = arm_image_qemu::find_binary(arch, &options)?;
            // In there it has another name, which would mean nothing to the user.
            arm_image_qemu::verify(arch, &qemu)?;
            builder = builder.file(qemu, QEMU);
            job.qemu = Some(QEMU.into());
        }
        // There is nothing else to find in there, and nobody else to disturb.
        job.search.clear();
        job.alone = true;
        if let Some(processor) = job.processor.take() {
            // Nothing else runs in there, and `sudo` passes no variable on.
            job.qemu_arguments.splice(0..0, ["-cpu".into(), processor.into()]);
        }
        for (index, bind) in job.binds.iter_mut().enumerate() {
            let seen = format!("{SHARE}{index}");
            builder = builder.share(std::mem::replace(&mut bind.source, seen.clone().into()), seen);
        }
        if job.resolv_conf == ResolvConf::CopyHost {
            // What stays in the image are the host's name servers, not those of the guest's own network.
            builder = builder.file(&job.resolv_conf_source, RESOLV_CONF);
            job.resolv_conf_source = RESOLV_CONF.into();
        }
        let mut guest = builder.start()?;
        let conversation = Conversation::over(guest.channel())
            .map_err(|cause| Error::Conversation { cause, console: String::new() })?;
        Ok((Remote { guest, conversation, folder, cancelled: false, files: 0 }, job))
    }
}
