//! `up`.

use tinderbox::{Error, up};

use super::{Context, consent};
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Up, stop: impl Future<Output = ()>) -> Result<Exit, Error> {
    if arguments.dry_run {
        let mut plan = up::plan(&context.project).await?;
        if arguments.merge_kubeconfig {
            plan.steps.push("put its context into your own kubeconfig".to_owned());
        }
        context.ui.result(&plan, show::plan);
        return Ok(Exit::Done);
    }
    consent::ask(context, &arguments.target).await?;
    let (mut report, _) = up::up(&context.project, "up", stop, &context.ui.talk()).await?;
    if arguments.merge_kubeconfig {
        up::merge(&context.project, &mut report).await?;
    }
    context.ui.result(&report, show::up);
    Ok(Exit::Done)
}
