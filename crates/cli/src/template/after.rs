//! Post-processors: what is done to a finished image.

mod checksum;
mod compress;
mod lower;
mod manifest;

use std::{
    fmt, fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

pub use checksum::Digest;
pub use compress::Compression;
pub(super) use lower::lower;

use super::{TemplateBuild, fields};
use crate::{
    Error, Event, Local, OnEvent, Stage,
    build::{event_of, tell},
    local::Running,
};

/// One thing to do to a finished image, or to what was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostProcessor {
    /// What to do.
    pub work: After,
    /// Whether what it is given stays.
    pub keep_input: bool,
}

/// What a [`PostProcessor`] does. Paths may hold `{{.BuildName}}`, `{{.BuilderType}}` and `{{.ChecksumType}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum After {
    /// Writes digests to a file for each kind of them.
    Checksum {
        /// Which.
        digests: Vec<Digest>,
        /// The files.
        output: String,
    },
    /// Packs it.
    Compress {
        /// How.
        compression: Compression,
        /// From 1 to 9, where the format has levels; `None`: as is usual.
        level: Option<u32>,
        /// The archive.
        output: String,
    },
    /// Adds what was built to a JSON file.
    Manifest {
        /// The file.
        output: String,
        /// Whether names go without folders.
        strip_path: bool,
        /// Whether the time is left out.
        strip_time: bool,
        /// What else to put there, by name.
        custom_data: Vec<(String, String)>,
    },
    /// Runs scripts on this machine.
    Local(Local),
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            After::Checksum { digests, output } => {
                let names: Vec<_> = digests.iter().map(ToString::to_string).collect();
                write!(f, "checksum {} to {output}", names.join(", "))
            }
            After::Compress { compression, output, .. } => write!(f, "compress as {compression} to {output}"),
            After::Manifest { output, .. } => write!(f, "manifest to {output}"),
            After::Local(_) => f.write_str("shell-local"),
        }
    }
}

impl After {
    fn kind(&self) -> &'static str {
        match self {
            After::Checksum { .. } => "checksum",
            After::Compress { .. } => "compress",
            After::Manifest { .. } => "manifest",
            After::Local(_) => "shell-local",
        }
    }
}

impl TemplateBuild {
    /// Runs the post-processors on the image, and gives what is there in the end.
    pub(super) fn finish(&self, scratch: &Path, on: OnEvent<'_>) -> Result<Vec<PathBuf>, Error> {
        let image = &self.plan.output;
        let mut results = Vec::new();
        let mut keep_image = self.after.is_empty();
        for group in &self.after {
            let mut artifact = image.clone();
            for processor in group {
                tell(on, Event::Stage(Stage::Finish, &self.told(&processor.work)))?;
                let made =
                    self.process(&processor.work, &artifact, scratch, on).map_err(|cause| match cause {
                        cause if cause.is_cancelled() => Error::Cancelled,
                        cause => Error::PostProcessor { kind: processor.work.kind(), cause: Box::new(cause) },
                    })?;
                if let Some(made) = made {
                    keep_image |= processor.keep_input && artifact == *image;
                    if !processor.keep_input && artifact != *image {
                        remove(&artifact)?;
                    }
                    artifact = made;
                }
            }
            keep_image |= artifact == *image;
            results.push(artifact);
        }
        if keep_image {
            return Ok(vec![image.clone()]);
        }
        remove(image)?;
        Ok(results)
    }

    /// Does `work` to the file `input`; what that becomes, where it becomes something else.
    fn process(
        &self,
        work: &After,
        input: &Path,
        scratch: &Path,
        on: OnEvent<'_>,
    ) -> Result<Option<PathBuf>, Error> {
        // Links may lead where names do not.
        let mut read = self.plan.inputs();
        read.push(input);
        match work {
            After::Checksum { digests, output } => {
                for (digest, sum) in checksum::of_file(digests, input, on)? {
                    let path = PathBuf::from(self.named(output, digest.name()));
                    checksum::add(&path, &sum, input, &read, self.plan.origin.owner)?;
                }
                Ok(None)
            }
            After::Compress { compression, level, output } => {
                let path = PathBuf::from(self.named(output, ""));
                compress::pack(*compression, *level, input, &path, &read, self.plan.origin.owner, on)?;
                Ok(Some(path))
            }
            After::Manifest { output, strip_path, strip_time, custom_data } => {
                let entry = manifest::entry(self, input, *strip_path, *strip_time, custom_data)?;
                manifest::add(Path::new(&self.named(output, "")), entry, &read, self.plan.origin.owner)?;
                Ok(None)
            }
            After::Local(local) => {
                let mut local = local.clone();
                local.env.splice(0..0, self.variables());
                let running = Running { local, scratch: scratch.into() };
                running.run_all(None, &mut |output| on(event_of(output)))?;
                Ok(None)
            }
        }
    }

    /// What `work` does, with the names of the build filled in.
    pub(super) fn told(&self, work: &After) -> String {
        let digest = match work {
            After::Checksum { digests, .. } if digests.len() == 1 => {
                digests.first().map(|digest| digest.name())
            }
            _ => None,
        };
        // A word for all of them, where there are several.
        self.named(&work.to_string(), digest.unwrap_or("TYPE"))
    }

    /// `text` with the names of the build for what stands in braces.
    fn named(&self, text: &str, digest: &str) -> String {
        fields::fill(text, |name| match name {
            ".BuildName" => Some(self.source.as_str()),
            ".BuilderType" => Some(self.kind.as_str()),
            ".ChecksumType" => Some(digest),
            _ => None,
        })
    }
}

/// Tells how much of `total` is done; fails where the caller wants no more.
fn tick(on: OnEvent<'_>, done: u64, total: u64) -> Result<(), Error> {
    match on(Event::Bytes(done, Some(total))) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    fs::remove_file(path).map_err(|cause| Error::File { operation: "remove", path: path.into(), cause })
}
