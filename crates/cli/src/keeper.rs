//! Processes between this one and a program of the machine's, which end all that the program has started.
//!
//! Programs of the image end with their namespace. Those of the machine share this process's namespaces: what they leave
//! running would hold the mounted image, also after a SIGKILL of this process, and what leaves their process group would
//! be found by nobody. A keeper inherits all of it, whoever its parent was, and outlives this process by a moment. There are
//! two, one above the other, as a program may kill or stop its parent.

mod child;

use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus},
};

use child::{Keeper, split};
use rustix::{
    net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// Said to the keeper: the program is to end by itself.
const ASK: u8 = b'T';

/// A program, and the keepers that end with all that the program has started.
#[derive(Debug)]
pub(crate) struct Kept {
    keeper: Child,
    process: OwnedFd,
    /// What the keepers are told by; that nobody holds it any more means that everything is to end. Gone once it has been.
    lifeline: Option<OwnedFd>,
}

impl Kept {
    /// Starts `command`; in a process group of its `own`, or in this process's, as a terminal's programs are.
    #[expect(unsafe_code, reason = "the keepers are what runs between fork and exec")]
    pub(crate) fn start(command: &mut Command, own: bool) -> io::Result<Kept> {
        let (theirs, ours) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let lifeline = theirs.as_raw_fd();
        // SAFETY: `split` only makes system calls. The descriptor is open until the program has been started.
        unsafe {
            command.pre_exec(move || {
                if own && libc::setpgid(0, 0) < 0 {
                    return Err(io::Error::last_os_error());
                }
                split(lifeline, Keeper::Outer)?;
                split(lifeline, Keeper::Inner)
            });
        }
        let mut keeper = command.spawn()?;
        match pidfd_open(Pid::from_child(&keeper), PidfdFlags::empty()) {
            Ok(process) => Ok(Kept { keeper, process, lifeline: Some(ours) }),
            Err(error) => {
                drop(ours);
                keeper.wait()?;
                Err(error.into())
            }
        }
    }

    /// The pipes that were asked for.
    pub(crate) fn pipes(&mut self) -> [Option<OwnedFd>; 2] {
        [self.keeper.stdout.take().map(Into::into), self.keeper.stderr.take().map(Into::into)]
    }

    /// Asks the program to end, by SIGTERM.
    pub(crate) fn ask_to_end(&self) -> io::Result<()> {
        let Some(lifeline) = &self.lifeline else { return Ok(()) };
        match send(lifeline, &[ASK], SendFlags::NOSIGNAL) {
            // It has ended already.
            Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(()),
            sent => sent.map(drop).map_err(Into::into),
        }
    }

    /// Kills what still runs, waits until all of it is gone, and gives the program's status.
    pub(crate) fn end(&mut self) -> io::Result<ExitStatus> {
        self.lifeline = None;
        // A program may have stopped it.
        let _ = pidfd_send_signal(&self.process, Signal::CONT);
        self.keeper.wait()
    }
}

/// Readable once everything has ended.
impl AsFd for Kept {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Nobody is left to hear of it.
        let _ = self.end();
    }
}

#[cfg(test)]
#[path = "keeper/tests.rs"]
mod tests;
