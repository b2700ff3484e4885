//! What `sfdisk`, `blkid`, `debugfs`, `mtools` and the checkers say of an image: the judges of what the program made.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use super::{stdout_of, tool};

const SECTOR: u64 = 512;

/// A partition as the tools see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1.
    pub number: u64,
    /// Its first byte.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Its type as sfdisk(8) writes it.
    pub kind: String,
    /// The file system, by its name for mount(8); empty where there is none.
    pub filesystem: String,
    /// The file system's label.
    pub label: String,
    /// The file system's UUID.
    pub uuid: String,
    /// The partition's own UUID.
    pub partuuid: String,
}

/// The disk id as sfdisk(8) writes it, and the partitions, in the order of the table.
pub fn facts(image: &Path) -> (String, Vec<Partition>) {
    let table = stdout_of(tool("sfdisk").arg("-J").arg(image));
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let table = &table["partitiontable"];
    let id = table["id"].as_str().unwrap().to_lowercase();
    let mut partitions = Vec::new();
    for (index, row) in table["partitions"].as_array().unwrap().iter().enumerate() {
        let number = index as u64 + 1;
        let bytes = |field: &str| row[field].as_u64().unwrap() * SECTOR;
        let (start, size) = (bytes("start"), bytes("size"));
        let tag = |name: &str| {
            let mut blkid = tool("blkid");
            blkid.args(["-p", "-s", name, "-o", "value"]).arg(format!("--offset={start}"));
            let output = blkid.arg(format!("--size={size}")).arg(image).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let mbr_uuid = format!("{}-{number:02x}", id.trim_start_matches("0x"));
        partitions.push(Partition {
            number,
            start,
            size,
            kind: row["type"].as_str().unwrap().to_lowercase(),
            filesystem: tag("TYPE"),
            label: tag("LABEL"),
            uuid: tag("UUID"),
            partuuid: row["uuid"].as_str().map_or(mbr_uuid, str::to_lowercase),
        });
    }
    (id, partitions)
}

/// The table and every file system have to be whole.
#[track_caller]
pub fn assert_sound(image: &Path) {
    let verified = stdout_of(tool("sfdisk").arg("--verify").arg(image));
    assert!(!verified.is_empty());
    for partition in facts(image).1 {
        match partition.filesystem.as_str() {
            "ext4" => {
                stdout_of(tool("e2fsck").arg("-fn").arg(at(image, &partition)));
            }
            "vfat" => {
                let copy = copy_out(image, &partition);
                stdout_of(tool("fsck.vfat").arg("-n").arg(copy.path()));
            }
            "swap" => {}
            other => panic!("partition {} holds `{other}`", partition.number),
        }
    }
}

/// The length of partition `number`'s ext4 file system in bytes, as its superblock says.
pub fn ext4_size(image: &Path, number: u64) -> u64 {
    let header = stdout_of(tool("dumpe2fs").arg("-h").arg(at(image, &partition(image, number))));
    let value = |name: &str| -> u64 {
        let line = header.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    value("Block count:") * value("Block size:")
}

/// A file in partition `number`'s ext4 file system; empty where there is none.
pub fn ext4_file(image: &Path, number: u64, path: &str) -> String {
    debugfs(image, number, &format!("cat {path}"))
}

/// What debugfs(8) says of a file: `Type: ...  Mode: ...  User: ...`, or nothing where there is none.
pub fn ext4_stat(image: &Path, number: u64, path: &str) -> String {
    debugfs(image, number, &format!("stat {path}"))
}

fn debugfs(image: &Path, number: u64, request: &str) -> String {
    stdout_of(tool("debugfs").args(["-R", request]).arg(at(image, &partition(image, number))))
}

/// A file in partition `number`'s FAT file system.
pub fn fat_file(image: &Path, number: u64, path: &str) -> String {
    let start = partition(image, number).start;
    let drive = format!("{}@@{start}", image.display());
    let mut mtype: Command = tool("mtype");
    stdout_of(mtype.args(["-i", &drive]).arg(format!("::{path}")))
}

fn partition(image: &Path, number: u64) -> Partition {
    facts(image).1.into_iter().find(|partition| partition.number == number).unwrap()
}

/// How e2fsprogs take a file system that does not lie at the start of a file.
fn at(image: &Path, partition: &Partition) -> String {
    format!("{}?offset={}", image.display(), partition.start)
}

fn copy_out(image: &Path, partition: &Partition) -> tempfile::NamedTempFile {
    let mut copy = tempfile::NamedTempFile::new().unwrap();
    let mut image = File::open(image).unwrap();
    image.seek(SeekFrom::Start(partition.start)).unwrap();
    std::io::copy(&mut image.take(partition.size), &mut copy).unwrap();
    copy
}

/// The names in a folder of partition `number`'s ext4 file system, a line each.
pub fn ext4_names(image: &Path, number: u64, folder: &str) -> String {
    // `/inode/mode/user/group/name/size/`
    let rows = debugfs(image, number, &format!("ls -p {folder}"));
    let mut names: Vec<_> = rows.lines().filter_map(|row| row.split('/').nth(5)).collect();
    names.sort_unstable();
    names.join("\n")
}
