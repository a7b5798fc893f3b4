//! `node`: the node process. Its words go to standard error, which is the cluster's node.log.

use std::io;

use tinderbox::providers::embedded::node;
use tracing_subscriber::EnvFilter;

use crate::cli;
use crate::ui::Exit;

pub(super) fn run(name: &str, arguments: &cli::Node) -> Exit {
    let filter = EnvFilter::try_from_env("TINDERBOX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
    match node::run(name, &arguments.state) {
        Ok(()) => Exit::Done,
        // Told to the parent, and in the log.
        Err(_) => Exit::Failed,
    }
}
