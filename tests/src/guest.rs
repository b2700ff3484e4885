//! Running a test as root in a throw-away kernel that has device-mapper, vfat and binfmt_misc.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    io::{self, BufRead, BufReader, Write},
    os::{fd::AsFd, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
};

use arm_image_guest::{Channel, Guest, HOST};
use nix::mount::{MsFlags, mount};

use crate::images::{CACHE, default_cache};

/// Set in the guest: the test is to do its work instead of starting a guest.
const INSIDE: &str = "ARM_IMAGE_TEST_GUEST";
/// Guest memory: what tests put into `/tmp` there comes out of it.
const MEMORY: u64 = 1 << 30;

/// Runs `body` as root in a guest: outside, starts one that runs the test called `name` again, and fails if that
/// fails; inside, calls `body`.
///
/// The guest sees the host's whole tree, but cannot write to it, with fresh `/proc`, `/sys`, `/dev`, and with empty `/tmp`
/// and `/run` in its own memory. `name` is the test's full path as `--list` shows it.
///
/// # Panics
///
/// When the test fails, is not found, or the guest cannot be started.
pub fn in_guest(name: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let outcome =
        run(name, &mut print).unwrap_or_else(|error| panic!("{name} could not be run in a guest: {error}"));
    let passed = outcome.output.iter().any(|line| line.contains("1 passed; 0 failed"));
    assert!(
        outcome.code == 0 && passed,
        "{name} failed in the guest with exit code {} (is that its full name?); the guest's console:\n{}",
        outcome.code,
        outcome.console
    );
}

/// What the program that calls this writes when it is run in a guest with `--exact NAME`.
///
/// # Errors
///
/// Where the guest cannot be started, or the program fails there.
pub fn guest_lines(name: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let outcome = run(name, &mut |_| {})?;
    match outcome.code {
        0 => Ok(outcome.output),
        code => Err(format!("{name} failed in the guest with exit code {code}: {:?}", outcome.output).into()),
    }
}

struct Outcome {
    code: i32,
    output: Vec<String>,
    console: String,
}

#[expect(clippy::print_stdout, reason = "the test's own output, kept by the test runner until it fails")]
fn print(line: &str) {
    println!("guest: {line}");
}

fn run(name: &str, on_line: &mut dyn FnMut(&str)) -> Result<Outcome, Box<dyn Error>> {
    let program = env::current_exe()?;
    let folder = env::current_dir()?;
    let mut guest = Guest::builder()
        .init(init_program()?)
        .args([program.as_os_str(), folder.as_os_str(), OsStr::new(name), default_cache().as_os_str()])
        .memory(MEMORY)
        .share_host()
        .start()
        .map_err(described)?;
    let mut output = Vec::new();
    for line in BufReader::new(guest.channel()).lines() {
        let line = line?;
        on_line(&line);
        output.push(line);
    }
    let console = guest.console_tail();
    Ok(Outcome { code: guest.wait().map_err(described)?, output, console })
}

/// The guest's init: Cargo builds it for this package's tests, one folder above them.
///
/// # Errors
///
/// Where it is not there.
pub fn init_program() -> io::Result<PathBuf> {
    let test = env::current_exe()?;
    let folder = test.ancestors().nth(2).unwrap_or(&test);
    let program = folder.join("guest-init");
    if program.is_file() {
        return Ok(program);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("no guest-init in {}", folder.display())))
}

/// The error with its causes and its hint.
fn described(error: arm_image_guest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        text = format!("{text} ({hint})");
    }
    text
}

/// The guest's side of [`in_guest`]: makes the host's tree the root and runs the test there.
pub fn serve(mut channel: Channel) -> u8 {
    run_test(&channel).unwrap_or_else(|error| {
        let _ = writeln!(channel, "the test could not be run: {error}");
        1
    })
}

fn run_test(channel: &Channel) -> Result<u8, Box<dyn Error>> {
    let arguments = arm_image_guest::arguments();
    let [program, folder, name, cache] = arguments.as_slice() else {
        return Err(format!("unexpected arguments {arguments:?}").into());
    };
    let cache = Path::new(cache);
    keep_checkout(Path::new(program), Path::new(folder), cache)?;
    for point in ["dev", "proc", "sys", "tmp", "run"] {
        let from = Path::new("/").join(point);
        mount(Some(&from), &Path::new(HOST).join(point), None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    }
    env::set_current_dir(HOST)?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    nix::unistd::chroot(".")?;
    env::set_current_dir("/")?;
    // What a test writes to `/etc`, as root of its guest, would be written to this machine's.
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(None::<&str>, "/", None::<&str>, read_only, None::<&str>)?;

    let status = Command::new(program)
        .args([OsStr::new("--exact"), name, OsStr::new("--nocapture")])
        .current_dir(folder)
        .env(INSIDE, "1")
        .env(CACHE, cache)
        .stdout(channel.as_fd().try_clone_to_owned()?)
        .stderr(channel.as_fd().try_clone_to_owned()?)
        .status()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).unwrap_or(1))
}

/// Shows a checkout, a target folder or a cache that lies below `/tmp` or `/run` in the guest's own ones, too.
fn keep_checkout(program: &Path, package: &Path, cache: &Path) -> Result<(), Box<dyn Error>> {
    let target = program.ancestors().nth(2).unwrap_or(program);
    for folder in [package.parent().unwrap_or(package), target, cache] {
        let hidden = ["/tmp", "/run"].iter().any(|point| folder.starts_with(point));
        let source = Path::new(HOST).join(folder.strip_prefix("/").unwrap_or(folder));
        if hidden && !folder.exists() && source.exists() {
            std::fs::create_dir_all(folder)?;
            mount(Some(&source), folder, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        }
    }
    Ok(())
}
