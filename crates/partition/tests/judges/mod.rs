//! What the usual tools say about an image.

use arm_image_partition::{Partition, Scheme, read};
use serde_json::Value;

use crate::common::{Image, attempt, tool};

/// A table in our terms: scheme, disk id, partitions.
pub(crate) type Table = (String, String, Vec<Partition>);

/// The table in sfdisk's words.
pub(crate) fn json(image: &Image) -> Value {
    let json: Value =
        serde_json::from_str(&tool("sfdisk", &["--json", &image.name()], "")).expect("sfdisk's JSON");
    json["partitiontable"].clone()
}

/// The number of an entry in sfdisk's words.
pub(crate) fn number(image: &Image, entry: &Value) -> u32 {
    let node = entry["node"].as_str().expect("a node");
    node.trim_start_matches(&image.name()).parse().expect("a number")
}

/// The table as sfdisk sees it, in our terms.
pub(crate) fn dumped(image: &Image) -> Table {
    let table = json(image);
    let text = |value: &Value| value.as_str().map(str::to_lowercase);
    let is_mbr = table["label"] == "dos";
    let disk_id = text(&table["id"]).expect("an id").trim_start_matches("0x").to_owned();
    let sector = table["sectorsize"].as_u64().expect("a sector size");
    let partitions = table["partitions"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|entry| {
        let number = number(image, entry);
        let start = entry["start"].as_u64().expect("a start") * sector;
        let kind = text(&entry["type"]).expect("a type");
        Partition {
            number,
            range: start..start + entry["size"].as_u64().expect("a size") * sector,
            kind: if is_mbr { format!("{kind:0>2}") } else { kind },
            name: entry["name"].as_str().map(str::to_owned),
            partuuid: text(&entry["uuid"]).unwrap_or_else(|| format!("{disk_id}-{number:02x}")),
        }
    });
    (if is_mbr { "mbr" } else { "gpt" }.to_owned(), disk_id.clone(), partitions.collect())
}

/// The table as this crate sees it.
pub(crate) fn ours(image: &Image) -> Table {
    let table = read(&mut image.open()).expect("a table");
    (table.scheme().to_string(), table.disk_id(), table.partitions())
}

/// Asserts that nobody finds fault with the table: sfdisk, parted, and for a GPT sgdisk.
pub(crate) fn assert_sound(image: &Image) {
    let verdict = tool("sfdisk", &["--verify", &image.name()], "");
    assert!(verdict.contains("No errors detected"), "{verdict}");
    let table = read(&mut image.open()).expect("a table");
    if table.scheme() == Scheme::Gpt {
        let verdict = tool("sgdisk", &["--verify", &image.name()], "");
        assert!(verdict.contains("No problems found"), "{verdict}");
    }
    let listed = attempt("parted", &["-ms", &image.name(), "unit", "B", "print"], "");
    let [stdout, stderr] = [&listed.stdout, &listed.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    // The tools run in the plain locale, which knows no letters beyond ASCII.
    let complaint = stderr.lines().find(|line| !line.contains("failed to translate partition name"));
    assert!(listed.status.success() && complaint.is_none_or(str::is_empty), "{stdout}{stderr}");
    let ranges = stdout.lines().skip(2).map(|line| {
        let mut fields = line.split(':');
        let mut field = || fields.next().and_then(|field| field.trim_end_matches('B').parse::<u64>().ok());
        let [number, start, end] = [field(), field(), field()].map(|field| field.expect("a number"));
        (number, start..end + 1)
    });
    // parted has no eyes for the type 0.
    let partitions = table.partitions().into_iter().filter(|partition| partition.kind != "00");
    let expected = partitions.map(|partition| (u64::from(partition.number), partition.range));
    // parted lists them as they lie on the disk.
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(ranges, expected.collect::<Vec<_>>(), "{stdout}");
}
