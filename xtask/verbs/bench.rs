//! `bench`.

use tinderbox::{Error, bench};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::{Exit, interrupted};

pub(super) async fn run(context: &Context, arguments: &cli::Bench) -> Result<Exit, Error> {
    let report = bench::bench(&context.project, &arguments.figures, interrupted(), &context.ui.talk()).await?;
    let exit = if report.within() { Exit::Done } else { Exit::Failed };
    context.ui.result(&report, show::bench);
    Ok(exit)
}
