//! `snapshot`.

use tinderbox::{Error, snapshot};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Snapshot) -> Result<Exit, Error> {
    let (project, talk) = (&context.project, context.ui.talk());
    match arguments {
        cli::Snapshot::Save(named) => {
            context.ui.result(&snapshot::save(project, &named.snapshot, &talk).await?, show::saved);
        }
        cli::Snapshot::List => context.ui.result(&snapshot::list(project)?, |all| show::snapshots(all)),
        cli::Snapshot::Rm(named) => {
            context.ui.result(&snapshot::remove(project, &named.snapshot, &talk)?, show::snapshot_gone);
        }
        cli::Snapshot::Restore(_) => return Ok(Exit::Usage),
    }
    Ok(Exit::Done)
}

pub(super) async fn restore(
    context: &Context,
    named: &cli::SnapshotName,
    stop: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    let report = snapshot::restore(&context.project, &named.snapshot, stop, &context.ui.talk()).await?;
    context.ui.result(&report, show::restored);
    Ok(Exit::Done)
}
