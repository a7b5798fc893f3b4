//! `sync`, `diff`, `render`, `verify` and `rollback`.

use tinderbox::{Error, gitops};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn sync(context: &Context, arguments: &cli::Sync) -> Result<Exit, Error> {
    let app = arguments.app.as_deref();
    if arguments.watch {
        gitops::follow(&context.project, app, &context.ui.talk()).await?;
        return Ok(Exit::Done);
    }
    let report = gitops::sync(&context.project, app, &context.ui.talk()).await?;
    context.ui.result(&report, show::synced);
    Ok(if report.is_good() { Exit::Done } else { Exit::Failed })
}

pub(super) async fn diff(context: &Context, arguments: &cli::Diff) -> Result<Exit, Error> {
    let report = gitops::diff(&context.project, &arguments.sides).await?;
    context.ui.result(&report, show::diff);
    Ok(if report.differences.is_empty() { Exit::Done } else { Exit::Failed })
}

pub(super) fn render(context: &Context, arguments: &cli::Render) -> Result<Exit, Error> {
    let report = gitops::render(&context.project, &arguments.place)?;
    context.ui.result(&report, show::rendered);
    Ok(Exit::Done)
}

pub(super) async fn verify(context: &Context, arguments: &cli::Render) -> Result<Exit, Error> {
    let report = gitops::verify(&context.project, &arguments.place, &context.ui.talk()).await?;
    context.ui.result(&report, show::verified);
    Ok(if report.faults.is_empty() { Exit::Done } else { Exit::Failed })
}

pub(super) async fn rollback(context: &Context, arguments: &cli::Rollback) -> Result<Exit, Error> {
    let report = gitops::rollback(&context.project, &arguments.app, arguments.id, &context.ui.talk()).await?;
    context.ui.result(&report, show::synced);
    Ok(if report.is_good() { Exit::Done } else { Exit::Failed })
}
