//! Unpacking beside the usual programs, on the same archives, in interleaved rounds.
//!
//! `cargo bench -p arm-image-decompress [-- FOLDER [MEBIBYTES [ROUNDS [FORMAT...]]]]` makes an image with an ext4 file system of
//! programs and libraries from this machine, half of it zeros, packs it in every format, and prints a table in Markdown. What was
//! made once in FOLDER is used again. Programs that are not installed are passed over.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const IMAGE: &str = "disk.img";

/// A row of the table.
struct Case {
    name: &'static str,
    archive: &'static str,
    made: Made,
    /// Writes to stdout, which is a file; `cp` gets the output's name as its last argument.
    anchor: &'static [&'static str],
    /// Whether both get the archive through a pipe.
    is_piped: bool,
}

/// How an archive is made of the image.
enum Made {
    /// It is the image.
    Already,
    /// By what a command writes to stdout.
    By(&'static [&'static str]),
    /// In frames that tell the size of their data, as in the seekable format.
    InFrames,
}

const fn case(
    name: &'static str,
    archive: &'static str,
    made: Made,
    anchor: &'static [&'static str],
) -> Case {
    Case { name, archive, made, anchor, is_piped: false }
}

const THREADED_XZ: Made = Made::By(&["xz", "-6", "-T2", "-kc", IMAGE]);

const CASES: [Case; 11] = [
    case("xz, many blocks", "multi.xz", THREADED_XZ, &["xz", "-dc", "-T1"]),
    Case {
        is_piped: true,
        ..case("xz, many blocks, arriving", "multi.xz", THREADED_XZ, &["xz", "-dc", "-T1"])
    },
    case("xz, one block", "single.xz", Made::By(&["xz", "-6", "-T1", "-kc", IMAGE]), &["xz", "-dc", "-T1"]),
    case("gz", "disk.gz", Made::By(&["gzip", "-6", "-kc", IMAGE]), &["gzip", "-dc"]),
    case("zip", "disk.zip", Made::By(&["zip", "-q", "-", IMAGE]), &["unzip", "-p"]),
    case("bz2", "disk.bz2", Made::By(&["bzip2", "-kc", IMAGE]), &["bzip2", "-dc"]),
    case("zst", "disk.zst", Made::By(&["zstd", "-q", "-kc", IMAGE]), &["zstd", "-dc"]),
    case("zst, many frames", "multi.zst", Made::By(&["pzstd", "-q", "-p4", "-kc", IMAGE]), &["zstd", "-dc"]),
    case("zst, frames with sizes", "sized.zst", Made::InFrames, &["zstd", "-dc"]),
    case("raw, sparse", IMAGE, Made::Already, &["cp", "--sparse=always", "--reflink=auto"]),
    case("raw, dense", "dense.img", Made::By(&["cat", IMAGE]), &["cp", "--sparse=always", "--reflink=auto"]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--unpack", input, output] => unpack(File::open(input).unwrap(), output.as_ref()),
        ["--unpack-stdin", output] => unpack(stdin(), output.as_ref()),
        ["--measure", input, output, command @ ..] => measure(input, output.as_ref(), false, command),
        ["--measure-piped", input, output, command @ ..] => measure(input, output.as_ref(), true, command),
        arguments => table(arguments),
    }
}

fn stdin() -> File {
    File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap())
}

fn unpack(input: File, output: &Path) {
    let output = File::create(output).unwrap();
    arm_image_decompress::unpack(&input, &output, &mut |_, _| ControlFlow::Continue(())).unwrap();
}

/// Runs one command in a process of its own, whose only children it and the pipe's other end are, and prints seconds and peak
/// memory in KiB.
fn measure(input: &str, output: &Path, is_piped: bool, command: &[&str]) {
    let (program, options) = command.split_first().unwrap();
    let own = *program == "--unpack";
    let _ = fs::remove_file(output);
    let mut child = if own { Command::new(std::env::current_exe().unwrap()) } else { Command::new(program) };
    if own {
        child.arg(if is_piped { "--unpack-stdin" } else { "--unpack" });
    }
    child.args(options);
    let mut feeder = is_piped.then(|| Command::new("cat").arg(input).stdout(Stdio::piped()).spawn().unwrap());
    match &mut feeder {
        Some(feeder) => child.stdin(feeder.stdout.take().unwrap()),
        None => child.arg(input),
    };
    if own || *program == "cp" {
        child.arg(output);
    } else {
        child.stdout(File::create(output).unwrap());
    }
    let start = Instant::now();
    assert!(child.status().unwrap().success(), "{command:?}");
    let seconds = start.elapsed().as_secs_f64();
    assert!(feeder.is_none_or(|mut feeder| feeder.wait().unwrap().success()));
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    println!("{seconds} {}", usage.max_rss());
}

fn table(arguments: &[&str]) {
    let number = |at: usize, default| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let folder = arguments.first().map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let (size, rounds) = (number(1, 1024), number(2, 5));
    let wanted = arguments.get(3..).unwrap_or_default();
    fs::create_dir_all(&folder).unwrap();
    make(&folder.join(IMAGE), |part| make_image(part, size));
    let cores = std::thread::available_parallelism().unwrap();
    println!("{size} MiB, {cores} cores, {rounds} rounds; median (min-max)\n");
    println!("| archive | program | s | peak MiB | x |\n| --- | --- | --- | --- | --- |");
    for Case { name, archive, made, anchor, is_piped } in CASES {
        if !wanted.is_empty() && !wanted.contains(&archive) {
            continue;
        }
        let (archive, output) = (folder.join(archive), folder.join("unpacked"));
        match made {
            Made::Already => {}
            Made::By(pack) if !is_installed(pack[0]) => continue,
            Made::By(pack) => make(&archive, |part| {
                let mut command = Command::new(pack[0]);
                let status = command
                    .args(&pack[1..])
                    .current_dir(&folder)
                    .stdout(File::create(part).unwrap())
                    .status();
                assert!(status.unwrap().success(), "{pack:?}");
            }),
            Made::InFrames => make(&archive, |part| make_frames(&folder.join(IMAGE), part)),
        }
        let sample = |command: &[&str]| sample(&archive, &output, is_piped, command);
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let samples = [sample(anchor), sample(&["--unpack"])];
            if round == 0 {
                assert_same(&output, &folder.join(IMAGE)); // and the caches are warm
                continue;
            }
            theirs.push(samples[0]);
            ours.push(samples[1]);
        }
        let mut ratios: Vec<f64> = theirs.iter().zip(&ours).map(|(theirs, ours)| theirs.0 / ours.0).collect();
        ratios.sort_by(f64::total_cmp);
        row(name, &anchor.join(" "), &mut theirs, "1.00");
        let ratio =
            format!("{:.2} ({:.2}-{:.2})", ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1]);
        row("", "arm-image-decompress", &mut ours, &ratio);
        fs::remove_file(output).unwrap();
    }
}

fn row(name: &str, program: &str, samples: &mut [(f64, f64)], ratio: &str) {
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    let peak = samples.iter().map(|sample| sample.1).fold(0.0, f64::max);
    let (median, least, most) = (samples[samples.len() / 2].0, samples[0].0, samples[samples.len() - 1].0);
    println!("| {name} | `{program}` | {median:.2} ({least:.2}-{most:.2}) | {peak:.0} | {ratio} |");
}

/// Seconds, and mebibytes of memory.
fn sample(input: &Path, output: &Path, is_piped: bool, command: &[&str]) -> (f64, f64) {
    // Dirty pages of the run before would be written in this one's time.
    Command::new("sync").status().unwrap();
    let measured = Command::new(std::env::current_exe().unwrap())
        .arg(if is_piped { "--measure-piped" } else { "--measure" })
        .args([input, output])
        .args(command)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(measured.status.success(), "{command:?}");
    let text = String::from_utf8(measured.stdout).unwrap();
    let (seconds, kibibytes) = text.trim().split_once(' ').unwrap();
    (seconds.parse().unwrap(), kibibytes.parse::<f64>().unwrap() / 1024.0)
}

fn assert_same(first: &Path, second: &Path) {
    assert!(Command::new("cmp").args([first, second]).status().unwrap().success());
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Makes a file that is not there yet, under its name only when it is whole.
fn make(path: &Path, work: impl FnOnce(&Path)) {
    if !path.exists() {
        let part = path.with_extension("part");
        work(&part);
        fs::rename(part, path).unwrap();
    }
}

fn make_frames(image: &Path, archive: &Path) {
    const FRAME: u64 = 16 << 20;
    let (mut image, mut archive) = (File::open(image).unwrap(), File::create(archive).unwrap());
    let mut data = Vec::new();
    while (&mut image).take(FRAME).read_to_end(&mut data).unwrap() > 0 {
        archive.write_all(&zstd::bulk::compress(&data, 3).unwrap()).unwrap();
        data.clear();
    }
}

/// An ext4 file system, half of it files from this machine's own /usr.
fn make_image(path: &Path, mebibytes: u64) {
    let tree = path.with_extension("tree");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(&tree).unwrap();
    // Programs, libraries and texts as in a real system; what the first have no use for is the others' room.
    let mut room = 0;
    for (folder, share) in [("/usr/bin", 4), ("/usr/share", 4), ("/usr/lib", 2)] {
        room += (mebibytes << 19) * share / 10;
        let target = tree.join(folder.trim_start_matches('/').replace('/', "-"));
        fs::create_dir(&target).unwrap();
        copy_files(folder.as_ref(), &target, &mut room);
    }
    File::create(path).unwrap().set_len(mebibytes << 20).unwrap();
    let status = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-d"]).args([&tree, path]).status();
    assert!(status.unwrap().success(), "mkfs.ext4");
    fs::remove_dir_all(tree).unwrap();
}

fn copy_files(from: &Path, to: &Path, room: &mut u64) {
    let Ok(entries) = fs::read_dir(from) else { return };
    let mut entries: Vec<_> = entries.map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_files(&entry.path(), &target, room);
        } else if kind.is_file() {
            let size = entry.metadata().unwrap().len();
            // No single program may stand for the whole.
            if size <= 20 << 20 && size <= *room && fs::copy(entry.path(), target).is_ok() {
                *room -= size;
            }
        }
    }
}
