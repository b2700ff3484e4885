//! Kernel modules: which files a set of names needs, in the order in which they can be loaded.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Error;

/// Where Debian and Ubuntu keep the modules of their User-Mode Linux kernels.
const FOLDER: &str = "/usr/lib/uml/modules";

/// What customising an image takes and the kernel has not built in.
pub(crate) const NEEDED: &[&str] = &[
    "loop",
    "dm-mod",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_utf8",
    "nls_iso8859-1",
    "binfmt_misc",
    "f2fs",
    "overlay",
];

/// The files of the modules `names` for the kernel of this `version`, in loading order.
pub(crate) fn files(version: &str, names: &[&'static str]) -> Result<Vec<PathBuf>, Error> {
    let folder = Path::new(FOLDER).join(version);
    let read = |name: &str| {
        fs::read_to_string(folder.join(name)).map_err(|_| Error::NoModules { path: folder.clone() })
    };
    let (dep, builtin) = (read("modules.dep")?, read("modules.builtin")?);
    let order = loading_order(&dep, &builtin, names)?;
    Ok(order.into_iter().map(|file| folder.join(file)).collect())
}

/// Resolves `names` with the texts of `modules.dep` and `modules.builtin` (depmod(8)).
///
/// A line of `modules.dep` lists everything a module needs, directly or not, the last to be loaded first.
fn loading_order<'a>(dep: &'a str, builtin: &str, names: &[&'static str]) -> Result<Vec<&'a str>, Error> {
    let mut order: Vec<&str> = Vec::new();
    for &name in names {
        let line =
            dep.lines().filter_map(|line| line.split_once(':')).find(|(file, _)| module_name(file) == name);
        let Some((file, needs)) = line else {
            if builtin.lines().any(|file| module_name(file) == name) {
                continue;
            }
            return Err(Error::NoModule { name });
        };
        for file in needs.split_ascii_whitespace().rev().chain([file]) {
            if !order.contains(&file) {
                order.push(file);
            }
        }
    }
    Ok(order)
}

fn module_name(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split_once(".ko").map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEP: &str = "kernel/fs/fat/fat.ko:\nkernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\n\
        kernel/md/dm-mirror.ko: kernel/md/dm-region-hash.ko kernel/md/dm-log.ko kernel/md/dm-mod.ko\n";

    #[test]
    fn needs_come_first_and_only_once() {
        let order = loading_order(DEP, "", &["vfat", "dm-mirror", "fat"]).unwrap();
        let names: Vec<_> = order.into_iter().map(module_name).collect();
        assert_eq!(names, ["fat", "vfat", "dm-mod", "dm-log", "dm-region-hash", "dm-mirror"]);
    }

    #[test]
    fn a_built_in_module_needs_no_file() {
        let order = loading_order(DEP, "kernel/fs/ext4/ext4.ko\n", &["ext4"]).unwrap();
        assert!(order.is_empty());
    }

    #[test]
    fn an_unknown_module_is_named() {
        assert!(matches!(loading_order(DEP, "", &["zfs"]), Err(Error::NoModule { name: "zfs" })));
    }

    proptest! {
        #[test]
        fn random_text_never_panics(dep in ".*", builtin in ".*") {
            let _ = loading_order(&dep, &builtin, &["vfat"]);
        }
    }
}
