//! The name that the image's programs hear for their machine: the image's own, and not this one's.

use crate::files;
use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// What an image without a name gets, as from systemd.
const NAMELESS: &[u8] = b"localhost";
/// The kernel's limit (`__NEW_UTS_LEN`), and how much of the file is looked at.
const LONGEST: usize = 64;
const LOOKED_AT: u64 = 4096;

/// The name in the `/etc/hostname` of the tree `root`.
pub(crate) fn of(root: BorrowedFd<'_>) -> CString {
    let mut content = Vec::new();
    let read = files::open_file(root, Path::new("/etc/hostname"))
        .and_then(|file| io::copy(&mut file.take(LOOKED_AT), &mut content));
    let name = read.ok().and_then(|_| parse(&content)).unwrap_or(NAMELESS);
    // It has no null byte.
    CString::new(name).unwrap_or_default()
}

/// The first line that is no comment, if it is a name; hostname(5).
fn parse(content: &[u8]) -> Option<&[u8]> {
    let mut lines = content.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let name = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    (name.len() <= LONGEST && name.iter().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn the_first_line_that_is_a_name_counts() {
        assert_eq!(parse(b"raspberrypi\n"), Some(&b"raspberrypi"[..]));
        assert_eq!(parse(b"# set by me\n\n  pi-4.local \nother\n"), Some(&b"pi-4.local"[..]));
        let long = [b'x'; LONGEST + 1];
        for bad in [&b""[..], b"\n#\n", b"two words", b"a\0b", b"$(id)", &long] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_image_without_a_name_does_not_get_this_machines() {
        let folder = tempfile::tempdir().unwrap();
        let root = File::open(folder.path()).unwrap();
        assert_eq!(of(root.as_fd()).as_c_str(), c"localhost");
    }

    proptest! {
        #[test]
        fn any_content_is_a_name_or_none(content in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(name) = parse(&content) {
                prop_assert!(!name.is_empty() && name.len() <= LONGEST);
            }
        }
    }
}
