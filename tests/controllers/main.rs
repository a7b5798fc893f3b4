//! The controllers against a real API server in process. A helper plays the node: it runs nothing, it only says so.

mod collection;
mod jobs;
mod node;
mod scheduling;
mod services;
mod volumes;
mod workloads;
mod world;
