//! `doctor`.

use tinderbox::{Error, doctor};

use super::Context;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context) -> Result<Exit, Error> {
    let report = doctor::doctor(&context.project).await;
    let exit = if report.fit() { Exit::Done } else { Exit::Environment };
    context.ui.result(&report, show::doctor);
    Ok(exit)
}
