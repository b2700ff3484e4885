//! A build that waits for a person at a terminal: at a breakpoint, and in the shell that a failed step has opened.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Output};

use arm_image_tests::program::{Ended, Terminal};
use nix::sys::signal::Signal;

use crate::judge::{Judge, with_image};

/// What ends it.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Sent by somebody else.
    Sent(Signal),
    /// The keys Control and C.
    Keys,
    /// The terminal goes, of which the kernel tells by SIGHUP.
    Closed,
}
use End::{Closed, Keys, Sent};

impl End {
    fn signal(self) -> Signal {
        match self {
            Sent(signal) => signal,
            Keys => Signal::SIGINT,
            Closed => Signal::SIGHUP,
        }
    }

    fn of(self, mut terminal: Terminal) -> ExitStatus {
        match self {
            Sent(signal) => terminal.send(signal),
            Keys => terminal.type_keys("\u{3}"),
            Closed => return terminal.close(),
        }
        terminal.finish()
    }
}

/// The program on a terminal of its own, whose keys send signals.
fn at_a_terminal(judge: &Judge, arguments: &[String]) -> Terminal {
    let program = judge.place.command(arguments);
    let words = ["--ctty".as_ref(), program.get_program()].into_iter().chain(program.get_args());
    let words: Vec<&OsStr> = words.collect();
    Terminal::start(judge.place.command_of(Path::new("setsid"), words))
}

fn is_left(judge: &Judge, what: &str, end: End, status: ExitStatus) {
    let ended = Ended(Output { status, stdout: Vec::new(), stderr: Vec::new() });
    judge.judge(&format!("{what}, {end:?}"), end.signal(), &ended);
}

#[test]
fn privileged_what_ends_a_wait_for_a_person_leaves_nothing() {
    with_image("waiting::privileged_what_ends_a_wait_for_a_person_leaves_nothing", |image| {
        let mut judge = Judge::new(image);
        let sent = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL].map(Sent);
        judge.template("provisioner \"breakpoint\" {\n note = \"look\"\n}\n");
        for end in sent.into_iter().chain([Keys, Closed]) {
            let build = ["build", "t.pkr.hcl", "--isolation", "host", "--mapper", "dm"].map(str::to_owned);
            let mut terminal = at_a_terminal(&judge, &build);
            terminal.wait_for("press Enter to go on");
            is_left(&judge, "a breakpoint", end, end.of(terminal));
        }
        // Control and C are the shell's there.
        for end in sent.into_iter().chain([Closed]) {
            let steps = ["--on-error", "ask", "--run", "sleep 700 & exit 9"];
            let mut terminal = at_a_terminal(&judge, &judge.build("dm", &steps));
            terminal.wait_for("# ");
            terminal.type_keys("setsid sleep 600 & echo be''gun; sleep 800\r");
            terminal.wait_for("begun\r\n");
            is_left(&judge, "a shell after a failure", end, end.of(terminal));
        }
    });
}
