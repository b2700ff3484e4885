//! How an image is mounted, said step by step.

use crate::{Bind, Error, Mount, ResolvConf, Root, tree};
use std::path::PathBuf;

/// Mounts an image as a [`Root`], which [`Root::builder`] starts.
///
/// ```no_run
/// # use arm_image_chroot::{Mount, ResolvConf, Root};
/// # use std::path::Path;
/// # let mounts = [Mount { device: Path::new("/dev/dm-1"), target: "/".into(), kind: "ext4".into(), options: Vec::new() }];
/// let root = Root::builder().resolv_conf(ResolvConf::Off).sync(true).mount(&mounts)?;
/// # Ok::<(), arm_image_chroot::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) resolv_conf: ResolvConf,
    pub(crate) resolv_conf_source: PathBuf,
    pub(crate) restore_resolv_conf: bool,
    pub(crate) personality32: bool,
    pub(crate) sync: bool,
    pub(crate) services: bool,
    pub(crate) binds: Vec<Bind>,
    pub(crate) dev_files: Vec<(String, Vec<u8>)>,
    pub(crate) proc: bool,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder {
            resolv_conf: ResolvConf::default(),
            resolv_conf_source: "/etc/resolv.conf".into(),
            restore_resolv_conf: false,
            personality32: false,
            sync: false,
            services: false,
            binds: Vec::new(),
            dev_files: Vec::new(),
            proc: false,
        }
    }

    /// What happens to the image's `/etc/resolv.conf`; [`ResolvConf::BindHost`] unless said.
    pub fn resolv_conf(mut self, mode: ResolvConf) -> Builder {
        self.resolv_conf = mode;
        self
    }

    /// The host's file that the name servers are taken from; `/etc/resolv.conf` unless said.
    pub fn resolv_conf_source(mut self, path: impl Into<PathBuf>) -> Builder {
        self.resolv_conf_source = path.into();
        self
    }

    /// Whether [`Root::close`] brings back the image's own `/etc/resolv.conf`, the same inode, be it a file or a link,
    /// after [`ResolvConf::CopyHost`] and [`ResolvConf::Delete`]. Otherwise what these made stays.
    pub fn restore_resolv_conf(mut self, yes: bool) -> Builder {
        self.restore_resolv_conf = yes;
        self
    }

    /// Whether packages may start and stop services in the image.
    ///
    /// Unless asked for, Debian's tools are told by a `/usr/sbin/policy-rc.d` that is there only while the image is
    /// mounted that they may not, and systemd's by `SYSTEMD_OFFLINE=1` in the environment. One that a program puts
    /// in its place stays. Whatever is started in spite of that ends with its command.
    pub fn services(mut self, yes: bool) -> Builder {
        self.services = yes;
        self
    }

    /// Shows a file or directory of the host in the image, once more for each call.
    pub fn bind(mut self, bind: Bind) -> Builder {
        self.binds.push(bind);
        self
    }

    /// Whether this machine's own programs find a `/proc` in the image, read-only, where
    /// [`seen_at`](crate::ChrootRunner::seen_at) leads them. It shows them the machine's processes; commands that run in
    /// the image never see it.
    pub fn proc(mut self, yes: bool) -> Builder {
        self.proc = yes;
        self
    }

    /// A file of this name and content in the private `/dev`, once more for each call.
    ///
    /// Whatever programs of the image have done to it, it is there again for the next command, and for who asks where the
    /// image is [seen](crate::ChrootRunner::seen_at).
    pub fn dev_file(mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Builder {
        self.dev_files.push((name.into(), content.into()));
        self
    }

    /// Whether programs are told that the machine is a 32-bit one, as an armhf image expects of an arm64 host.
    ///
    /// This is `personality(PER_LINUX32)`; emulated programs hear the emulator's answer instead.
    pub fn personality32(mut self, yes: bool) -> Builder {
        self.personality32 = yes;
        self
    }

    /// Whether programs that ask for their data to be on the disk (`fsync` and its relatives) wait until it is.
    ///
    /// Unless asked for, they are answered at once, and everything is written back in the end. Installing packages saves
    /// what waiting costs: much on a disk that spins, next to nothing on one that answers at once. That is safe as long as
    /// an image whose [`Root`] was not closed is thrown away. A kernel without seccomp filters lets them wait.
    pub fn sync(mut self, yes: bool) -> Builder {
        self.sync = yes;
        self
    }

    /// Mounts `mounts` as one tree, in any order given, with private `/dev`, `/sys`, `/run` and `/tmp` in it.
    ///
    /// Links in the image that lead to a mount point are followed inside the image; a directory that is
    /// missing is made. Nothing is mounted if this fails. An `/etc/ld.so.preload` looks empty while it is mounted,
    /// as its libraries are for the board. What a killed run has left in the way of files of the image is put back first.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoot`], [`Error::Target`], [`Error::Namespace`], [`Error::Mount`], [`Error::MountPoint`],
    /// [`Error::Device`], [`Error::Bind`], [`Error::ResolvConfSource`], [`Error::ResolvConf`], [`Error::Cover`],
    /// [`Error::Create`]
    pub fn mount<'d>(&self, mounts: &[Mount<'d>]) -> Result<Root<'d>, Error> {
        let root = Root::of(tree::mount(mounts, self)?, self);
        root.keep_dev_files()?;
        Ok(root)
    }
}
