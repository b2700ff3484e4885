//! The guest's side: does in the guest's kernel what the host's side asks for.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader},
    ops::ControlFlow,
    os::unix::process::ExitStatusExt,
    path::Path,
};

use arm_image_chroot::{ChrootRunner, Command, Node, Output};
use arm_image_guest::{Channel, DISK, JOB};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    host, terminal,
    wire::{Made, Reply, Request, receive, send},
};
use crate::{Error, Event, OnEvent, event::Stream};

/// Serves the program that started this guest, if this is a guest, and powers it off; elsewhere it does nothing.
///
/// A program that embeds this library and wants [`Isolation::Guest`](crate::Isolation::Guest) calls it first thing.
pub fn serve_if_guest() {
    if arm_image_guest::is_init() {
        arm_image_guest::init(|channel| match serve(channel) {
            Ok(()) => 0,
            // The host's side sees the end of the channel, and this on the console.
            Err(_) => 1,
        })
    }
}

struct Agent {
    from: BufReader<Channel>,
    to: Channel,
}

fn serve(channel: Channel) -> io::Result<()> {
    let mut agent = Agent { to: channel.try_clone()?, from: BufReader::new(channel) };
    let mut notes = agent.to.try_clone()?;
    let on: OnEvent<'_> = &mut |event| match event {
        Event::Note(note) if send(&mut notes, &Reply::Note(note.to_owned()), b"").is_err() => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    let Some(request) = agent.next()? else { return Ok(()) };
    let image = OpenOptions::new().read(true).write(true).open(DISK)?;
    let outcome = match request {
        Request::Open(job) => host::with_root(&image, &job, on, |root, _| {
            agent
                .reply(&Reply::Done)
                .and_then(|()| agent.serve_root(root))
                .map_err(|cause| Error::Conversation { cause, console: String::new() })
        }),
        Request::Grow(job) => host::grow_only(&image, &job),
        Request::Shrink(job, margin) => match host::shrink_only(&image, &job, margin) {
            Ok(size) => return agent.reply(&Reply::Size(size)),
            Err(error) => Err(error),
        },
        _ => Ok(()),
    };
    match outcome {
        Ok(()) => agent.reply(&Reply::Done),
        Err(error) => agent.reply(&failed(&error)),
    }
}

impl Agent {
    fn reply(&mut self, reply: &Reply) -> io::Result<()> {
        send(&mut self.to, reply, b"")
    }

    /// What is asked next; none once the host is gone.
    fn next(&mut self) -> io::Result<Option<Request>> {
        match receive(&mut self.from)? {
            Some(Request::Stored(name)) => {
                Ok(Some(serde_json::from_slice(&fs::read(Path::new(JOB).join(name))?)?))
            }
            request => Ok(request),
        }
    }

    /// Until the host asks to close, or is gone.
    fn serve_root(&mut self, root: &mut dyn ChrootRunner) -> io::Result<()> {
        while let Some(request) = self.next()? {
            let done = match request {
                Request::Close => return Ok(()),
                // It crossed the end of the program that it was meant for.
                Request::Cancel => continue,
                Request::Run { argv, env, directory, terminal } => {
                    let directory = directory.into();
                    let command = Command { argv, env, directory, terminal: terminal.is_some() };
                    let status = match terminal {
                        Some(window) => {
                            terminal::run(root, &command, window, &mut |output, room| {
                                // Where this is not to be said, output is not, either.
                                let said = if room { self.reply(&Reply::Room) } else { Ok(()) };
                                said.map_or(ControlFlow::Break(()), |()| self.output(output))
                            })
                        }
                        None => root.run(&command, &mut |output| self.output(output)),
                    };
                    status.map(|status| Reply::Exited(status.into_raw()))
                }
                Request::Create { path, node, mode } => {
                    create(root, path.as_ref(), node, mode).map(|()| Reply::Done)
                }
                Request::Read { path, to } => read(root, path.as_ref(), &to).map(|()| Reply::Done),
                Request::IsDirectory { path } => root.is_directory(path.as_ref()).map(Reply::Answer),
                Request::List { path } => {
                    let entries = root.list(path.as_ref());
                    entries.map(|entries| Reply::Entries(entries.into_iter().map(Into::into).collect()))
                }
                Request::Own { path, user, group } => {
                    root.own(path.as_ref(), user, group).map(|()| Reply::Done)
                }
                Request::Remove { path } => root.remove(path.as_ref()).map(|()| Reply::Done),
                Request::Open(_) | Request::Grow(_) | Request::Shrink(..) | Request::Stored(_) => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            };
            let reply = done.unwrap_or_else(|error| failed(&error.into()));
            self.reply(&reply)?;
        }
        Ok(())
    }

    /// Passes a line on; stops the program when the host says so, and when it is gone.
    fn output(&mut self, output: Output<'_>) -> ControlFlow<()> {
        let sent = match output {
            Output::Stdout(line) => send(&mut self.to, &Reply::Line(Stream::Stdout, line.len()), line),
            Output::Stderr(line) => send(&mut self.to, &Reply::Line(Stream::Stderr, line.len()), line),
            Output::Waiting => Ok(()),
        };
        // While a program runs, the only word that the host has for us is to cancel it.
        if sent.is_err() || !self.from.buffer().is_empty() || self.is_readable() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.to, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

fn create(
    root: &mut dyn ChrootRunner,
    path: &Path,
    node: Made,
    mode: u32,
) -> Result<(), arm_image_chroot::Error> {
    match node {
        Made::Directory => root.create(path, Node::Directory, mode),
        Made::Link(to) => root.create(path, Node::Link(to.as_ref()), mode),
        Made::File(name) => {
            let content = Path::new(JOB).join(name);
            let failed = |source| arm_image_chroot::Error::Source { path: content.clone(), source };
            let mut file = File::open(&content).map_err(failed)?;
            root.create(path, Node::File(&mut file), mode)
        }
    }
}

fn read(root: &mut dyn ChrootRunner, path: &Path, to: &str) -> Result<(), arm_image_chroot::Error> {
    let content = Path::new(JOB).join(to);
    let failed = |source| arm_image_chroot::Error::Source { path: content.clone(), source };
    let mut file = File::create(&content).map_err(failed)?;
    root.read(path, &mut file)
}

fn failed(error: &Error) -> Reply {
    let causes = crate::causes(error).collect();
    Reply::Failed { message: error.to_string(), causes, hint: error.hint(), code: error.exit_code() }
}
