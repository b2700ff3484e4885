//! Scripts of a step that run on this machine.

use std::{
    collections::VecDeque,
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    ops::ControlFlow,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use arm_image_chroot::{ChrootRunner, Error, Output, OutputTick, Provisioner, Script, Scripts};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
};

use crate::{plan::Local, sweep::Scratch};

/// By what scripts find the image.
const MOUNT_PATH: &str = "ARM_IMAGE_MOUNT_PATH";
/// What it says where they cannot: whatever is done there fails, and nothing of this machine is taken for the image's.
const OUT_OF_REACH: &str = "/dev/null/the-image-is-in-a-guest-kernel";
/// How long a silent script goes without a look up.
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A failed script's standard error is kept to this many lines.
const TAIL: usize = 10;
/// A line that is longer comes in pieces of this many bytes.
const LONGEST: usize = 16 << 10;
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
        let (_folder, argv) = self.words(script).map_err(failed("prepare the script"))?;
        let [program, arguments @ ..] = argv.as_slice() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).envs(self.local.env.iter().cloned()).env(MOUNT_PATH, mount);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = Group { leader: command.spawn().map_err(failed("start a process"))?, ended: false };
        let mut tail = VecDeque::new();
        let status = child.watch(&mut |output| {
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

    /// How `script` is run, and the folder that has to last for as long.
    fn words(&self, script: &Script) -> io::Result<(Option<Scratch>, Vec<PathBuf>)> {
        let (folder, path, interpreter): (_, _, &[&str]) = match script {
            Script::Inline(text) => {
                let folder = Scratch::make(&self.scratch).map_err(io::Error::other)?;
                let path = folder.path().join("script");
                let mut options = OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o700).open(&path)?;
                file.write_all(text.as_bytes())?;
                (Some(folder), path, &["/bin/sh", "-e"])
            }
            // A bare name would be looked up in `PATH`.
            Script::File(path) => (None, std::path::absolute(path)?, &["/bin/sh"]),
        };
        let mut head = Vec::new();
        fs::File::open(&path)?.take(4).read_to_end(&mut head)?;
        let own = head.starts_with(b"#!") || head == b"\x7fELF";
        let interpreter = if own { &[] } else { interpreter };
        Ok((folder, interpreter.iter().map(PathBuf::from).chain([path]).collect()))
    }
}

/// A process that leads a group, which is killed with it.
struct Group {
    leader: Child,
    ended: bool,
}

impl Group {
    /// Hands its output on until it has ended; `None` where the tick wanted no more of it.
    fn watch(&mut self, tick: OutputTick<'_>) -> io::Result<Option<ExitStatus>> {
        let process = pidfd_open(Pid::from_child(&self.leader), PidfdFlags::empty())?;
        let mut streams = [
            Stream { stdout: true, pipe: self.leader.stdout.take().map(Into::into), line: Vec::new() },
            Stream { stdout: false, pipe: self.leader.stderr.take().map(Into::into), line: Vec::new() },
        ];
        for pipe in streams.iter().filter_map(|stream| stream.pipe.as_ref()) {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        loop {
            let open = streams.iter().filter_map(|stream| stream.pipe.as_ref());
            let all = open.map(AsFd::as_fd).chain([process.as_fd()]);
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
            // What it left running may hold the pipes for ever.
            if ended {
                for stream in &mut streams {
                    if stream.finish(tick).is_break() {
                        return Ok(None);
                    }
                }
                return self.end().map(Some);
            }
        }
    }

    /// Kills what is left of the group, and waits until it is gone and holds nothing of the image any more.
    /// Its number is free for others only once its leader has been waited for.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if !std::mem::replace(&mut self.ended, true) {
            let group = Pid::from_child(&self.leader);
            // All of it may have ended.
            let _ = kill_process_group(group, Signal::KILL);
            // A signal is only noted at first. None of those that have one to die of starts another process.
            for member in members(group)? {
                // One that ran as another user may not be ours to kill, and would be waited for in vain.
                if pidfd_send_signal(&member, Signal::KILL).is_ok() {
                    let mut fds = [PollFd::new(&member, PollFlags::IN)];
                    rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
                }
            }
        }
        self.leader.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody is left to hear of it.
        let _ = self.end();
    }
}

/// The processes of a group, those that have ended but not been waited for among them.
fn members(group: Pid) -> io::Result<Vec<OwnedFd>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        let number = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(process) = number.and_then(Pid::from_raw) else { continue };
        // Opened first: should the number go to another process in between, what is open is the one that ended.
        let Ok(open) = pidfd_open(process, PidfdFlags::empty()) else { continue };
        let Ok(stat) = fs::read(folder.join("stat")) else { continue };
        if group_in(&String::from_utf8_lossy(&stat)) == Some(group) {
            members.push(open);
        }
    }
    Ok(members)
}

/// The group in a `/proc/PID/stat`, see proc_pid_stat(5). A process of the kernel, or of a namespace further out,
/// says 0, which rustix's `getpgid` does not allow for; one that is gone meanwhile says -1.
fn group_in(stat: &str) -> Option<Pid> {
    // A name may hold anything.
    let (_, after_the_name) = stat.rsplit_once(')')?;
    let number: i32 = after_the_name.split_whitespace().nth(2)?.parse().ok()?;
    if number > 0 { Pid::from_raw(number) } else { None }
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
