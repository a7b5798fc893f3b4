//! What `dashboards` takes. It parses, and does nothing.

use clap::Subcommand;

/// What to do with dashboards.
#[derive(Debug, Subcommand)]
pub(crate) enum DashboardsAction {
    /// Ask Prometheus every query of every panel, and every alert without its threshold; fail when one has no data.
    Check {
        /// Ask again until all have data, for this long, as in `90s`.
        #[arg(long, value_name = "TIME", value_parser = tinderbox::scenario::parse_duration)]
        wait: Option<std::time::Duration>,
        /// The Service of Prometheus, as `NAMESPACE/NAME:PORT`.
        #[arg(long, value_name = "SERVICE", default_value = tinderbox::dashboards::PROMETHEUS)]
        prometheus: String,
    },
    /// Bring the dashboards into a Grafana, over what it has of the same uid.
    Import {
        /// URL of the Grafana, instead of GRAFANA_URL; the token is taken from GRAFANA_TOKEN.
        #[arg(value_name = "URL")]
        grafana: Option<String>,
    },
}
