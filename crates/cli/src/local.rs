//! Scripts of a step that run on this machine.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    ops::ControlFlow,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use arm_image_chroot::{ChrootRunner, Error, Output, OutputTick, Provisioner, Script, Scripts};
use arm_image_template::deferred;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{event::LONGEST_LINE, keeper::Kept, plan::Local, sweep::Scratch};

/// By what scripts find the image.
const MOUNT_PATH: &str = "ARM_IMAGE_MOUNT_PATH";
/// Stands for what it says in inline scripts, whoever runs them.
pub(crate) const MOUNTED: &str = "${ARM_IMAGE_MOUNT_PATH}";
/// What it says where they cannot: whatever is done there fails, and nothing of this machine is taken for the image's.
const OUT_OF_REACH: &str = "/dev/null/the-image-is-in-a-guest-kernel";
/// How long a silent script goes without a look up.
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A failed script's standard error is kept to this many lines.
const TAIL: usize = 10;
/// A line that is longer comes in pieces of this many bytes, and of what was read beyond.
const LONGEST: usize = LONGEST_LINE;
/// That many reads empty a pipe that nobody writes to any more: it holds 64 KiB.
const LAST_READS: usize = 16;

/// A [`Local`] step, with a folder for temporary files.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) local: Local,
    pub(crate) scratch: PathBuf,
}

impl Provisioner for Running {
    fn describe(&self) -> String {
        format!("on this machine: {}", Scripts::of(self.local.scripts.clone()).describe())
    }

    fn provision(&self, root: &mut dyn ChrootRunner, tick: OutputTick<'_>) -> Result<(), Error> {
        self.run_all(root.seen_at(), tick)
    }
}

impl Running {
    /// Runs the scripts; `mount` is where they find the image, if anywhere.
    pub(crate) fn run_all(&self, mount: Option<PathBuf>, tick: OutputTick<'_>) -> Result<(), Error> {
        let mount = mount.unwrap_or_else(|| OUT_OF_REACH.into());
        self.local.scripts.iter().try_for_each(|script| self.run(script, &mount, tick))
    }

    fn run(&self, script: &Script, mount: &Path, tick: OutputTick<'_>) -> Result<(), Error> {
        let name = Scripts::of([script.clone()]).describe();
        let failed = |step| {
            let program = name.clone();
            move |source| Error::Start { program, step, source }
        };
        let (_folder, argv) = self.words(script, mount).map_err(failed("prepare the script"))?;
        let [program, arguments @ ..] = argv.as_slice() else { return Ok(()) };
        let mut command = Command::new(program);
        let env = self.local.env.iter().map(|(name, value)| (name, with_path(value, mount)));
        command.args(arguments).envs(env).env(MOUNT_PATH, mount);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let kept = Kept::start(&mut command, true).map_err(failed("start a process"))?;
        let mut tail = VecDeque::new();
        let status = watch(kept, &mut |output| {
            if let Output::Stderr(line) = output {
                tail.truncate(TAIL - 1);
                tail.push_front(String::from_utf8_lossy(line).into_owned());
            }
            tick(output)
        });
        match status.map_err(failed("read the output"))? {
            None => Err(Error::Cancelled),
            Some(status) if status.code().is_some_and(|code| self.local.valid_exit_codes.contains(&code)) => {
                Ok(())
            }
            Some(status) => {
                Err(Error::Failed { command: name, status, stderr_tail: tail.into_iter().rev().collect() })
            }
        }
    }

    /// How `script` is run, and the folder that has to last for as long. The words for where the image is are filled in, as
    /// not every program that is given a script knows variables, nor does a shell everywhere.
    fn words(&self, script: &Script, mount: &Path) -> io::Result<(Option<Scratch>, Vec<PathBuf>)> {
        let (folder, path, interpreter): (_, _, &[&str]) = match script {
            Script::Inline(text) => {
                let folder = Scratch::make(&self.scratch).map_err(io::Error::other)?;
                let path = folder.path().join("script");
                let mut options = OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o700).open(&path)?;
                let text = text.replace(MOUNTED, &mount.display().to_string());
                file.write_all(text.as_bytes())?;
                (Some(folder), path, &["/bin/sh", "-e"])
            }
            // A bare name would be looked up in `PATH`.
            Script::File(path) => (None, std::path::absolute(path)?, &["/bin/sh"]),
        };
        let mut head = Vec::new();
        fs::File::open(&path)?.take(4).read_to_end(&mut head)?;
        let own = head.starts_with(b"#!") || head == b"\x7fELF";
        let interpreter: Vec<PathBuf> = match &self.local.interpreter[..] {
            [] if own => Vec::new(),
            [] => interpreter.iter().map(PathBuf::from).collect(),
            words => words.iter().map(PathBuf::from).collect(),
        };
        Ok((folder, interpreter.into_iter().chain([path]).collect()))
    }
}

/// A variable's value with the image's path where a template has asked for it.
fn with_path(value: &OsString, mount: &Path) -> OsString {
    match value.to_str() {
        Some(text) if deferred::is_in(text) => {
            deferred::replace(text, |_| mount.display().to_string()).into()
        }
        _ => value.clone(),
    }
}

/// Hands the output of a program on until it has ended, and what it has started with it; `None` where the tick wanted no
/// more of it.
fn watch(mut kept: Kept, tick: OutputTick<'_>) -> io::Result<Option<ExitStatus>> {
    let [stdout, stderr] = kept.pipes();
    let mut streams =
        [(true, stdout), (false, stderr)].map(|(stdout, pipe)| Stream { stdout, pipe, line: Vec::new() });
    for pipe in streams.iter().filter_map(|stream| stream.pipe.as_ref()) {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    loop {
        let open = streams.iter().filter_map(|stream| stream.pipe.as_ref());
        let all = open.map(AsFd::as_fd).chain([kept.as_fd()]);
        let mut fds: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&LOOK_UP)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = fds.last().is_some_and(|process| !process.revents().is_empty());
        drop(fds);
        if tick(Output::Waiting).is_break() {
            return Ok(None);
        }
        for stream in &mut streams {
            if stream.drain(if ended { LAST_READS } else { 1 }, tick)?.is_break() {
                return Ok(None);
            }
        }
        // Somebody out of reach may hold the pipes for ever.
        if ended {
            for stream in &mut streams {
                if stream.finish(tick).is_break() {
                    return Ok(None);
                }
            }
            return kept.end().map(Some);
        }
    }
}

/// One of its output streams; the pipe is gone after its end.
struct Stream {
    stdout: bool,
    pipe: Option<OwnedFd>,
    line: Vec<u8>,
}

impl Stream {
    /// Reads what is there, at most so many times.
    fn drain(&mut self, reads: usize, tick: OutputTick<'_>) -> io::Result<ControlFlow<()>> {
        let mut buffer = [0; LONGEST];
        for _ in 0..reads {
            let Some(pipe) = &self.pipe else { break };
            let length = match rustix::io::read(pipe, &mut buffer) {
                Ok(length) => length,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if length == 0 {
                self.pipe = None;
            }
            for piece in buffer[..length].split_inclusive(|&byte| byte == b'\n') {
                self.line.extend_from_slice(piece);
                let whole = self.line.pop_if(|last| *last == b'\n').is_some();
                if (whole || self.line.len() >= LONGEST) && self.tell(tick).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Tells a last line without a newline.
    fn finish(&mut self, tick: OutputTick<'_>) -> ControlFlow<()> {
        if self.line.is_empty() { ControlFlow::Continue(()) } else { self.tell(tick) }
    }

    fn tell(&mut self, tick: OutputTick<'_>) -> ControlFlow<()> {
        let line = std::mem::take(&mut self.line);
        tick(if self.stdout { Output::Stdout(&line) } else { Output::Stderr(&line) })
    }
}

#[cfg(test)]
#[path = "local/tests.rs"]
mod tests;
