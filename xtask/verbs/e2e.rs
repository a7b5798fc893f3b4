//! `e2e`.

use tinderbox::e2e::{self, Options};
use tinderbox::{Error, report};

use super::{Context, consent};
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(
    context: &Context,
    arguments: &cli::E2e,
    stop: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    let options = Options { scenarios: arguments.scenarios.clone(), keep: arguments.keep, compared: false };
    if context.places.len() < 2 {
        consent::ask(context, &arguments.target).await?;
    }
    let dir = arguments.report.clone().unwrap_or_else(|| context.project.reports());
    let talk = context.ui.talk();
    let (written, passed) = if context.places.len() > 1 {
        let result = e2e::everywhere(&context.project, &context.places, &options, stop, &talk).await?;
        context.ui.result(&result, show::everywhere);
        (report::write_all(&result, &dir)?, result.passed())
    } else {
        let result = e2e::e2e(&context.project, &options, stop, &talk).await?;
        context.ui.result(&result, show::e2e);
        (report::write(&result, &dir)?, result.passed())
    };
    for path in written {
        context.ui.say(&format!("wrote {}", path.display()));
    }
    Ok(if passed { Exit::Done } else { Exit::Failed })
}
