//! Asking before something is brought into a cluster that is not ours.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use tinderbox::providers::{Provider as _, ProviderName};
use tinderbox::{Error, up};

use super::Context;
use crate::cli::Target;
use crate::show;

/// Shows what would be done to an existing cluster, and asks whether it shall be. What has begun is not asked for again.
///
/// # Errors
/// When there is nobody to ask, or the answer is no.
pub(super) async fn ask(context: &Context, target: &Target) -> Result<(), Error> {
    let place = context.project.provider("up")?;
    if place.name() != ProviderName::Existing || target.yes {
        return Ok(());
    }
    let plan = up::plan(&context.project).await?;
    if plan.found == "running" {
        return Ok(());
    }
    context.ui.rest();
    let mut out = io::stderr();
    // What cannot be written nobody reads.
    let _ = writeln!(out, "{}", show::plan(&plan));
    if !io::stdin().is_terminal() {
        return Err(Error::Usage {
            message: "nobody confirms what would be brought into an existing cluster".to_owned(),
            hint: Some("add `--yes` where that is meant".to_owned()),
        });
    }
    let _ = write!(out, "Do this? [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::Interrupted)
}
