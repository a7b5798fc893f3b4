//! `status`.

use tinderbox::{Error, status};

use super::Context;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context) -> Result<Exit, Error> {
    let report = status::status(&context.project).await?;
    context.ui.result(&report, show::status);
    Ok(Exit::Done)
}
