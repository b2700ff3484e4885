//! The program: reads the command line, the environment and the signals, calls the library, tells what came of it.

mod args;
mod commands;
mod report;
mod signal;
mod surroundings;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::{args::Cli, report::Report, signal::Asked, surroundings::Surroundings};

fn main() -> ExitCode {
    // In a guest kernel this program is the init process and serves the one that started the guest.
    arm_image::serve_if_guest();
    let matches = match args::translated(std::env::args_os()) {
        Ok(arguments) => Cli::command().get_matches_from(arguments),
        Err(error) => error.exit(),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let surroundings = Surroundings::read();
    let mut report = Report::new(&cli.talk, surroundings.no_color);
    let asked = match Asked::listen() {
        Ok(asked) => asked,
        Err(cause) => {
            let error = arm_image::Error::File {
                operation: "listen to signals in",
                path: "this process".into(),
                cause,
            };
            report.error(&error, error.exit_code());
            return ExitCode::from(error.exit_code());
        }
    };
    match commands::run(cli.command, &matches, &surroundings, &mut report, &asked) {
        Ok(code) => code,
        Err(error) => {
            let code = commands::code_of_error(&error, &asked);
            report.error(&error, code);
            ExitCode::from(code)
        }
    }
}
