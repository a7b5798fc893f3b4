//! `e2e`.

use tinderbox::e2e::{self, Options};
use tinderbox::{Error, report};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(
    context: &Context,
    arguments: &cli::E2e,
    stop: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    let options = Options { scenarios: arguments.scenarios.clone(), keep: arguments.keep };
    let result = e2e::e2e(&context.project, &options, stop, &context.ui.talk()).await?;
    let dir = arguments.report.clone().unwrap_or_else(|| context.project.reports());
    let written = report::write(&result, &dir)?;
    context.ui.result(&result, show::e2e);
    for path in written {
        context.ui.say(&format!("wrote {}", path.display()));
    }
    Ok(if result.passed() { Exit::Done } else { Exit::Failed })
}
