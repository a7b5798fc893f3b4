//! `conformance`.

use tinderbox::Error;
use tinderbox::conformance::{self, Options};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(
    context: &Context,
    arguments: &cli::Conformance,
    stop: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    let options = Options { e2e_test: arguments.e2e_test.clone(), focus: arguments.focus.clone() };
    let report = conformance::conformance(&context.project, &options, stop, &context.ui.talk()).await?;
    let exit = if report.failed == 0 { Exit::Done } else { Exit::Failed };
    context.ui.result(&report, show::conformance);
    Ok(exit)
}
