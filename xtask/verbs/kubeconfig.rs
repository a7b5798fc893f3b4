//! `kubeconfig`.

use tinderbox::{Error, kubectl};

use super::Context;
use crate::cli;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, arguments: &cli::Kubeconfig) -> Result<Exit, Error> {
    if arguments.raw {
        let config = kubectl::kubeconfig(&context.project).await?;
        context.ui.result(&config.value, |_| config.text.clone());
        return Ok(Exit::Done);
    }
    let access = kubectl::access(&context.project).await?;
    context.ui.result(&access, if arguments.export { show::export_line } else { show::path_of_kubeconfig });
    Ok(Exit::Done)
}
