//! Which place: this kernel, or a guest's.

use arm_image_qemu::Arch;

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

fn choose_any(enter: &Enter, kinds: &[&str], arch: Option<Arch>) -> Result<(Place, String), Error> {
    let missing = Host::look().missing_for(kinds, arch);
    let no_place = |missing| Error::NoPlace { isolation: enter.isolation, missing };
    match (enter.isolation, missing.is_empty()) {
        (Isolation::Host | Isolation::Auto, true) => {
            return Ok((Place::Host, "on this machine's kernel".to_owned()));
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
