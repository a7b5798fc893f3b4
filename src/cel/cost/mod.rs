//! What expressions cost, in the units of cel-go: what it was, and the most that it can be.

mod estimate;
mod functions;
mod run;
mod size;

pub(crate) use estimate::estimate;
pub(crate) use run::{of_call, of_result};

/// Making a list.
pub(crate) const LIST: u64 = 10;
/// Making a map.
pub(crate) const MAP: u64 = 30;
/// Going over a text, for each of its characters.
const TRAVERSAL: f64 = 0.1;
/// Using a pattern, for each of its characters.
const PATTERN: f64 = 0.25;
/// Overloads that go over two values until they differ.
const COMPARISONS: [&str; 10] = [
    "equals",
    "greater_bytes",
    "greater_equals_bytes",
    "greater_equals_string",
    "greater_string",
    "less_bytes",
    "less_equals_bytes",
    "less_equals_string",
    "less_string",
    "not_equals",
];
/// A question about rights.
const RIGHTS: u64 = 350_000;

/// So many times a factor, rounded up.
fn times(size: u64, factor: f64) -> u64 {
    // Doubles beyond 2^64 become the largest number.
    (size as f64 * factor).ceil() as u64
}
