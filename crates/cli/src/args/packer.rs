//! Options as Packer writes them.

use std::ffi::OsString;

use clap::{CommandFactory, error::ErrorKind};

use super::Cli;

/// Those that are ours, too.
const SAME: [&str; 6] = ["var", "var-file", "only", "except", "parallel-builds", "on-error"];

/// Those that are not, and what there is instead.
const OTHERS: [(&str, &str); 11] = [
    ("force", "every build replaces what is at its output"),
    ("debug", "a `breakpoint` provisioner stops a build, and --on-error shell opens a shell in the image"),
    ("timestamp-ui", "a program such as ts puts times before lines"),
    ("warn-on-undeclared-var", "variables that are not declared are always told"),
    ("no-warn-undeclared-var", "variables that are not declared are always told"),
    ("syntax-only", "`validate --list` reads a template without values of variables"),
    ("evaluate-datasources", "there are no data sources"),
    ("skip-enforcement", "there is no HCP Packer"),
    ("ignore-prerelease-plugins", "there are no plugins"),
    ("machine-readable", "--progress json writes an object a line"),
    ("use-sequential-evaluation", "locals are evaluated in the order that they need each other in"),
];

/// The arguments with `--var`, `--only` and so on for the `-var` and `-only` of Packer.
///
/// # Errors
///
/// A usage error for options of Packer's that there are not, with what there is, and for our own with one hyphen.
pub(crate) fn translated(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, clap::Error> {
    let mut all: Vec<OsString> = Vec::new();
    let mut options = true;
    for argument in arguments {
        options &= argument != "--";
        // What belongs to qemu may be called anything.
        let free = !options || all.last().is_some_and(|last| last == "--qemu-arg");
        let text = argument.to_str().filter(|_| !free).unwrap_or_default();
        let single = text.strip_prefix('-').unwrap_or_default();
        let name = single.strip_prefix('-').unwrap_or(single);
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        if let Some((_, instead)) = OTHERS.iter().find(|(other, _)| *other == name) {
            let message = format!("`-{name}` is an option of Packer's that there is not here: {instead}");
            return Err(Cli::command().error(ErrorKind::UnknownArgument, message));
        }
        if ["-color=false", "--color=false"].contains(&text) {
            all.push("--color=never".into());
        } else if !text.starts_with("--") && SAME.contains(&name) {
            all.push(format!("--{single}").into());
        } else if !text.starts_with("--") && name.len() > 1 && is_ours(name) {
            // As short options in one word, it would be refused letter by letter.
            let message = format!("`-{name}` is written with two hyphens here: `--{single}`");
            return Err(Cli::command().error(ErrorKind::UnknownArgument, message));
        } else {
            all.push(argument);
        }
    }
    Ok(all)
}

/// Whether any command has an option of that name.
fn is_ours(name: &str) -> bool {
    let program = Cli::command();
    let mut commands = program.get_subcommands().chain([&program]);
    commands.any(|command| command.get_arguments().any(|argument| argument.get_long() == Some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    #[test]
    fn packers_hyphens_are_taken() {
        for (given, expected) in [
            (&["arm-image", "-var", "a=b", "-only=x"][..], &["arm-image", "--var", "a=b", "--only=x"][..]),
            (&["-v", "-q", "--var", "--", "-var", "-force"], &["-v", "-q", "--var", "--", "-var", "-force"]),
            (&["-color=false", "--on-error", "ask"], &["--color=never", "--on-error", "ask"]),
            (&["--qemu-arg", "-debug", "-variable"], &["--qemu-arg", "-debug", "-variable"]),
        ] {
            assert_eq!(translated(words(given).into_iter()).expect("they are taken"), words(expected));
        }
    }

    #[test]
    fn our_own_options_have_two_hyphens() {
        for (given, expected) in [
            (&["arm-image", "build", "-dry-run", "t"][..], "`--dry-run`"),
            (&["arm-image", "fetch", "-output=x", "u"], "`--output=x`"),
            (&["arm-image", "-color=true", "build", "t"], "`--color=true`"),
            (&["arm-image", "validate", "-list", "t"], "`--list`"),
        ] {
            let error = translated(words(given).into_iter()).expect_err("it has but one");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(expected), "{error}");
        }
        for given in [&["arm-image", "fetch", "-ofile", "u"][..], &["arm-image", "shell", "i", "--", "-list"]]
        {
            assert_eq!(translated(words(given).into_iter()).expect("it is none"), words(given));
        }
    }

    #[test]
    fn what_only_packer_has_is_told_by_its_name() {
        for (name, _) in OTHERS {
            for hyphens in ["-", "--"] {
                let given = words(&["arm-image", "build", &format!("{hyphens}{name}")]);
                let error = translated(given.into_iter()).expect_err("it is not ours");
                assert_eq!(error.exit_code(), 2);
                assert!(error.to_string().contains(&format!("`-{name}`")), "{error}");
            }
        }
    }
}
