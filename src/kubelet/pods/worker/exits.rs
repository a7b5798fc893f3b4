//! What is made of a container's end: reason, message, state.

use std::io::Read;
use std::path::Path;

use jiff::Timestamp;

use super::{Worker, launch::Process};
use crate::logs::read::{Reading, read_to_end};
use crate::pods::model::{Ended, Run, Stage};

const LONGEST_MESSAGE: u64 = 4096;
const LOG_LINES: u64 = 80;
const LOG_BYTES: usize = 2048;

impl Worker {
    pub(super) fn take_exit(&mut self, name: &str, run: &str, code: i32, signal: Option<i32>, now: Timestamp) {
        let policy = self.spec_of(name).and_then(|c| c.termination_message_policy.clone());
        let fall_back = policy.as_deref() == Some("FallbackToLogsOnError");
        let Some(container) = self.current(name, run) else {
            return;
        };
        let Some(running) = container.running().cloned() else {
            return;
        };
        self.tasks.remove(name);
        self.remove_root(run);
        let process = self.runs.remove(name);
        let killed_by_us = running.stopping.as_ref().is_some_and(|s| s.stage == Stage::Forced);
        let out_of_memory = process.as_ref().is_some_and(|process| match &process.group {
            Some(group) => group.oom_kills() > 0,
            // Killed by the watch; or by the kernel, which had no memory left for anybody.
            None => {
                let killed = signal == Some(libc::SIGKILL) && !killed_by_us;
                process.out_of_memory || (killed && oom_kills() > process.oom_kills)
            }
        });
        let reason = match code {
            0 => "Completed",
            _ if out_of_memory => "OOMKilled",
            _ => "Error",
        };
        let message = process.map(|p| message(&p, code != 0 && fall_back)).unwrap_or_default();
        self.handle.update(name, |view| view.live = None);
        if let Some(container) = self.container(name) {
            container.run = Run::Ended(Ended {
                id: Some(running.id),
                code,
                signal,
                reason: reason.to_owned(),
                message,
                started_at: Some(running.started_at),
                finished_at: now,
            });
        }
    }
}

fn message(process: &Process, fall_back: bool) -> String {
    let written = read_start(&process.message).unwrap_or_default();
    if !written.is_empty() || !fall_back {
        return written;
    }
    let reading = Reading { tail: Some(LOG_LINES), ..Reading::default() };
    let mut log = read_to_end(&process.log, &reading).unwrap_or_default();
    if log.len() > LOG_BYTES {
        log.drain(..log.len() - LOG_BYTES);
    }
    String::from_utf8_lossy(&log).into_owned()
}

fn read_start(path: &Path) -> std::io::Result<String> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(LONGEST_MESSAGE).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// How many processes this machine has killed for want of memory since it started.
pub(super) fn oom_kills() -> u64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
