//! The program under test, run in surroundings of its own, and what the usual tools say of its images.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in what tests share")]

pub mod image;
pub mod kernel;
mod running;
mod server;
mod terminal;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

pub use self::running::Running;
pub use self::server::Server;
pub use self::terminal::Terminal;

/// The longest that anything here waits for: machines under load are slow, and a wait that fails has to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program under test, which lies one folder above its tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("arm-image");
    assert!(
        program.is_file(),
        "there is no {}: `cargo build --workspace --bins` makes it, as scripts/test does before its tests",
        program.display()
    );
    program
}

/// A tool of the host's, which may lie where an ordinary user's `PATH` does not lead.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", search_path()).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs a command that has to succeed, and gives what it wrote to its standard output.
pub fn stdout_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn search_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// The SHA-256 of a file, in hexadecimal digits.
pub fn sha256(path: &Path) -> String {
    stdout_of(tool("sha256sum").arg(path)).split_whitespace().next().unwrap().to_owned()
}

/// What is in a folder: names, in order.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A home, a cache, a folder for temporary files and one to work in, for one test only. The program knows no other.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    program: PathBuf,
    user: Option<u32>,
}

impl Place {
    /// For the user who runs the test.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("program-test-").tempdir().unwrap();
        for name in ["tmp", "home", "cache", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Place { folder, program: program(), user: None }
    }

    /// For the ordinary user `user`, whatever user runs the test. Root has to drop to it, and the checkout may lie where
    /// it may not go: so the program is copied here.
    pub fn of_user(user: u32) -> Self {
        let mut place = Self::new();
        if nix::unistd::geteuid().is_root() {
            let copy = place.folder.path().join("arm-image");
            fs::copy(&place.program, &copy).unwrap();
            place.program = copy;
            place.user = Some(user);
            for name in ["", "tmp", "home", "cache", "work"] {
                chown(place.folder.path().join(name), Some(user), Some(user)).unwrap();
            }
        }
        place
    }

    /// The folder that the program works in.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The folder for temporary files.
    pub fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The cache.
    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// The path of `name` in the folder that the program works in.
    pub fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Copies `image` to `name` in the folder that the program works in: a writable file, whose holes stay holes.
    pub fn copy(&self, image: &Path, name: &str) -> PathBuf {
        let copy = self.path(name);
        stdout_of(tool("cp").args(["--sparse=always", "--no-preserve=mode"]).arg(image).arg(&copy));
        chown(&copy, self.user, self.user).unwrap();
        copy
    }

    /// Writes a file into the folder that the program works in.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The program with these arguments, not yet started.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        self.command_of(&self.program, arguments)
    }

    /// Another program in the same surroundings, such as one that embeds the library.
    pub fn command_of<A: AsRef<OsStr>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.work()).stdin(Stdio::null());
        command.env("TMPDIR", self.temporary()).env("HOME", self.folder.path().join("home"));
        command.env("ARM_IMAGE_CACHE_DIR", self.cache()).env("NO_PROXY", "127.0.0.1");
        command.env("PATH", search_path());
        for foreign in ["SUDO_UID", "SUDO_GID", "XDG_CACHE_HOME", "NO_COLOR"] {
            command.env_remove(foreign);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ended {
        Ended(self.command(arguments).output().unwrap())
    }

    /// Starts the program.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        Running::start(self.command(arguments))
    }

    /// The processes of the program that was run here, its guests' among them: a line each. They are told by the folder
    /// for temporary files, which all of them have in their environment.
    pub fn processes(&self) -> Vec<String> {
        let mark = format!("TMPDIR={}", self.temporary().display());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let folder = entry.unwrap().path();
            // A process may end between the two looks, and another user's cannot be looked into.
            let Ok(environment) = fs::read(folder.join("environ")) else { continue };
            if environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes()) {
                let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
                found.push(format!("{} {}", folder.display(), name.trim()));
            }
        }
        found
    }

    /// Nothing is left of a run that ended by itself: no process, no temporary file.
    pub fn assert_clean(&self) {
        assert_eq!(self.processes(), Vec::<String>::new());
        assert_eq!(names_in(&self.temporary()), Vec::<String>::new());
    }

    /// Waits until no process is left of a run that was killed: nobody waits for those that the kernel ends then.
    pub fn assert_processes_end(&self) {
        wait_for(&format!("the processes of {} to end", self.work().display()), || {
            self.processes().is_empty().then_some(())
        });
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// Looks until `look` finds something. For changes that no event tells, such as a stranger's process that ends.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How a run of the program ended.
pub struct Ended(pub Output);

impl Ended {
    /// The exit code has to be `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "{self:?}");
        self
    }

    /// It has to have been ended by this signal.
    #[track_caller]
    pub fn expect_signal(self, signal: Signal) -> Self {
        assert_eq!(self.0.status.signal(), Some(signal as i32), "{self:?}");
        self
    }

    /// Its standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// Its standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// Its standard error has to contain `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "no `{text}` in: {self:?}");
        self
    }

    /// Its standard output has to be `line` and nothing else.
    #[track_caller]
    pub fn prints(self, line: &str) -> Self {
        assert_eq!(self.stdout(), format!("{line}\n"), "{self:?}");
        self
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        write!(
            f,
            "{}\n--- stdout\n{}--- stderr\n{}---",
            self.0.status,
            text(&self.0.stdout),
            text(&self.0.stderr)
        )
    }
}
