//! Real guests, started by whoever runs the tests: this program is both the host's side and the guest's.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of this is a test, though it has its own main"
)]

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
};

use arm_image_guest::{Builder, Channel, DISK, Error, Guest, JOB, TERMINAL};

/// The argument that makes this program start a guest for ever, to be killed.
const HOLD: &str = "--hold";

type Check = fn() -> Result<(), Box<dyn std::error::Error>>;

const CHECKS: &[(&str, Check)] = &[
    ("the_exit_code_comes_home", exit_code),
    ("a_panic_is_exit_code_101_and_its_words_are_on_the_console", a_panic),
    ("bytes_survive_both_directions_at_once", bytes),
    ("the_terminal_line_is_a_terminal", terminal),
    ("arguments_arrive_as_they_are", arguments),
    ("the_job_folder_is_shared_whatever_its_name", job),
    ("the_disk_is_written_whatever_its_name", disk),
    ("files_and_modules_are_there", files),
    ("pivot_root_works", pivot_root),
    ("a_killed_guest_leaves_no_process", killed),
    ("a_guest_dies_with_a_killed_program", orphaned),
    ("a_guest_dies_with_a_killed_keeper", unkept),
    ("a_guest_dies_with_its_last_words", last_words),
    ("a_program_that_cannot_start_there_is_refused", refused),
];

fn main() -> ExitCode {
    if arm_image_guest::is_init() {
        arm_image_guest::init(serve)
    }
    if std::env::args().nth(1).as_deref() == Some(HOLD) {
        return hold().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut failed = 0;
    for (name, check) in CHECKS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part)) {
            continue;
        }
        match std::panic::catch_unwind(check) {
            Ok(Ok(())) => println!("test {name} ... ok"),
            Ok(Err(error)) => {
                println!("test {name} ... FAILED: {error}\n{error:?}");
                failed += 1;
            }
            Err(_) => {
                println!("test {name} ... FAILED");
                failed += 1;
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The guest's side: the first argument says what to do.
fn serve(channel: Channel) -> u8 {
    let arguments = arm_image_guest::arguments();
    match act(channel, &arguments.iter().map(|text| text.to_string_lossy().into_owned()).collect::<Vec<_>>())
    {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            99
        }
    }
}

fn act(mut channel: Channel, arguments: &[String]) -> Result<u8, Box<dyn std::error::Error>> {
    match arguments[0].as_str() {
        "exit" => return Ok(arguments[1].parse()?),
        "panic" => panic!("the guest panicked on purpose"),
        "exchange" => {
            let sender = channel.try_clone()?;
            let (there, back): (usize, usize) = (arguments[1].parse()?, arguments[2].parse()?);
            let sending = thread::spawn(move || send(sender, back, 7));
            receive(&mut channel, there, 3)?;
            sending.join().map_err(|_| "the sender panicked")??;
        }
        "terminal" => {
            let mut terminal = fs::OpenOptions::new().read(true).write(true).open(TERMINAL)?;
            assert!(io::IsTerminal::is_terminal(&terminal));
            // In cooked mode a read gives one line, after the line's own editing.
            let mut line = [0; 80];
            let length = terminal.read(&mut line)?;
            terminal.write_all(&line[..length].to_ascii_uppercase())?;
        }
        "arguments" => {
            for argument in arm_image_guest::arguments() {
                writeln!(channel, "{argument:?}")?;
            }
        }
        "job" => {
            let text = fs::read_to_string(Path::new(JOB).join("question, with = signs"))?;
            fs::write(Path::new(JOB).join("answer"), text.to_uppercase())?;
        }
        "disk" => {
            let disk = fs::OpenOptions::new().read(true).write(true).open(DISK)?;
            let mut word = [0; 4];
            disk.read_exact_at(&mut word, 1024)?;
            word.reverse();
            disk.write_all_at(&word, 1 << 20)?;
        }
        "files" => {
            assert_eq!(fs::read("/usr/share/word")?, b"copied");
            let filesystems = fs::read_to_string("/proc/filesystems")?;
            for name in ["ext4", "vfat", "f2fs", "binfmt_misc", "overlay"] {
                assert!(filesystems.contains(name), "{name}");
            }
            for path in
                ["/dev/loop-control", "/dev/mapper/control", "/dev/null", "/dev/fd/0", "/dev/pts/ptmx"]
            {
                fs::metadata(path)?;
            }
        }
        "pivot" => {
            fs::create_dir_all("/tmp/new/old")?;
            nix::mount::mount(
                Some("none"),
                "/tmp/new",
                Some("tmpfs"),
                nix::mount::MsFlags::empty(),
                None::<&str>,
            )?;
            fs::create_dir_all("/tmp/new/old")?;
            nix::unistd::pivot_root("/tmp/new", "/tmp/new/old")?;
            fs::metadata("/old/proc/1")?;
        }
        "spin" => {
            writeln!(channel, "spinning")?;
            loop {
                std::hint::spin_loop();
            }
        }
        "crash" => fs::write("/proc/sysrq-trigger", "c")?,
        other => return Err(format!("unknown order {other}").into()),
    }
    Ok(0)
}

fn guest(arguments: &[&str]) -> Builder {
    Guest::builder().init(std::env::current_exe().unwrap()).args(arguments).memory(256 << 20)
}

fn exit_code() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(guest(&["exit", "42"]).start()?.wait()?, 42);
    Ok(())
}

fn a_panic() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = guest(&["panic"]).start()?;
    io::copy(guest.channel(), &mut io::sink())?;
    assert!(guest.console_tail().contains("panicked on purpose"), "{}", guest.console_tail());
    assert_eq!(guest.wait()?, 101);
    Ok(())
}

fn bytes() -> Result<(), Box<dyn std::error::Error>> {
    // As much towards the guest as is promised to be taken without being read.
    let (there, back) = (32 << 10, 3 << 20);
    let mut guest = guest(&["exchange", &there.to_string(), &back.to_string()]).start()?;
    let sender = guest.channel().try_clone()?;
    let sending = thread::spawn(move || send(sender, there, 3));
    receive(guest.channel(), back, 7)?;
    sending.join().unwrap()?;
    assert_eq!(guest.wait()?, 0);
    Ok(())
}

fn terminal() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = guest(&["terminal"]).start()?;
    guest.terminal().write_all(b"heq\x7fllo\n")?;
    let mut text = String::new();
    guest.terminal().read_to_string(&mut text)?;
    assert!(text.starts_with("heq"), "no echo in {text:?}");
    assert!(text.ends_with("HELLO\r\n"), "{text:?}");
    assert_eq!(guest.wait()?, 0);
    Ok(())
}

fn arguments() -> Result<(), Box<dyn std::error::Error>> {
    let all = ["arguments", "two words", "", "a=b,c \"quoted\"", "-- %s\n"];
    let mut guest = guest(&all).start()?;
    let mut text = String::new();
    guest.channel().read_to_string(&mut text)?;
    let expected: String = all.iter().map(|argument| format!("{argument:?}\n")).collect();
    assert_eq!(text, expected);
    Ok(())
}

fn job() -> Result<(), Box<dyn std::error::Error>> {
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("a job, with = and spaces");
    fs::create_dir(&folder)?;
    fs::write(folder.join("question, with = signs"), "yes?")?;
    assert_eq!(guest(&["job"]).job(&folder).start()?.wait()?, 0);
    assert_eq!(fs::read_to_string(folder.join("answer"))?, "YES?");
    Ok(())
}

fn disk() -> Result<(), Box<dyn std::error::Error>> {
    let parent = tempfile::tempdir()?;
    let path = parent.path().join("my image, v=2.img");
    let file = fs::File::create_new(&path)?;
    file.set_len(4 << 20)?;
    file.write_all_at(b"abcd", 1024)?;
    assert_eq!(guest(&["disk"]).disk(&path).start()?.wait()?, 0);
    let bytes = fs::read(&path)?;
    assert_eq!(bytes.len(), 4 << 20);
    assert_eq!(&bytes[1 << 20..(1 << 20) + 4], b"dcba");
    Ok(())
}

fn files() -> Result<(), Box<dyn std::error::Error>> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), "copied")?;
    assert_eq!(guest(&["files"]).file(file.path(), "/usr/share/word").start()?.wait()?, 0);
    Ok(())
}

fn pivot_root() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(guest(&["pivot"]).start()?.wait()?, 0);
    Ok(())
}

fn killed() -> Result<(), Box<dyn std::error::Error>> {
    // The memory's size tells this guest from those of other tests.
    let builder = guest(&["spin"]).memory(263 << 20);
    let mut guest = builder.start()?;
    guest.channel().read_exact(&mut [0; 9])?;
    // The kernel, its helpers, and the traced process that spins.
    let before = processes("mem=263M")?;
    assert!(before.len() > 2, "{before:?}");
    guest.kill();
    let after = processes("mem=263M")?;
    assert!(before.iter().all(|process| !after.contains(process)), "{before:?} {after:?}");
    Ok(())
}

fn hold() -> Result<(), Box<dyn std::error::Error>> {
    let mut guest = guest(&["spin"]).memory(267 << 20).start()?;
    guest.channel().read_exact(&mut [0; 9])?;
    println!("up");
    guest.wait()?;
    Ok(())
}

fn orphaned() -> Result<(), Box<dyn std::error::Error>> {
    // What the killed program leaves becomes this process's children, so that their end can be waited for.
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut program = Command::new(std::env::current_exe()?).arg(HOLD).stdout(Stdio::piped()).spawn()?;
    let mut word = [0; 3];
    program.stdout.take().unwrap().read_exact(&mut word)?;
    assert!(processes("mem=267M")?.len() > 2);
    program.kill()?;
    program.wait()?;
    while nix::sys::wait::wait().is_ok() {}
    assert_eq!(processes("mem=267M")?, Vec::<PathBuf>::new());
    Ok(())
}

fn unkept() -> Result<(), Box<dyn std::error::Error>> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut guest = guest(&["spin"]).memory(269 << 20).start()?;
    guest.channel().read_exact(&mut [0; 9])?;
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
    let keeper = children
        .split_whitespace()
        .find(|child| {
            fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "guest-keeper\n")
        })
        .ok_or("there is no keeper")?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(keeper.parse()?), nix::sys::signal::Signal::SIGKILL)?;
    assert!(matches!(guest.wait(), Err(Error::Died { .. })));
    while nix::sys::wait::wait().is_ok() {}
    assert_eq!(processes("mem=269M")?, Vec::<PathBuf>::new());
    Ok(())
}

/// The processes whose command line has the word `part` in it.
fn processes(part: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // Processes that have ended by now, and entries that are none, have no command line.
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        if command.split(|byte| *byte == 0).any(|word| word == part.as_bytes()) {
            found.push(path);
        }
    }
    Ok(found)
}

fn last_words() -> Result<(), Box<dyn std::error::Error>> {
    match guest(&["crash"]).start()?.wait() {
        Err(Error::Died { console }) => assert!(console.contains("panic"), "{console}"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn refused() -> Result<(), Box<dyn std::error::Error>> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), "#!/bin/sh\n")?;
    assert!(matches!(Guest::builder().init(file.path()).start(), Err(Error::Program { .. })));
    Ok(())
}

/// Writes `size` bytes that tell every position and every lost or doubled byte.
fn send(mut channel: impl Write, size: usize, seed: u64) -> io::Result<()> {
    let mut state = seed;
    let mut left = size;
    while left > 0 {
        let chunk: Vec<u8> = (0..left.min(65_536)).map(|_| next(&mut state)).collect();
        channel.write_all(&chunk)?;
        left -= chunk.len();
    }
    channel.flush()
}

fn receive(channel: &mut impl Read, size: usize, seed: u64) -> io::Result<()> {
    let mut state = seed;
    let mut buffer = vec![0; 65_536];
    let mut position = 0;
    while position < size {
        let length = channel.read(&mut buffer)?;
        if length == 0 {
            return Err(io::Error::other(format!("end of file at {position}")));
        }
        for byte in &buffer[..length] {
            if *byte != next(&mut state) {
                return Err(io::Error::other(format!("wrong byte at {position}")));
            }
            position += 1;
        }
    }
    Ok(())
}

/// A linear congruential generator; its top byte is even enough.
fn next(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    state.to_be_bytes()[0]
}
