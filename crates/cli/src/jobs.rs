//! The smaller whole jobs: each is one subcommand.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use arm_image_decompress::Unpacker;
use arm_image_fetch::{Cache, CacheEntry};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    Enter, Error, Event, OnEvent, build,
    inspect::examine,
    keeper::Kept,
    occupied,
    output::Partial,
    place::{self, Job, JobPart},
    plan::Mapper,
};

/// How often a silent command lets the caller look up.
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Unpacks `archive` as `unpacker` says to `output`, which gets its name only when it is whole, and belongs to `owner` then.
///
/// # Errors
///
/// As [`unpack`](crate::unpack), and where `output` is the archive itself or no file.
pub fn unpack_to(
    unpacker: &Unpacker,
    archive: &Path,
    output: &Path,
    owner: Option<(u32, u32)>,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    crate::open(archive)?;
    let partial = Partial::create(output, &[archive])?;
    crate::unpack(unpacker, archive, partial.file(), on)?;
    partial.finish(owner, on)
}

/// Runs `command` inside the raw image at `path`, which it may change, and gives its status; without a command, an
/// interactive shell.
///
/// # Errors
///
/// Where the image cannot be entered. A command that fails is no error but its status.
pub fn shell(
    path: &Path,
    command: &[OsString],
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
) -> Result<ExitStatus, Error> {
    enter.check()?;
    let _lock = lock(path)?;
    let image = examine(path, &crate::open(path)?, enter)?;
    let job = build::job(&image, enter, None)?;
    // The image is not thrown away if this process is killed.
    let job = Job { sync: true, ..job };
    place::with_root(path, &job, enter, scratch, on, |root, on| {
        let command = match command {
            [] => build::interactive_shell(),
            argv => arm_image_chroot::Command::new(argv.iter().cloned()),
        };
        root.run(&command, &mut |output| on(build::event_of(output))).map_err(|cause| match cause {
            arm_image_chroot::Error::Cancelled => Error::Cancelled,
            cause => Error::Chroot(cause),
        })
    })
}

/// Maps the partitions of the raw image at `path` for as long as `command`, a program of the host, runs. It finds
/// their devices in `PART1`, `PART2` and so on.
///
/// # Errors
///
/// Where mapping fails, or the command cannot be started. A command that fails is no error but its status.
pub fn map(path: &Path, command: &[OsString], mapper: Mapper, on: OnEvent<'_>) -> Result<ExitStatus, Error> {
    let host = crate::Host::look();
    if !host.privilege.ok {
        let missing = vec![host.privilege.found];
        return Err(Error::NoPlace { isolation: crate::Isolation::Host, missing });
    }
    let _lock = lock(path)?;
    let image = fs::OpenOptions::new().read(true).write(true).open(path);
    let image =
        image.map_err(|cause| Error::File { operation: "open for writing", path: path.into(), cause })?;
    let found = examine(path, &image, &Enter::default())?;
    let parts: Vec<_> = found
        .partitions
        .iter()
        .filter(|part| !part.is_container())
        .map(|part| JobPart::of(part, &[]))
        .collect();
    let [program, arguments @ ..] = command else {
        return Err(Error::Plan {
            problem: "there is no command to run".into(),
            hint: "give one after --".into(),
        });
    };
    place::with_devices(&image, &parts, mapper, |mapped| {
        let devices = parts.iter().zip(mapped.paths());
        let mut command = Command::new(program);
        command.args(arguments).envs(devices.map(|(part, device)| (format!("PART{}", part.number), device)));
        let failed = |cause| Error::File { operation: "run", path: program.into(), cause };
        // In this process's group: a terminal's keys are for it.
        wait(Kept::start(&mut command, false).map_err(failed)?, on).map_err(failed)
    })
}

/// Waits for a program; passes the wish to stop on to it, and waits for what it makes of that.
fn wait(mut kept: Kept, on: OnEvent<'_>) -> io::Result<ExitStatus> {
    let mut asked = false;
    loop {
        match poll(&mut [PollFd::new(&kept, PollFlags::IN)], Some(&LOOK_UP)) {
            // The signal may be the wish.
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            ended => {
                ended?;
                return kept.end();
            }
        }
        if on(Event::Waiting).is_break() && !asked {
            asked = true;
            kept.ask_to_end()?;
        }
    }
}

/// Holds the image, so that no two of us change it at once, nor one of us and a mount of somebody else.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let image = crate::open(path)?;
    match image.try_lock() {
        Ok(()) => occupied::check(path, &image).map(|()| image),
        Err(TryLockError::WouldBlock) => Err(Error::Plan {
            problem: format!("`{}` is being changed by another arm-image", path.display()),
            hint: "wait for it to end".to_owned(),
        }),
        Err(TryLockError::Error(cause)) => Err(Error::File { operation: "lock", path: path.into(), cause }),
    }
}

/// Bytes.
const COPIED_AT_ONCE: u64 = 64 << 20;

/// Copies the file at `from` to `output`, which gets its name only when it is whole, and belongs to `owner` then.
///
/// # Errors
///
/// Where either cannot be read or written.
pub fn copy_to(from: &Path, output: &Path, owner: Option<(u32, u32)>, on: OnEvent<'_>) -> Result<(), Error> {
    let partial = Partial::create(output, &[from])?;
    let source = crate::open(from)?;
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |cause| Error::File { operation: "copy", path, cause }
    };
    let total = source.metadata().map_err(failed(from))?.len();
    let mut done = 0;
    while done < total {
        // A piece at a time, so that the caller is asked in between; the kernel copies, and shares blocks where it can.
        let piece = io::copy(&mut (&source).take(COPIED_AT_ONCE), &mut partial.file());
        match piece.map_err(failed(output))? {
            0 => break,
            copied => done += copied,
        }
        build::tell(on, Event::Bytes(done, Some(total)))?;
    }
    partial.finish(owner, on)
}

/// What the cache in `folder` holds, a line each: bytes, days since it was last used, and where it came from.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn cache_list(folder: &Path) -> Result<String, Error> {
    if !folder.exists() {
        // Who only looks makes nothing.
        return Ok(String::new());
    }
    Ok(lines(&Cache::open(folder)?.entries()?))
}

/// Deletes what the cache in `folder` holds, or only what was not used for `days`, and gives a line for each.
///
/// # Errors
///
/// Where the folder cannot be read, or a file of it not be deleted.
pub fn cache_clean(folder: &Path, days: Option<u32>) -> Result<String, Error> {
    if !folder.exists() {
        return Ok(String::new());
    }
    let older_than = days.map(|days| Duration::from_secs(u64::from(days) * DAY));
    Ok(lines(&Cache::open(folder)?.clean(older_than)?))
}

/// Seconds.
const DAY: u64 = 24 * 60 * 60;

fn lines(entries: &[CacheEntry]) -> String {
    let line = |entry: &CacheEntry| {
        // A clock that was set back makes it today.
        let days = entry.used.elapsed().map_or(0, |age| age.as_secs() / DAY);
        let from = entry.url.clone().unwrap_or_else(|| entry.key.to_string());
        format!("{:>12} {days:>4} {from}\n", entry.size)
    };
    entries.iter().map(line).collect()
}
