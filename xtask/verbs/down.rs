//! `down`.

use tinderbox::{Error, up};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Down) -> Result<Exit, Error> {
    let reports = up::down(&context.project, arguments.all).await?;
    context.ui.result(&reports, |reports| show::down(reports));
    Ok(Exit::Done)
}
