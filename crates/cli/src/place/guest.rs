//! The host's side of a guest: starts it and asks its agent for what has to be done.

use std::{
    fs::{self, File},
    io::{self, Write},
    ops::ControlFlow,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use arm_image_chroot::{ChrootRunner, Command, Error as ChrootError, Node, Output, OutputTick, ResolvConf};
use arm_image_guest::Guest;
use arm_image_qemu::Arch;

use super::{
    Job,
    conversation::{Conversation, Said},
    terminal,
    wire::{Made, Reply, Request},
};
use crate::{Causes, Enter, Error, Event, OnEvent, Stage, build::tell, event::Stream, sweep::Scratch};

/// Where the guest finds the qemu that was chosen on the host.
const QEMU: &str = "/usr/bin/arm-image-qemu";
/// Where it finds the host's name servers.
const RESOLV_CONF: &str = "/etc/host-resolv.conf";

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
    /// Starts a guest that has the image as its disk, and everything else that `job` needs.
    fn start(
        path: &Path,
        job: &Job,
        enter: &Enter,
        scratch: &Path,
        on: OnEvent<'_>,
    ) -> Result<(Remote, Job), Error> {
        tell(on, Event::Stage(Stage::Guest, "starting a guest kernel"))?;
        let mut job = job.clone();
        let folder = Scratch::make(scratch)?;
        let this = std::env::current_exe().map_err(|cause| Error::File {
            operation: "find",
            path: "this program".into(),
            cause,
        })?;
        let mut builder = Guest::builder().search(&enter.search).memory_folder(scratch).init(this);
        builder = builder.disk(path).job(folder.path());
        let network = arm_image_guest::network_available(&enter.search);
        builder = builder.network(network.is_ok());
        if let Err(error) = network {
            let note = format!("programs in the image have no network: {}", crate::chain(&error));
            tell(on, Event::Warning(&note))?;
        }
        // The guest's kernel is an x86-64 one, whatever this machine can run itself.
        if let Some(arch) = job.arch()?.filter(|arch| !matches!(arch, Arch::X86_64 | Arch::X86)) {
            let options = arm_image_qemu::Options { binary: job.qemu.take(), search: enter.search.clone() };
            builder = builder.file(arm_image_qemu::find_binary(arch, &options)?, QEMU);
            job.qemu = Some(QEMU.into());
        }
        if job.resolv_conf == ResolvConf::CopyHost {
            // What stays in the image are the host's name servers, not those of the guest's own network.
            builder = builder.file(&job.resolv_conf_source, RESOLV_CONF);
            job.resolv_conf_source = RESOLV_CONF.into();
        }
        let mut guest = builder.start()?;
        let conversation = Conversation::over(guest.channel())
            .map_err(|cause| Error::Conversation { cause, console: String::new() })?;
        Ok((Remote { guest, conversation, folder, cancelled: false, files: 0 }, job))
    }

    /// Asks, and waits for the last word, passing notes on.
    fn ask(&mut self, request: &Request, on: OnEvent<'_>) -> Result<Reply, Error> {
        let cancelled = &mut self.cancelled;
        let mut tick = |said: Said<'_>| {
            let flow = match said {
                Said::Note(note) => on(Event::Note(note)),
                Said::Line(..) => ControlFlow::Continue(()),
                Said::Waiting => on(Event::Waiting),
            };
            *cancelled |= flow.is_break();
            flow
        };
        match self.conversation.exchange(request, &mut tick) {
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
        let reply = self.conversation.exchange(request, &mut said);
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
        let run = |terminal| Request::Run { argv, env, directory, terminal };
        let reply = if terminal {
            let line =
                self.guest.terminal().try_clone().map_err(|source| terminal::failed(command, source))?;
            terminal::lend(&line, |window, hung_up| {
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
                let mut file = File::create(&content).map_err(failed)?;
                io::copy(from, &mut file).map_err(failed)?;
                Made::File(name)
            }
        };
        let passed = matches!(node, Made::File(_));
        let request = Request::Create { path: path.into(), node, mode };
        let made = self.ask_for_chroot(&request, &mut |_| ControlFlow::Continue(())).map(drop);
        if passed {
            fs::remove_file(&content).map_err(failed)?;
        }
        made
    }

    fn read(&mut self, path: &Path, into: &mut dyn Write) -> Result<(), ChrootError> {
        let failed = |source| ChrootError::Read { path: path.into(), source };
        let (name, content) = self.next_file();
        let request = Request::Read { path: path.into(), to: name };
        self.ask_for_chroot(&request, &mut |_| ControlFlow::Continue(()))?;
        let mut file = File::open(&content).map_err(failed)?;
        io::copy(&mut file, into).map_err(failed)?;
        fs::remove_file(&content).map_err(failed)
    }

    fn is_directory(&mut self, path: &Path) -> Result<bool, ChrootError> {
        let request = Request::IsDirectory { path: path.into() };
        match self.ask_for_chroot(&request, &mut |_| ControlFlow::Continue(()))? {
            Reply::Answer(answer) => Ok(answer),
            _ => Err(misunderstood()),
        }
    }

    fn remove(&mut self, path: &Path) -> Result<(), ChrootError> {
        let request = Request::Remove { path: PathBuf::from(path) };
        self.ask_for_chroot(&request, &mut |_| ControlFlow::Continue(())).map(drop)
    }
}

fn misunderstood() -> ChrootError {
    ChrootError::Runner {
        message: "the guest's side of the program gave an answer to another question".to_owned(),
        hint: None,
        source: None,
    }
}
