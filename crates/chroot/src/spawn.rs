//! Starts a program in the image and watches over it.

use crate::child::{self, Launch};
use crate::lines::Lines;
use crate::words::{Words, pointers};
use crate::{Command, Error, Output, OutputTick, Root, files, hostname, inherited};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use rustix::termios::{OptionalActions, Termios};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How long a silent program goes without a tick.
const HEARTBEAT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// See [`ChrootRunner::run`](crate::ChrootRunner::run).
pub(crate) fn run(root: &Root<'_>, command: &Command, tick: OutputTick<'_>) -> Result<ExitStatus, Error> {
    let program = command.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let start = |step: &'static str| {
        let program = program.clone();
        move |source: io::Error| Error::Start { program, step, source }
    };
    let words = Words::new(command, root.variables()).map_err(start("prepare the arguments"))?;
    let (reader, writer) = pipe().map_err(start("make a pipe"))?;
    let mut streams = Vec::new();
    let mut theirs = Vec::new();
    if !command.terminal {
        let null = files::open_null(root.top()).map_err(start("open `/dev/null`"))?;
        theirs.push(high(&null).map_err(start("copy a descriptor"))?);
        for stdout in [true, false] {
            let (reader, writer) = pipe().map_err(start("make a pipe"))?;
            streams.push(Stream { stdout, reader: Some(reader), lines: Lines::default() });
            theirs.push(writer);
        }
    }
    let terminal = if command.terminal { Foreground::take() } else { None };
    let launch = Launch {
        namespace: root.namespace().as_raw_fd(),
        root: root.top().as_raw_fd(),
        streams: match &theirs[..] {
            [stdin, stdout, stderr] => Some([stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()]),
            _ => None,
        },
        report: writer.as_raw_fd(),
        report_reader: reader.as_raw_fd(),
        directory: words.directory.clone(),
        hostname: hostname::of(root.top()),
        programs: words.programs.clone(),
        argv: pointers(&words.argv),
        envp: pointers(&words.env),
        foreground: terminal.is_some(),
        personality32: root.personality32(),
        inherited: inherited::find(),
        filter: root.filter(),
    };
    let supervisor = Supervisor::start(&launch).map_err(start("fork"))?;
    drop((writer, theirs));

    let mut report = Vec::new();
    let watched = watch(reader, &mut report, &mut streams, tick);
    match watched {
        Ok(ControlFlow::Continue(())) => {}
        Ok(ControlFlow::Break(())) => {
            drop(supervisor);
            return Err(Error::Cancelled);
        }
        Err(source) => return Err(start("read the output")(source)),
    }
    supervisor.wait().map_err(start("wait"))?;
    drop(terminal);
    // The first report tells: a program that could not be executed has "ended" as well.
    let Some((&what, value)) = report
        .first_chunk::<{ child::REPORT_SIZE }>()
        .and_then(|bytes| bytes.split_first_chunk::<4>())
        .and_then(|(what, value)| Some((what, i32::from_ne_bytes(*value.first_chunk()?))))
    else {
        return Err(Error::Vanished { program });
    };
    match u32::from_ne_bytes(what) {
        child::ENDED => Ok(ExitStatus::from_raw(value)),
        child::EXECUTE => not_executed(program, value, tick),
        step => {
            let step = usize::try_from(step).ok().and_then(|step| child::STEPS.get(step)).copied();
            Err(start(step.unwrap_or("start"))(io::Error::from_raw_os_error(value)))
        }
    }
}

/// Ends as a shell does where the program is missing (127) or may not be executed (126), and says so on stderr.
fn not_executed(program: String, errno: i32, tick: OutputTick<'_>) -> Result<ExitStatus, Error> {
    let (code, why) = match errno {
        libc::ENOENT | libc::ENOTDIR => (
            127,
            "not found: the program, the interpreter that its first line names, or its dynamic loader is not in the image",
        ),
        libc::EACCES => (126, "the file is not executable"),
        _ => return Err(Error::Execute { program, source: io::Error::from_raw_os_error(errno) }),
    };
    match tick(Output::Stderr(format!("{program}: {why}").as_bytes())) {
        ControlFlow::Continue(()) => Ok(ExitStatus::from_raw(code << 8)),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}

/// One of the program's output streams; the reader is gone after its end.
#[derive(Debug)]
struct Stream {
    stdout: bool,
    reader: Option<OwnedFd>,
    lines: Lines,
}

impl Stream {
    /// Reads what is there and hands on whole lines.
    fn drain(&mut self, buffer: &mut [u8], tick: OutputTick<'_>) -> io::Result<ControlFlow<()>> {
        let Some(reader) = &self.reader else { return Ok(ControlFlow::Continue(())) };
        let stdout = self.stdout;
        let line = |line: &[u8]| {
            tick(if stdout { Output::Stdout(line) } else { Output::Stderr(line) }).is_continue()
        };
        let length = rustix::io::retry_on_intr(|| rustix::io::read(reader, &mut *buffer))?;
        let go_on = if length == 0 {
            self.reader = None;
            self.lines.finish(line)
        } else {
            self.lines.push(&buffer[..length], line)
        };
        Ok(if go_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }
}

/// Reads everything until all pipes are closed, which they are once the namespace is empty.
fn watch(
    reader: OwnedFd,
    report: &mut Vec<u8>,
    streams: &mut [Stream],
    tick: OutputTick<'_>,
) -> io::Result<ControlFlow<()>> {
    let mut reader = Some(reader);
    let mut buffer = vec![0; 64 << 10];
    while reader.is_some() || streams.iter().any(|stream| stream.reader.is_some()) {
        // What is closed has no entry, so the answers have to be told apart by order.
        let open = streams.iter().filter_map(|stream| stream.reader.as_ref()).chain(reader.as_ref());
        let mut polled: Vec<_> = open.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match rustix::event::poll(&mut polled, Some(&HEARTBEAT)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready: Vec<_> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(polled);
        let reports = reader.is_some() && ready.pop() == Some(true);
        let mut ready = ready.into_iter();
        // Said each time round, so that a program that never ends a line can be cancelled as well.
        if tick(Output::Waiting).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        for stream in streams.iter_mut().filter(|stream| stream.reader.is_some()) {
            if ready.next() == Some(true) && stream.drain(&mut buffer, tick)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if let Some(pipe) = reader.as_ref().filter(|_| reports) {
            let mut bytes = [0; 2 * child::REPORT_SIZE];
            match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut bytes))? {
                0 => reader = None,
                length => report.extend_from_slice(&bytes[..length]),
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The child that is process 1 of the command's PID namespace; dropping kills it and all in there.
#[derive(Debug)]
struct Supervisor {
    pidfd: Option<OwnedFd>,
}

impl Supervisor {
    #[expect(unsafe_code, reason = "clone; and a descriptor it makes")]
    fn start(launch: &Launch<'_>) -> io::Result<Supervisor> {
        // No handler of the embedder may run in the child before its dispositions are reset.
        let signals = block_signals();
        let mut pidfd: RawFd = -1;
        let flags = libc::CLONE_NEWPID | libc::CLONE_PIDFD;
        // SAFETY: like fork, as no memory is shared. The exit signal (the low byte) is 0, so the
        // embedder gets no SIGCHLD and its `waitpid(-1)` cannot take this child. The child only runs `supervise`.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
        match pid {
            0 => child::supervise(launch),
            -1 => {
                let error = io::Error::last_os_error();
                drop(signals);
                Err(error)
            }
            // SAFETY: CLONE_PIDFD has stored a new descriptor there, close-on-exec, that nothing else owns.
            _ => Ok(Supervisor { pidfd: Some(unsafe { OwnedFd::from_raw_fd(pidfd) }) }),
        }
    }

    /// Waits for the end of the whole namespace; process 1 cannot end before it is empty.
    fn wait(mut self) -> io::Result<()> {
        self.pidfd.take().map_or(Ok(()), |pidfd| reap(&pidfd))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // It may have ended by itself already; then there is only its remains to collect.
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
            let _ = reap(&pidfd);
        }
    }
}

fn reap(pidfd: &OwnedFd) -> io::Result<()> {
    // __WALL: a child without an exit signal is waited for only if asked for by this.
    let options = WaitIdOptions::EXITED | WaitIdOptions::from_bits_retain(libc::__WALL.cast_unsigned());
    rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options))?;
    Ok(())
}

/// Blocks all signals for this thread until dropped.
#[derive(Debug)]
pub(crate) struct BlockedSignals {
    before: libc::sigset_t,
}

#[expect(unsafe_code, reason = "signal masks")]
pub(crate) fn block_signals() -> BlockedSignals {
    // SAFETY: both sets are valid; a zeroed set is a valid place for one to be written to.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        BlockedSignals { before }
    }
}

impl Drop for BlockedSignals {
    #[expect(unsafe_code, reason = "signal masks")]
    fn drop(&mut self) {
        // SAFETY: `before` was filled in by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

/// Brings the terminal on stdin back to this process: foreground group and settings.
#[derive(Debug)]
struct Foreground {
    group: Pid,
    settings: Option<Termios>,
}

impl Foreground {
    /// `None` if stdin is no terminal, or another job has it.
    fn take() -> Option<Foreground> {
        let stdin = rustix::stdio::stdin();
        // Asked first: a process whose group is outside of its PID namespace has no number for it, and no terminal either.
        let group = rustix::termios::tcgetpgrp(stdin).ok()?;
        (group == rustix::process::getpgrp())
            .then(|| Foreground { group, settings: rustix::termios::tcgetattr(stdin).ok() })
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // A background process that sets these is stopped by SIGTTOU, unless it blocks that. If the
        // terminal has gone meanwhile there is nothing to bring back.
        let _signals = block_signals();
        let stdin = rustix::stdio::stdin();
        let _ = rustix::termios::tcsetpgrp(stdin, self.group);
        if let Some(settings) = &self.settings {
            let _ = rustix::termios::tcsetattr(stdin, OptionalActions::Now, settings);
        }
    }
}

/// A pipe whose writing end is clear of the low descriptors that the child arranges.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((reader, high(&writer)?))
}

fn high(fd: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 10)?)
}
