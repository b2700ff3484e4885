//! Images of another size: the file, its table, and the file system of the last partition.

use std::{fs::File, path::Path};

use arm_image_partition::{
    self as partition, Partition,
    filesystem::{self, Kind},
};

use crate::{
    Enter, Error, Event, Isolation, OnEvent, Size, Stage,
    build::tell,
    inspect::{Inspection, examine},
    jobs::lock,
    place::{self, Job, JobPart},
    size::humane,
};

/// What a file system that was shrunk keeps free, in bytes: enough for a first boot to write its keys and logs.
const MARGIN: u64 = 64 << 20;

/// Grows or shrinks the raw image at `path`, in place: the file, its table, and the file system of the last partition.
///
/// `None` as the size is the smallest that holds what is in the image, with 64 MiB to spare.
///
/// The file system grows in the kernel where `enter` finds one for it, else in the file by its own tools; where neither can be
/// had, the table is grown all the same and a warning tells what is left to do.
///
/// # Errors
///
/// Where the table or the file system cannot be changed so; the table is not changed then. Where changing the file system fails.
pub fn resize(
    path: &Path,
    size: Option<Size>,
    enter: &Enter,
    scratch: &Path,
    on: OnEvent<'_>,
) -> Result<(), Error> {
    let _lock = lock(path)?;
    if enter.isolation != Isolation::Auto {
        // Told before anything is changed; `Auto` may end with the table alone.
        place::choose(enter, &[], None)?;
    }
    let Some(size) = size else { return shrink(path, enter, scratch, on) };
    if let Some((last, Some(kind))) = last(path, &mut crate::open(path)?)?
        && place::grows_by_tools(enter, kind)
    {
        // Tools that do not know all of its features are told of before anything is changed, too.
        filesystem::check_tools(path, last.range).map_err(|cause| Error::Partition {
            operation: "grow",
            path: path.into(),
            cause,
        })?;
    }
    let mut file = crate::open(path)?;
    let former_length = length(path, &file)?;
    let failed = |operation| move |cause| Error::Partition { operation, path: path.into(), cause };
    let former = partition::read(&mut file).map_err(failed("read the partition table of"))?;
    let number = grow_table(path, size, false, enter, on)?;
    let grown = examine(path, &file, &Enter::default())
        .and_then(|image| place::grow(path, &job(&image, enter, number), enter, scratch, on));
    match grown {
        Err(Error::NoPlace { missing, .. }) => {
            let missing = missing.join(", and ");
            let left = format!("the table is grown, the file system of partition {number} is not: {missing}");
            tell(on, Event::Warning(&left))
        }
        Err(first) => {
            let restored = partition::restore(path, former.as_ref(), former_length)
                .map_err(failed("put back the partition table of"));
            Err(match restored {
                Ok(()) => {
                    // It has failed already: whether the caller wants to go on does not matter any more.
                    let _ = on(Event::Warning("the table and the length of the image are what they were"));
                    first
                }
                Err(then) => Error::Both { first: Box::new(first), then: Box::new(then) },
            })
        }
        Ok(()) => Ok(()),
    }
}

/// Grows the image file and its table to `size`, and gives the number of the partition that grew; its file system comes
/// later, when it is mapped. `mounted` tells whether it is mounted in the same go, for the steps of a build.
pub(crate) fn grow_table(
    path: &Path,
    size: Size,
    mounted: bool,
    enter: &Enter,
    on: OnEvent<'_>,
) -> Result<u32, Error> {
    let failed = |operation| move |cause| Error::Partition { operation, path: path.into(), cause };
    let mut file = crate::open(path)?;
    let current = length(path, &file)?;
    // Tables count in sectors; a size that is no whole number of them is rounded up.
    let total = size.of(current).and_then(|bytes| bytes.checked_next_multiple_of(512));
    let total = total.ok_or_else(|| Error::Plan {
        problem: format!("a size of {size} is too large"),
        hint: "give a size that fits in 64 bits".to_owned(),
    })?;
    if let Some((last, kind)) = last(path, &mut file)? {
        // The guest has none of the host's tools, and a f2fs grows by its own, for which no kernel needs to know it.
        let known: &[&str] = if mounted { &["f2fs"] } else { &[] };
        let without_tool = kind == Some(Kind::F2fs) && !place::is_host(enter, known);
        // Why a layer does not grow is told with the table.
        let grows = kind.is_some_and(|kind| kind.can_grow() || matches!(kind, Kind::Luks | Kind::Lvm));
        if !grows || without_tool {
            return Err(Error::NotGrowable { path: path.into(), number: last.number, found: named(kind) });
        }
    }
    let told = format!("growing the image from {} to {}", humane(current), humane(total));
    tell(on, Event::Stage(Stage::Resize, &told))?;
    partition::grow(path, total).map(|last| last.number).map_err(failed("grow"))
}

/// Makes the last file system, its partition and the image file as small as what is in them.
pub(crate) fn shrink(path: &Path, enter: &Enter, scratch: &Path, on: OnEvent<'_>) -> Result<(), Error> {
    let failed = |operation| move |cause| Error::Partition { operation, path: path.into(), cause };
    let mut file = crate::open(path)?;
    let before = length(path, &file)?;
    // A table that could not follow is told of before the file system is changed.
    partition::check_shrinking(path).map_err(failed("shrink"))?;
    let Some((last, kind)) = last(path, &mut file)? else {
        return Err(failed("shrink")(partition::Error::NoPartitions));
    };
    let Some(kind) = kind.filter(|kind| kind.can_shrink()) else {
        return Err(Error::NotShrinkable { path: path.into(), number: last.number, found: named(kind) });
    };
    tell(on, Event::Stage(Stage::Resize, &format!("shrinking the {kind} of partition {}", last.number)))?;
    let size = if kind.is_ext() {
        // What was deleted, or has moved, takes no room in the file.
        filesystem::shrink_unmounted(path, last.range.clone(), MARGIN)
            .and_then(|size| filesystem::trim_unmounted(path, last.range.clone()).map(|_| size))
            .map_err(|cause| Error::ShrinkSystem { number: last.number, cause })?
    } else {
        let part = JobPart::alone(last.number, last.range.clone(), kind.to_string());
        let job = Job { parts: vec![part], ..Job::empty(enter, None) };
        place::shrink(path, &job, MARGIN, enter, scratch, on)?
    };
    partition::shrink(path, last.range.start + size).map_err(failed("shrink"))?;
    let after = length(path, &file)?;
    let told = match after < before {
        true => format!("the image has shrunk from {} to {}", humane(before), humane(after)),
        false => format!("the image is as small as can be: {}", humane(after)),
    };
    tell(on, Event::Note(&told))
}

/// What is to be done to `image` where only the file system of partition `number` is to grow.
pub(crate) fn job(image: &Inspection, enter: &Enter, number: u32) -> Job {
    let grown = image.partitions.iter().filter(|part| part.number == number);
    let parts = grown.map(|part| JobPart { grow: true, ..JobPart::of(part, &[]) }).collect();
    Job { parts, ..Job::empty(enter, None) }
}

/// The partition that lies last on the disk, and what is in it.
fn last(path: &Path, mut file: &mut File) -> Result<Option<(Partition, Option<Kind>)>, Error> {
    let failed = |operation| move |cause| Error::Partition { operation, path: path.into(), cause };
    let table = partition::read(&mut file).map_err(failed("read the partition table of"))?;
    let Some(last) = partition::last(&table.partitions()).cloned() else { return Ok(None) };
    let found =
        filesystem::probe(&mut file, last.range.clone()).map_err(failed("look for file systems in"))?;
    Ok(Some((last, found.map(|system| system.kind))))
}

fn named(kind: Option<Kind>) -> String {
    kind.map_or("nothing that is known".to_owned(), |kind| kind.to_string())
}

fn length(path: &Path, file: &File) -> Result<u64, Error> {
    let metadata = file.metadata();
    metadata.map(|metadata| metadata.len()).map_err(|cause| Error::File {
        operation: "look at",
        path: path.into(),
        cause,
    })
}
