//! `kubeconfig`.

use tinderbox::{Error, kubectl};

use super::Context;
use crate::cli;
use crate::ui::Exit;

pub(super) fn run(context: &Context, arguments: &cli::Kubeconfig) -> Result<Exit, Error> {
    if arguments.raw {
        context.ui.data(&kubectl::kubeconfig_text(&context.project)?);
        return Ok(Exit::Done);
    }
    let path = kubectl::kubeconfig(&context.project)?.display().to_string();
    if arguments.export {
        let quoted = path.replace('\'', r"'\''");
        context.ui.data(&format!("export KUBECONFIG='{quoted}'"));
    } else {
        context.ui.data(&path);
    }
    Ok(Exit::Done)
}
