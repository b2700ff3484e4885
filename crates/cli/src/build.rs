//! The pipeline: one straight function from a source to a finished image.

use std::{
    fs::File,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use arm_image_chroot::{ChrootRunner, Copy, Output, Provisioner, Script, Shell};
use arm_image_decompress::Unpacker;
use arm_image_fetch::{Cache, Checksum, Fetcher, HttpFetcher, LocalFetcher, Source};
use arm_image_partition::{
    self as partition,
    filesystem::{self, Kind},
};
use arm_image_qemu::Arch;

use crate::{
    Enter, Error, Event, OnEvent, Plan, Size, Stage, Step, Stream,
    inspect::{Inspection, examine},
    output::Partial,
    place::{self, Job, JobPart},
    size::humane,
    sweep::{Scratch, sweep},
};

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
    if let Err(error) = sweep(scratch, false) {
        // What an earlier run left is no reason not to do this one.
        tell(on, Event::Warning(&format!("a killed run's leftovers stay: {}", crate::chain(&error))))?;
    }
    let temporary = plan.cache.is_none().then(|| Scratch::make(scratch)).transpose()?;
    let cache = temporary.as_ref().map(Scratch::path).or(plan.cache.as_deref()).unwrap_or(scratch);
    let source = fetch(&plan.sources, &plan.checksum, cache, plan.owner, plan.offline, on)?;
    let partial = Partial::create(&plan.output, Some(&source))?;
    let made = unpack(&plan.unpacker, &source, partial.file(), on)
        .and_then(|()| customise(plan, &partial, scratch, on));
    match made {
        Ok(()) => {
            // The last moment at which the caller may change its mind.
            tell(on, Event::Waiting)?;
            partial.finish(plan.owner)
        }
        Err(error) if plan.keep_on_error && !matches!(error, Error::Cancelled) => {
            let kept = partial.keep();
            let note = format!("the unfinished image stays at {}", kept.display());
            // The build has failed already: whether the caller wants to go on does not matter any more.
            let _ = on(Event::Warning(&note));
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Finds the mistakes that can be found before anything is fetched.
fn check(plan: &Plan) -> Result<(), Error> {
    for source in &plan.sources {
        // That it is not there is for fetching to tell; a pipe would only wait for its other end.
        if let Source::Path(path) = source
            && path.exists()
        {
            crate::open(path)?;
        }
    }
    plan.enter.check()?;
    for step in &plan.steps {
        let (Step::Script { path, .. } | Step::Copy { from: path, .. }) = step else { continue };
        if let Err(cause) = path.symlink_metadata() {
            return Err(Error::Plan {
                problem: format!("`{}` cannot be used in a step: {cause}", path.display()),
                hint: "paths of steps are paths of this machine, relative to the current folder".to_owned(),
            });
        }
    }
    if plan.size.is_some() || !plan.steps.is_empty() {
        place::choose(&plan.enter, &[], plan.enter.arch)?;
    }
    Ok(())
}

/// Gets and verifies the first of `sources` that can be had, and tells where it is: in the folder `cache`, which is given
/// to `owner`, or where it always was.
///
/// # Errors
///
/// Where it cannot be had, or is not what `checksum` says.
pub fn fetch(
    sources: &[Source],
    checksum: &Checksum,
    cache: &Path,
    owner: Option<(u32, u32)>,
    offline: bool,
    on: OnEvent<'_>,
) -> Result<PathBuf, Error> {
    let first = sources.first().map(ToString::to_string).unwrap_or_default();
    tell(on, Event::Stage(Stage::Fetch, &format!("getting {first}")))?;
    let tick: arm_image_fetch::Tick<'_> = &mut |done, total| on(Event::Bytes(done, total));
    if let ([source @ Source::Path(_)], false) = (sources, matches!(checksum, Checksum::List(Source::Url(_))))
    {
        // Nothing of it comes from a network, so no cache is made.
        return Ok(LocalFetcher.fetch(source, checksum, None, tick)?);
    }
    let cache = open_cache(cache, owner)?;
    Ok(HttpFetcher::new(cache).offline(offline).fetch_any(sources, checksum, None, tick)?.path)
}

/// The cache in `folder`, whose files belong to `owner`, where that is not this process's user.
fn open_cache(folder: &Path, owner: Option<(u32, u32)>) -> Result<Cache, Error> {
    Ok(match owner {
        Some((user, group)) => Cache::open_owned(folder, user, group)?,
        None => Cache::open(folder)?,
    })
}

/// Unpacks the archive at `path`, or copies the raw image there, to `output`, leaving runs of zeros as holes; `unpacker` says
/// which member of an archive, and how much at most.
///
/// # Errors
///
/// Where the archive is damaged or of a kind that cannot be unpacked, or the output cannot be written.
pub fn unpack(unpacker: &Unpacker, path: &Path, output: &File, on: OnEvent<'_>) -> Result<(), Error> {
    tell(on, Event::Stage(Stage::Unpack, &format!("unpacking {}", path.display())))?;
    let input = crate::open(path)?;
    let unpacked = unpacker
        .unpack(&input, output, &mut |done, total| on(Event::Bytes(done, total)))
        .map_err(|cause| Error::Unpack { path: path.into(), cause })?;
    let member = unpacked.member.map_or_else(String::new, |name| format!(", member {name}"));
    tell(on, Event::Note(&format!("{} image of {}{member}", unpacked.format, humane(unpacked.size))))?;
    match unpacked.note {
        Some(note) => tell(on, Event::Warning(&note)),
        None => Ok(()),
    }
}

fn customise(plan: &Plan, partial: &Partial, scratch: &Path, on: OnEvent<'_>) -> Result<(), Error> {
    if plan.size.is_none() && plan.steps.is_empty() {
        return Ok(());
    }
    tell(on, Event::Stage(Stage::Inspect, "reading the image's table and files"))?;
    let grown = plan.size.map(|size| grow_table(partial.path(), size, on)).transpose()?;
    // By its source's name: that is the one the user knows, and the one that hints at what it is.
    let name = plan.sources.first().map(ToString::to_string).unwrap_or_default();
    let image = examine(Path::new(&name), partial.file(), &plan.enter)?;
    if let (Some(number), true) = (grown, plan.steps.is_empty()) {
        // Nothing is run, so nothing needs to be entered.
        return place::grow(partial.path(), &grow_job(&image, &plan.enter, number), &plan.enter, scratch, on);
    }
    let job = job(&image, &plan.enter, grown)?;
    place::with_root(partial.path(), &job, &plan.enter, scratch, on, |root, on| {
        for (index, step) in plan.steps.iter().enumerate() {
            run_step(index + 1, step, root, on)?;
        }
        Ok(())
    })
}

/// Grows the image file and its table to `size`, and gives the number of the partition that grew; its file system comes
/// later, when it is mapped.
pub(crate) fn grow_table(path: &Path, size: Size, on: OnEvent<'_>) -> Result<u32, Error> {
    let failed = |operation| move |cause| Error::Partition { operation, path: path.into(), cause };
    let mut file = crate::open(path)?;
    let length = file.metadata().map(|metadata| metadata.len());
    let current = length.map_err(|cause| Error::File { operation: "look at", path: path.into(), cause })?;
    // Tables count in sectors; a size that is no whole number of them is rounded up.
    let total = size.of(current).and_then(|bytes| bytes.checked_next_multiple_of(512));
    let total = total.ok_or_else(|| Error::Plan {
        problem: format!("a size of {size} is too large"),
        hint: "give a size that fits in 64 bits".to_owned(),
    })?;
    let table = partition::read(&mut file).map_err(failed("read the partition table of"))?;
    if let Some(last) = partition::last(&table.partitions()) {
        let found = filesystem::probe(&mut file, last.range.clone());
        let kind = found.map_err(failed("look for file systems in"))?.map(|system| system.kind);
        if !kind.is_some_and(Kind::can_grow) {
            let found = kind.map_or("nothing that is known".to_owned(), |kind| kind.to_string());
            return Err(Error::NotGrowable { path: path.into(), number: last.number, found });
        }
    }
    let told = format!("growing the image from {} to {}", humane(current), humane(total));
    tell(on, Event::Stage(Stage::Resize, &told))?;
    partition::grow(path, total).map(|last| last.number).map_err(failed("grow"))
}

/// What the privileged half is to do with `image`: everything that is mounted, and the partition that `grown` says.
pub(crate) fn job(image: &Inspection, enter: &Enter, grown: Option<u32>) -> Result<Job, Error> {
    let refused = |reason: String| Error::NotEnterable { path: image.path.clone(), reason };
    if !image.mounted().any(|(_, target)| target == Path::new("/")) {
        return Err(refused(
            "no partition in it has both an os-release and a shell that can be read; name its root with --mount N=/".into(),
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
        parts: parts.map(|part| JobPart { grow: grown == Some(part.number), ..JobPart::of(part) }).collect(),
        ..empty_job(enter, Some(arch))
    })
}

/// What is to be done to `image` where only the file system of partition `number` is to grow.
pub(crate) fn grow_job(image: &Inspection, enter: &Enter, number: u32) -> Job {
    let grown = image.partitions.iter().filter(|part| part.number == number);
    let parts = grown.map(|part| JobPart { grow: true, target: None, ..JobPart::of(part) }).collect();
    Job { parts, ..empty_job(enter, None) }
}

fn empty_job(enter: &Enter, arch: Option<Arch>) -> Job {
    Job {
        parts: Vec::new(),
        arch: arch.map(|arch| arch.to_string()),
        qemu: enter.qemu.clone(),
        search: enter.search.clone(),
        resolv_conf: enter.resolv_conf,
        resolv_conf_source: "/etc/resolv.conf".into(),
        mapper: enter.mapper,
    }
}

fn run_step(number: usize, step: &Step, root: &mut dyn ChrootRunner, on: OnEvent<'_>) -> Result<(), Error> {
    let provisioner = provisioner(step);
    tell(on, Event::Stage(Stage::Provision, &provisioner.describe()))?;
    match provisioner.provision(root, &mut |output| on(event_of(output))) {
        Ok(()) => Ok(()),
        Err(arm_image_chroot::Error::Cancelled) => Err(Error::Cancelled),
        Err(cause) => Err(Error::Step { number, cause }),
    }
}

fn provisioner(step: &Step) -> Box<dyn Provisioner> {
    match step {
        Step::Run { line, env } => Box::new(shell(Script::Inline(line.clone()), env)),
        Step::Script { path, env } => Box::new(shell(Script::File(path.clone()), env)),
        Step::Copy { from, to } => Box::new(Copy { from: from.clone(), to: to.clone() }),
    }
}

fn shell(script: Script, env: &[(String, String)]) -> Shell {
    Shell { script, env: env.iter().map(|(key, value)| (key.into(), value.into())).collect() }
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
