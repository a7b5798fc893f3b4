//! `kubectl`.

use tinderbox::{Error, kubectl};

use super::Context;
use crate::cli;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Kubectl) -> Result<Exit, Error> {
    context.ui.rest();
    let code = kubectl::kubectl(&context.project, &arguments.arguments).await?;
    Ok(Exit::Code(u8::try_from(code).unwrap_or(1)))
}
