//! The same verdict and the same bytes as the programs everybody uses. A program that is not installed is passed over.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{COMPRESSED, from_file, from_stream, image, pack};

/// What the program writes to stdout, or `None` if it is not installed.
fn run(folder: &Path, arguments: &[&str]) -> Option<Result<Vec<u8>, String>> {
    let (program, arguments) = arguments.split_first().unwrap();
    match Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Some(Ok(output.stdout)),
        Ok(output) => Some(Err(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn archives_made_by_the_tools_are_unpacked() {
    let commands: [&[&str]; 18] = [
        &["xz", "-kc", "-1", "disk.img"],
        &["xz", "-kc", "-T2", "--block-size=262144", "disk.img"],
        &["xz", "-kc", "-1", "--check=none", "disk.img"],
        &["xz", "-kc", "-1", "--check=crc32", "disk.img"],
        &["xz", "-kc", "-1", "--check=sha256", "disk.img"],
        &["xz", "-kc", "--arm64", "--lzma2=preset=1", "disk.img"],
        &["xz", "-kc", "-9", "-T1", "disk.img"],
        &["xz", "-kc", "-T2", "--block-size=1000000", "--arm64", "--lzma2=preset=0", "disk.img"],
        &["gzip", "-kc", "-1", "disk.img"],
        &["gzip", "-kc", "-9", "-n", "disk.img"],
        &["pigz", "-kc", "-p2", "disk.img"],
        &["bzip2", "-kc", "disk.img"],
        &["zstd", "-kqc", "-1", "disk.img"],
        &["zstd", "-kqc", "-19", "-T2", "disk.img"],
        &["zstd", "-kqc", "--long=30", "disk.img"],
        &["zstd", "-kqc", "--no-check", "disk.img"],
        &["pzstd", "-kqc", "-p3", "disk.img"],
        &["zip", "-q", "-", "disk.img"], // with a data descriptor, because the output is a pipe
    ];
    let folder = tempfile::tempdir().unwrap();
    let data = image(3_000_000, 17);
    fs::write(folder.path().join("disk.img"), &data).unwrap();
    for command in commands {
        let Some(archive) = run(folder.path(), command) else { continue };
        let archive = archive.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (unpacked, bytes) = from_file(&archive).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(bytes == data, "{command:?}");
        if unpacked.format != "zip" {
            assert!(from_stream(&archive, 4096).unwrap().1 == data, "{command:?}");
        }
    }
}

#[test]
fn zips_made_by_the_tool_are_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let data = image(1_000_000, 18);
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/disk.img"), &data).unwrap();
    fs::write(folder.path().join("README"), "read me").unwrap();
    for (name, option) in [("stored.zip", "-0"), ("deflated.zip", "-9")] {
        let command = ["zip", "-qr", option, name, "README", "sub"];
        let Some(made) = run(folder.path(), &command) else { continue };
        made.unwrap();
        assert!(from_file(&fs::read(folder.path().join(name)).unwrap()).unwrap().1 == data, "{name}");
    }
}

#[test]
fn an_encrypted_zip_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("disk.img"), image(10_000, 19)).unwrap();
    let command = ["zip", "-q", "-P", "secret", "locked.zip", "disk.img"];
    let Some(made) = run(folder.path(), &command) else { return };
    made.unwrap();
    let error = from_file(&fs::read(folder.path().join("locked.zip")).unwrap()).unwrap_err();
    assert!(error.to_string().to_lowercase().contains("password"), "{error}");
}

/// Where the tool refuses, so do we; where we accept, the tool gives the same bytes.
#[test]
fn damaged_archives_are_judged_as_by_the_tools() {
    let folder = tempfile::tempdir().unwrap();
    let data = image(20_000, 20);
    for format in COMPRESSED {
        let archive = pack(format, &data);
        let step = (archive.len() / 25).max(1);
        for at in (0..archive.len()).step_by(step) {
            let mut flipped = archive.clone();
            flipped[at] ^= 0x10;
            for damaged in [flipped, archive[..at].to_vec()] {
                let name = "damaged";
                fs::write(folder.path().join(name), &damaged).unwrap();
                let command: &[&str] = match format {
                    "xz" => &["xz", "-dc", "--format=xz", name],
                    "gz" => &["gzip", "-dc", name],
                    "bz2" => &["bzip2", "-dc", name],
                    "zst" => &["zstd", "-dqc", name],
                    _ => &["unzip", "-p", name],
                };
                // Without the suffix gzip reads from stdin only; the others do not mind.
                let theirs = if format == "gz" {
                    fs::rename(folder.path().join(name), folder.path().join("damaged.gz")).unwrap();
                    run(folder.path(), &["gzip", "-dc", "damaged.gz"])
                } else {
                    run(folder.path(), command)
                };
                let Some(theirs) = theirs else { continue };
                match from_file(&damaged) {
                    Ok((unpacked, bytes)) if unpacked.format != "raw" => {
                        assert!(theirs.is_ok_and(|theirs| theirs == bytes), "{format} at {at}");
                    }
                    _ => {} // stricter than the tool is allowed
                }
            }
        }
    }
}
