//! `bench`.

use tinderbox::{Error, bench};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(
    context: &Context,
    arguments: &cli::Bench,
    stop: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    let report = bench::bench(&context.project, &arguments.figures, stop, &context.ui.talk()).await?;
    let exit = if report.within() { Exit::Done } else { Exit::Failed };
    context.ui.result(&report, show::bench);
    Ok(exit)
}
