//! How long work tells of itself. It must not know who shows it.

/// Is told how far something long has come. Called from many tasks, a few times a second.
pub trait Progress: Send + Sync {
    /// `done` of `total` bytes (where that is known) of what `what` names.
    fn advanced(&self, what: &str, done: u64, total: Option<u64>);
    /// It is over, well or not.
    fn finished(&self, what: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn advanced(&self, _what: &str, _done: u64, _total: Option<u64>) {}
    fn finished(&self, _what: &str) {}
}
