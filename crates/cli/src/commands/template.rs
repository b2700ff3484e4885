//! `build TEMPLATE` and `validate`.

use std::{
    fs::File,
    io::{self, BufRead, IsTerminal, Read},
    ops::ControlFlow,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use arm_image::{
    Error, Event, OnError, Plan,
    template::{Prepared, Problem, Request, TemplateBuild, list, prepare},
};
use arm_image_template::Severity;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::print;
use crate::{args, report::Report, signal::Asked, surroundings::Surroundings};

/// What a template is read with.
fn request(path: PathBuf, given: args::Variables, around: &Surroundings) -> Result<Request, Error> {
    let random = "/dev/urandom";
    let failed = |cause| Error::File { operation: "read", path: random.into(), cause };
    let mut seed = [0; 32];
    File::open(random).and_then(|mut file| file.read_exact(&mut seed)).map_err(failed)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Request {
        path,
        variables: given.var,
        variable_files: given.var_file,
        only: given.only,
        except: given.except,
        environment: around.environment.clone(),
        working_folder: around.working_folder.clone(),
        now: i64::try_from(now.as_secs()).unwrap_or_default(),
        seed,
    })
}

/// Tells what the author of a template should know.
fn tell(problems: &[Problem], report: &mut Report) {
    for problem in problems.iter().filter(|problem| problem.severity == Severity::Warning) {
        report.event(Event::Warning(&problem.to_string()));
    }
}

/// Reads the template, and tells what its author should know.
pub(super) fn read(
    path: PathBuf,
    given: args::Variables,
    base: &Plan,
    around: &Surroundings,
    report: &mut Report,
) -> Result<Prepared, Error> {
    let prepared = prepare(&request(path, given, around)?, base);
    match &prepared {
        Ok(prepared) => {
            tell(&prepared.warnings, report);
            report.keep_secret(Arc::new(prepared.template.clone()));
        }
        Err(error) => tell(error.problems(), report),
    }
    prepared
}

/// Prints what `validate` was asked for.
pub(super) fn validate(
    given: args::Validate,
    base: &Plan,
    around: &Surroundings,
    report: &mut Report,
) -> Result<ExitCode, Error> {
    if given.list {
        let listed = list(&request(given.template, given.variables, around)?);
        match &listed {
            Ok(listed) => tell(&listed.warnings, report),
            Err(error) => tell(error.problems(), report),
        }
        let listed = listed?;
        return print(&if given.json { listed.to_json() } else { listed.to_string() });
    }
    let prepared = read(given.template, given.variables, base, around, report)?;
    print(&if given.json { prepared.plans_json()? } else { prepared.plans() })
}

/// Builds everything, so many at a time, and prints what came of it, in the template's order. The first failure of that
/// order gives the exit code; it does not stop the other builds.
pub(super) fn build(
    mut prepared: Prepared,
    at_once: Option<usize>,
    around: &Surroundings,
    report: &mut Report,
    asked: &Asked,
) -> Result<ExitCode, Error> {
    let several = prepared.builds.len() > 1;
    let no_shell = several || !io::stdin().is_terminal();
    if no_shell && prepared.builds.iter().any(|build| build.plan.on_error == OnError::Shell) {
        report
            .event(Event::Warning("there is no terminal, or not one for each, for a shell if a step fails"));
        prepared.builds.iter_mut().for_each(|build| build.plan.on_error = OnError::Cleanup);
    }
    let report = &*report;
    let builds = &prepared.builds;
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Outcome>>> = builds.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(build), Some(outcome)) = (builds.get(index), outcomes.get(index)) else { break };
            let made = one(build, several, around, report, asked);
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        }
    };
    match at_once.filter(|&count| count > 0).unwrap_or(builds.len()).min(builds.len()) {
        // On this thread, as by options.
        0 | 1 => work(),
        count => thread::scope(|scope| (0..count).for_each(|_| drop(scope.spawn(work)))),
    }
    let mut code = 0;
    for outcome in outcomes {
        // A thread that panicked has said so itself, and left nothing.
        match outcome.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Outcome::Made(paths)) => {
                for path in paths {
                    print(&report.hide(&path.display().to_string()))?;
                }
            }
            Some(Outcome::Failed(failure)) if code == 0 => code = failure,
            Some(Outcome::Failed(_)) => {}
            None => code = 1,
        }
    }
    Ok(ExitCode::from(code))
}

/// What came of a build; errors have been told.
enum Outcome {
    Made(Vec<PathBuf>),
    Failed(u8),
}

fn one(
    build: &TemplateBuild,
    several: bool,
    around: &Surroundings,
    report: &Report,
    asked: &Asked,
) -> Outcome {
    let mut report = report.of_build(build, several);
    let mut on = |event: Event<'_>| -> ControlFlow<()> {
        report.event(event);
        match event {
            Event::Breakpoint(_) => wait_for_enter(&mut report, asked),
            _ => asked.flow(),
        }
    };
    let made = match asked.flow() {
        ControlFlow::Break(()) => Err(Error::Cancelled),
        ControlFlow::Continue(()) => build.build(&around.scratch, &mut on),
    };
    match made {
        Ok(paths) => {
            for path in &paths {
                report.done(&path.display().to_string());
            }
            Outcome::Made(paths)
        }
        Err(error) => {
            let code = super::code_of_error(&error, asked);
            report.error(&error, code);
            Outcome::Failed(code)
        }
    }
}

/// Waits until the person at the terminal has had a look.
fn wait_for_enter(report: &mut Report, asked: &Asked) -> ControlFlow<()> {
    // One at a time: whose turn it is, its line says.
    let mut terminal = io::stdin().lock();
    if !terminal.is_terminal() {
        report.event(Event::Warning("the breakpoint is passed over: there is no terminal"));
        return asked.flow();
    }
    report.event(Event::Breakpoint("press Enter to go on"));
    let look_up = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    loop {
        asked.flow()?;
        let mut fds = [PollFd::new(&terminal, PollFlags::IN)];
        match poll(&mut fds, Some(&look_up)) {
            Ok(0) | Err(Errno::INTR) => {}
            _ => break,
        }
    }
    // At the end of its input, nobody will ever press a key.
    let _ = terminal.read_line(&mut String::new());
    asked.flow()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::args::{Cli, build::SAID_BY_TEMPLATES};

    /// What is given besides a template: how to read it, how to build, how to tell.
    const BESIDES: [&str; 27] = [
        "template",
        "var",
        "var_file",
        "only",
        "except",
        "parallel_builds",
        "keyring",
        "max_size",
        "shrink",
        "apt_cache",
        "services",
        "restore_resolv_conf",
        "sync",
        "isolation",
        "mapper",
        "cache_dir",
        "offline",
        "no_cache",
        "on_error",
        "dry_run",
        "json",
        "progress",
        "verbose",
        "quiet",
        "color",
        "help",
        "version",
    ];

    #[test]
    fn every_option_of_build_goes_with_a_template_or_is_refused() {
        let mut command = Cli::command();
        command.build();
        let build = command.find_subcommand("build").expect("there is such a command");
        for option in build.get_arguments() {
            let id = option.get_id().as_str();
            assert!(
                SAID_BY_TEMPLATES.contains(&id) != BESIDES.contains(&id),
                "is --{id} said by templates, or besides?"
            );
        }
    }
}
