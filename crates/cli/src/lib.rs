//! A [`Plan`] turns an ARM operating system image into a customised one, on an ordinary machine.
//!
//! [`build`] carries it out: it fetches and verifies the source, unpacks it, grows it, mounts its partitions, runs the
//! plan's steps with the image's own programs, takes everything down and gives the image its name.
//!
//! ```no_run
//! use std::{ops::ControlFlow, path::Path};
//! use arm_image::{Event, Plan, Step};
//!
//! // In a guest kernel, where no root is to be had, this program is the guest's init.
//! arm_image::serve_if_guest();
//!
//! let mut plan = Plan::new(["raspios.img.xz".parse()?], "none".parse()?, "card.img");
//! plan.size = Some("+1G".parse()?);
//! plan.steps.push(Step::run("apt-get update && apt-get install -y vim"));
//! arm_image::build(&plan, Path::new("/tmp"), &mut |event| {
//!     if let Event::Stage(stage, what) = event {
//!         eprintln!("{}: {what}", stage.name());
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every stage is a crate of its own, which knows none of the others and nothing of this one. This one knows no
//! terminal, no environment and no signal: those belong to the program `arm-image`.
//!
//! # What is left behind
//!
//! Nothing, however the process ends: devices, mounts, processes and the guest are owned by open files. What has to be
//! a name (an entry of `binfmt_misc`, a temporary folder) is swept by the next [`build`] and by [`sweep`];
//! `OUTPUT.partial` is overwritten by the next build to that output.

mod build;
mod error;
mod event;
mod inspect;
mod jobs;
mod keeper;
mod local;
mod machine;
mod obtain;
mod occupied;
mod output;
mod packages;
mod place;
mod plan;
mod resize;
mod size;
mod sweep;
pub mod template;
mod text;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileTypeExt,
    path::Path,
};

pub use build::build;
pub use error::{Causes, Error, FailedCommand, causes, chain};
pub use event::{Event, LONGEST_LINE, OnEvent, Stage, Stream};
pub use inspect::{Inspection, Os, Part, inspect};
pub use jobs::{cache_clean, cache_list, copy_to, map, shell, unpack_to};
pub use machine::{Check, Host, Machine};
pub use obtain::{fetch, unpack};
pub use place::serve_if_guest;
pub use plan::{Enter, Isolation, Local, Mapper, MountPoint, OnError, Origin, Plan, Step, Work};
pub use resize::resize;
pub use size::{NotASize, Size};
pub use sweep::sweep;
pub use text::presets_text;

/// How the names of this library's temporary folders begin: nobody else has such names.
const SCRATCH_PREFIX: &str = "arm-image-scratch-";

/// Opens a file or block device for reading. Anything else is refused at once: a pipe would wait for its other end.
fn open(path: &Path) -> Result<File, Error> {
    let failed = |cause| Error::Open { path: path.into(), cause };
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is neither a file nor a block device",
        )));
    }
    File::open(path).map_err(failed)
}

/// The README's example is compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
