//! `explain`.

use tinderbox::{Error, inquire};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Explain) -> Result<Exit, Error> {
    let cli::Explain { what, namespace } = arguments;
    let report = inquire::inquire(&context.project, what.as_deref(), namespace.as_deref()).await?;
    context.ui.result(&report, show::inquiry);
    Ok(Exit::Done)
}
