//! What can be said on the command line. Names and help only; what a verb does is in its own file.

mod dashboards;
mod workflow;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tinderbox::beside::JobNamespaces;
use tinderbox::providers::ProviderName;

pub(crate) use dashboards::DashboardsAction;
pub(crate) use workflow::{RetryWorkflow, WorkflowAction, WorkflowLogs, WorkflowName};

/// Real Spark on a small Kubernetes, locally: strike it, run jobs, prove what they did, and leave nothing behind.
#[derive(Debug, Parser)]
#[command(
    name = "xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Name of the cluster.
    #[arg(long, global = true, default_value = "local", value_name = "NAME")]
    pub(crate) name: String,
    /// Place of the cluster; where it is already, or `embedded`, when absent. `e2e` takes several, and compares them.
    #[arg(long, global = true, value_name = "PLACE", value_delimiter = ',')]
    pub(crate) provider: Vec<ProviderName>,
    /// Platform that `up` brings into the cluster.
    #[arg(long, global = true, value_enum, default_value_t = Platform::Builtin, value_name = "FLAVOUR")]
    pub(crate) platform: Platform,
    /// Root folder of the project; found from the current folder when absent.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Configuration file; `tinderbox.yaml` of the project when absent.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Form of the result on standard output.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table, value_name = "FORM")]
    pub(crate) output: Output,
    /// Say more: every applied object, and the logs of all pods.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but results and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// Platform of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    /// Custom resources, served by controllers of this program.
    Builtin,
    /// None: a bare Kubernetes.
    None,
}

/// Form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Bring the cluster and its platform up; again: continue, or say that it is up.
    Up(Up),
    /// Submit an app, follow it, and exit with its outcome.
    Run(Run),
    /// Bring a cluster up, run the scenarios, report, and take the cluster away.
    E2e(E2e),
    /// What there is of the cluster, and its health; or one application: its revision, who synced it, what changed, and where it stands.
    Status(Status),
    /// Sync applications with the tree now, or follow how they are synced by themselves.
    Sync(Sync),
    /// What differs between the cluster and the tree, between two places, or between two revisions.
    Diff(Diff),
    /// The objects of a place, as one text for review.
    Render(Render),
    /// Whether a place would be accepted and would work, without its cluster.
    Verify(Render),
    /// Take an application back to an earlier sync.
    Rollback(Rollback),
    /// What the node, a pod, a job or an app says.
    Logs(Logs),
    /// Why something waits or failed, and what to change.
    Explain(Explain),
    /// The link to the console, which shows the whole platform; served by this command where the cluster does not.
    Console,
    /// A tour of the platform on a cluster of its own, with the console beside it.
    Demo(Demo),
    /// The path of the administrator's kubeconfig.
    Kubeconfig(Kubeconfig),
    /// Run kubectl on the cluster.
    Kubectl(Kubectl),
    /// Images of archives and registries, for all clusters of this user.
    Image(Image),
    /// Try what this machine must be able to do, and say how to mend what it lacks.
    Doctor,
    /// Put all that a bug report needs into one archive.
    Export(Export),
    /// Keep the cluster as it is, and bring it back later, also under another name.
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Measure, and print the figures beside their limits.
    Bench(Bench),
    /// Run Kubernetes' own conformance specs, and print the score.
    Conformance(Conformance),
    /// Take the cluster away with all that belongs to it.
    Down(Down),
    /// The builtin platform beside a cluster: this process becomes it, which `up` starts.
    #[command(hide = true)]
    Platform(Beside),
    /// Take the cluster of an end-to-end run away when that run has been killed.
    #[command(hide = true)]
    Reaper(Reaper),
    /// The workflows of a cluster: what there is, one as a tree, submit, stop, resume; and lint for files.
    #[command(subcommand)]
    Workflow(WorkflowAction),
    /// Whether the dashboards and alerts of the project show anything on a cluster with a Prometheus.
    #[command(subcommand)]
    Dashboards(DashboardsAction),
    /// The virtual nodes of the cluster: list them, kill one, start it again.
    Node(Node),
}

/// `up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Print what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Put the cluster's context into your own kubeconfig too, until `down`.
    #[arg(long)]
    pub(crate) merge_kubeconfig: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Which existing cluster is meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Target {
    /// Context of the kubeconfig, with `--provider existing`; it is never guessed.
    #[arg(long, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,
    /// The context once more, where it looks like production.
    #[arg(long, value_name = "CONTEXT", requires = "context")]
    pub(crate) production: Option<String>,
    /// The only namespace of an existing cluster to work in, for those who have no rights beyond it.
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Do not ask before something is brought into an existing cluster.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Parts to bring beside the platform, such as `monitoring`: folders of `manifests/clusters/local`.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub(crate) with: Vec<String>,
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// An app of `manifests/apps`, or a manifest file or folder.
    #[arg(value_name = "NAME|FILE|DIR")]
    pub(crate) target: String,
    /// Start the run that the schedule in it starts at this moment, as in `2026-01-31T02:00Z`.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<jiff::Timestamp>,
    /// A parameter for a workflow of the WorkflowTemplate in it.
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = workflow::parameter, conflicts_with = "at")]
    pub(crate) parameters: Vec<(String, String)>,
    /// Give up after this time, as in `90s` or `10m`.
    #[arg(long, default_value = "15m", value_name = "TIME", value_parser = tinderbox::scenario::parse_duration)]
    pub(crate) timeout: std::time::Duration,
}

/// `e2e`.
#[derive(Debug, Args)]
pub(crate) struct E2e {
    /// Scenarios by name or file; all when absent.
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// Leave the cluster, and what the scenarios brought.
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Folder for report.json, junit.xml and report.html; `.tinderbox/reports` when absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// An application; the whole cluster when absent.
    #[arg(value_name = "APP")]
    pub(crate) app: Option<String>,
}

/// `sync`.
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// The application; all when absent.
    #[arg(value_name = "APP")]
    pub(crate) app: Option<String>,
    /// Ask for nothing, and tell of every change as files are saved, until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Two places of `manifests/clusters`, or one or two revisions; the cluster and the tree when absent.
    #[arg(value_name = "PLACE|REVISION", num_args = 0..=2)]
    pub(crate) sides: Vec<String>,
}

/// `render` and `verify`.
#[derive(Debug, Args)]
pub(crate) struct Render {
    /// A place of `manifests/clusters`.
    #[arg(value_name = "PLACE")]
    pub(crate) place: String,
}

/// `rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The application.
    #[arg(value_name = "APP")]
    pub(crate) app: String,
    /// The id of a sync in its history; the one before the last when absent.
    #[arg(value_name = "ID")]
    pub(crate) id: Option<i64>,
}

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Go on by itself.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// `node`, `platform` (where that is a process of its own), or the name of a pod, a job or an app.
    #[arg(value_name = "WHAT")]
    pub(crate) what: String,
    /// Only this namespace.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Go on as lines come.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only this many of the last lines of each container.
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<u32>,
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A job, an application, a schedule, a pod or another object by name; all that is not well when absent.
    #[arg(value_name = "NAME|KIND/NAME")]
    pub(crate) what: Option<String>,
    /// Only this namespace.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

/// `kubeconfig`.
#[derive(Debug, Args)]
pub(crate) struct Kubeconfig {
    /// Print its content.
    #[arg(long, conflicts_with = "export")]
    pub(crate) raw: bool,
    /// Print a line for `eval`.
    #[arg(long)]
    pub(crate) export: bool,
}

/// `kubectl`.
#[derive(Debug, Args)]
pub(crate) struct Kubectl {
    /// What kubectl is to do.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<OsString>,
}

/// `image`.
#[derive(Debug, Args)]
pub(crate) struct Image {
    #[command(subcommand)]
    pub(crate) verb: ImageVerb,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    /// Load the images of docker or OCI archives, packed or not; for a cluster on kind also images of the engine.
    Load {
        /// Archives, `-` for standard input; for a cluster on kind also images by name that the engine has or tinderbox.yaml describes.
        #[arg(value_name = "FILE|-|NAME", required = true)]
        what: Vec<String>,
        /// Name of the image, where the archive holds one.
        #[arg(long = "as", value_name = "NAME")]
        named: Option<String>,
    },
    /// Build an image of a Dockerfile in the container engine, for the cluster to use.
    Build {
        /// The folder that it is built of.
        #[arg(value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// Name of the image.
        #[arg(short, long, value_name = "NAME")]
        tag: String,
        /// The Dockerfile in that folder.
        #[arg(short, long, value_name = "FILE", default_value = "Dockerfile")]
        file: String,
    },
    /// Show the images that are here.
    List,
    /// Remove images by name or id, unless a pod uses them.
    Rm {
        /// Names or ids.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Remove all images that no pod of a running cluster uses.
    Prune,
}

/// `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The archive; `tinderbox-NAME.tar.gz` in the current folder when absent.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `snapshot`.
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Take one of the cluster, which stands still meanwhile.
    Save(SnapshotName),
    /// Make the cluster of one, and bring it up.
    Restore(SnapshotName),
    /// What there is.
    List,
    /// Remove one.
    Rm(SnapshotName),
}

/// The snapshot that is meant.
#[derive(Debug, Args)]
pub(crate) struct SnapshotName {
    /// Name of the snapshot.
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshot: String,
}

/// `bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Which figures, by name or by the first word of several, as in `scale`; all when absent.
    #[arg(value_name = "FIGURE")]
    pub(crate) figures: Vec<String>,
}

/// `conformance`.
#[derive(Debug, Args)]
pub(crate) struct Conformance {
    /// Kubernetes' `e2e.test`; that of the PATH when absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) e2e_test: Option<PathBuf>,
    /// Which specs, as a regular expression; those of the API server that need no image of a registry when absent.
    #[arg(long, value_name = "REGEX")]
    pub(crate) focus: Option<String>,
}

/// `down`.
#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Every cluster of this project.
    #[arg(long)]
    pub(crate) all: bool,
}

/// `node`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Node {
    /// Folder of the cluster's state: this process becomes the node process, which `up` starts.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) state: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: Option<NodeAction>,
}

/// A process beside a cluster.
#[derive(Debug, Args)]
pub(crate) struct Beside {
    /// Folder of the cluster's state.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// The only namespace that it looks at.
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Whose applications the Spark operator serves: the section `sparkOperator` of `tinderbox.yaml` as JSON.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = jobs)]
    pub(crate) jobs: JobNamespaces,
}

fn jobs(text: &str) -> serde_json::Result<JobNamespaces> {
    serde_json::from_str(text)
}

/// `reaper`.
#[derive(Debug, Args)]
pub(crate) struct Reaper {
    /// The run's process, as PID:START:BOOT.
    #[arg(value_name = "PROCESS")]
    pub(crate) run: String,
}

/// What to do with nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeAction {
    /// The nodes, and what they have.
    List,
    /// End a node's processes at once and without a word, as a machine that loses its power.
    Kill(NodeName),
    /// Start a node that was killed.
    Start(NodeName),
}

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct NodeName {
    /// The node's name.
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
}
