//! `kubectl`: this process becomes it, so that terminal, signals and exit code are its own.

use std::os::unix::process::CommandExt as _;

use tinderbox::{Error, kubectl};

use super::Context;
use crate::cli;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Kubectl) -> Result<Exit, Error> {
    context.ui.rest();
    let mut command = kubectl::kubectl(&context.project, &arguments.arguments).await?;
    Err(kubectl::unusable(command.exec()))
}
