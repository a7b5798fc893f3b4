//! Workflows: what a Workflow wants done next, as a pure function; a runner of it without pods; and the controllers that carry it
//! out, who know a Kubernetes client and nothing of who answers it.

mod depends;
mod durations;
pub mod expr;
mod jsonpath;
pub mod lint;
pub mod locks;
pub mod names;
mod operate;
mod outlet;
pub mod runner;
mod tags;
pub mod view;
mod when;

#[cfg(test)]
mod scenarios;

pub use operate::operate;
