//! The host's side of a guest: starts it and asks its agent for what has to be done.

mod start;

use std::{
    fs::{self, File},
    io::{self, Write},
    ops::ControlFlow,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use arm_image_chroot::{ChrootRunner, Command, Entry, Error as ChrootError, Node, Output, OutputTick};
use arm_image_guest::Guest;

use super::{
    Job,
    conversation::{Conversation, Said},
    terminal,
    wire::{Made, Reply, Request},
};
use crate::{Causes, Enter, Error, Event, OnEvent, Stage, build::tell, event::Stream, sweep::Scratch};

/// Maps, grows and mounts the image at `path` in a guest, for as long as `work` runs in it.
pub(super) fn with_root<T>(
    path: &Path,
    job: &Job,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
    work: impl FnOnce(&mut dyn ChrootRunner, OnEvent<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (mut remote, job) = Remote::start(path, job, enter, scratch, on)?;
    tell(on, Event::Stage(Stage::Mount, "mounting the image's partitions"))?;
    remote.ask(&Request::Open(job), on)?;
    let outcome = if remote.cancelled { Err(Error::Cancelled) } else { work(&mut remote, on) };
    // Taken down even if the caller has had enough: the file systems have to be whole.
    let told = on(Event::Stage(Stage::Finish, "taking everything down"));
    let closed = remote.ask(&Request::Close, &mut |_| ControlFlow::Continue(())).and_then(|_| remote.end());
    let value = super::host::close(outcome, closed)?;
    if told.is_break() { Err(Error::Cancelled) } else { Ok(value) }
}

/// Grows the file systems that `job` marks in the image at `path`, in a guest.
pub(super) fn grow_only(
    path: &Path,
    job: &Job,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let (mut remote, job) = Remote::start(path, job, enter, scratch, on)?;
    remote.ask(&Request::Grow(job), on)?;
    let cancelled = remote.cancelled;
    remote.end()?;
    if cancelled { Err(Error::Cancelled) } else { Ok(()) }
}

/// Shrinks the file system of the only partition of `job` in a guest, and gives the bytes it covers then.
pub(super) fn shrink_only(
    path: &Path,
    job: &Job,
    margin: u64,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
) -> Result<u64, Error> {
    let (mut remote, job) = Remote::start(path, job, enter, scratch, on)?;
    let reply = remote.ask(&Request::Shrink(job, margin), on)?;
    let cancelled = remote.cancelled;
    remote.end()?;
    match reply {
        _ if cancelled => Err(Error::Cancelled),
        Reply::Size(size) => Ok(size),
        _ => Err(misunderstood().into()),
    }
}

/// So many bytes of a request go over the guest's line. Once 4 KiB wait in it to be read, its kernel has it read no more.
const LONGEST: usize = 2 << 10;

/// The guest, as something that runs commands in an image.
struct Remote {
    guest: Guest,
    conversation: Conversation,
    folder: Scratch,
    /// Whether the caller has had enough while something was done that cannot be cut short.
    cancelled: bool,
    /// How many files have passed through the folder: each gets a name of its own, as the guest caches what it has seen.
    files: u64,
}

impl Remote {
    /// Asks, and waits for the last word, passing notes on.
    fn ask(&mut self, request: &Request, on: OnEvent<'_>) -> Result<Reply, Error> {
        let mut cancelled = false;
        let mut tick = |said: Said<'_>| {
            let flow = match said {
                Said::Note(note) => on(Event::Note(note)),
                Said::Line(..) => ControlFlow::Continue(()),
                Said::Waiting => on(Event::Waiting),
            };
            cancelled |= flow.is_break();
            flow
        };
        let reply = self.exchange(request, &mut tick);
        self.cancelled |= cancelled;
        match reply {
            Ok(Reply::Failed { message, causes, hint, code }) => {
                Err(Error::InGuest { message, causes: Causes::chain(causes), hint, code })
            }
            Ok(reply) => Ok(reply),
            Err(cause) => Err(Error::Conversation { cause, console: self.guest.console_tail() }),
        }
    }

    /// Asks on behalf of a provisioner.
    fn ask_for_chroot(&mut self, request: &Request, tick: OutputTick<'_>) -> Result<Reply, ChrootError> {
        let mut cancelled = false;
        let mut said = |said: Said<'_>| {
            let flow = match said {
                Said::Note(_) => ControlFlow::Continue(()),
                Said::Line(Stream::Stdout, line) => tick(Output::Stdout(line)),
                Said::Line(Stream::Stderr, line) => tick(Output::Stderr(line)),
                Said::Waiting => tick(Output::Waiting),
            };
            cancelled |= flow.is_break();
            flow
        };
        let reply = self.exchange(request, &mut said);
        match reply {
            _ if cancelled => Err(ChrootError::Cancelled),
            Ok(Reply::Failed { message, causes, hint, .. }) => {
                Err(ChrootError::Runner { message, hint, source: Causes::chain(causes).map(Into::into) })
            }
            Ok(reply) => Ok(reply),
            Err(cause) => {
                let console = self.guest.console_tail();
                Err(ChrootError::Runner {
                    message: "the guest's side of the program stopped answering".to_owned(),
                    hint: (!console.is_empty()).then(|| format!("the guest's kernel said: {console}")),
                    source: Some(cause.into()),
                })
            }
        }
    }

    /// Asks over the line, or by a file where that is too much for it.
    fn exchange(
        &mut self,
        request: &Request,
        tick: &mut dyn FnMut(Said<'_>) -> ControlFlow<()>,
    ) -> io::Result<Reply> {
        let text = serde_json::to_vec(request)?;
        if text.len() <= LONGEST {
            return self.conversation.exchange(request, tick);
        }
        let (name, path) = self.next_file();
        fs::write(&path, text)?;
        let reply = self.conversation.exchange(&Request::Stored(name), tick)?;
        fs::remove_file(path)?;
        Ok(reply)
    }

    /// Asks for what is done at once.
    fn ask_plainly(&mut self, request: &Request) -> Result<Reply, ChrootError> {
        self.ask_for_chroot(request, &mut |_| ControlFlow::Continue(()))
    }

    /// The name and path of the next file to pass through the folder.
    fn next_file(&mut self) -> (String, PathBuf) {
        self.files += 1;
        let name = format!("file-{}", self.files);
        let path = self.folder.path().join(&name);
        (name, path)
    }

    fn end(self) -> Result<(), Error> {
        match self.guest.wait()? {
            0 => Ok(()),
            code => Err(Error::Conversation {
                cause: io::Error::other(format!("it ended with exit code {code}")),
                console: String::new(),
            }),
        }
    }
}

impl ChrootRunner for Remote {
    fn run(&mut self, command: &Command, tick: OutputTick<'_>) -> Result<ExitStatus, ChrootError> {
        let Command { argv, env, directory, terminal } = command.clone();
        let directory = directory.into();
        let run = |terminal| Request::Run { argv, env, directory, terminal };
        let reply = if terminal {
            let line =
                self.guest.terminal().try_clone().map_err(|source| terminal::failed(command, source))?;
            let rooms = self.conversation.rooms();
            terminal::lend(&line, &rooms, |window, hung_up| {
                self.ask_for_chroot(&run(Some(window)), &mut |output| match hung_up() {
                    true => ControlFlow::Break(()),
                    false => tick(output),
                })
            })
            .map_err(|source| terminal::failed(command, source))??
        } else {
            self.ask_for_chroot(&run(None), tick)?
        };
        match reply {
            Reply::Exited(status) => Ok(ExitStatus::from_raw(status)),
            _ => Err(misunderstood()),
        }
    }

    fn create(&mut self, path: &Path, node: Node<'_>, mode: u32) -> Result<(), ChrootError> {
        let failed = |source| ChrootError::Create { path: path.into(), source };
        let (name, content) = self.next_file();
        let node = match node {
            Node::Directory => Made::Directory,
            Node::Link(to) => Made::Link(to.into()),
            Node::File(from) => {
                // That is this machine's disk, not the image.
                let not_passed = |source| ChrootError::Destination { path: content.clone(), source };
                let mut file = File::create(&content).map_err(not_passed)?;
                io::copy(from, &mut file).map_err(not_passed)?;
                Made::File(name)
            }
        };
        let passed = matches!(node, Made::File(_));
        let request = Request::Create { path: path.into(), node, mode };
        let made = self.ask_plainly(&request).map(drop);
        if passed {
            fs::remove_file(&content).map_err(failed)?;
        }
        made
    }

    fn read(&mut self, path: &Path, into: &mut dyn Write) -> Result<(), ChrootError> {
        let failed = |source| ChrootError::Read { path: path.into(), source };
        let (name, content) = self.next_file();
        let request = Request::Read { path: path.into(), to: name };
        self.ask_plainly(&request)?;
        let mut file = File::open(&content).map_err(failed)?;
        io::copy(&mut file, into).map_err(failed)?;
        fs::remove_file(&content).map_err(failed)
    }

    fn is_directory(&mut self, path: &Path) -> Result<bool, ChrootError> {
        match self.ask_plainly(&Request::IsDirectory { path: path.into() })? {
            Reply::Answer(answer) => Ok(answer),
            _ => Err(misunderstood()),
        }
    }

    fn list(&mut self, path: &Path) -> Result<Vec<Entry>, ChrootError> {
        match self.ask_plainly(&Request::List { path: path.into() })? {
            Reply::Entries(entries) => Ok(entries.into_iter().map(Into::into).collect()),
            _ => Err(misunderstood()),
        }
    }

    fn own(&mut self, path: &Path, user: u32, group: u32) -> Result<(), ChrootError> {
        self.ask_plainly(&Request::Own { path: path.into(), user, group }).map(drop)
    }

    fn remove(&mut self, path: &Path) -> Result<(), ChrootError> {
        self.ask_plainly(&Request::Remove { path: path.into() }).map(drop)
    }
}

fn misunderstood() -> ChrootError {
    ChrootError::Runner {
        message: "the guest's side of the program gave an answer to another question".to_owned(),
        hint: None,
        source: None,
    }
}
