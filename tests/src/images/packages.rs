//! Single packages of a foreign architecture, fetched and verified by apt without the machine's own apt knowing.

use std::fs;
use std::path::{Path, PathBuf};

use super::tool::{at, file, folder, run, tool};
use super::{Arch, Error, Maker, SUITE};

/// Debian's own signatures, also on Ubuntu (package `debian-archive-keyring`).
pub(super) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What a tiny root and a boot partition are made of.
const WANTED: [&str; 2] = ["busybox-static", "raspi-firmware"];

/// The unpacked package `package` for `arch`.
pub(super) fn unpacked(maker: &Maker<'_>, arch: Arch, package: &str) -> Result<PathBuf, Error> {
    let packages = maker
        .once(&format!("packages/{SUITE}-{}", arch.debian()), |partial| download(maker, arch, partial))?;
    Ok(packages.join(package))
}

/// Downloads the wanted packages into `into` and unpacks each into a folder of its name.
///
/// The configuration is complete in itself (apt.conf(5): a file named by `APT_CONFIG` is read first and decides
/// where all others lie), so that neither sources, hooks nor package lists of this machine take part.
fn download(maker: &Maker<'_>, arch: Arch, into: &Path) -> Result<(), Error> {
    maker.say(&format!("downloading {} for {}", WANTED.join(" and "), arch.debian()));
    let apt = into.join("apt");
    for needed in [
        "etc/apt.conf.d",
        "etc/preferences.d",
        "etc/sources.list.d",
        "state/lists/partial",
        "cache/archives/partial",
    ] {
        folder(&apt.join(needed), 0o755)?;
    }
    let sources = format!("deb [signed-by={KEYRING}] {} {SUITE} main non-free-firmware\n", maker.mirror());
    file(&apt.join("etc/sources.list"), 0o644, sources)?;
    let folder = apt.display();
    let arch = arch.debian();
    let configuration = format!(
        "Dir::Etc \"{folder}/etc\";\n\
         Dir::State \"{folder}/state\";\n\
         Dir::State::status \"/dev/null\";\n\
         Dir::Cache \"{folder}/cache\";\n\
         APT::Architecture \"{arch}\";\n\
         APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"3\";\n"
    );
    let apt_conf = apt.join("apt.conf");
    file(&apt_conf, 0o644, configuration)?;
    run(tool("apt-get").env("APT_CONFIG", &apt_conf).args(["-q", "update"]))?;
    run(tool("apt-get")
        .env("APT_CONFIG", &apt_conf)
        .args(["-q", "download"])
        .args(WANTED)
        .current_dir(into))?;
    for package in WANTED {
        let deb = deb_of(package, into)?;
        run(tool("dpkg-deb").arg("-x").arg(&deb).arg(into.join(package)))?;
    }
    at("remove", &apt, fs::remove_dir_all(&apt))
}

/// The one file `PACKAGE_VERSION_ARCH.deb` in `folder`.
fn deb_of(package: &str, folder: &Path) -> Result<PathBuf, Error> {
    let start = format!("{package}_");
    for entry in at("list", folder, fs::read_dir(folder))? {
        let entry = at("list", folder, entry)?;
        if entry.file_name().to_string_lossy().starts_with(&start) {
            return Ok(entry.path());
        }
    }
    Err(Error::Package { package: package.to_owned(), what: "downloaded file" })
}
