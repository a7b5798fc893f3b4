//! Workflows: what a Workflow wants done next, as a pure function; a runner of it without pods; and the controllers that carry it
//! out, who know a Kubernetes client and nothing of who answers it.

pub mod expr;
mod jsonpath;
mod when;
