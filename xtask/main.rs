//! The command line: parses, calls one use case of the library, prints what it returns. No logic lives here.

mod cli;
mod show;
mod ui;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Connections panic without a default provider: it comes first.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return ExitCode::FAILURE;
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ui::usage(&error),
    };
    verbs::run(cli)
}
