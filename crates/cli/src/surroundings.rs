//! The environment that the program runs in; nothing else reads it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

/// What the environment says.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The folders of `PATH`, and those that hold system programs but are missing from an ordinary user's.
    pub(crate) search: Vec<PathBuf>,
    /// Where temporary files go.
    pub(crate) scratch: PathBuf,
    /// Where downloads are kept.
    pub(crate) cache: PathBuf,
    /// The user and group behind sudo, who shall own what is made.
    pub(crate) owner: Option<(u32, u32)>,
    /// Whether colours are unwanted.
    pub(crate) no_color: bool,
    /// All variables that are text, for templates.
    pub(crate) environment: BTreeMap<String, String>,
    /// The folder that the program runs in.
    pub(crate) working_folder: PathBuf,
}

impl Surroundings {
    pub(crate) fn read() -> Surroundings {
        let path = env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
        let number = |name: &str| env::var(name).ok()?.parse().ok();
        let owner = number("SUDO_UID").zip(number("SUDO_GID"));
        // Behind sudo HOME may be root's, where the cache of an ordinary user has no place.
        let home = owner.and_then(|(user, _)| home_of(user));
        let variable = |name: &str| match (name, &home) {
            ("HOME", Some(home)) => Some(home.into()),
            ("XDG_CACHE_HOME", Some(_)) => None,
            _ => env::var_os(name),
        };
        Surroundings {
            search: env::split_paths(&path).filter(|folder| folder.is_absolute()).chain(system).collect(),
            scratch: env::temp_dir(),
            cache: arm_image_fetch::default_cache_dir(variable)
                .unwrap_or_else(|| Path::new("/var/cache/arm-image").into()),
            owner,
            no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            environment: env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            // Where it has been removed, relative paths lead nowhere anyway.
            working_folder: env::current_dir().unwrap_or_else(|_| ".".into()),
        }
    }
}

/// The home folder of a user by number, as passwd(5) has it.
fn home_of(user: u32) -> Option<String> {
    let table = fs::read_to_string("/etc/passwd").ok()?;
    let line = table.lines().find(|line| line.split(':').nth(2) == Some(user.to_string().as_str()))?;
    line.split(':').nth(5).filter(|home| home.starts_with('/')).map(str::to_owned)
}
