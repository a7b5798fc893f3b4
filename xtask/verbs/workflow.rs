//! `workflow`.

use tinderbox::Error;
use tinderbox::workflow::{self, LogOptions, Shutdown, Wish};

use super::{Context, logs};
use crate::cli::{RetryWorkflow, WorkflowAction, WorkflowLogs, WorkflowName};
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
                report.write_junit(file)?;
            }
            context.ui.result(&report, show::tested);
            return Ok(if report.is_good() { Exit::Done } else { Exit::Failed });
        }
        WorkflowAction::Get(one) => workflow::get(project, &one.workflow, place(one).as_deref()).await?,
        WorkflowAction::Resume(one) => workflow::resume(project, &one.workflow, place(one).as_deref()).await?,
        WorkflowAction::Retry(RetryWorkflow { workflow: one, parameters, node_field_selector, .. }) => {
            let wish = Wish { restart: node_field_selector.clone(), parameters: parameters.clone() };
            workflow::retry(project, &one.workflow, place(one).as_deref(), &wish).await?
        }
        WorkflowAction::Logs(WorkflowLogs { workflow: one, node, follow, tail }) => {
            let options = LogOptions {
                workflow: one.workflow.clone(),
                node: node.clone(),
                namespace: place(one),
                follow: *follow,
                tail: tail.map(i64::from),
            };
            let told = |pod: &str, text: &str| format!("{pod}: {text}");
            workflow::logs(project, &options, &logs::talk(&context.ui, told)).await?;
            return Ok(Exit::Done);
        }
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
