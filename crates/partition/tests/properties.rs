//! What must hold for any bytes: no panic, no lost field, nothing left half written.

#[expect(dead_code, reason = "each test program uses its own part of it")]
mod common;
mod seal;

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::LazyLock;

use arm_image_partition::{Error, filesystem, last, read};
use common::*;
use proptest::prelude::*;
use seal::sealed;

/// Small disks of each kind, made once. The extended partition of the third starts in sector 3072.
static DISKS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let scripts = [
        "label: dos\nstart=2048,size=1024,type=c\nstart=4096,size=1024,type=83\n",
        "label: dos\n1:start=7000,size=501,type=83\n2:start=2048,size=512,type=c\n",
        "label: dos\nstart=2048,size=512,type=c\nstart=3072,type=f\n\
         start=3136,size=512,type=83\nstart=5120,size=512,type=83\nstart=7168,size=512,type=83\n",
        "label: gpt\nsize=512,type=U\nsize=512,type=L,name=boot\nsize=1024,type=L,name=root\n",
        "label: gpt\n1:start=7000,size=501,type=L,name=APP\n7:start=2048,size=2048,type=L\n",
    ];
    scripts.iter().map(|script| Image::with_table(5 * MIB, script).bytes()).collect()
});

/// Goes through everything that looks at a disk's bytes, and grows the last partition if the table lets it.
fn exercise(bytes: Vec<u8>) {
    let (length, size) = (bytes.len(), bytes.len() as u64);
    let mut disk = Cursor::new(bytes);
    let _ = filesystem::probe(&mut disk, 0..size);
    let Ok(mut table) = read(&mut disk) else { return };
    let partitions = table.partitions();
    for partition in &partitions {
        let _ = filesystem::probe(&mut disk, partition.range.clone());
    }
    let Some(last) = last(&partitions) else { return };
    disk.get_mut().resize(length + (1 << 20), 0);
    if table.set_disk_size(size + (1 << 20)).is_ok() && table.set_end(last.number, table.usable().end).is_ok()
    {
        let written = table.write(&mut disk);
        if written.is_ok() {
            assert_eq!(read(&mut disk).expect("a table that was written").partitions(), table.partitions());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..9000), signed in any::<bool>()) {
        if signed && bytes.len() > 1024 {
            for flag in 0..4 {
                bytes[446 + flag * 16] &= 0x80;
            }
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        }
        exercise(bytes);
    }

    #[test]
    fn random_superblocks_never_panic(bytes in prop::collection::vec(any::<u8>(), 1100..2200), which in 0..9_usize) {
        let magics: [(usize, &[u8]); 9] = [
            (1024 + 0x38, &[0x53, 0xef]), (0, b"XFSB"), (0, b"hsqs"), (1024, &[0x10, 0x20, 0xf5, 0xf2]),
            (1024, &[0xe2, 0xe1, 0xf5, 0xe0]), (0, b"LUKS\xba\xbe"), (0, b"LABELONE"), (510, &[0x55, 0xaa]),
            (65600, b"_BHRfS_M"),
        ];
        let (at, magic) = magics[which];
        let mut bytes = bytes.repeat(1 + at / 1000);
        bytes[at..at + magic.len()].copy_from_slice(magic);
        exercise(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_tables_never_panic(
        which in 0..5_usize,
        seal in any::<bool>(),
        damage in prop::collection::vec((0..3_usize, 0..600_usize, any::<u8>()), 1..6),
    ) {
        let mut bytes = DISKS[which].clone();
        let logical = 3072 * 512;
        for (area, at, value) in damage {
            bytes[[446, 512, logical + 446][area] + at % [66, 600, 66][area]] = value;
        }
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        exercise(if seal && which >= 3 { sealed(bytes) } else { bytes });
    }

    #[test]
    fn growing_keeps_all_others(which in 0..5_usize, more in 0..(2_u64 << 20)) {
        let mut disk = Cursor::new(DISKS[which].clone());
        let mut table = read(&mut disk).unwrap();
        let before = table.partitions();
        let number = last(&before).unwrap().number;
        let size = disk.get_ref().len() as u64 + more;
        disk.get_mut().resize(usize::try_from(size).unwrap(), 0);
        table.set_disk_size(size).unwrap();
        table.set_end(number, table.usable().end).unwrap();
        table.write(&mut disk).unwrap();
        let written = read(&mut disk).unwrap();
        prop_assert_eq!(written.disk_id(), table.disk_id());
        for (before, after) in before.into_iter().zip(written.partitions()) {
            prop_assert_eq!(before.range.start, after.range.start);
            if before.number == number {
                prop_assert_eq!(after.range.end, table.usable().end);
            } else if !before.is_extended() {
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn a_write_that_fails_is_undone(
        which in 0..5_usize,
        allowed in 0..5_usize,
        honest in any::<bool>(),
    ) {
        let before = DISKS[which].clone();
        let mut table = read(&mut Cursor::new(&before)).unwrap();
        let number = last(&table.partitions()).unwrap().number;
        let size = before.len() as u64 + (1 << 20);
        table.set_disk_size(size).unwrap();
        table.set_end(number, table.usable().end).unwrap();
        let mut disk = Cursor::new(before.clone());
        disk.get_mut().resize(usize::try_from(size).unwrap(), 0);
        let mut disk = Failing { disk, allowed, honest };
        let outcome = table.write(&mut disk);
        let mut after = disk.disk.into_inner();
        after.truncate(before.len());
        match outcome {
            Ok(()) => prop_assert!(after != before),
            Err(Error::Write { .. }) if honest => prop_assert!(after == before),
            Err(Error::ReadBack { .. }) if !honest => prop_assert!(after == before),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

/// A disk on which one write fails, after some that were allowed.
struct Failing {
    disk: Cursor<Vec<u8>>,
    allowed: usize,
    /// Whether it says that it failed.
    honest: bool,
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.read(buffer)
    }
}

impl Seek for Failing {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.disk.seek(position)
    }
}

impl Write for Failing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.allowed == 0 {
            self.allowed = usize::MAX;
            // Half of it arrives, as on a disk that runs full.
            self.disk.write_all(&buffer[..buffer.len() / 2])?;
            let failure = Err(io::ErrorKind::StorageFull.into());
            return if self.honest { failure } else { Ok(buffer.len()) };
        }
        self.allowed -= 1;
        self.disk.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
