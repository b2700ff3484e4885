//! Images made by the tools that users make theirs with.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// An image in a folder that goes away with it.
pub(crate) struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    /// A hole of so many bytes.
    pub(crate) fn empty(size: u64) -> Self {
        let image = Self { folder: tempfile::tempdir().expect("no temporary folder") };
        let file = std::fs::File::create(image.path()).expect("failed to create the image");
        file.set_len(size).expect("failed to set the length of the image");
        image
    }

    /// An image with the table that sfdisk makes of a script.
    pub(crate) fn with_table(size: u64, script: &str) -> Self {
        let image = Self::empty(size);
        tool("sfdisk", &["--quiet", "--no-tell-kernel", &image.name()], script);
        image
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    pub(crate) fn name(&self) -> String {
        self.path().to_str().expect("a temporary folder outside of UTF-8").to_owned()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("failed to read the image")
    }

    pub(crate) fn put(&self, bytes: &[u8]) {
        std::fs::write(self.path(), bytes).expect("failed to write the image");
    }

    pub(crate) fn patch(&self, offset: u64, bytes: &[u8]) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(self.path()).expect("failed to open the image");
        file.write_all_at(bytes, offset).expect("failed to write to the image");
    }

    pub(crate) fn open(&self) -> std::fs::File {
        std::fs::File::open(self.path()).expect("failed to open the image")
    }
}

/// Runs a tool with something on its stdin. A tool that is absent or fails fails the test.
pub(crate) fn tool(name: &str, arguments: &[&str], input: &str) -> String {
    let output = attempt(name, arguments, input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{name} {arguments:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// Runs a tool that may fail.
pub(crate) fn attempt(name: &str, arguments: &[&str], input: &str) -> Output {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().map(|folder| Path::new(folder).join(name));
    let program = found.into_iter().find(|path| path.exists());
    let program = program.unwrap_or_else(|| panic!("this test needs `{name}`; scripts/test installs it"));
    let piped = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = piped.unwrap_or_else(|error| panic!("failed to run {name}: {error}"));
    // A tool that does not read its input may be gone already.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    child.wait_with_output().unwrap_or_else(|error| panic!("failed to wait for {name}: {error}"))
}

/// Where two images differ; bytes behind the end of the shorter count as zeros.
pub(crate) fn differences(before: &[u8], after: &[u8]) -> Vec<Range<usize>> {
    const PIECE: usize = 4096;
    fn piece(bytes: &[u8], at: usize) -> [u8; PIECE] {
        let mut piece = [0; PIECE];
        let rest = bytes.get(at..).unwrap_or_default();
        let length = rest.len().min(PIECE);
        piece[..length].copy_from_slice(&rest[..length]);
        piece
    }
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for at in (0..before.len().max(after.len())).step_by(PIECE) {
        let (before, after) = (piece(before, at), piece(after, at));
        if before == after {
            continue;
        }
        for (place, (before, after)) in before.into_iter().zip(after).enumerate() {
            match ranges.last_mut() {
                _ if before == after => {}
                Some(range) if range.end == at + place => range.end += 1,
                _ => ranges.push(at + place..at + place + 1),
            }
        }
    }
    ranges
}

pub(crate) const MIB: u64 = 1 << 20;

/// Raspberry Pi OS: a disk id, FAT32 at sector 16384, the root behind it.
pub(crate) const RASPBERRY_PI: &str = "label: dos\nlabel-id: 0x0bca6ba1\n\
    start=16384,size=65536,type=c\nstart=81920,size=40960,type=83\n";

/// BeagleBone: boot, swap, root.
pub(crate) const BEAGLEBONE: &str = "label: dos\nstart=8192,size=32768,type=c,bootable\n\
    start=40960,size=20480,type=82\nstart=61440,size=40960,type=83\n";

/// The partition with number 1 lies behind all others.
pub(crate) const REVERSED: &str = "label: dos\nlabel-id: 0x12345678\n1:start=90000,size=40001,type=83\n\
    2:start=2048,size=8192,type=c\n4:start=20480,size=8192,type=83\n";

/// An extended partition over the rest of the disk, with logical ones.
pub(crate) const LOGICAL: &str = "label: dos\nstart=2048,size=20480,type=c\nstart=24576,type=f\n\
    start=26624,size=20480,type=83\nstart=49152,size=20480,type=83\nstart=71680,size=20480,type=83\n";

/// A GPT with the root in partition 3.
pub(crate) const GPT_ROOT_3: &str = "label: gpt\nlabel-id: 11223344-5566-4788-99AA-BBCCDDEEFF00\n\
    size=8192,type=U,name=config\nsize=32768,type=EBC6AFAD-38FA-4B5D-8E05-5E4C2E8CBD1F,name=\"EFI System\"\n\
    size=65536,type=L,name=rootfs,attrs=\"LegacyBIOSBootable,GUID:59\"\n";

/// A Jetson: the root has number 1 and lies last.
pub(crate) const GPT_ROOT_1_LAST: &str = "label: gpt\n1:start=65536,size=65536,type=L,name=APP\n\
    2:start=2048,size=2048,type=L,name=TBC\n7:start=4096,size=2048,type=L,name=DTB\n";

/// Every layout above, with the number of the partition that lies last.
pub(crate) const LAYOUTS: [(&str, u32); 6] =
    [(RASPBERRY_PI, 2), (BEAGLEBONE, 3), (REVERSED, 1), (LOGICAL, 7), (GPT_ROOT_3, 3), (GPT_ROOT_1_LAST, 1)];
