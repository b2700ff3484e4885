//! The features of the ext family: three sets of bits, and who knows which.

/// The feature bits of an ext2, ext3 or ext4.
///
/// Who does not know a bit may do with the file system: anything, if it is *compatible*; read it, if it is *read-only
/// compatible*; nothing, if it is *incompatible*. e2fsck is stricter and insists on knowing all of them. Source: Linux,
/// `Documentation/filesystems/ext4/super.rst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// `s_feature_compat`.
    pub compatible: u32,
    /// `s_feature_incompat`.
    pub incompatible: u32,
    /// `s_feature_ro_compat`.
    pub read_only: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Compatible,
    Incompatible,
    ReadOnly,
}

use Set::{Compatible, Incompatible, ReadOnly};

const SETS: [Set; 3] = [Compatible, Incompatible, ReadOnly];

/// A version of Linux, as in "5.15".
type Release = (u32, u32);

/// Since before anything that runs today.
const EVER: Release = (0, 0);
/// In no kernel that was released, for writing at least.
const NEVER: Release = (u32::MAX, 0);

struct Known {
    set: Set,
    bit: u32,
    /// As dumpe2fs(8) and mke2fs(8) call it.
    name: &'static str,
    /// The first kernel that writes file systems with it; of no use for compatible ones.
    linux: Release,
    /// The first e2fsprogs that work with it, or know its name where they never did.
    tools: &'static str,
}

const fn known(set: Set, bit: u32, name: &'static str, linux: Release, tools: &'static str) -> Known {
    Known { set, bit, name, linux, tools }
}

/// Names: ext4(5). Versions: the histories of Linux and of e2fsprogs.
const KNOWN: [Known; 43] = [
    known(Compatible, 0, "dir_prealloc", EVER, "1.40"),
    known(Compatible, 1, "imagic_inodes", EVER, "1.40"),
    known(Compatible, 2, "has_journal", EVER, "1.40"),
    known(Compatible, 3, "ext_attr", EVER, "1.40"),
    known(Compatible, 4, "resize_inode", EVER, "1.40"),
    known(Compatible, 5, "dir_index", EVER, "1.40"),
    known(Compatible, 6, "lazy_bg", EVER, "1.40"),
    known(Compatible, 8, "snapshot_bitmap", EVER, "1.42"),
    known(Compatible, 9, "sparse_super2", EVER, "1.42.10"),
    known(Compatible, 10, "fast_commit", EVER, "1.46.0"),
    known(Compatible, 11, "stable_inodes", EVER, "1.46.0"),
    known(Compatible, 12, "orphan_file", EVER, "1.47.0"),
    known(Incompatible, 0, "compression", NEVER, "1.40"),
    known(Incompatible, 1, "filetype", EVER, "1.40"),
    known(Incompatible, 2, "needs_recovery", EVER, "1.40"),
    known(Incompatible, 3, "journal_dev", NEVER, "1.40"),
    known(Incompatible, 4, "meta_bg", EVER, "1.40"),
    known(Incompatible, 6, "extent", EVER, "1.40"),
    known(Incompatible, 7, "64bit", EVER, "1.40"),
    known(Incompatible, 8, "mmp", (3, 0), "1.42"),
    known(Incompatible, 9, "flex_bg", EVER, "1.40"),
    known(Incompatible, 10, "ea_inode", (4, 13), "1.44.0"),
    known(Incompatible, 12, "dirdata", NEVER, "1.42.3"),
    known(Incompatible, 13, "metadata_csum_seed", (4, 4), "1.43"),
    known(Incompatible, 14, "large_dir", (4, 13), "1.44.0"),
    known(Incompatible, 15, "inline_data", (3, 8), "1.43"),
    known(Incompatible, 16, "encrypt", (4, 1), "1.43"),
    known(Incompatible, 17, "casefold", (5, 2), "1.45.1"),
    known(ReadOnly, 0, "sparse_super", EVER, "1.40"),
    known(ReadOnly, 1, "large_file", EVER, "1.40"),
    known(ReadOnly, 3, "huge_file", EVER, "1.40"),
    known(ReadOnly, 4, "uninit_bg", EVER, "1.40"),
    known(ReadOnly, 5, "dir_nlink", EVER, "1.40"),
    known(ReadOnly, 6, "extra_isize", EVER, "1.40"),
    known(ReadOnly, 8, "quota", (3, 6), "1.42"),
    known(ReadOnly, 9, "bigalloc", (3, 2), "1.42"),
    known(ReadOnly, 10, "metadata_csum", (3, 5), "1.42"),
    known(ReadOnly, 11, "replica", NEVER, "1.42.1"),
    known(ReadOnly, 12, "read-only", NEVER, "1.43"),
    known(ReadOnly, 13, "project", (4, 5), "1.43"),
    known(ReadOnly, 14, "shared_blocks", NEVER, "1.44.3"),
    known(ReadOnly, 15, "verity", (5, 4), "1.45.0"),
    known(ReadOnly, 16, "orphan_present", (5, 15), "1.47.0"),
];

impl Features {
    /// The names of all that are set, as `dumpe2fs` lists them: `orphan_file`, or `FEATURE_C12` for a bit without a name.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        self.bits().map(|(set, bit)| name(set, bit)).collect()
    }

    /// The names of those that keep a kernel of this version, `(6, 1)` for example, from mounting it for writing.
    ///
    /// Versions are those of the kernels on kernel.org: a distribution may have a feature earlier, or have left it out.
    #[must_use]
    pub fn unknown_to_linux(self, release: (u32, u32)) -> Vec<String> {
        let asked = self.bits().filter(|(set, _)| *set != Compatible);
        let unknown = asked.filter(|(set, bit)| find(*set, *bit).is_none_or(|known| known.linux > release));
        unknown.map(|(set, bit)| name(set, bit)).collect()
    }

    /// All bits that are set, in the order of `dumpe2fs`.
    fn bits(self) -> impl Iterator<Item = (Set, u32)> {
        let pairs = SETS.into_iter().flat_map(|set| (0..32).map(move |bit| (set, bit)));
        pairs.filter(move |(set, bit)| {
            let word = match set {
                Compatible => self.compatible,
                Incompatible => self.incompatible,
                ReadOnly => self.read_only,
            };
            word >> bit & 1 == 1
        })
    }
}

fn find(set: Set, bit: u32) -> Option<&'static Known> {
    KNOWN.iter().find(|known| (known.set, known.bit) == (set, bit))
}

fn letter(set: Set) -> char {
    match set {
        Compatible => 'C',
        Incompatible => 'I',
        ReadOnly => 'R',
    }
}

fn name(set: Set, bit: u32) -> String {
    find(set, bit).map_or_else(|| format!("FEATURE_{}{bit}", letter(set)), |known| known.name.to_owned())
}

/// The proper name of what e2fsprogs call `FEATURE_C12`, as they do with every bit that they do not know; none for the
/// names of those they know.
pub(super) fn unnamed(word: &str) -> Option<String> {
    let rest = word.strip_prefix("FEATURE_")?;
    let set = SETS.into_iter().find(|set| rest.starts_with(letter(*set)))?;
    let bit = rest.get(1..)?.parse().ok().filter(|bit| *bit < 32)?;
    Some(name(set, bit))
}

/// The version of e2fsprogs that knows all these features, where one is known that does.
pub(crate) fn tools_that_know(names: &[String]) -> Option<&'static str> {
    let version = |name: &String| KNOWN.iter().find(|known| known.name == name).map(|known| known.tools);
    let versions = names.iter().map(version).collect::<Option<Vec<_>>>()?;
    let parts =
        |version: &&str| version.split('.').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>().ok();
    versions.into_iter().max_by_key(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_without_a_name_are_numbered() {
        let features = Features { compatible: 1 << 12 | 1 << 20, incompatible: 1 << 31, read_only: 1 << 10 };
        assert_eq!(features.names(), ["orphan_file", "FEATURE_C20", "FEATURE_I31", "metadata_csum"]);
    }

    #[test]
    fn old_tools_call_new_features_by_number() {
        assert_eq!(unnamed("FEATURE_C12").as_deref(), Some("orphan_file"));
        assert_eq!(unnamed("FEATURE_R16").as_deref(), Some("orphan_present"));
        assert_eq!(unnamed("FEATURE_I20").as_deref(), Some("FEATURE_I20"));
        for known in ["orphan_file", "FEATURE_", "FEATURE_C", "FEATURE_C32", "FEATURE_X1", "FEATURE_Cä"] {
            assert_eq!(unnamed(known), None);
        }
    }

    #[test]
    fn kernels_ignore_what_is_compatible() {
        let orphan_file = Features { compatible: 1 << 12 | 1 << 30, ..Features::default() };
        assert!(orphan_file.unknown_to_linux((4, 19)).is_empty());
        let newer = Features { incompatible: 1 << 17 | 1 << 6, read_only: 1 << 16, ..Features::default() };
        assert!(newer.unknown_to_linux((6, 1)).is_empty());
        assert_eq!(newer.unknown_to_linux((5, 4)), ["orphan_present"]);
        assert_eq!(newer.unknown_to_linux((4, 19)), ["casefold", "orphan_present"]);
        let odd = Features { incompatible: 1 << 12 | 1 << 25, ..Features::default() };
        assert_eq!(odd.unknown_to_linux((9, 0)), ["dirdata", "FEATURE_I25"]);
    }

    #[test]
    fn the_newest_feature_says_which_tools_do() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(tools_that_know(&names(&["fast_commit", "orphan_file", "sparse_super2"])), Some("1.47.0"));
        assert_eq!(tools_that_know(&names(&["casefold", "sparse_super2"])), Some("1.45.1"));
        assert_eq!(tools_that_know(&names(&["orphan_file", "FEATURE_C20"])), None);
    }
}
