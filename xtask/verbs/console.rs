//! `console`.

use tinderbox::{Error, console};

use super::Context;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, stop: impl Future<Output = ()>) -> Result<Exit, Error> {
    console::console(&context.project, stop, |report| {
        context.ui.result(report, show::console);
        if report.here {
            context.ui.say("the console is served until this command ends (Ctrl-C)");
        }
    })
    .await?;
    Ok(Exit::Done)
}
