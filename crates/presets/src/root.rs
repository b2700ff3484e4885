//! Reading an image's root file system where it lies, without mounting it.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;

use ext4_view::{Ext4, Ext4Error, Ext4Read, Metadata};

use crate::fstab::{self, Entry};
use crate::{Error, OsRelease, superblock};

/// What a text such as `/etc/fstab` may have, in bytes.
const TEXT_LIMIT: u64 = 1 << 20;
/// What a shell may have, in bytes; a static one with debug symbols has a few million.
const SHELL_LIMIT: u64 = 32 << 20;
/// What a folder may have, in bytes: hundreds of thousands of entries.
const FOLDER_LIMIT: u64 = 32 << 20;
/// PATH_MAX and MAXSYMLINKS of Linux.
const LINK_LIMIT: u64 = 4096;
const LINKS_LIMIT: u32 = 40;

/// Where glibc and musl are, as Debian, others without its folders, Alpine and OpenWrt name them; the loader's names
/// are part of the ABI. Musl is both in one.
const LIBRARIES: [&str; 10] = [
    "/lib/arm-linux-gnueabihf/libc.so.6",
    "/lib/arm-linux-gnueabi/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib/libc.so.6",
    "/lib64/libc.so.6",
    "/lib/ld-linux-armhf.so.3",
    "/lib/ld-linux.so.3",
    "/lib/ld-musl-armhf.so.1",
    "/lib/ld-musl-arm.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// Reads files of an ext2, ext3 or ext4 file system inside an image; needs no privilege and writes nothing.
///
/// ```
/// use arm_image_presets::{Error, RootReader};
/// use std::io::Cursor;
///
/// let image = Cursor::new(vec![0; 1 << 20]); // in earnest a `File`, and the range of a partition
/// match RootReader::open(image, 4096..1 << 20) {
///     Ok(root) => println!("{:?}", root.os_release()?),
///     Err(Error::NotExt) => println!("some other file system"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), Error>(())
/// ```
///
/// Paths and symlinks lead within the file system only: `..` stops at its root, and absolute links start there.
///
/// A journal that was not replayed (the image was taken from a running system) is taken into account as far as
/// it is whole: what is read is what a mount would show, though nothing is written. One without checksums or 64-bit
/// numbers, as Raspberry Pi OS has it, is not understood: then what is read may be older. Compression, inline data, an
/// external journal and a few more rare features are not understood, and refused by [`open`](Self::open).
///
/// Images are not to be trusted. The reader checks what the file system claims before acting on it, and turns a
/// panic of the parser below into [`Error::Damaged`] (where panics unwind, that is; the panic hook still runs).
pub struct RootReader {
    files: Ext4,
}

impl RootReader {
    /// Opens the file system in these bytes of `reader`, and reads nothing outside of them.
    ///
    /// # Errors
    /// [`Error::NotExt`] for another file system; else when it cannot be read, is damaged, or has features that
    /// are not understood.
    pub fn open<R: Read + Seek + 'static>(reader: R, range: Range<u64>) -> Result<RootReader, Error> {
        let reader = Rc::new(RefCell::new(reader));
        let mut window = Window { reader: reader.clone(), range: range.clone(), superblock: None };
        let length = window.length();
        if length < superblock::OFFSET.saturating_add(superblock::SIZE as u64) {
            return Err(Error::NotExt);
        }
        let mut block = [0; superblock::SIZE];
        let read = window.read_at(superblock::OFFSET, &mut block);
        let failed = |source| Error::Read { offset: superblock::OFFSET, length: superblock::SIZE, source };
        read.map_err(failed)?;
        superblock::check(&block, length)?;
        let files = match guarded(|| Ext4::load(Box::new(window)))? {
            Ok(files) => files,
            // It may be the journal that is not understood.
            Err(source) if superblock::forget_journal(&mut block) => {
                let window = Window { reader, range, superblock: Some(Box::new(block)) };
                guarded(|| Ext4::load(Box::new(window)))?.map_err(|_| Error::Open { source })?
            }
            Err(source) => return Err(Error::Open { source }),
        };
        Ok(RootReader { files })
    }

    /// The bytes of the file at an absolute path; none when there is no such file.
    ///
    /// # Errors
    /// When it has more than `limit` bytes, is no regular file, or the file system is damaged there.
    pub fn read(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = path.as_ref();
        let Some((real, metadata)) = self.resolve(path)? else { return Ok(None) };
        require_size(path, &metadata, limit)?;
        let read = || {
            let mut file = self.files.open(real.as_slice())?;
            let mut bytes = vec![0; usize::try_from(metadata.len()).map_err(|_| Ext4Error::FileTooLarge)?];
            let mut rest = bytes.as_mut_slice();
            while !rest.is_empty() {
                match file.read_bytes(rest)? {
                    0 => break,
                    count => rest = rest.get_mut(count..).unwrap_or_default(),
                }
            }
            Ok(bytes)
        };
        guarded(read)?.map(Some).map_err(|source| Error::File { path: path.to_owned(), source })
    }

    /// Whether there is a file of any kind at an absolute path.
    ///
    /// # Errors
    /// When the file system is damaged there.
    pub fn exists(&self, path: impl AsRef<Path>) -> Result<bool, Error> {
        Ok(self.resolve(path.as_ref())?.is_some())
    }

    /// What the image says it is: `/etc/os-release`, else `/usr/lib/os-release`; none when it has neither.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn os_release(&self) -> Result<Option<OsRelease>, Error> {
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            if let Some(text) = self.read(path, TEXT_LIMIT)? {
                return Ok(Some(OsRelease::parse(&String::from_utf8_lossy(&text))));
            }
        }
        Ok(None)
    }

    /// The entries of `/etc/fstab`; empty when it has none.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn fstab(&self) -> Result<Vec<Entry>, Error> {
        let text = self.read("/etc/fstab", TEXT_LIMIT)?.unwrap_or_default();
        Ok(fstab::parse(&String::from_utf8_lossy(&text)))
    }

    /// The bytes of the image's shell, whose ELF header tells the architecture: `/bin/sh` or, failing that,
    /// busybox or bash; none when it has none of them.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn shell(&self) -> Result<Option<Vec<u8>>, Error> {
        for path in ["/bin/sh", "/usr/bin/sh", "/bin/busybox", "/usr/bin/busybox", "/bin/bash"] {
            if let Some(program) = self.read(path, SHELL_LIMIT)? {
                return Ok(Some(program));
            }
        }
        Ok(None)
    }

    /// The bytes of the image's C library, or the loader that is a part of it: it tells the version of 32-bit ARM
    /// where the shell does not. None when it has none in the usual places.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn libc(&self) -> Result<Option<Vec<u8>>, Error> {
        for path in LIBRARIES {
            if let Some(library) = self.read(path, SHELL_LIMIT)? {
                return Ok(Some(library));
            }
        }
        Ok(None)
    }

    /// Follows symlinks step by step, to a path without any.
    ///
    /// The library could do this itself, but it takes memory for as much as a link claims to hold, and looks
    /// through as much as a folder claims: each is checked here before it is used.
    fn resolve(&self, path: &Path) -> Result<Option<(Vec<u8>, Metadata)>, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let mut real = Vec::new();
        let mut metadata = self.metadata(path, b"/")?.ok_or(Error::Damaged)?;
        let mut pending: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        push_components(&mut pending, path.as_os_str().as_bytes());
        while let Some(name) = pending.pop() {
            if !metadata.is_dir() {
                return Ok(None);
            }
            require_size(path, &metadata, FOLDER_LIMIT)?;
            if name == b".." {
                let end = real.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                real.truncate(end);
                let parent: &[u8] = if real.is_empty() { b"/" } else { &real };
                metadata = self.metadata(path, parent)?.ok_or(Error::Damaged)?;
                continue;
            }
            let next = [real.as_slice(), b"/", &name].concat();
            let Some(found) = self.metadata(path, &next)? else { return Ok(None) };
            if !found.is_symlink() {
                (real, metadata) = (next, found);
                continue;
            }
            links += 1;
            if links > LINKS_LIMIT {
                return Err(failed(Ext4Error::TooManySymlinks));
            }
            require_size(path, &found, LINK_LIMIT)?;
            let target = guarded(|| self.files.read_link(next.as_slice()))?.map_err(failed)?;
            let target: &[u8] = target.as_ref();
            if target.starts_with(b"/") {
                real.clear();
                metadata = self.metadata(path, b"/")?.ok_or(Error::Damaged)?;
            }
            push_components(&mut pending, target);
        }
        if real.is_empty() {
            real.push(b'/');
        }
        Ok(Some((real, metadata)))
    }

    /// What is known of `real`, a path without symlinks before its last component; `path` names it in errors.
    fn metadata(&self, path: &Path, real: &[u8]) -> Result<Option<Metadata>, Error> {
        match guarded(|| self.files.symlink_metadata(real))? {
            Ok(metadata) => Ok(Some(metadata)),
            Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => Ok(None),
            Err(source) => Err(Error::File { path: path.to_owned(), source }),
        }
    }
}

impl fmt::Debug for RootReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RootReader").field("label", self.files.label()).finish_non_exhaustive()
    }
}

/// Puts the components of a path on the stack, the first on top.
fn push_components(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let components = path.split(|&byte| byte == b'/').rev();
    pending.extend(components.filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec));
}

fn require_size(path: &Path, metadata: &Metadata, limit: u64) -> Result<(), Error> {
    if metadata.len() > limit {
        return Err(Error::TooLarge { path: path.to_owned(), size: metadata.len(), limit });
    }
    Ok(())
}

/// Calls the library; its reader keeps no promise that a panic could break, as it only ever reads.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Error::Damaged)
}

/// A part of a reader, as a whole.
struct Window<R> {
    reader: Rc<RefCell<R>>,
    range: Range<u64>,
    /// What is read in the place of the superblock.
    superblock: Option<Box<[u8; superblock::SIZE]>>,
}

impl<R: Read + Seek> Window<R> {
    fn length(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.length()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut reader = self.reader.borrow_mut();
        reader.seek(SeekFrom::Start(self.range.start + offset))?;
        reader.read_exact(bytes)?;
        if let Some(superblock) = &self.superblock {
            let places = (offset..).zip(bytes);
            for (place, byte) in places.skip_while(|(place, _)| *place < superblock::OFFSET) {
                let index = usize::try_from(place - superblock::OFFSET).unwrap_or(usize::MAX);
                let Some(value) = superblock.get(index) else { break };
                *byte = *value;
            }
        }
        Ok(())
    }
}

impl<R: Read + Seek> Ext4Read for Window<R> {
    fn read(
        &mut self,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(self.read_at(offset, bytes)?)
    }
}

#[cfg(test)]
mod tests;
