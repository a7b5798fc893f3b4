//! `node`: the virtual nodes of a cluster; and, for `up` alone, the process that they all live in, whose words go to standard error,
//! which is the cluster's node.log.

use std::path::Path;
use std::sync::Arc;

use tinderbox::console::Explainer;
use tinderbox::providers::embedded::node;
use tinderbox::{Error, nodes};

use super::{Context, beside};
use crate::cli::{self, NodeAction};
use crate::show;
use crate::ui::Exit;

/// Becomes the node process.
pub(super) fn serve(name: &str, state: &Path) -> Exit {
    beside::log_to_stderr();
    match node::run(name, state, Arc::new(Explainer)) {
        Ok(()) => Exit::Done,
        // Told to the parent, and in the log.
        Err(_) => Exit::Failed,
    }
}

pub(super) async fn run(context: &Context, arguments: &cli::Node) -> Result<Exit, Error> {
    match &arguments.action {
        None | Some(NodeAction::List) => {
            context.ui.result(&nodes::list(&context.project).await?, |nodes| show::nodes(nodes));
        }
        Some(NodeAction::Kill(one)) => {
            context.ui.result(&nodes::kill(&context.project, &one.node).await?, show::power);
        }
        Some(NodeAction::Start(one)) => {
            context.ui.result(&nodes::start(&context.project, &one.node).await?, show::power);
        }
    }
    Ok(Exit::Done)
}
