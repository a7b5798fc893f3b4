//! What `workflow` takes. It parses, and does nothing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with workflows.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowAction {
    /// All workflows, and how far they are.
    List(InNamespace),
    /// One workflow as the tree of its nodes.
    Get(WorkflowName),
    /// Make a workflow of a WorkflowTemplate.
    Submit {
        #[command(flatten)]
        template: WorkflowName,
        /// A parameter of the template.
        #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
        parameters: Vec<(String, String)>,
    },
    /// End what runs of a workflow; exit handlers still run.
    Stop {
        #[command(flatten)]
        workflow: WorkflowName,
        /// Exit handlers do not run either.
        #[arg(long)]
        terminate: bool,
    },
    /// Let a suspended workflow go on.
    Resume(WorkflowName),
    /// Run again what failed of a workflow that is over, and what comes after it; what succeeded is kept.
    Retry(RetryWorkflow),
    /// What the pods of a workflow say, in the order in which they began, each line after the name of its pod.
    Logs(WorkflowLogs),
    /// Say what is wrong with workflows in files and folders; no cluster is needed.
    Lint {
        /// Files and folders.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
    },
    /// Play scenarios of workflows in virtual time; neither a cluster nor a pod is needed.
    Test {
        /// Scenario files, and folders of them.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<PathBuf>,
        /// Write the report as JUnit XML, a case for each node.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
}

/// What to run again.
#[derive(Debug, Args)]
pub(crate) struct RetryWorkflow {
    #[command(flatten)]
    pub(crate) workflow: WorkflowName,
    /// Another value of a parameter of the workflow.
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Run nodes again too that succeeded: those that the selector names.
    #[arg(long, requires = "node_field_selector")]
    pub(crate) restart_successful: bool,
    /// Fields of nodes: `displayName`, `templateName`, `name`, `id`, `phase`, `inputs.parameters.NAME.value`.
    #[arg(long, value_name = "FIELD=VALUE", requires = "restart_successful")]
    pub(crate) node_field_selector: Option<String>,
}

/// Which logs.
#[derive(Debug, Args)]
pub(crate) struct WorkflowLogs {
    #[command(flatten)]
    pub(crate) workflow: WorkflowName,
    /// A node or a pod: it alone, with what is within it.
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Go on as lines come and pods begin, until the workflow is over.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only this many of the last lines of each container.
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<u32>,
}

/// A namespace, or all.
#[derive(Debug, Args)]
pub(crate) struct InNamespace {
    /// The namespace, when it is not all of them.
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct WorkflowName {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub(crate) workflow: String,
    #[command(flatten)]
    pub(crate) place: InNamespace,
}

/// Reads `NAME=VALUE`.
pub(crate) fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is given as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
