//! Looks into packed images, of which no more is unpacked than is looked at.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what its functions share")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arm_image_tests::images;
use arm_image_tests::program::{Place, names_in, stdout_of, tool};
use serde_json::Value;

const MIB: u64 = 1 << 20;
/// No user of most machines: what kernels show for users they do not know.
const NOBODY: u32 = 65534;

fn json_of(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&place.run(arguments).expect(0).stdout()).unwrap()
}

/// Where the compressed bytes lie of the blocks that hold the MiB `at` of the image.
fn block_of(archive: &Path, at: u64) -> u64 {
    let listed = stdout_of(tool("xz").args(["--robot", "--list", "-vv"]).arg(archive));
    let blocks = listed.lines().filter(|line| line.starts_with("block\t"));
    let fields = blocks.map(|line| line.split('\t').skip(4).map(|it| it.parse().unwrap_or(0)).collect());
    let fields: Vec<Vec<u64>> = fields.collect();
    // Offsets in the file and in the image, sizes there and here.
    let block = fields.iter().find(|row| (row[1]..row[1] + row[3]).contains(&(at * MIB))).unwrap();
    block[0] + block[2] / 2
}

#[test]
fn of_an_archive_only_what_is_looked_at_is_unpacked() {
    let place = Place::new();
    let image = place.copy(&images::raspios_arm64_tiny(), "a.img");
    let raw = json_of(&place, &["inspect", "a.img", "--json"]);
    stdout_of(tool("xz").args(["-k", "-1", "--block-size=4MiB"]).arg(&image));
    let archive = place.path("a.img.xz");
    let break_at = |at| {
        let file = File::options().read(true).write(true).open(&archive).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    };
    // The middle of the FAT, far from its first sectors.
    break_at(block_of(&archive, 30));
    let ended = place.run(["inspect", "a.img.xz", "--json", "--progress", "json"]).expect(0);
    let mut told: Value = serde_json::from_str(&ended.stdout()).unwrap();
    told["path"] = "a.img".into();
    assert_eq!(told, raw);
    let events = ended.stderr();
    let mut events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = events.rfind(|event| event["event"] == "bytes").unwrap();
    assert!(last["done"].as_u64().unwrap() < last["total"].as_u64().unwrap(), "{last}");
    place.run(["unpack", "a.img.xz", "o.img"]).expect(6).says("damaged");
    // The superblock of the root.
    break_at(block_of(&archive, 48));
    place.run(["inspect", "a.img.xz"]).expect(6).says("a.img.xz").says("damaged");
    assert_eq!(names_in(&place.work()), ["a.img", "a.img.xz"]);
    place.assert_clean();
}

#[test]
fn archives_of_every_kind_are_looked_into() {
    let place = Place::of_user(NOBODY);
    place.copy(&images::gpt_arm64_tiny(), "a.img");
    let mut raw = json_of(&place, &["inspect", "a.img", "--json"]);
    for (program, arguments, name) in [
        ("gzip", ["-k", "-1", "a.img"], "a.img.gz"),
        ("bzip2", ["-k", "-1", "a.img"], "a.img.bz2"),
        ("zstd", ["-q", "-1", "a.img"], "a.img.zst"),
        ("xz", ["-k", "--format=lzma", "-1"], "a.img.lzma"),
        ("xz", ["-k", "-1", "-T1"], "a.img.xz"),
        ("zip", ["-q", "a.zip", "a.img"], "a.zip"),
        ("tar", ["-cf", "a.tar", "a.img"], "a.tar"),
    ] {
        let mut packer = tool(program);
        packer.current_dir(place.work()).args(arguments);
        stdout_of(if program == "xz" { packer.arg("a.img") } else { &mut packer });
        raw["path"] = name.into();
        assert_eq!(json_of(&place, &["inspect", name, "--json"]), raw);
    }
    place.assert_clean();
}
