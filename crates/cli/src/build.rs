//! The pipeline: one straight function from a source to a finished image.

use std::{fs::File, ops::ControlFlow, path::Path, process::ExitStatus};

use crate::{
    Enter, Error, Event, OnError, OnEvent, Plan, Stage, Step, Stream, Work,
    inspect::{Inspection, examine},
    obtain::obtain,
    output::Partial,
    place::{self, Job, JobPart},
    resize,
    sweep::sweep,
};
use arm_image_chroot::{ChrootRunner, Command, Output, Provisioner};
use arm_image_fetch::Source;
use arm_image_qemu::Arch;
use rustix::{fs::FallocateFlags, io::Errno};

/// Makes the image that `plan` describes: fetches, unpacks, grows, enters and changes it, and takes everything down.
///
/// The output gets its name only at the very end. Before that it is `OUTPUT.partial`, which a failure removes. The
/// source is only read.
///
/// # Errors
///
/// The first thing that went wrong; whatever was set up until then has been taken down again.
pub fn build(plan: &Plan, scratch: &Path, on: OnEvent<'_>) -> Result<(), Error> {
    check(plan)?;
    if let Err(error) = sweep(scratch, false, &mut |_| ()) {
        // What an earlier run left is no reason not to do this one.
        tell(on, Event::Warning(&format!("a killed run's leftovers stay: {}", crate::chain(&error))))?;
    }
    let partial = Partial::create(&plan.output, &plan.inputs())?;
    let made = obtain(&plan.origin, scratch, partial.file(), on)
        .and_then(|()| customise(plan, &partial, scratch, on))
        .and_then(|()| match plan.shrink {
            true => resize::shrink(partial.path(), &plan.enter, scratch, on),
            false => Ok(()),
        })
        .map_err(|error| explained(error, &partial));
    match made {
        Ok(()) => partial.finish(plan.origin.owner, on),
        Err(error) if plan.on_error.keeps() && !matches!(error, Error::Cancelled) => {
            let kept = partial.keep();
            let note = format!("the unfinished image stays at {}", kept.display());
            // The build has failed already: whether the caller wants to go on does not matter any more.
            let _ = on(Event::Warning(&note));
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// The kernels that write to the image say no more than that it failed; why is seen here.
fn explained(error: Error, partial: &Partial) -> Error {
    match error.may_be_of_a_full_disk() && !error.is_cancelled() && is_full(partial.file()) {
        true => Error::Full { path: partial.path().into(), cause: Box::new(error) },
        false => error,
    }
}

/// Whether there is no room for more of `file`: on its disk, or in what its owner may use of that.
fn is_full(file: &File) -> bool {
    let Ok(length) = file.metadata().map(|found| found.len()) else { return false };
    // Behind its end, so that nothing in it changes. A quota is told by nothing else.
    let room = rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, length, LEAST_ROOM);
    // It may stay for somebody to look at, without that.
    let _ = file.set_len(length);
    match room {
        Ok(()) => false,
        Err(Errno::NOSPC | Errno::DQUOT) => true,
        // Not every file system gives out room beforehand.
        Err(_) => rustix::fs::fstatvfs(file)
            .is_ok_and(|system| system.f_bavail.saturating_mul(system.f_frsize) < LEAST_ROOM),
    }
}

/// A disk with fewer bytes left is full: file systems keep some back.
const LEAST_ROOM: u64 = 1 << 20;

/// Finds the mistakes that can be found before anything is fetched.
fn check(plan: &Plan) -> Result<(), Error> {
    for source in &plan.origin.sources {
        // That it is not there is for fetching to tell; a pipe would only wait for its other end.
        if let Source::Path(path) = source
            && path.exists()
        {
            crate::open(path)?;
        }
    }
    plan.enter.check()?;
    for step in plan.all_steps().filter(|step| !step.generated) {
        for path in step.work.sources() {
            path.symlink_metadata().map_err(|cause| Error::Plan {
                problem: format!("`{}` cannot be used in a step: {cause}", path.display()),
                hint: "paths of steps are paths of this machine, relative to the current folder".to_owned(),
            })?;
        }
    }
    if plan.size.is_some() || !plan.steps.is_empty() {
        place::choose(&plan.enter, &[], plan.enter.arch)?;
    }
    Ok(())
}

fn customise(plan: &Plan, partial: &Partial, scratch: &Path, on: OnEvent<'_>) -> Result<(), Error> {
    if plan.size.is_none() && plan.steps.is_empty() {
        return Ok(());
    }
    tell(on, Event::Stage(Stage::Inspect, "reading the image's table and files"))?;
    let mounted = !plan.steps.is_empty();
    let grow = |size| resize::grow_table(partial.path(), size, mounted, &plan.enter, on);
    let grown = plan.size.map(grow).transpose()?;
    // By its source's name: that is the one the user knows, and the one that hints at what it is.
    let name = plan.origin.first();
    let image = examine(Path::new(&name), partial.file(), &plan.enter)?;
    if let (Some(number), true) = (grown, plan.steps.is_empty()) {
        // Nothing is run, so nothing needs to be entered.
        return place::grow(
            partial.path(),
            &resize::job(&image, &plan.enter, number),
            &plan.enter,
            scratch,
            on,
        );
    }
    let entered = plan.all_steps().any(|step| matches!(step.work, Work::Local(_)));
    let job = Job { entered, ..job(&image, &plan.enter, grown)? };
    place::with_root(partial.path(), &job, &plan.enter, scratch, on, |root, on| {
        run_steps(plan, image.arch, scratch, root, on)
    })
}

/// What the privileged half is to do with `image`: everything that is mounted, and the partition that `grown` says.
pub(crate) fn job(image: &Inspection, enter: &Enter, grown: Option<u32>) -> Result<Job, Error> {
    let refused = |reason: String| Error::NotEnterable { path: image.path.clone(), reason };
    let has_root = image.mounted().any(|(_, mount)| mount.target == Path::new("/"));
    if let Some(cause) = image.obstacle.clone().filter(|found| !(found.leaves_a_way() && has_root)) {
        return Err(Error::Obstacle { path: image.path.clone(), cause });
    }
    if !has_root {
        return Err(refused(
            "none of its partitions is to be mounted at `/`; name one with --mount N=/".into(),
        ));
    }
    let arch = image
        .arch
        .ok_or_else(|| refused("the architecture of its shell is not known; give --arch".into()))?;
    if let Some((part, _)) = image.mounted().find(|(part, _)| part.filesystem.is_none()) {
        return Err(refused(format!("partition {} holds no file system that is known", part.number)));
    }
    let parts = image.partitions.iter().filter(|part| part.mount.is_some() || grown == Some(part.number));
    Ok(Job {
        parts: parts
            .map(|part| JobPart { grow: grown == Some(part.number), ..JobPart::of(part, &image.mounts) })
            .collect(),
        processor: processor(image, arch),
        ..Job::empty(enter, Some(arch))
    })
}

/// The processor that qemu is to show to the image's 32-bit ARM programs, where its kind of image knows that. One that is
/// older than what the programs are made for would not run them.
fn processor(image: &Inspection, arch: Arch) -> Option<String> {
    let known = image.preset?.qemu_cpu?;
    let version_6 = known.starts_with("arm11");
    let runs = matches!(arch, Arch::Armv5 | Arch::Armv6) || arch == Arch::Armv7 && !version_6;
    runs.then(|| known.to_owned())
}

fn run_steps(
    plan: &Plan,
    arch: Option<Arch>,
    scratch: &Path,
    root: &mut dyn ChrootRunner,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    for (index, step) in plan.steps.iter().enumerate() {
        let Err(error) = run_step(index + 1, step, arch, scratch, root, on) else { continue };
        if !error.is_cancelled() {
            if plan.on_error != OnError::Keep {
                after_failure(plan, arch, scratch, root, on)?;
            }
            if plan.on_error == OnError::Shell {
                look_around(&error, root, on)?;
            }
        }
        return Err(error);
    }
    Ok(())
}

/// Does what is to be done when a step has failed. That step's failure is the one to end with, so another is only told,
/// and keeps nothing from being done.
fn after_failure(
    plan: &Plan,
    arch: Option<Arch>,
    scratch: &Path,
    root: &mut dyn ChrootRunner,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    for (index, step) in plan.on_failure.iter().enumerate() {
        match run_step(index + 1, step, arch, scratch, root, on) {
            Err(error) if error.is_cancelled() => return Err(error),
            Err(Error::Step { cause, .. }) => {
                tell(on, Event::Warning(&format!("cleaning up after it failed: {}", crate::chain(&*cause))))?;
            }
            Err(error) => tell(on, Event::Warning(&crate::chain(&error)))?,
            Ok(()) => {}
        }
    }
    Ok(())
}

fn run_step(
    number: usize,
    step: &Step,
    arch: Option<Arch>,
    scratch: &Path,
    root: &mut dyn ChrootRunner,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let Some(provisioner) = step.provisioner(scratch) else {
        return match &step.work {
            Work::Breakpoint(note) => tell(on, Event::Breakpoint(note)),
            _ => Ok(()),
        };
    };
    tell(on, Event::Stage(Stage::Provision, &provisioner.describe()))?;
    match provisioner.provision(root, &mut |output| on(event_of(output))) {
        Ok(()) => Ok(()),
        Err(arm_image_chroot::Error::Cancelled) => Err(Error::Cancelled),
        Err(cause) => {
            let emulated = arch.filter(|_| !matches!(step.work, Work::Local(_)));
            let explanation = emulated.zip(status_of(&cause)).and_then(|(arch, status)| {
                arm_image_qemu::explain(arch, status, cause.stderr_tail().join("\n").as_bytes())
            });
            Err(Error::Step { number, cause: Box::new(cause), explanation })
        }
    }
}

fn status_of(cause: &arm_image_chroot::Error) -> Option<ExitStatus> {
    match cause {
        arm_image_chroot::Error::Failed { status, .. } => Some(*status),
        _ => None,
    }
}

/// Lets the user see what a failed step has left.
fn look_around(error: &Error, root: &mut dyn ChrootRunner, on: OnEvent<'_>) -> Result<(), Error> {
    tell(on, Event::Warning(&crate::chain(error)))?;
    tell(on, Event::Stage(Stage::Provision, "a shell in the image; the build fails when it ends"))?;
    match root.run(&interactive_shell(), &mut |output| on(event_of(output))) {
        Ok(_) => Ok(()),
        Err(arm_image_chroot::Error::Cancelled) => Err(Error::Cancelled),
        // The step's failure is the one to end with.
        Err(cause) => tell(on, Event::Warning(&format!("there is no shell: {}", crate::chain(&cause)))),
    }
}

/// The image's shell on this process's terminal.
pub(crate) fn interactive_shell() -> Command {
    Command { terminal: true, ..Command::new(["/bin/sh", "-l"]) }
}

/// A line of a program in the image, as an event.
pub(crate) fn event_of(output: Output<'_>) -> Event<'_> {
    match output {
        Output::Stdout(line) => Event::Output(Stream::Stdout, line),
        Output::Stderr(line) => Event::Output(Stream::Stderr, line),
        Output::Waiting => Event::Waiting,
    }
}

pub(crate) fn tell(on: OnEvent<'_>, event: Event<'_>) -> Result<(), Error> {
    match on(event) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}
