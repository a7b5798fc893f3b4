//! `status`.

use tinderbox::{Error, gitops, status};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Status) -> Result<Exit, Error> {
    match &arguments.app {
        Some(app) => context.ui.result(&gitops::status(&context.project, app).await?, show::app),
        None => context.ui.result(&status::status(&context.project).await?, show::status),
    }
    Ok(Exit::Done)
}
