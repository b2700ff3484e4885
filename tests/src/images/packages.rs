//! Single packages of a foreign architecture, fetched and verified by apt without the machine's own apt knowing.

use std::fs;
use std::path::{Path, PathBuf};

use super::tool::{at, file, folder, run, tool};
use super::{Arch, Error, Maker, SUITE};

/// Debian's own signatures, also on Ubuntu (package `debian-archive-keyring`).
pub(super) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What a tiny root and a boot partition are made of.
const WANTED: &[&str] = &["busybox-static", "raspi-firmware"];

/// The smallest Python that has all of its own library that ansible's modules take, and the libraries that it is
/// linked to.
const PYTHON: &[&str] = &[
    "libc6",
    "libexpat1",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "python3.11-minimal",
    "zlib1g",
];

/// What nearly every program is linked to.
const C_LIBRARY: &str = "libc6";

/// What the repository in an image holds.
pub(super) const TREE: &str = "tree";

/// The unpacked package `package` for `arch`, one of [`WANTED`].
pub(super) fn unpacked(maker: &Maker<'_>, arch: Arch, package: &str) -> Result<PathBuf, Error> {
    let name = format!("packages/{SUITE}-{}", arch.debian());
    let packages = maker.once(&name, |partial| unpack(maker, arch, WANTED, partial))?;
    Ok(packages.join(package))
}

/// The folder with the C library for `arch` and its loader.
pub(super) fn c_library(maker: &Maker<'_>, arch: Arch) -> Result<PathBuf, Error> {
    let name = format!("packages/{SUITE}-{}-{C_LIBRARY}", arch.debian());
    let packages = maker.once(&name, |partial| unpack(maker, arch, &[C_LIBRARY], partial))?;
    Ok(packages.join(C_LIBRARY).join("lib").join(arch.multiarch()))
}

/// Downloads the packages into `into`, and unpacks each in a folder of its name.
fn unpack(maker: &Maker<'_>, arch: Arch, wanted: &[&str], into: &Path) -> Result<(), Error> {
    download(maker, arch, wanted, into)?;
    for package in wanted {
        let deb = deb_of(package, into)?;
        run(tool("dpkg-deb").arg("-x").arg(&deb).arg(into.join(package)))?;
    }
    Ok(())
}

/// Unpacks Python over a root whose /usr is merged.
pub(super) fn python(maker: &Maker<'_>, arch: Arch, root: &Path) -> Result<(), Error> {
    let packages = maker.once(&format!("packages/{SUITE}-{}-python", arch.debian()), |partial| {
        download(maker, arch, PYTHON, partial)
    })?;
    let files = root.with_extension("tar");
    for package in PYTHON {
        let deb = deb_of(package, &packages)?;
        file(&files, 0o600, run(tool("dpkg-deb").arg("--fsys-tarfile").arg(&deb))?)?;
        let mut tar = tool("tar");
        // Nobody reads them here: three quarters of the root.
        tar.args(["--exclude=./usr/share", "--exclude=*/gconv"]);
        // Its `/lib` is a link in the root.
        run(tar.args(["--keep-directory-symlink", "-x", "-f"]).arg(&files).arg("-C").arg(root))?;
    }
    at("remove", &files, fs::remove_file(&files))
}

/// A package for `arch` as it comes.
pub(super) fn deb(maker: &Maker<'_>, arch: Arch, package: &str) -> Result<PathBuf, Error> {
    let packages = maker.once(&format!("packages/{SUITE}-{}-{package}", arch.debian()), |partial| {
        download(maker, arch, &[package], partial)
    })?;
    deb_of(package, &packages)
}

/// Downloads the wanted packages into `into`.
///
/// The configuration is complete in itself (apt.conf(5): a file named by `APT_CONFIG` is read first and decides
/// where all others lie), so that neither sources, hooks nor package lists of this machine take part.
fn download(maker: &Maker<'_>, arch: Arch, wanted: &[&str], into: &Path) -> Result<(), Error> {
    maker.say(&format!("downloading {} for {}", wanted.join(", "), arch.debian()));
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
        .args(wanted)
        .current_dir(into))?;
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
