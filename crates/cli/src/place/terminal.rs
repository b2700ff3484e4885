//! A terminal of the host's for a program in the guest: the guest has a line for it, beside the channel.

use std::{
    fs::File,
    io::{self, Read, Write},
    ops::ControlFlow,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitStatus,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use arm_image_chroot::{ChrootRunner, Command, Output};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{ioctl_tiocsctty, setsid},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout},
    termios::{OptionalActions, Termios, Winsize, tcdrain, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize},
};
use serde::{Deserialize, Serialize};

/// How soon the two copying threads notice that the program has ended.
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const LINE_LOOK_UP: Duration = Duration::from_millis(50);

/// So many keys are sent at once, until the guest tells of room again. Once 4 KiB of them wait to be read, its kernel (6.1)
/// hears no more, ever.
const KEYS: usize = 1 << 10;
/// With fewer waiting, there is room: for what is under way, and for as many again.
const ROOMY: u64 = 1536;

/// The size of a terminal's window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    rows: u16,
    columns: u16,
}

/// On the host: lends the terminal on standard input and output to `line` for as long as `work` runs. `work` is given the
/// size of its window, and what tells whether there will be no more keys; `rooms` grows with each word of room for some.
pub(super) fn lend<T>(
    line: &UnixStream,
    rooms: &AtomicUsize,
    work: impl FnOnce(Window, &dyn Fn() -> bool) -> T,
) -> io::Result<T> {
    let size = tcgetwinsize(stdin())?;
    line.set_read_timeout(Some(LINE_LOOK_UP))?;
    let _raw = Raw::take()?;
    let done = AtomicBool::new(false);
    Ok(thread::scope(|scope| {
        let keys = scope.spawn(|| pass_keys(line, rooms, &done));
        scope.spawn(|| pass_picture(line, &done));
        let value = work(Window { rows: size.ws_row, columns: size.ws_col }, &|| keys.is_finished());
        done.store(true, Ordering::Relaxed);
        value
    }))
}

/// Standard input without line editing and signals, as the guest's terminal does them; undone on drop.
struct Raw(Termios);

impl Raw {
    fn take() -> io::Result<Raw> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone meanwhile needs nothing any more.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

fn pass_keys(mut line: &UnixStream, rooms: &AtomicUsize, done: &AtomicBool) -> io::Result<()> {
    let mut keys = [0; KEYS];
    let terminal = stdin();
    let (mut room, mut told) = (KEYS, rooms.load(Ordering::Relaxed));
    while !done.load(Ordering::Relaxed) {
        let now = rooms.load(Ordering::Relaxed);
        if now != told {
            (room, told) = (KEYS, now);
        }
        // What does not go on waits where it is.
        let wanted = if room > 0 { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = [PollFd::new(&terminal, wanted)];
        if poll(&mut fds, Some(&LOOK_UP))? > 0 {
            // Nobody types any more, and what is read then says so.
            match rustix::io::read(terminal, &mut keys[..room.max(1)])? {
                0 => return Ok(()),
                length => {
                    line.write_all(&keys[..length])?;
                    room = room.saturating_sub(length);
                }
            }
        }
    }
    Ok(())
}

/// Until the program has ended and the line has nothing more to show.
fn pass_picture(mut line: &UnixStream, done: &AtomicBool) -> io::Result<()> {
    let mut picture = [0; 4096];
    let mut screen = io::stdout();
    loop {
        let last = done.load(Ordering::Relaxed);
        match line.read(&mut picture) {
            Ok(0) => return Ok(()),
            Ok(length) => screen.write_all(&picture[..length]).and_then(|()| screen.flush())?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !last => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(()),
        }
    }
}

/// In the guest: runs `command` on the terminal at the end of the line. `tick` is told from time to time whether that has room
/// for more keys.
pub(super) fn run(
    root: &mut dyn ChrootRunner,
    command: &Command,
    window: Window,
    tick: &mut dyn FnMut(Output<'_>, bool) -> ControlFlow<()>,
) -> Result<ExitStatus, arm_image_chroot::Error> {
    let (line, _stdio) = take(window).map_err(|source| failed(command, source))?;
    let status = root.run(command, &mut |output| {
        let is_roomy = matches!(output, Output::Waiting)
            && rustix::io::ioctl_fionread(&line).is_ok_and(|waiting| waiting < ROOMY);
        tick(output, is_roomy)
    });
    // Its last words have to be out before anybody hears that it has ended.
    tcdrain(&line).map_err(|source| failed(command, source.into()))?;
    status
}

pub(super) fn failed(command: &Command, source: io::Error) -> arm_image_chroot::Error {
    let program = command.argv.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    arm_image_chroot::Error::Start { program, step: "use the terminal", source }
}

/// Standard input, output and error as they were, put back on drop.
struct Stdio([OwnedFd; 3]);

impl Drop for Stdio {
    fn drop(&mut self) {
        // The descriptors are open: this cannot fail.
        let _ = dup2_stdin(&self.0[0]);
        let _ = dup2_stdout(&self.0[1]);
        let _ = dup2_stderr(&self.0[2]);
    }
}

/// Puts the line's terminal on standard input, output and error, as those are what programs inherit.
fn take(window: Window) -> io::Result<(File, Stdio)> {
    let line = File::options().read(true).write(true).open(arm_image_guest::TERMINAL)?;
    tcsetwinsize(&line, Winsize { ws_row: window.rows, ws_col: window.columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    let before =
        [stdin().try_clone_to_owned()?, stdout().try_clone_to_owned()?, stderr().try_clone_to_owned()?];
    // It may lead a session already.
    let _ = setsid();
    ioctl_tiocsctty(line.as_fd())?;
    dup2_stdin(&line)?;
    dup2_stdout(&line)?;
    dup2_stderr(&line)?;
    Ok((line, Stdio(before)))
}
