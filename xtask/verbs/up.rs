//! `up`.

use tinderbox::{Error, up};

use super::{Context, consent};
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Up, stop: impl Future<Output = ()>) -> Result<Exit, Error> {
    if arguments.dry_run {
        context.ui.result(&up::plan(&context.project).await?, show::plan);
        return Ok(Exit::Done);
    }
    consent::ask(context, &arguments.target).await?;
    let (report, _) = up::up(&context.project, "up", stop, &context.ui.talk()).await?;
    context.ui.result(&report, show::up);
    Ok(Exit::Done)
}
