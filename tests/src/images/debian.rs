//! A root with apt: Debian's minimal system, its ARM half run by arm-image itself.

use std::fs;
use std::path::Path;

use super::ext4::{self, Ext4};
use super::layout::{self, MIB, Part};
use super::packages::KEYRING;
use super::tool::{at, folder, run, run_aloud, tool};
use super::{Arch, Error, Maker, SUITE};

/// What the second half needs beside the 200 MB that the first one leaves: it unpacks every package once more.
const FIRST_SIZE: u64 = 768 << 20;

/// Spares dpkg the writing out after every file: a root that is cut short is made anew.
const HURRY: &str = "mkdir -p /etc/dpkg/dpkg.cfg.d && echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/arm-image";

/// Removes what only the installation needed, in the image, by the image's own shell.
const TIDY: &str = "rm -rf /etc/dpkg/dpkg.cfg.d/arm-image /debootstrap /var/cache/apt/archives/*.deb /var/cache/apt/*.bin /var/log/bootstrap.log";

/// Makes the file `into` an ext4 file system with such a root; `program` is arm-image.
pub(super) fn make(
    maker: &Maker<'_>,
    arch: Arch,
    uuid: &str,
    program: &Path,
    into: &Path,
) -> Result<(), Error> {
    let root = into.with_extension("folder");
    let state = into.with_extension("fakeroot");
    first_stage(maker, arch, &root, &state)?;
    ext4::make(
        &Ext4 { uuid, size: FIRST_SIZE, bytes_per_inode: 16384, root: &root, fakeroot_state: &state },
        into,
    )?;
    at("remove", &root, fs::remove_dir_all(&root))?;
    second_stage(maker, program, into)?;
    maker.say("shrinking the root");
    ext4::shrink(into)
}

/// Downloads, verifies and extracts the packages into `root`; runs nothing of theirs.
fn first_stage(maker: &Maker<'_>, arch: Arch, root: &Path, state: &Path) -> Result<(), Error> {
    maker.say(&format!("debootstrap, first stage, for {}", arch.debian()));
    let packages = maker.cache().join(format!("packages/{SUITE}-{}-debootstrap", arch.debian()));
    folder(&packages, 0o755)?;
    let mut debootstrap = tool("fakeroot");
    debootstrap.arg("-s").arg(state).args(["--", "debootstrap", "--foreign", "--variant=minbase"]);
    debootstrap.arg(format!("--arch={}", arch.debian())).arg(format!("--keyring={KEYRING}"));
    debootstrap.arg(format!("--cache-dir={}", packages.display()));
    run(debootstrap.arg(SUITE).arg(root).arg(maker.mirror()))?;
    // In a container, debootstrap makes /proc a link to itself; the image needs the folder. Within fakeroot, which
    // goes by inode numbers, so that the new folder does not inherit what the old link was.
    let proc = root.join("proc");
    let within = || {
        let mut command = tool("fakeroot");
        command.arg("-i").arg(state).arg("-s").arg(state).arg("--");
        command
    };
    run(within().args(["rm", "-rf"]).arg(&proc))?;
    run(within().args(["mkdir", "-m", "555"]).arg(&proc))?;
    Ok(())
}

/// Configures the packages: ARM code, run by arm-image in a disk around the root.
fn second_stage(maker: &Maker<'_>, program: &Path, root: &Path) -> Result<(), Error> {
    maker.say("debootstrap, second stage, in the image");
    let source = root.with_extension("first.img");
    let part = Part { start: MIB, fields: "type=83".to_owned(), content: root.to_owned() };
    layout::assemble("label: dos\n", &[part], 0, &source)?;
    let output = root.with_extension("second.img");
    let mut build = tool(program);
    build.arg("build").arg("--source").arg(&source).args(["--checksum", "none"]).arg("--output").arg(&output);
    build.args(["--mount", "1=/", "--resolv-conf", "off", "--progress", "plain"]);
    build.args(["--run", HURRY, "--run", "/debootstrap/debootstrap --second-stage", "--run", TIDY]);
    run_aloud(&mut build)?;
    layout::extract(&output, MIB, FIRST_SIZE, root)
}
