//! What can go wrong.

mod advice;

pub(crate) use advice::told;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A failure to mount, to run, or to move files, with the object it befell.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No mount has the target `/`.
    #[error("no partition is to be mounted on `/`")]
    NoRoot,
    /// A mount target is relative, has a `..` in it, or stands twice in the list.
    #[error("`{target}` cannot be a mount point: {reason}")]
    Target {
        /// The target as given.
        target: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The private mount namespace could not be made.
    #[error("failed to {step} for a private mount namespace")]
    Namespace {
        /// What was being done, as a verb with its object.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel would not mount a file system.
    #[error("failed to mount `{device}` as {kind} on `{target}`")]
    Mount {
        /// The device, or the kind again where the file system has none.
        device: PathBuf,
        /// The mount point inside the image.
        target: PathBuf,
        /// The kernel's name of the file system.
        kind: String,
        /// What the file system itself said, where it said something.
        said: Option<String>,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A mount point in the image could be neither found nor made.
    #[error("failed to make the mount point `{target}` in the image")]
    MountPoint {
        /// The mount point inside the image.
        target: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// An entry of the private `/dev` could not be made.
    #[error("failed to make `/dev/{name}` for the image")]
    Device {
        /// The entry's name.
        name: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The host's name server configuration could not be read.
    #[error("failed to read `{path}`, the name servers to use")]
    ResolvConfSource {
        /// The file on the host.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The image's `/etc/resolv.conf` could not be covered, replaced or removed.
    #[error("failed to set up `{path}` in the image")]
    ResolvConf {
        /// The file in the image, links followed.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file of the image that would do harm while it is mounted could not be covered.
    #[error("failed to cover `{path}` in the image")]
    Cover {
        /// The file in the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something was changed in the image only while it was mounted, and could not be changed back.
    #[error("failed to restore `{path}` in the image")]
    Restore {
        /// The file in the image, links followed.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file or directory of the host could not be shown in the image.
    #[error("failed to bind `{path}` to `{target}` in the image")]
    Bind {
        /// The path on the host.
        path: PathBuf,
        /// The place in the image.
        target: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file system would not write back what it holds.
    #[error("failed to write `{target}` back to its device")]
    Sync {
        /// The mount point inside the image.
        target: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A device is still in use after everything of ours was released.
    #[error("`{device}` is still in use after unmounting")]
    Busy {
        /// The device.
        device: PathBuf,
    },
    /// A process could not be prepared before its program was started.
    #[error("failed to {step} to run `{program}`")]
    Start {
        /// The program.
        program: String,
        /// What was being done, as a verb with its object.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel cannot execute the program, though it is there and allowed to.
    #[error("failed to execute `{program}` in the image")]
    Execute {
        /// The program.
        program: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The process that watches over the program was killed from outside.
    #[error("`{program}` was killed together with the process that watched over it")]
    Vanished {
        /// The program.
        program: String,
    },
    /// A provisioner's command ended with something other than success.
    #[error("`{command}` failed with {status}")]
    Failed {
        /// The command, short and readable.
        command: String,
        /// Its exit code or signal.
        status: ExitStatus,
        /// The last lines of its stderr, oldest first.
        stderr_tail: Vec<String>,
    },
    /// A provisioner took longer than it may.
    #[error("`{step}` took longer than {limit:?}")]
    TimedOut {
        /// What the step does.
        step: String,
        /// How long it may take.
        limit: Duration,
    },
    /// An [`execute_command`](crate::Scripts::execute_command) cannot be filled in.
    #[error("`{template}` cannot run a script: {reason}")]
    ExecuteCommand {
        /// The template.
        template: String,
        /// Why not.
        reason: String,
    },
    /// The image does not know a user or group.
    #[error("nothing can be given to `{owner}` in the image: {reason}")]
    Owner {
        /// The user, and the group after a colon where one was named.
        owner: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The owner of a file, directory or link of the image could not be changed.
    #[error("failed to give `{path}` in the image to {user}:{group}")]
    Own {
        /// The path inside the image.
        path: PathBuf,
        /// The number of the user.
        user: u32,
        /// The number of the group.
        group: u32,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file, directory or link could not be made in the image.
    #[error("failed to create `{path}` in the image")]
    Create {
        /// The path inside the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file or directory of the image could not be read.
    #[error("failed to read `{path}` in the image")]
    Read {
        /// The path inside the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file of the image could not be removed.
    #[error("failed to remove `{path}` from the image")]
    Remove {
        /// The path inside the image.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file on the host could not be read.
    #[error("failed to read `{path}`")]
    Source {
        /// The path on the host.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file or directory on the host could not be written.
    #[error("failed to write `{path}`")]
    Destination {
        /// The path on the host.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A device node, socket or pipe stands in a tree that is to be copied.
    #[error("`{path}` is neither file, directory nor symbolic link")]
    Special {
        /// The path where it is copied from.
        path: PathBuf,
    },
    /// Another implementation of [`ChrootRunner`](crate::ChrootRunner) failed in a way of its own.
    #[error("{message}")]
    Runner {
        /// What failed, as a lower-case fragment without the cause.
        message: String,
        /// What the user can do, if that is known.
        hint: Option<String>,
        /// The cause, if there is one.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The tick asked to stop; what was running is gone.
    #[error("cancelled")]
    Cancelled,
}
