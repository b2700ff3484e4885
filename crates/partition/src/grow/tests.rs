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

/// Grows an image from 4 to 8 MiB with such a table, and returns the error and the length of the file afterwards.
fn outcome(fails: bool) -> (Error, u64) {
    const LENGTH: u64 = 4 << 20;
    let mut file = tempfile::tempfile().expect("no temporary file");
    let mut head = [0; 512];
    head[446 + 4] = 0x83;
    head[446 + 8..446 + 16].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
    head[510..].copy_from_slice(&[0x55, 0xaa]);
    io::Write::write_all(&mut file, &head).expect("a full disk");
    file.set_len(LENGTH).expect("a full disk");
    let mut table = Stubborn { table: read(&mut file).expect("a table"), fails };
    plan(&mut table, &mut file, LENGTH, 2 * LENGTH).expect("a table that can grow");
    let error = commit("image".as_ref(), &mut file, &table, LENGTH, 2 * LENGTH).expect_err("an error");
    (error, file.metadata().expect("no metadata").len())
}

#[test]
fn a_table_that_cannot_be_written_leaves_the_length() {
    assert!(matches!(outcome(true), (Error::Write { .. }, 0x40_0000)));
}

#[test]
fn a_table_that_reads_back_different_is_an_error() {
    assert!(matches!(outcome(false), (Error::Verify { .. }, 0x40_0000)));
}
