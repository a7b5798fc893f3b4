//! A node against a real API server in the same process: pods become processes.

mod cluster;
mod images;
mod lifecycle;
mod limits;
mod network;
mod probes;
mod streams;
mod volumes;
