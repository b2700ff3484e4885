//! The subcommands: from arguments to a library call, and from its result to standard output.

mod template;

use std::{
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
};

use arm_image::{Enter, Error, Event, OnError, OnEvent, Origin, Plan, Step, Work};
use arm_image_chroot::{Copy, Script, Scripts};
use arm_image_fetch::Checksum;
use clap::{ArgMatches, CommandFactory};

use crate::{
    args::{self, Cli, Command},
    report::Report,
    signal::Asked,
    surroundings::Surroundings,
};

/// Does what `command` says; `matches` tells the order of its steps.
pub(crate) fn run(
    command: Command,
    matches: &ArgMatches,
    around: &Surroundings,
    report: &mut Report,
    asked: &Asked,
) -> Result<ExitCode, Error> {
    let mut on = |event: Event<'_>| -> ControlFlow<()> {
        report.event(event);
        asked.flow()
    };
    let path = match command {
        Command::Build(build) => {
            let matches = matches.subcommand_matches("build");
            let (dry_run, json) = (build.dry_run, build.json);
            if let Some(path) = build.template.clone() {
                let (variables, at_once) = (build.variables.clone(), build.parallel_builds);
                let base = plan(*build, matches, around);
                let prepared = template::read(path, variables, &base, around, report)?;
                return match (dry_run, json) {
                    (true, true) => print(&prepared.plans_json()?),
                    (true, false) => print(&prepared.plans()),
                    (false, _) => template::build(prepared, at_once, around, report, asked),
                };
            }
            let mut plan = plan(*build, matches, around);
            if dry_run {
                return print(&if json { plan.to_json() } else { plan.to_string() });
            }
            if plan.on_error == OnError::Shell && !io::stdin().is_terminal() {
                plan.on_error = OnError::Cleanup;
                if on(Event::Warning("there is no terminal for a shell if a step fails")).is_break() {
                    return Err(Error::Cancelled);
                }
            }
            arm_image::build(&plan, &around.scratch, &mut on)?;
            plan.output
        }
        Command::Inspect(inspect) => {
            let found = arm_image::inspect(&inspect.image, &around.scratch, &mut on)?;
            return print(&if inspect.json { found.to_json() } else { found.to_string() });
        }
        Command::Fetch(fetch) => fetch_only(fetch, around, &mut on)?,
        Command::Unpack(unpack) => {
            arm_image::unpack_to(&unpack.archive.into(), &unpack.from, &unpack.out, around.owner, &mut on)?;
            unpack.out
        }
        Command::Resize(resize) => {
            let enter = enter(resize.enter, around);
            arm_image::resize(&resize.image, resize.size, &enter, &around.scratch, &mut on)?;
            resize.image
        }
        Command::Shell(shell) => {
            let enter = enter(shell.enter, around);
            let mut on = |event: Event<'_>| match event {
                Event::Output(stream, line) if report.pass_on(stream, line).is_err() => {
                    ControlFlow::Break(())
                }
                Event::Output(..) => asked.flow(),
                event => {
                    report.event(event);
                    asked.flow()
                }
            };
            if shell.command.is_empty() && !io::stdin().is_terminal() {
                return Err(Error::Plan {
                    problem: "there is no terminal for a shell".to_owned(),
                    hint: "give a command after --".to_owned(),
                });
            }
            let status = arm_image::shell(&shell.image, &shell.command, &enter, &around.scratch, &mut on)?;
            return Ok(code_of(status));
        }
        Command::Map(map) => {
            let status = arm_image::map(&map.image, &map.command, map.mapper.into(), &mut on)?;
            return Ok(code_of(status));
        }
        Command::Cache(cache) => {
            let folder = cache.cache_dir.unwrap_or_else(|| around.cache.clone());
            return print(&match cache.work {
                args::CacheWork::List => arm_image::cache_list(&folder)?,
                args::CacheWork::Clean { older_than } => arm_image::cache_clean(&folder, older_than)?,
            });
        }
        Command::Validate(validate) => {
            let mut base = Plan::new([], Checksum::None, PathBuf::new());
            base.origin.cache = Some(around.cache.clone());
            base.origin.owner = around.owner;
            base.enter.search.clone_from(&around.search);
            return template::validate(validate, &base, around, report);
        }
        Command::Presets(listing) => return print(&arm_image::presets_text(listing.json)),
        Command::Doctor(listing) => {
            let machine = arm_image::Machine::look(&around.search);
            print(&if listing.json { machine.to_json() } else { machine.to_string() })?;
            return Ok(ExitCode::from(if machine.able() { 0 } else { 7 }));
        }
        Command::Cleanup(cleanup) => {
            let mut swept = Vec::new();
            let done =
                arm_image::sweep(&around.scratch, cleanup.dry_run, &mut |line| swept.push(line.to_owned()));
            // What is gone is told also where something else stays.
            return print(&swept.join("\n")).and_then(|code| done.map(|()| code));
        }
        Command::Completions(completions) => {
            clap_complete::generate(
                completions.shell,
                &mut Cli::command(),
                "arm-image",
                &mut io::stdout().lock(),
            );
            return Ok(ExitCode::SUCCESS);
        }
        Command::Man(man) => return manual(man.dir.as_deref()),
    };
    let path = path.display().to_string();
    report.done(&path);
    print(&path)
}

fn plan(build: args::Build, matches: Option<&ArgMatches>, around: &Surroundings) -> Plan {
    let checksum = build.verify.checksum.unwrap_or(Checksum::None);
    let mut plan = Plan::new(build.source, checksum, build.output);
    plan.origin.image_checksum = build.verify.image_checksum.unwrap_or(Checksum::None);
    plan.origin.keyring = build.verify.keyring;
    plan.origin.unpacker = build.archive.into();
    plan.origin.offline = build.cache.offline;
    plan.origin.cache =
        (!build.cache.no_cache).then(|| build.cache.cache_dir.unwrap_or_else(|| around.cache.clone()));
    plan.origin.owner = around.owner;
    plan.size = build.size;
    plan.shrink = build.shrink;
    plan.steps = steps(build.steps, matches);
    plan.enter = enter(build.enter, around);
    plan.enter.sync = build.sync;
    plan.on_error = build.on_error.into();
    plan
}

/// The steps in the order they stand on the command line, which clap keeps apart from their values.
fn steps(given: args::Steps, matches: Option<&ArgMatches>) -> Vec<Step> {
    let env: Vec<_> = given.env.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    let shell = |script| Step::of(Work::Scripts(Scripts { env: env.clone(), ..Scripts::of([script]) }));
    let places = |id: &str| -> Vec<usize> {
        matches.and_then(|matches| matches.indices_of(id)).map_or_else(Vec::new, Iterator::collect)
    };
    let runs = given.run.into_iter().map(Script::Inline).map(shell);
    let scripts = given.script.into_iter().map(Script::File).map(shell);
    let copies = given.copy.into_iter().map(|(from, to)| Step::of(Work::Copy(Copy { from, to })));
    let mut steps: Vec<_> = places("run").into_iter().zip(runs).collect();
    steps.extend(places("script").into_iter().zip(scripts));
    steps.extend(places("copy").into_iter().zip(copies));
    steps.sort_by_key(|(place, _)| *place);
    steps.into_iter().map(|(_, step)| step).collect()
}

fn enter(given: args::Enter, around: &Surroundings) -> Enter {
    Enter {
        mounts: given.mount,
        arch: given.arch,
        preset: given.preset,
        qemu: given.qemu_binary,
        qemu_arguments: given.qemu_arg,
        sync: false,
        services: given.services,
        binds: given.bind,
        apt_cache: given.apt_cache,
        search: around.search.clone(),
        resolv_conf: given.resolv_conf.into(),
        restore_resolv_conf: given.restore_resolv_conf,
        isolation: given.isolation.into(),
        mapper: given.mapper.into(),
    }
}

/// The code that the program ends with after `error`.
pub(crate) fn code_of_error(error: &Error, asked: &Asked) -> u8 {
    match asked.signal() {
        Some(number) if error.is_cancelled() => 128 + number,
        _ => error.exit_code(),
    }
}

fn code_of(status: std::process::ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Prints a result, with a newline. A closed pipe is the reader's choice, not an error.
fn print(text: &str) -> Result<ExitCode, Error> {
    if text.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::File { operation: "write to", path: "standard output".into(), cause })
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn fetch_only(fetch: args::Fetch, around: &Surroundings, on: OnEvent<'_>) -> Result<PathBuf, Error> {
    let mut origin = Origin::new([fetch.source], fetch.checksum);
    origin.keyring = fetch.keyring;
    origin.cache = Some(fetch.cache_dir.unwrap_or_else(|| around.cache.clone()));
    origin.owner = around.owner;
    origin.offline = fetch.offline;
    let path = arm_image::fetch(&origin, &around.scratch, on)?;
    match fetch.output {
        Some(output) => arm_image::copy_to(&path, &output, around.owner, on).map(|()| output),
        None => Ok(path),
    }
}

/// The same definitions as the help's, as manual pages.
fn manual(folder: Option<&Path>) -> Result<ExitCode, Error> {
    if let Some(folder) = folder {
        let written = clap_mangen::generate_to(Cli::command(), folder);
        written.map_err(|cause| Error::File {
            operation: "write manual pages to",
            path: folder.into(),
            cause,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|cause| Error::File {
        operation: "render",
        path: "the manual page".into(),
        cause,
    })?;
    print(&String::from_utf8_lossy(&page))
}
