//! The guest's first file tree, in the format the kernel unpacks at boot: `cpio -H newc`
//! (Linux: `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::Error;

const DIRECTORY: u32 = 0o040_755;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// Writes an archive to `output`, entry by entry; parent directories come by themselves.
#[derive(Debug)]
pub(crate) struct Archive<W> {
    output: W,
    directories: BTreeSet<PathBuf>,
    entries: u32,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, directories: BTreeSet::new(), entries: 0 }
    }

    /// Adds `path` (absolute, in the guest) as an empty directory.
    pub(crate) fn directory(&mut self, path: &Path) -> Result<(), Error> {
        let mut missing: Vec<&Path> = path
            .ancestors()
            .filter(|folder| folder.file_name().is_some() && !self.directories.contains(*folder))
            .collect();
        missing.reverse();
        for folder in missing {
            self.header(folder, DIRECTORY, 0, (0, 0))?;
            self.directories.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Adds a character device node.
    pub(crate) fn device(&mut self, path: &Path, major: u32, minor: u32) -> Result<(), Error> {
        self.parent(path)?;
        self.header(path, CHARACTER_DEVICE, 0, (major, minor))
    }

    /// Adds a file with these bytes; `mode` is its permission bits.
    pub(crate) fn bytes(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<(), Error> {
        self.stream(path, mode, content, content.len() as u64)
    }

    /// Copies the host's file `source` to `path`, with its permission bits.
    pub(crate) fn file(&mut self, source: &Path, path: &Path) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt;
        let read = |error| Error::Read { path: source.to_owned(), source: error };
        let file = File::open(source).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        if !metadata.is_file() {
            return Err(read(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        self.stream(path, metadata.permissions().mode() & 0o777, file, metadata.len())
    }

    /// Ends the archive and gives the output back.
    pub(crate) fn finish(mut self) -> Result<W, Error> {
        self.header(Path::new("/TRAILER!!!"), 0, 0, (0, 0))?;
        self.output.flush().map_err(|source| Error::Initramfs { source })?;
        Ok(self.output)
    }

    fn parent(&mut self, path: &Path) -> Result<(), Error> {
        path.parent().map_or(Ok(()), |parent| self.directory(parent))
    }

    fn stream(&mut self, path: &Path, mode: u32, content: impl Read, size: u64) -> Result<(), Error> {
        self.parent(path)?;
        let length = u32::try_from(size).map_err(|_| Error::TooLarge { path: path.to_owned() })?;
        self.header(path, REGULAR | mode, length, (0, 0))?;
        let failed = |source| Error::Initramfs { source };
        let copied = io::copy(&mut content.take(size), &mut self.output).map_err(failed)?;
        if copied != size {
            // The header is out already: a file that shrank in between cannot be mended.
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        self.pad(size)
    }

    fn header(&mut self, path: &Path, mode: u32, size: u32, device: (u32, u32)) -> Result<(), Error> {
        let name = path.strip_prefix("/").unwrap_or(path).as_os_str();
        let name_size =
            u32::try_from(name.len() + 1).map_err(|_| Error::TooLarge { path: path.to_owned() })?;
        let inode = self.entries;
        self.entries += 1;
        let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.fields(&fields, name).map_err(|source| Error::Initramfs { source })?;
        self.pad(110 + u64::from(name_size))
    }

    fn fields(&mut self, fields: &[u32], name: &OsStr) -> io::Result<()> {
        write!(self.output, "070701")?;
        for field in fields {
            write!(self.output, "{field:08x}")?;
        }
        self.output.write_all(name.as_bytes())?;
        self.output.write_all(&[0])
    }

    /// Headers and contents each start at a multiple of four bytes.
    fn pad(&mut self, length: u64) -> Result<(), Error> {
        let zeros = &[0; 3][..((4 - length % 4) % 4) as usize];
        self.output.write_all(zeros).map_err(|source| Error::Initramfs { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Entry {
        name: String,
        mode: u32,
        device: (u32, u32),
        content: Vec<u8>,
    }

    /// Every entry, read by the format's own rules.
    fn entries(mut bytes: &[u8]) -> Vec<Entry> {
        let mut found = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |number: usize| {
                let text = std::str::from_utf8(&bytes[6 + 8 * number..14 + 8 * number]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let device = (field(9), field(10));
            assert_eq!(bytes[110 + name_size - 1], 0);
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            if name == "TRAILER!!!" {
                return found;
            }
            let start = (110 + name_size).next_multiple_of(4);
            found.push(Entry { name, mode, device, content: bytes[start..start + size].to_vec() });
            bytes = &bytes[(start + size).next_multiple_of(4)..];
        }
    }

    #[test]
    fn parents_come_before_their_children_and_once() {
        let mut archive = Archive::new(Vec::new());
        archive.device(Path::new("/dev/console"), 5, 1).unwrap();
        archive.bytes(Path::new("/a/b/one"), 0o755, b"1").unwrap();
        archive.bytes(Path::new("/a/b/two"), 0o644, b"22").unwrap();
        let found = entries(&archive.finish().unwrap());
        let names: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["dev", "dev/console", "a", "a/b", "a/b/one", "a/b/two"]);
        assert_eq!(found[1].device, (5, 1));
        assert_eq!(found[4].mode, 0o100_755);
    }

    #[test]
    fn only_regular_files_are_copied() {
        let mut archive = Archive::new(Vec::new());
        let refused = archive.file(Path::new("/dev/null"), Path::new("/null"));
        assert!(matches!(refused, Err(Error::Read { .. })));
    }

    proptest! {
        #[test]
        fn names_and_contents_come_back(files in proptest::collection::vec(("[a-z ]{1,20}", proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let mut archive = Archive::new(Vec::new());
            for (name, content) in &files {
                archive.bytes(&Path::new("/").join(name), 0o600, content).unwrap();
            }
            let found = entries(&archive.finish().unwrap());
            let back: Vec<_> = found.into_iter().map(|entry| (entry.name, entry.content)).collect();
            prop_assert_eq!(back, files);
        }
    }
}
