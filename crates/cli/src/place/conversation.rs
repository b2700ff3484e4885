//! Asking the guest's agent and hearing it out, with a look up several times a second.

use std::{
    io::{self, BufRead, BufReader, Read},
    ops::ControlFlow,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::wire::{Reply, Request, send};
use crate::event::Stream;

/// How often a silent guest lets the caller look up.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// The host's end of the channel.
pub(super) struct Conversation {
    from: BufReader<UnixStream>,
    to: UnixStream,
    /// How often the guest has told of room for keys.
    rooms: Arc<AtomicUsize>,
}

impl Conversation {
    pub(super) fn over(channel: &UnixStream) -> io::Result<Conversation> {
        let to = channel.try_clone()?;
        to.set_read_timeout(Some(HEARTBEAT))?;
        Ok(Conversation { from: BufReader::new(to.try_clone()?), to, rooms: Arc::default() })
    }

    /// How often the guest has told of room for keys, as it goes on.
    pub(super) fn rooms(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.rooms)
    }

    /// Asks `request`, hands on what is said before the last word, and gives that. A `Break` cancels what goes on there.
    pub(super) fn exchange(
        &mut self,
        request: &Request,
        tick: &mut dyn FnMut(Said<'_>) -> ControlFlow<()>,
    ) -> io::Result<Reply> {
        send(&mut self.to, request, b"")?;
        let mut cancelled = false;
        let mut cancel = |flow: ControlFlow<()>, to: &mut UnixStream| {
            if flow.is_break() && !cancelled {
                cancelled = true;
                send(to, &Request::Cancel, b"")?;
            }
            io::Result::Ok(())
        };
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                match self.from.read_until(b'\n', &mut line) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {}
                    Err(error) if is_heartbeat(&error) => cancel(tick(Said::Waiting), &mut self.to)?,
                    Err(error) => return Err(error),
                }
            }
            match serde_json::from_slice(&line)? {
                Reply::Note(note) => cancel(tick(Said::Note(&note)), &mut self.to)?,
                Reply::Line(stream, length) => {
                    let text = self.bytes(length)?;
                    cancel(tick(Said::Line(stream, &text)), &mut self.to)?;
                }
                Reply::Room => drop(self.rooms.fetch_add(1, Ordering::Relaxed)),
                last => return Ok(last),
            }
        }
    }

    /// The bytes that a message announced.
    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.from.read(&mut bytes[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => filled += more,
                Err(error) if is_heartbeat(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }
}

/// What the guest says before its last word.
pub(super) enum Said<'a> {
    Note(&'a str),
    Line(Stream, &'a [u8]),
    Waiting,
}

fn is_heartbeat(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
