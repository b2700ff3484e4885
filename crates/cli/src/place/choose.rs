//! Which place: this kernel, or a guest's.

use arm_image_qemu::Arch;

use super::{Job, JobPart};
use crate::{Enter, Error, Isolation, machine::Host};

/// A place for the privileged half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// This process.
    Host,
    /// A guest.
    Guest,
}

/// Chooses a place for an image whose file systems are of `kinds` and whose programs, if any run, are of `arch`,
/// and says why.
pub(crate) fn choose(enter: &Enter, kinds: &[&str], arch: Option<Arch>) -> Result<(Place, String), Error> {
    let chosen = choose_any(enter, kinds, arch)?;
    match enter.binds.iter().find(|bind| chosen.0 == Place::Guest && !bind.source.is_dir()) {
        Some(bind) => Err(Error::Plan {
            problem: format!(
                "`{}` cannot be shown in a guest kernel: it is no folder",
                bind.source.display()
            ),
            hint: "show the folder it is in, or copy it".to_owned(),
        }),
        None => Ok(chosen),
    }
}

/// The same for `job`, whose programs are run; and what there is to be said against the place.
///
/// The kernel has one list of handlers, of which the newest wins: a qemu that is asked for runs this machine's other
/// programs of that architecture, too. Where these have a handler, a guest is the better place, if it can do the job.
pub(crate) fn choose_for(enter: &Enter, job: &Job) -> Result<(Place, String, Option<String>), Error> {
    let arch = job.arch()?;
    let (place, why) = choose(enter, &job.kinds(), arch)?;
    let asked = arch.filter(|arch| place == Place::Host && enter.qemu.is_some() && !arch.runs_natively());
    // Where the kernel cannot be asked, running programs tells why.
    let theirs = asked.and_then(|arch| Some((arch, arm_image_qemu::handler(arch).ok()??)));
    Ok(match theirs {
        Some((arch, handler)) => {
            beside(arch, &handler, enter.isolation == Isolation::Auto && is_guests(enter, job))
        }
        None => (place, why, None),
    })
}

/// Where to work beside programs of `arch` that `handler` runs, and what that does to them.
fn beside(arch: Arch, handler: &str, guest: bool) -> (Place, String, Option<String>) {
    if guest {
        let why = format!(
            "in a guest kernel, as the qemu asked for would run this machine's other {arch} programs, too"
        );
        return (Place::Guest, why, None);
    }
    let warning = format!(
        "until the image is taken down, the qemu asked for also runs this machine's other {arch} programs, in the place of \
         the handler `{handler}`; --isolation guest keeps it to the image"
    );
    (Place::Host, HERE.to_owned(), Some(warning))
}

/// Whether a guest does for `job` all that this machine's kernel does.
fn is_guests(enter: &Enter, job: &Job) -> bool {
    let by_tool = |part: &JobPart| part.grow && part.kind == "f2fs";
    // This machine's own programs enter the image here only.
    !job.entered
        && !job.parts.iter().any(by_tool)
        && enter.binds.iter().all(|bind| bind.source.is_dir())
        && arm_image_guest::network_available(&enter.search).is_ok()
        && arm_image_guest::available(&enter.search).is_ok()
}

const HERE: &str = "on this machine's kernel";

fn choose_any(enter: &Enter, kinds: &[&str], arch: Option<Arch>) -> Result<(Place, String), Error> {
    let missing = Host::look().missing_for(kinds, arch);
    let no_place = |missing| Error::NoPlace { isolation: enter.isolation, missing };
    match (enter.isolation, missing.is_empty()) {
        (Isolation::Host | Isolation::Auto, true) => {
            return Ok((Place::Host, HERE.to_owned()));
        }
        (Isolation::Host, false) => return Err(no_place(missing)),
        (Isolation::Auto, false) | (Isolation::Guest, _) => {}
    }
    // Asked only now, as its kernel is run for the answer.
    match (enter.isolation, arm_image_guest::available(&enter.search)) {
        (Isolation::Guest, Ok(_)) => Ok((Place::Guest, "in a guest kernel, as asked for".to_owned())),
        (Isolation::Guest, Err(cause)) => Err(cause.into()),
        (_, Ok(_)) => Ok((Place::Guest, format!("in a guest kernel, as {}", missing.join(", and ")))),
        (_, Err(cause)) => {
            let guest = format!("no guest: {}", crate::chain(&cause));
            Err(no_place(missing.into_iter().chain([guest]).chain(cause.hint()).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use arm_image_chroot::Bind;

    use super::*;

    #[test]
    fn a_guest_is_not_taken_for_what_only_this_machines_kernel_does() {
        let enter = Enter::default();
        let part = |grow| JobPart { grow, ..JobPart::alone(1, 0..1 << 20, "f2fs".to_owned()) };
        let job = Job { parts: vec![part(false)], ..Job::empty(&enter, Some(Arch::Arm64)) };
        assert!(is_guests(&enter, &job), "a guest and its network are installed where this is tested");
        assert!(!is_guests(&enter, &Job { entered: true, ..job.clone() }));
        assert!(!is_guests(&enter, &Job { parts: vec![part(true)], ..job.clone() }));
        let bind = |source: &str| Bind { source: source.into(), target: "/srv".into(), read_only: true };
        let with = |source| Enter { binds: vec![bind(source)], ..Enter::default() };
        assert!(is_guests(&with("/usr"), &job));
        assert!(!is_guests(&with("/dev/null"), &job));
    }
}
