//! Workflows without pods: a table gives what each template does, time is virtual, and a run takes milliseconds. What is decided is
//! decided by the same function as in a cluster. It starts nothing and reads nothing.

mod scenario;
mod table;
mod world;

pub use scenario::{Complaint, Expect, Pace, Scenario};
pub use table::{Moment, Outcome, Table};
pub use world::{Run, World};

#[cfg(test)]
mod tests;
