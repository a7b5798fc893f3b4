//! A program that runs on while a test looks at what it prints.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program; dropping it ends it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    words: String,
}

impl Running {
    /// Starts a command with nothing to read.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program is on PATH");
        let (sender, lines) = channel();
        pass_on(child.stdout.take().expect("piped"), sender.clone());
        pass_on(child.stderr.take().expect("piped"), sender);
        Self { child, lines, words: format!("{command:?}") }
    }

    /// The next line of either stream, which must come.
    pub(crate) fn line(&self) -> String {
        self.next().unwrap_or_else(|| panic!("{} ended", self.words))
    }

    /// Lines up to the first one that holds `text`.
    pub(crate) fn until(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(text)) {
            seen.push(self.next().unwrap_or_else(|| panic!("{} ended without {text:?}: {seen:?}", self.words)));
        }
        seen
    }

    /// The lines that are left, and the exit code; the program must end by itself.
    pub(crate) fn end(mut self) -> (Vec<String>, Option<i32>) {
        let rest: Vec<String> = std::iter::from_fn(|| self.next()).collect();
        (rest, self.child.wait().expect("it is our child").code())
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    fn next(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("{} says nothing more", self.words),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(stream: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
    });
}
