//! What the person at the terminal, or the program behind a pipe, sees of the work.

mod cut;

use std::{
    io::{self, IsTerminal, Write, stderr, stdout},
    sync::Arc,
};

use arm_image::{Error, Event, Stage, Stream, template::TemplateBuild};
use arm_image_template::Template;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use cut::Cut;

use crate::args::{Color, Progress, Talk};

/// Writes events and errors to standard error, in the form the user chose.
#[derive(Debug)]
pub(crate) struct Report {
    form: Progress,
    verbose: bool,
    quiet: bool,
    color: bool,
    bar: ProgressBar,
    stage: Option<Stage>,
    /// The last tenth that a plain report has told.
    tenth: u64,
    /// The build of a template that it is about, and whether each line begins with its name.
    build: Option<(String, bool)>,
    /// The template whose secrets are kept out of everything.
    template: Option<Arc<Template>>,
    /// What would show a part of a secret, and what to say instead.
    disguises: Vec<(String, String)>,
    /// Whether the last piece of output was cut off from what follows it.
    cut: Cut,
}

impl Report {
    /// As `talk` says; `no_color` is whether the environment asks for none.
    pub(crate) fn new(talk: &Talk, no_color: bool) -> Report {
        let terminal = stderr().is_terminal();
        let form = match talk.progress {
            Some(form) => form,
            None if talk.quiet => Progress::None,
            None if terminal => Progress::Bar,
            None => Progress::Plain,
        };
        let color = match talk.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color,
        };
        let report = Report {
            form,
            verbose: talk.verbose,
            quiet: talk.quiet,
            color,
            bar: ProgressBar::hidden(),
            stage: None,
            tenth: 0,
            build: None,
            template: None,
            disguises: Vec::new(),
            cut: Cut::default(),
        };
        report.json(&json!({"version": 1, "event": "start", "program": concat!("arm-image ", env!("CARGO_PKG_VERSION"))}));
        report
    }

    /// Keeps the secrets of `template` out of everything that is told from now on.
    pub(crate) fn keep_secret(&mut self, template: Arc<Template>) {
        self.template = Some(template);
    }

    /// `text` without the template's secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        let Some(template) = &self.template else { return text.to_owned() };
        let disguised =
            self.disguises.iter().fold(text.to_owned(), |text, (shown, hidden)| text.replace(shown, hidden));
        template.redact(&disguised)
    }

    /// The report of one build of a template; where it is one of `several`, its name is before each line.
    pub(crate) fn of_build(&self, build: &TemplateBuild, several: bool) -> Report {
        Report {
            // One bar for each would need a terminal that is high enough.
            form: if several && self.form == Progress::Bar { Progress::Plain } else { self.form },
            verbose: self.verbose,
            quiet: self.quiet,
            color: self.color,
            bar: ProgressBar::hidden(),
            stage: None,
            tenth: 0,
            build: Some((build.name.clone(), several)),
            disguises: self.template.iter().flat_map(|template| build.disguises(template)).collect(),
            template: self.template.clone(),
            cut: Cut::default(),
        }
    }

    /// Shows one event.
    pub(crate) fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Stage(stage, what) => self.stage(stage, what),
            Event::Bytes(done, total) => self.bytes(done, total),
            Event::Note(note) => {
                self.json(&json!({"event": "note", "text": note}));
                if self.verbose || matches!(self.stage, Some(Stage::Mount | Stage::Guest | Stage::Resize)) {
                    self.line(&format!("  {note}"));
                }
            }
            Event::Warning(text) => {
                self.json(&json!({"event": "warning", "text": text}));
                let mark = self.paint("1;33", "warning:");
                if self.form != Progress::Json {
                    self.bar.suspend(|| self.say(format!("{mark} {text}\n").as_bytes()));
                }
            }
            Event::Breakpoint(note) => {
                self.json(&json!({"event": "breakpoint", "text": note}));
                let mark = self.paint("1;36", "breakpoint:");
                if self.form != Progress::Json {
                    self.bar.suspend(|| self.say(format!("{mark} {note}\n").as_bytes()));
                }
            }
            Event::Output(stream, line) => {
                let line = self.cut.piece(self.template.as_deref(), stream, line);
                let text = String::from_utf8_lossy(&line);
                self.json(&json!({"event": "output", "stream": stream, "line": text}));
                if self.form != Progress::Json && !self.quiet {
                    self.bar.suspend(|| self.say(&[&*line, b"\n"].concat()));
                }
            }
            _ => {}
        }
    }

    /// Passes a line on to the same stream of ours: what the user's own command says is a result, not progress.
    /// Fails where the reader of standard output has gone.
    pub(crate) fn pass_on(&mut self, stream: Stream, line: &[u8]) -> io::Result<()> {
        let text = [line, b"\n"].concat();
        match stream {
            Stream::Stdout => self.bar.suspend(|| stdout().lock().write_all(&text)),
            Stream::Stderr if self.form == Progress::Json => {
                self.event(Event::Output(stream, line));
                Ok(())
            }
            Stream::Stderr => {
                self.bar.suspend(|| self.say(&text));
                Ok(())
            }
        }
    }

    fn stage(&mut self, stage: Stage, what: &str) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        self.tenth = 0;
        self.stage = Some(stage);
        self.json(&json!({"event": "stage", "stage": stage, "text": what}));
        let name = self.paint("1;36", stage.name());
        self.line(&format!("{name}: {what}"));
    }

    fn bytes(&mut self, done: u64, total: Option<u64>) {
        let tenth = total.filter(|&total| total > 0).map_or(0, |total| done.saturating_mul(10) / total);
        match self.form {
            Progress::Bar => {
                if self.bar.is_hidden() {
                    self.bar = bar(total);
                }
                self.bar.set_position(done);
            }
            Progress::Json => {
                // A hundred a stage are plenty for whoever draws them.
                let hundredth =
                    total.filter(|&total| total > 0).map_or(0, |total| done.saturating_mul(100) / total);
                if hundredth > self.tenth || total == Some(done) {
                    self.tenth = hundredth;
                    self.json(&json!({"event": "bytes", "stage": self.stage, "done": done, "total": total}));
                }
            }
            Progress::Plain if tenth > self.tenth => {
                self.tenth = tenth;
                self.line(&format!("  {} %", tenth * 10));
            }
            Progress::Plain | Progress::None => {}
        }
    }

    /// Tells that the work is done; `path` is its result.
    pub(crate) fn done(&mut self, path: &str) {
        self.bar.finish_and_clear();
        self.json(&json!({"event": "done", "path": path}));
    }

    /// Tells an error: what, why, and what to do; the program ends with `code`.
    pub(crate) fn error(&mut self, error: &Error, code: u8) {
        self.bar.finish_and_clear();
        let causes: Vec<_> = arm_image::causes(error).collect();
        let failed = error.failed_command();
        let last = failed.map_or(&[][..], |failed| failed.stderr);
        let last = Cut::last(self.template.as_deref(), last);
        if self.form == Progress::Json {
            self.json(&json!({
                "event": "error",
                "code": code,
                "message": error.to_string(),
                "causes": causes,
                "hint": error.hint(),
                "status": failed.map(|failed| failed.code),
                "stderr": failed.map(|_| &last),
                "then": error.then().map(|then| arm_image::chain(then)),
                "problems": error.problems(),
            }));
            return;
        }
        let mut text = format!("{} {error}\n", self.paint("1;31", "error:"));
        for cause in causes {
            text += &format!("{} {cause}\n", self.paint("1;31", "caused by:"));
        }
        for line in &last {
            text += &format!("  | {line}\n");
        }
        if let Some(then) = error.then() {
            text += &format!("{} {}\n", self.paint("1;31", "and then:"), arm_image::chain(then));
        }
        if let Some(hint) = error.hint() {
            text += &format!("{} {hint}\n", self.paint("1;32", "hint:"));
        }
        self.say(text.as_bytes());
    }

    fn line(&self, text: &str) {
        if matches!(self.form, Progress::Bar | Progress::Plain) && !self.quiet {
            self.say(format!("{text}\n").as_bytes());
        }
    }

    fn json(&self, value: &Value) {
        if self.form != Progress::Json {
            return;
        }
        let mut value = value.clone();
        if let Some((name, _)) = &self.build {
            value["build"] = name.as_str().into();
        }
        if self.template.is_some() {
            value = arm_image::template::each_string(value, &|text| self.hide(text));
        }
        to_stderr(format!("{value}\n").as_bytes());
    }

    /// Writes whole lines, at once, as several builds may do so.
    fn say(&self, lines: &[u8]) {
        let hidden = match &self.template {
            Some(template) if template.has_secrets() => {
                self.hide(&String::from_utf8_lossy(lines)).into_bytes()
            }
            _ => lines.to_vec(),
        };
        let Some((name, true)) = &self.build else { return to_stderr(&hidden) };
        let mark = self.paint("1;35", &self.hide(name));
        let mut all = Vec::new();
        for line in hidden.split_inclusive(|&byte| byte == b'\n') {
            all.extend_from_slice(format!("{mark}: ").as_bytes());
            all.extend_from_slice(line);
        }
        to_stderr(&all);
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, form) = match total {
        Some(total) => (ProgressBar::new(total), "  [{bar:40}] {percent:>3} % {bytes_per_sec} {eta} left"),
        None => (ProgressBar::no_length(), "  {spinner} {bytes} {bytes_per_sec}"),
    };
    // A template that does not parse would be a defect of this line: the built-in style serves then.
    bar.with_style(ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Standard error may be closed; that is no reason to fail.
fn to_stderr(bytes: &[u8]) {
    let _ = stderr().lock().write_all(bytes);
}
