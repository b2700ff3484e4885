//! The whole program beside the usual tools, in interleaved rounds: see scripts/bench.
//!
//! `cargo bench -p arm-image-tests --bench program -- FOLDER [ROUNDS [ROWS]]`, where FOLDER holds `disk.img`, `multi.xz` and `single.xz` as
//! the bench of arm-image-decompress makes them. Prints tables in Markdown.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use std::{env, io};

use arm_image_tests::program::sha256;

mod devices;

/// What is measured against what. All commands are for the shell, with `$ARM_IMAGE`, `$URL`, `$SUM` and `$FOLDER`, in an empty
/// folder; both sides leave the same image in `image`, if `same`.
struct Row {
    what: &'static str,
    /// The archive that `$URL` leads to.
    archive: &'static str,
    /// The usual way, and what it is called in the table.
    anchor: (&'static str, &'static str),
    product: (&'static str, &'static str),
    /// Run once before all rounds.
    first: &'static str,
    /// Run before every sample.
    before: &'static str,
    same: bool,
}

const CURL: (&str, &str) = (
    "curl; sha256sum; xz -dc > image",
    "curl -sfo a.xz $URL && echo \"$SUM  a.xz\" | sha256sum -c --quiet && xz -dc -T1 a.xz > image",
);
const BUILD: (&str, &str) = (
    "arm-image build",
    "$ARM_IMAGE build -q --source $URL --checksum $SUM --output image --cache-dir cache > /dev/null",
);
/// What is installed.
const PACKAGES: &str = "bash_* coreutils_* dpkg_* findutils_* gzip_* libc-bin_* login_* passwd_* perl-base_* sed_* tar_* \
    util-linux_*";
/// The same from the archive as `BY_HAND`.
const WHOLE: &str = "$ARM_IMAGE build -q --source $FOLDER/raspios.xz --checksum none --mount 2=/ --size +512M --output image \\
    --bind $FOLDER/debs:/var/tmp/debs:ro --run 'cd /var/tmp/debs && dpkg -i --force-all PACKAGES' > /dev/null";
/// Some packages of the image's are installed again: `raspios` and `debs` in `$FOLDER` lead to the image and to packages.
const INSTALL: &str = "$ARM_IMAGE build -q --source $FOLDER/raspios --checksum none --mount 2=/ --size +512M --output image \\
    --bind $FOLDER/debs:/var/tmp/debs:ro --run 'cd /var/tmp/debs && dpkg -i --force-all PACKAGES' > /dev/null";
/// The second stage of debootstrap for Debian 13, whose programs have pointer authentication: `debian13` in `$FOLDER` leads to
/// the first. To set the variable is to have qemu's own choice of a processor.
const SECOND_STAGE: &str = "$ARM_IMAGE build -q --source $FOLDER/debian13 --checksum none --output image \\
    --run 'PROCESSOR /debootstrap/debootstrap --second-stage' > /dev/null";
/// A whole build with the usual tools, as root on a kernel without FAT: unpack, grow, mount, let the kernel hand programs to
/// qemu, install, take everything down. In namespaces of its own, so that what fails leaves no mount.
const BY_HAND: &str = r#"unshare --mount --pid --fork sh -ec '
    xz -dc -T1 $FOLDER/raspios.xz > image
    truncate -s +512M image
    echo ", +" | sfdisk -q --no-reread -N 2 image > /dev/null 2>&1
    start=$(sfdisk -d image | sed -n "s/^image2 : start= *\([0-9]*\).*/\1/p")
    loop=$(losetup --find --show --offset $((start * 512)) image)
    trap "losetup -d $loop" EXIT
    e2fsck -fp $loop > /dev/null
    resize2fs $loop > /dev/null 2>&1
    mkdir -p mnt
    mount $loop mnt
    cp /usr/bin/qemu-aarch64-static mnt/usr/bin/
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2> /dev/null || true
    magic="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    printf "%s" ":bench:M::$magic:$mask:/usr/bin/qemu-aarch64-static:" > /proc/sys/fs/binfmt_misc/register
    trap "echo -1 > /proc/sys/fs/binfmt_misc/bench; umount -R mnt; losetup -d $loop" EXIT
    mount -t proc none mnt/proc
    mount --bind /dev mnt/dev
    mount --bind -o ro $FOLDER/debs mnt/mnt
    chroot mnt sh -c "cd /mnt && DEBIAN_FRONTEND=noninteractive dpkg -i --force-all PACKAGES" > /dev/null 2>&1
    rm mnt/usr/bin/qemu-aarch64-static' && sync image"#;
const ROWS: [Row; 7] = [
    Row {
        what: "first build, xz with many blocks",
        archive: "multi.xz",
        anchor: CURL,
        product: BUILD,
        first: "true",
        before: "rm -rf cache a.xz image",
        same: true,
    },
    Row {
        what: "first build, xz with one block",
        archive: "single.xz",
        anchor: CURL,
        product: BUILD,
        first: "true",
        before: "rm -rf cache a.xz image",
        same: true,
    },
    Row {
        what: "the same again, from the cache",
        archive: "multi.xz",
        anchor: (
            "cp --sparse=always --reflink=auto",
            "cp --sparse=always --reflink=auto $FOLDER/disk.img image",
        ),
        product: BUILD,
        first: BUILD.1,
        before: "rm -f image",
        same: true,
    },
    Row {
        what: "the same again, with what reaches the disk",
        archive: "multi.xz",
        anchor: (
            "cp --sparse=always --reflink=auto; sync image",
            "cp --sparse=always --reflink=auto $FOLDER/disk.img image && sync image",
        ),
        product: BUILD,
        first: BUILD.1,
        before: "rm -f image",
        same: true,
    },
    Row {
        what: "twelve packages installed in the image",
        archive: "multi.xz",
        anchor: ("arm-image build --sync", "SYNC"),
        product: ("arm-image build", INSTALL),
        first: "true",
        before: "rm -f image",
        same: false,
    },
    Row {
        what: "unpacked, grown, mounted, twelve packages, taken down",
        archive: "multi.xz",
        anchor: ("xz; sfdisk; losetup; e2fsck; resize2fs; mount; chroot; sync", BY_HAND),
        product: ("arm-image build", WHOLE),
        first: "true",
        before: "rm -f image",
        same: false,
    },
    Row {
        what: "a base system of Debian 13 set up",
        archive: "multi.xz",
        anchor: ("QEMU_CPU=max", "PROCESSOR"),
        product: ("arm-image build", SECOND_STAGE),
        first: "true",
        before: "rm -f image",
        same: false,
    },
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--measure", command] => measure(command),
        ["--serve", file] => serve(file.as_ref()),
        ["--exact", devices::NAME, ..] => devices::inside(),
        [folder] => tables(folder.as_ref(), 5, ""),
        [folder, rounds] => tables(folder.as_ref(), rounds.parse().unwrap(), ""),
        [folder, rounds, wanted] => tables(folder.as_ref(), rounds.parse().unwrap(), wanted),
        _ => println!("passed over: a folder with images is needed, see scripts/bench"),
    }
}

/// Only the rows whose names contain `wanted`.
fn tables(folder: &Path, rounds: usize, wanted: &str) {
    let folder = folder.canonicalize().unwrap();
    println!("| work | program | s | peak MiB | x |\n| --- | --- | --- | --- | --- |");
    for row in ROWS.iter().filter(|row| row.what.contains(wanted)) {
        compare(row, &folder, rounds);
    }
    if "devices".contains(wanted) {
        start(rounds);
        devices::compare(rounds);
    }
}

/// Both sides of a row, in turn.
fn compare(row: &Row, folder: &Path, rounds: usize) {
    let archive = folder.join(row.archive);
    let server = Served::start(&archive);
    let work = tempfile::tempdir_in(folder).unwrap();
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(work.path());
        shell
    };
    let prepare = |command: &str| {
        let mut shell = shell(command);
        let status = surround(&mut shell, folder, &archive, &server.url).status().unwrap();
        assert!(status.success(), "{command}");
    };
    let sample = |command: &str| {
        let command = &command.replace("PACKAGES", PACKAGES);
        prepare(row.before);
        // Dirty pages of the run before would be written in this one's time.
        Command::new("sync").status().unwrap();
        let mut own = Command::new(env::current_exe().unwrap());
        own.args(["--measure", command]).current_dir(work.path()).stderr(Stdio::inherit());
        let output = surround(&mut own, folder, &archive, &server.url).output().unwrap();
        assert!(output.status.success(), "{command}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (seconds, kibibytes) = text.trim().split_once(' ').unwrap();
        (seconds.parse().unwrap(), kibibytes.parse::<f64>().unwrap() / 1024.0)
    };
    prepare(row.first);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        // The usual way to install is to let every fsync reach the disk.
        let one = match row.anchor.1 {
            "SYNC" => sample(&INSTALL.replace("build -q", "build -q --sync")),
            "PROCESSOR" => sample(&SECOND_STAGE.replace("PROCESSOR", "QEMU_CPU=max")),
            anchor => sample(anchor),
        };
        let other = sample(&row.product.1.replace("PROCESSOR", ""));
        if round == 0 && !row.same {
            continue;
        }
        if round == 0 {
            // The caches are warm now.
            assert_eq!(sha256(&work.path().join("image")), sha256(&folder.join("disk.img")), "{}", row.what);
            continue;
        }
        theirs.push(one);
        ours.push(other);
    }
    print_pair(row.what, (row.anchor.0, theirs), (row.product.0, ours));
}

fn surround<'a>(command: &'a mut Command, folder: &Path, archive: &Path, url: &str) -> &'a mut Command {
    command
        .env("FOLDER", folder)
        .env("ARM_IMAGE", arm_image_tests::program::program())
        .env("URL", url)
        .env("SUM", sha256(archive))
        .env("NO_PROXY", "127.0.0.1")
}

/// Two lines of the table; `x` is the median of the ratios round by round.
fn print_pair(what: &str, theirs: (&str, Vec<(f64, f64)>), ours: (&str, Vec<(f64, f64)>)) {
    let mut ratios: Vec<f64> = theirs.1.iter().zip(&ours.1).map(|(theirs, ours)| theirs.0 / ours.0).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = format!("{:.2} ({:.2}-{:.2})", ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1]);
    print_row(what, theirs, "1.00");
    print_row("", ours, &ratio);
}

fn print_row(what: &str, (program, mut samples): (&str, Vec<(f64, f64)>), ratio: &str) {
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    let peak = samples.iter().map(|sample| sample.1).fold(0.0, f64::max);
    let peak = if peak > 0.0 { format!("{peak:.0}") } else { String::new() };
    let (median, least, most) = (samples[samples.len() / 2].0, samples[0].0, samples[samples.len() - 1].0);
    println!("| {what} | `{program}` | {median:.3} ({least:.3}-{most:.3}) | {peak} | {ratio} |");
}

/// How long the program takes to say its version.
fn start(rounds: usize) {
    let samples = (0..rounds * 4).map(|_| {
        let start = Instant::now();
        let output = Command::new(arm_image_tests::program::program()).arg("--version").output().unwrap();
        assert!(output.status.success());
        (start.elapsed().as_secs_f64(), 0.0)
    });
    print_row("start of the program", ("arm-image --version", samples.collect()), "");
}

/// Runs one command of the shell's in a process of its own, whose only child it is: prints seconds and peak memory in KiB.
fn measure(command: &str) {
    let start = Instant::now();
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command:?}");
    let seconds = start.elapsed().as_secs_f64();
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    println!("{seconds} {}", usage.max_rss());
}

/// A web server in a process of its own.
struct Served {
    process: Child,
    url: String,
}

impl Served {
    fn start(file: &Path) -> Served {
        let mut own = Command::new(env::current_exe().unwrap());
        let mut process = own.arg("--serve").arg(file).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Served { process, url: url.trim().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves `file` to everybody who connects.
fn serve(file: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}/{}", listener.local_addr().unwrap(), name_of(file).display());
    for stream in listener.incoming() {
        // A client that goes away is none of the server's trouble.
        let _ = answer(stream.unwrap(), file);
    }
}

fn answer(mut stream: TcpStream, file: &Path) -> io::Result<()> {
    let mut is_head = false;
    for line in BufReader::new(&stream).lines() {
        let line = line?;
        is_head |= line.starts_with("HEAD ");
        if line.is_empty() {
            break;
        }
    }
    let mut file = File::open(file)?;
    let size = file.metadata()?.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n")?;
    if !is_head {
        io::copy(&mut file, &mut stream)?;
    }
    Ok(())
}

fn name_of(path: &Path) -> PathBuf {
    path.file_name().unwrap().into()
}
