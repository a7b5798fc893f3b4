//! `dashboards`.

use tinderbox::{Error, dashboards};

use super::Context;
use crate::cli::DashboardsAction;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, action: &DashboardsAction) -> Result<Exit, Error> {
    let DashboardsAction::Check { wait, prometheus } = action;
    let report = dashboards::check(&context.project, prometheus, wait.unwrap_or_default(), &context.ui.talk()).await?;
    context.ui.result(&report, show::dashboards);
    Ok(if report.is_good() { Exit::Done } else { Exit::Failed })
}
