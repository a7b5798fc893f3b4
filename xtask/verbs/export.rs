//! `export`.

use std::path::PathBuf;

use tinderbox::{Error, export};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Export) -> Result<Exit, Error> {
    let usual = || PathBuf::from(format!("tinderbox-{}.tar.gz", context.project.cluster));
    let file = arguments.file.clone().unwrap_or_else(usual);
    let report = export::export(&context.project, &file).await?;
    context.ui.result(&report, show::export);
    Ok(Exit::Done)
}
