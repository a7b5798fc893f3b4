//! The terminal: progress there, plain lines elsewhere, data on standard output and talk on standard error. It must not decide
//! anything.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tinderbox::event::{Applied, Event, Role, Talk};
use tinderbox::{Class, Error};

use crate::cli::{Common, Output};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// The job or a check failed.
    Failed,
    /// Used in a wrong way.
    Usage,
    /// The environment lacks something.
    Environment,
    /// Ended by the user.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Environment => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Where results and talk go.
#[derive(Clone)]
pub(crate) struct Ui {
    bar: Option<ProgressBar>,
    verbose: bool,
    quiet: bool,
    json: bool,
    logs: bool,
}

impl Ui {
    /// As the common options ask for.
    pub(crate) fn new(common: &Common) -> Self {
        let bar = (io::stderr().is_terminal() && !common.quiet).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, verbose: common.verbose > 0, quiet: common.quiet, json: common.output == Output::Json, logs: false }
    }

    /// Shows the logs of drivers and plain pods too, without being told to say more.
    pub(crate) fn with_logs(&self) -> Self {
        Self { logs: true, ..self.clone() }
    }

    /// What a use case tells, on standard error; log lines of jobs on standard output.
    pub(crate) fn talk(&self) -> Talk {
        let ui = self.clone();
        Talk::new(move |event| ui.tell(event))
    }

    fn tell(&self, event: Event) {
        match event {
            Event::Step(text) => match &self.bar {
                Some(bar) => {
                    bar.set_message(text);
                    bar.enable_steady_tick(Duration::from_millis(100));
                }
                None => self.say(&text),
            },
            Event::Done { text, took } => self.say(&format!("{text} ({})", seconds(took))),
            Event::Download { what, done } => match (&self.bar, done) {
                (Some(bar), Some((done, total))) => {
                    let of = total.map(|total| format!(" of {} MiB", total >> 20)).unwrap_or_default();
                    bar.set_message(format!("downloading {what}: {} MiB{of}", done >> 20));
                    bar.enable_steady_tick(Duration::from_millis(100));
                }
                (_, None) => self.say(&format!("downloaded {what}")),
                (None, Some(_)) => {}
            },
            Event::Note(text) => self.say(&format!("note: {text}")),
            Event::Warning(text) => self.say(&format!("warning: {text}")),
            Event::Applied { object, outcome } => {
                let word = match outcome {
                    Applied::Created => "created",
                    Applied::Configured => "configured",
                    Applied::Unchanged => "unchanged",
                };
                if self.verbose {
                    self.say(&format!("{object} {word}"));
                }
            }
            Event::Phase { object, role, phase, at } => {
                let part = match role {
                    Role::Driver => " (driver)",
                    Role::Executor => " (executor)",
                    Role::Submitter => " (submitter)",
                    Role::Plain => "",
                };
                self.say(&format!("{:>8}  {object}{part}: {phase}", seconds(at)));
            }
            Event::Line { pod, role, text, .. } => {
                if self.verbose {
                    self.log(&format!("{pod} | {text}"));
                } else if self.logs && matches!(role, Role::Driver | Role::Plain) {
                    self.log(&text);
                }
            }
            Event::Scenario { name, number, of } => self.say(&format!("scenario {number} of {of}: {name}")),
            Event::Judged { name, passed, took } => {
                self.say(&format!("{name}: {} in {}", if passed { "passed" } else { "FAILED" }, seconds(took)));
            }
        }
    }

    /// One line of talk.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            self.aside(|| line_to(&mut io::stderr().lock(), line));
        }
    }

    /// One line of a job's log: data, but not when the result is to be read by a program.
    fn log(&self, line: &str) {
        if self.json {
            self.say(line);
        } else if !self.quiet {
            self.aside(|| line_to(&mut io::stdout().lock(), line));
        }
    }

    fn aside(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Ends the progress.
    pub(crate) fn rest(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The result of a verb, in the form asked for.
    pub(crate) fn result<T: Serialize>(&self, result: &T, table: impl FnOnce(&T) -> String) {
        self.rest();
        let text = if self.json { serde_json::to_string_pretty(result).unwrap_or_default() } else { table(result) };
        self.data(&text);
    }

    /// A line of a log that was asked for, as it is told to people; for programs an object of its own, since a log has no end.
    pub(crate) fn log_line(&self, pod: &str, container: &str, text: &str, told: &str) {
        self.rest();
        let object = || serde_json::json!({"pod": pod, "container": container, "text": text}).to_string();
        line_to(&mut io::stdout().lock(), &if self.json { object() } else { told.to_owned() });
    }

    /// Text on standard output.
    pub(crate) fn data(&self, text: &str) {
        self.rest();
        if !text.is_empty() {
            line_to(&mut io::stdout().lock(), text.trim_end_matches('\n'));
        }
    }

    /// Tells an error with its causes and what to do; how the program ends.
    pub(crate) fn error(&self, error: &Error) -> Exit {
        self.rest();
        let mut text = format!("error: {error}");
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            let said = next.to_string();
            // Some libraries say the cause in their own text too.
            if !text.ends_with(&said) {
                text.push_str(&format!("\n  because: {said}"));
            }
            cause = next.source();
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\nhint: {hint}"));
        }
        line_to(&mut io::stderr().lock(), &text);
        match error {
            Error::Interrupted => Exit::Interrupted,
            _ => match error.class() {
                Class::Failed => Exit::Failed,
                Class::Usage => Exit::Usage,
                Class::Environment => Exit::Environment,
            },
        }
    }
}

/// A reader that went away is no error of ours.
fn line_to(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

/// A time in seconds, as in `0.42 s`.
pub(crate) fn seconds(time: Duration) -> String {
    tinderbox::report::duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// A command line that could not be read, or a wish for help; a verb that is nearly right is suggested.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A reader that went away is no error of ours.
    let _ = error.print();
    if let Some(clap::error::ContextValue::String(wrong)) = error.get(clap::error::ContextKind::InvalidSubcommand)
        && error.get(clap::error::ContextKind::SuggestedSubcommand).is_none()
    {
        let command = crate::cli::Cli::command();
        let known = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(clap::Command::get_name);
        if let Some(near) = tinderbox::suggest::question(wrong, known) {
            line_to(&mut io::stderr().lock(), &format!("hint: {near}"));
        }
    }
    let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    code.into()
}

/// Ends when the user asks for it: Ctrl-C, or a polite signal. It listens from the call on, and not only from the first look.
pub(crate) fn interrupted() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
