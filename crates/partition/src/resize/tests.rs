use std::io;
use std::ops::Range;

use super::*;
use crate::{Scheme, Storage};

/// A table whose writing fails, or does nothing.
#[derive(Debug)]
struct Stubborn {
    table: Box<dyn PartitionEditor>,
    fails: bool,
}

impl PartitionEditor for Stubborn {
    fn scheme(&self) -> Scheme {
        self.table.scheme()
    }

    fn disk_id(&self) -> String {
        self.table.disk_id()
    }

    fn partitions(&self) -> Vec<Partition> {
        self.table.partitions()
    }

    fn usable(&self) -> Range<u64> {
        self.table.usable()
    }

    fn sector_size(&self) -> u64 {
        self.table.sector_size()
    }

    fn smallest_disk(&self) -> u64 {
        self.table.smallest_disk()
    }

    fn set_disk_size(&mut self, size: u64) -> Result<(), Error> {
        self.table.set_disk_size(size)
    }

    fn set_end(&mut self, number: u32, end: u64) -> Result<(), Error> {
        self.table.set_end(number, end)
    }

    fn write(&self, _storage: &mut dyn Storage) -> Result<(), Error> {
        let source = io::ErrorKind::StorageFull.into();
        if self.fails { Err(Error::Write { offset: 0, source }) } else { Ok(()) }
    }
}

const LENGTH: u64 = 4 << 20;

/// Gives an image of 4 MiB another length with such a table, and returns the error and the image's bytes afterwards.
fn outcome(fails: bool, size: u64) -> (Error, Vec<u8>) {
    let mut file = tempfile::tempfile().expect("no temporary file");
    io::Write::write_all(&mut file, &head()).expect("a full disk");
    file.set_len(LENGTH).expect("a full disk");
    let mut table = Stubborn { table: read(&mut file).expect("a table"), fails };
    if size > LENGTH {
        plan_growing(&mut table, &mut file, LENGTH, size).expect("a table that can grow");
    } else {
        plan_shrinking(&mut table, &mut file, LENGTH, size).expect("a table that can shrink");
        table.set_disk_size(size).expect("a table that has shrunk");
    }
    let error = commit("image".as_ref(), &mut file, &table, LENGTH, size).expect_err("an error");
    let mut bytes = Vec::new();
    io::Seek::rewind(&mut file)
        .and_then(|()| io::Read::read_to_end(&mut file, &mut bytes))
        .expect("no bytes");
    (error, bytes)
}

/// An MBR with a partition from 1 to 2 MiB.
fn head() -> [u8; 512] {
    let mut head = [0; 512];
    head[446 + 4] = 0x83;
    head[446 + 8..446 + 16].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
    head[510..].copy_from_slice(&[0x55, 0xaa]);
    head
}

fn assert_untouched(bytes: &[u8]) {
    assert_eq!(bytes.len() as u64, LENGTH);
    assert!(bytes[..512] == head() && bytes[512..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_table_that_cannot_be_written_leaves_the_file() {
    for size in [2 * LENGTH, LENGTH / 8 * 3] {
        let (error, bytes) = outcome(true, size);
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
        assert_untouched(&bytes);
    }
}

#[test]
fn a_table_that_reads_back_different_is_an_error() {
    for size in [2 * LENGTH, LENGTH / 8 * 3] {
        let (error, bytes) = outcome(false, size);
        assert!(matches!(error, Error::Verify { .. }), "{error:?}");
        assert_untouched(&bytes);
    }
}
