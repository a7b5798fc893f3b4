//! `workflow`.

use tinderbox::Error;
use tinderbox::workflow::{self, Shutdown};

use super::Context;
use crate::cli::{WorkflowAction, WorkflowName};
use crate::show;
use crate::ui::Exit;

pub(super) async fn run(context: &Context, action: &WorkflowAction) -> Result<Exit, Error> {
    let project = &context.project;
    let place = |of: &WorkflowName| of.place.namespace.clone();
    let report = match action {
        WorkflowAction::List(place) => {
            let all = workflow::list(project, place.namespace.as_deref()).await?;
            context.ui.result(&all, |all| show::workflows(all));
            return Ok(Exit::Done);
        }
        WorkflowAction::Lint { paths } => {
            let report = workflow::lint(paths)?;
            context.ui.result(&report, show::linted);
            return Ok(if report.is_good() { Exit::Done } else { Exit::Failed });
        }
        WorkflowAction::Test { paths, junit } => {
            let report = workflow::test(paths)?;
            if let Some(file) = junit {
                let written = std::fs::write(file, report.junit()?);
                written.map_err(|source| Error::File { act: "write", path: file.clone(), source })?;
            }
            context.ui.result(&report, show::tested);
            return Ok(if report.is_good() { Exit::Done } else { Exit::Failed });
        }
        WorkflowAction::Get(one) => workflow::get(project, &one.workflow, place(one).as_deref()).await?,
        WorkflowAction::Resume(one) => workflow::resume(project, &one.workflow, place(one).as_deref()).await?,
        WorkflowAction::Submit { template, parameters } => {
            workflow::submit(project, &template.workflow, parameters, place(template).as_deref()).await?
        }
        WorkflowAction::Stop { workflow: one, terminate } => {
            let how = if *terminate { Shutdown::Terminate } else { Shutdown::Stop };
            workflow::stop(project, &one.workflow, place(one).as_deref(), how).await?
        }
    };
    context.ui.result(&report, show::workflow);
    Ok(Exit::Done)
}
