//! The controllers against a real API server in process. A helper plays the node: it runs nothing, it only says so.

mod collection;
mod console;
mod cronjobs;
mod daemonsets;
mod gitops;
mod jobs;
mod node;
mod nodes;
mod operators;
mod parts;
mod quotas;
mod rollouts;
mod scheduling;
mod services;
mod spark;
mod statefulsets;
mod tokens;
mod volumes;
mod workflows;
mod workloads;
mod world;
