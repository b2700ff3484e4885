//! A command's words as the C strings that execve takes, all made before the fork.

use crate::Command;
use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The texts for execve.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) programs: Vec<CString>,
    pub(crate) directory: CString,
}

impl Words {
    pub(crate) fn new(command: &Command, variables: &[(String, String)]) -> io::Result<Words> {
        let name = command.argv.first().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no program"))?;
        let env = environment(command, variables);
        let search = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_bytes());
        Ok(Words {
            argv: command
                .argv
                .iter()
                .map(|word| Ok(CString::new(word.as_bytes())?))
                .collect::<io::Result<_>>()?,
            programs: candidates(name, search.unwrap_or_default())?,
            env: env
                .iter()
                .map(|(name, value)| Ok(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?))
                .collect::<io::Result<_>>()?,
            directory: CString::new(command.directory.as_os_str().as_bytes())?,
        })
    }
}

/// The defaults, the surroundings' `variables`, and the command's own, of which the last of a name counts.
fn environment(command: &Command, variables: &[(String, String)]) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = Vec::new();
    let mut defaults = vec![("PATH", DEFAULT_PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")];
    if command.terminal {
        defaults.push(("TERM", "linux"));
    } else {
        defaults.extend([("TERM", "dumb"), ("DEBIAN_FRONTEND", "noninteractive")]);
    }
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let defaults = defaults.into_iter().chain(variables).map(|(name, value)| (name.into(), value.into()));
    for (name, value) in defaults.chain(command.env.iter().cloned()) {
        env.retain(|(other, _)| *other != name);
        env.push((name, value));
    }
    env
}

/// The paths to try for a program's name.
fn candidates(name: &OsStr, search: &[u8]) -> io::Result<Vec<CString>> {
    let name = name.as_bytes();
    if name.contains(&b'/') {
        return Ok(vec![CString::new(name)?]);
    }
    let folders = search.split(|&byte| byte == b':').filter(|folder| !folder.is_empty());
    folders.map(|folder| Ok(CString::new([folder, b"/", name].concat())?)).collect()
}

/// As execve wants them: null-terminated. They point into `words`.
pub(crate) fn pointers(words: &[CString]) -> Vec<*const c_char> {
    words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_own_variables_win_and_nothing_comes_from_this_process() {
        let mut command = Command::new(["x"]);
        command.env =
            vec![("HOME".into(), "/a".into()), ("FOO".into(), "1".into()), ("FOO".into(), "2".into())];
        let variables = [("FOO", "0"), ("SYSTEMD_OFFLINE", "1")];
        let env = environment(&command, &variables.map(|(name, value)| (name.into(), value.into())));
        let get = |name: &str| {
            env.iter().filter(|(other, _)| other == name).map(|(_, v)| v.clone()).collect::<Vec<_>>()
        };
        assert_eq!(get("HOME"), ["/a"]);
        assert_eq!(get("FOO"), ["2"]);
        assert_eq!(get("SYSTEMD_OFFLINE"), ["1"]);
        assert_eq!(get("DEBIAN_FRONTEND"), ["noninteractive"]);
        assert!(get("CARGO").is_empty(), "cargo sets this for tests");
        command.terminal = true;
        assert!(!environment(&command, &[]).iter().any(|(name, _)| name == "DEBIAN_FRONTEND"));
    }

    #[test]
    fn a_bare_name_is_searched_for_and_a_path_is_not() {
        let paths = |name: &str| candidates(OsStr::new(name), b"/a::/b").unwrap();
        assert_eq!(paths("ls"), [c"/a/ls".to_owned(), c"/b/ls".to_owned()]);
        assert_eq!(paths("./ls"), [c"./ls".to_owned()]);
    }

    #[test]
    fn what_cannot_be_a_c_string_or_names_no_program_is_refused() {
        for argv in [vec![], vec![""], vec!["a\0b"], vec!["a", "\0"]] {
            assert!(Words::new(&Command::new(argv), &[]).is_err());
        }
    }
}
