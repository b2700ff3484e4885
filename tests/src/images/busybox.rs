//! A root of a few megabytes: Debian's static busybox for the image's architecture, and the files every system has.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::ext4::{self, Ext4};
use super::tool::{at, file, folder, run, tool};
use super::{Error, Kind, Maker, packages};

/// 16 MiB: 2 MB of files, a journal of 4 MiB, and room for what a test copies in.
const SIZE: u64 = 16 << 20;
/// With Python's 30 MB, and what it compiles of its library when it runs.
const SIZE_WITH_PYTHON: u64 = 80 << 20;

const OS_RELEASE: &str = r#"PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"#;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nsudo:x:27:\nstaff:x:50:\nusers:x:100:\nnogroup:x:65534:\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n";

/// Makes the file `into` an ext4 file system with such a root.
pub(super) fn make(maker: &Maker<'_>, kind: Kind, into: &Path) -> Result<(), Error> {
    let package = packages::unpacked(maker, kind.arch(), "busybox-static")?;
    let root = into.with_extension("folder");
    fill(&root, &package)?;
    let mut size = SIZE;
    if kind.has_python() {
        size = SIZE_WITH_PYTHON;
        packages::python(maker, kind.arch(), &root)?;
        link("python3.11", &root.join("usr/bin/python3"))?;
    }
    let state = into.with_extension("fakeroot");
    file(&state, 0o644, "")?;
    let uuid = kind.root_uuid();
    ext4::make(&Ext4 { uuid, size, bytes_per_inode: 8192, root: &root, fakeroot_state: &state }, into)
}

fn fill(root: &Path, package: &Path) -> Result<(), Error> {
    for (path, mode) in [
        ("", 0o755),
        ("usr", 0o755),
        ("usr/bin", 0o755),
        ("usr/lib", 0o755),
        ("usr/sbin", 0o755),
        ("boot", 0o755),
        ("dev", 0o755),
        ("etc", 0o755),
        ("home", 0o755),
        ("media", 0o755),
        ("mnt", 0o755),
        ("opt", 0o755),
        ("proc", 0o555),
        ("root", 0o700),
        ("run", 0o755),
        ("srv", 0o755),
        ("sys", 0o555),
        ("tmp", 0o1777),
        ("var", 0o755),
        ("var/cache", 0o755),
        ("var/lib", 0o755),
        ("var/log", 0o755),
        ("var/tmp", 0o1777),
    ] {
        folder(&root.join(path), mode)?;
    }
    // Debian 12 has a merged /usr, so that /bin/sh is found through two links.
    for merged in ["bin", "sbin", "lib"] {
        link(&format!("usr/{merged}"), &root.join(merged))?;
    }
    let busybox = package.join("bin/busybox");
    let program = at("read", &busybox, fs::read(&busybox))?;
    file(&root.join("usr/bin/busybox"), 0o755, program)?;
    for applet in applets(package)? {
        link("busybox", &root.join("usr/bin").join(applet))?;
    }
    link("../bin/busybox", &root.join("usr/sbin/nologin"))?;

    let etc = root.join("etc");
    file(&root.join("usr/lib/os-release"), 0o644, OS_RELEASE)?;
    link("../usr/lib/os-release", &etc.join("os-release"))?;
    file(&etc.join("debian_version"), 0o644, "12\n")?;
    file(&etc.join("passwd"), 0o644, PASSWD)?;
    file(&etc.join("group"), 0o644, GROUP)?;
    file(&etc.join("shadow"), 0o600, SHADOW)?;
    file(&etc.join("shells"), 0o644, "/bin/sh\n")?;
    // The layout puts its own in the place of these.
    for replaced in ["fstab", "hostname", "hosts", "resolv.conf"] {
        file(&etc.join(replaced), 0o644, "")?;
    }
    Ok(())
}

fn link(target: &str, path: &Path) -> Result<(), Error> {
    at("create", path, symlink(target, path))
}

/// The names busybox answers to, from the manual page in its package: the program itself cannot be asked without an
/// emulator.
fn applets(package: &Path) -> Result<Vec<String>, Error> {
    let manual = run(tool("gzip").arg("-dc").arg(package.join("usr/share/man/man1/busybox.1.gz")))?;
    let applets = listed_applets(&String::from_utf8_lossy(&manual));
    if applets.iter().any(|name| name == "sh") {
        Ok(applets)
    } else {
        Err(Error::Package {
            package: "busybox-static".to_owned(),
            what: "list of applets in its manual page",
        })
    }
}

/// The names between "Currently available applets include:" and the end of that verbatim block.
fn listed_applets(manual: &str) -> Vec<String> {
    let block = manual.lines().skip_while(|line| !line.starts_with("Currently available applets")).skip(1);
    block
        .take_while(|line| !line.starts_with(".Ve"))
        .filter(|line| !line.starts_with('.'))
        .flat_map(|line| line.trim_start_matches("\\&").split(','))
        .map(|name| name.trim().replace('\\', ""))
        .filter(|name| !name.is_empty() && name != "busybox" && !name.contains('/'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::listed_applets;

    #[test]
    fn applets_are_read_from_the_manual_page() {
        let manual = "x, y\nCurrently available applets include:\n.PP\n.Vb 10\n\\&    [, [[, ash,\n\
            \\&    busybox, run\\-parts, sh\n.Ve\nother, words\n";
        assert_eq!(listed_applets(manual), ["[", "[[", "ash", "run-parts", "sh"]);
    }
}
