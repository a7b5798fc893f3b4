//! `dashboards`.

use tinderbox::grafana::{self, Grafana};
use tinderbox::{Error, dashboards};

use super::Context;
use crate::cli::DashboardsAction;
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, action: &DashboardsAction) -> Result<Exit, Error> {
    let talk = context.ui.talk();
    let good = match action {
        DashboardsAction::Check { wait, prometheus } => {
            let wait = wait.unwrap_or_default();
            let report = dashboards::check(&context.project, prometheus, wait, &talk).await?;
            context.ui.result(&report, show::dashboards);
            report.is_good()
        }
        DashboardsAction::Import { grafana } => {
            let url = grafana.clone().or_else(|| said("GRAFANA_URL")).ok_or_else(|| Error::Usage {
                message: "no Grafana is named".to_owned(),
                hint: Some(
                    "give its URL, as in `cargo xtask dashboards import http://localhost:3000`, or set GRAFANA_URL"
                        .to_owned(),
                ),
            })?;
            let grafana = Grafana::new(&url, said("GRAFANA_TOKEN"))?;
            let report = grafana::import(&context.project, &grafana, &talk).await?;
            context.ui.result(&report, show::imported);
            report.is_good()
        }
    };
    Ok(if good { Exit::Done } else { Exit::Failed })
}

fn said(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}
