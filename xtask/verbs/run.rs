//! `run`.

use tinderbox::Error;
use tinderbox::cluster::Cluster;
use tinderbox::run::{self, Outcome, What};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(
    context: &Context,
    arguments: &cli::Run,
    stop: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    let path = context.project.target(&arguments.target)?;
    let cluster = Cluster::running(&context.project).await?;
    let what = What {
        app: &arguments.target,
        path: &path,
        at: arguments.at,
        parameters: &arguments.parameters,
        budget: arguments.timeout,
    };
    let report = run::run(&context.project, &cluster, what, stop, &context.ui.with_logs().talk()).await?;
    let exit = if report.outcome == Outcome::Failed { Exit::Failed } else { Exit::Done };
    context.ui.result(&report, show::run);
    Ok(exit)
}
