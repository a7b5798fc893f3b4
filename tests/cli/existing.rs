//! Clusters that somebody else has made, where an embedded one stands for the stranger's: nothing is taken for granted, what is brought
//! in is told apart, and what was there before stays.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::console::asked;
use crate::program::{Cluster, Said};

/// A cluster of ours upon one of a stranger's.
struct Guest {
    guest: Cluster,
    stranger: Cluster,
    kubeconfig: PathBuf,
}

impl Guest {
    /// The stranger's cluster is up, and its context called `context` in the user's kubeconfig, beside another one.
    fn new(purpose: &str, context: &str) -> Self {
        let (guest, stranger) = (Cluster::new(purpose), Cluster::of_own_project("stranger"));
        stranger.run(&["up"]).succeeded();
        let text = std::fs::read_to_string(stranger.kubeconfig()).expect("there");
        let ours = format!("tinderbox-{}", stranger.name);
        let text = text.replace(&format!("current-context: {ours}"), "current-context: other").replace(&ours, context);
        let other = "contexts:\n- name: other\n  context: {cluster: nowhere, user: nobody}\n";
        let kubeconfig = guest.files().join("kubeconfig");
        std::fs::write(&kubeconfig, text.replace("contexts:\n", other)).expect("written");
        Self { guest, stranger, kubeconfig }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.guest.command(words);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().expect("it runs").into()
    }

    /// `up` in the existing place with more words.
    fn up(&self, words: &[&str]) -> Said {
        self.run(&[&["--provider", "existing", "up"], words].concat())
    }

    fn tidy(&self, text: &str) -> String {
        self.guest.tidy(text)
    }

    /// The command serves the console of a cluster that serves none, until it is told to end.
    fn console(&self) {
        let mut served = self.command(&["console"]).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut link = String::new();
        BufReader::new(served.stdout.take().expect("piped")).read_line(&mut link).expect("it is text");
        let (address, path) =
            link.trim().strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a link");
        let (status, about) = asked(address, &format!("GET /{path}api/about"), &[format!("Host: {address}")]);
        assert!(status.contains("200") && about.contains("\"place\":\"existing\""), "{status}: {about}");
        let interrupt = Command::new("kill").args(["-INT", &served.id().to_string()]).status();
        assert!(interrupt.expect("kill runs").success());
        assert_eq!(served.wait().expect("it ends").code(), Some(0));
    }

    /// Names of the objects that carry the guest's label.
    fn ours(&self, kinds: &str) -> String {
        let words = ["get", kinds, "-A", "-l", "app.kubernetes.io/managed-by=tinderbox", "-o", "name"];
        self.stranger.kubectl(&words).succeeded()
    }
}

/// Everything that the platform brings.
const KINDS: &str =
    "namespaces,crd,serviceaccounts,clusterroles,clusterrolebindings,roles,rolebindings,validatingadmissionpolicies";

#[test]
fn a_context_is_named_and_one_of_production_twice() {
    let guest = Guest::new("ex-named", "eu-prod-1");
    insta::assert_snapshot!(guest.tidy(&guest.up(&["--yes"]).failed(2)), @r"
    starting cluster NAME
    error: the context of an existing cluster must be named, and is never the current one by itself
    hint: add `--context NAME`; contexts: other, eu-prod-1
    ");
    insta::assert_snapshot!(guest.tidy(&guest.up(&["--yes", "--context", "eu"]).failed(2)), @r#"
    starting cluster NAME
    error: the kubeconfig has no context "eu"
    hint: contexts: other, eu-prod-1
    "#);
    insta::assert_snapshot!(guest.tidy(&guest.up(&["--yes", "--context", "eu-prod-1"]).failed(2)), @r#"
    starting cluster NAME
    error: the context eu-prod-1 looks like production: it is protected by the pattern "*prod*"
    hint: where that is meant, name it twice: `--context eu-prod-1 --production eu-prod-1`; `existing.protected` in tinderbox.yaml has the patterns
    "#);
    let unused = guest.up(&["--context", "eu-prod-1", "--production", "eu-prod-1"]).failed(2);
    assert!(unused.contains("make namespace/spark-jobs") && unused.contains("hint: add `--yes`"), "{unused}");
    assert_eq!(guest.ours(KINDS), "");
    guest.guest.assert_gone();
    let nobody = guest.up(&["--yes", "--context", "other"]).failed(3);
    assert!(nobody.contains("cannot use the context other"), "{nobody}");
    guest.guest.assert_gone();
}

#[test]
fn what_is_brought_in_is_taken_out_and_nothing_else() {
    let guest = Guest::new("ex-life", "theirs");
    guest.stranger.kubectl(&["create", "namespace", "spark-jobs"]).succeeded();
    let plan = guest.up(&["--context", "theirs", "--dry-run"]).succeeded();
    insta::assert_snapshot!(guest.tidy(&plan), @r"
    cluster NAME in DIR/home/NAME: nothing
      remember the context theirs in DIR/home/NAME
      leave namespace/spark-jobs as it is: it is there already, and not ours
      make namespace/spark-operator
      make namespace/argo
      make customresourcedefinition/sparkapplications.sparkoperator.k8s.io
      make customresourcedefinition/scheduledsparkapplications.sparkoperator.k8s.io
      make customresourcedefinition/sparkconnects.sparkoperator.k8s.io
      make customresourcedefinition/workflows.argoproj.io
      make customresourcedefinition/workflowtemplates.argoproj.io
      make customresourcedefinition/clusterworkflowtemplates.argoproj.io
      make customresourcedefinition/cronworkflows.argoproj.io
      make customresourcedefinition/workflowtaskresults.argoproj.io
      make serviceaccount/spark-operator
      make serviceaccount/workflow-controller
      make serviceaccount/hello-argo-workflow-template
      make clusterrole/spark-operator
      make clusterrole/workflow-controller
      make clusterrolebinding/spark-operator
      make clusterrolebinding/workflow-controller
      make role/spark-operator-leader
      make role/hello-argo-workflow-template
      make rolebinding/spark-operator-leader
      make rolebinding/hello-argo-workflow-template
      make validatingadmissionpolicy/spark-applications.sparkoperator.k8s.io
      make validatingadmissionpolicybinding/spark-applications.sparkoperator.k8s.io
      make validatingadmissionpolicy/spark-connect.sparkoperator.k8s.io
      make validatingadmissionpolicybinding/spark-connect.sparkoperator.k8s.io
      make workflowtemplate/hello-argo-workflow-template
      start the process that runs the platform
    ");
    let up = guest.up(&["--context", "theirs", "--yes", "-o", "json"]).json(0);
    assert_eq!((&up["provider"], &up["arrival"]), (&"existing".into(), &"new".into()));
    let ours = guest.ours(KINDS);
    for name in [
        "namespace/spark-operator",
        "serviceaccount/spark-operator",
        "clusterrole.rbac.authorization.k8s.io/spark-operator",
    ] {
        assert!(ours.contains(name), "{ours}");
    }
    assert!(!ours.contains("namespace/spark-jobs"), "{ours}");
    guest.console();
    // Which cluster it is needs to be said no more, and cannot be another one.
    assert_eq!(guest.run(&["up", "-o", "json"]).json(0)["arrival"], "already");
    let wrong = guest.up(&["--context", "other"]).failed(2);
    assert!(wrong.contains("is the context theirs, not other"), "{wrong}");
    let job = r#"{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one", "namespace": "spark-jobs"}, "spec": {"template":
        {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["true"]}]}}}}"#;
    guest.guest.write("job.json", job);
    guest.run(&["run", "job.json"]).succeeded();
    assert!(guest.ours("jobs").contains("job.batch/one"));

    // With the definition of a kind all objects of the kind would go, those of others too.
    let theirs = r#"{"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "theirs", "namespace":
        "spark-jobs"}, "spec": {"type": "Python", "sparkVersion": "4.0.1", "suspend": true, "mainApplicationFile": "local:///a.py",
        "driver": {}, "executor": {}}}"#;
    guest.stranger.kubectl_reads(&["apply", "-f", "-"], theirs).succeeded();
    guest.stranger.kubectl(&["-n", "spark-operator", "create", "configmap", "theirs"]).succeeded();

    let down = guest.run(&["down"]).succeeded();
    assert!(down.contains("namespace/spark-jobs stays: it was there before"), "{down}");
    assert!(
        down.contains("customresourcedefinition/sparkapplications.sparkoperator.k8s.io stays")
            && down.contains("(1, as sparkapplication/spark-jobs/theirs)"),
        "{down}"
    );
    assert!(
        down.contains("namespace/spark-operator stays: what would go with it is not all ours (1, as configmap/spark-operator/theirs)"),
        "{down}"
    );
    let left = guest.ours(KINDS);
    assert_eq!(
        left.lines().collect::<Vec<_>>(),
        [
            "namespace/spark-operator",
            "customresourcedefinition.apiextensions.k8s.io/sparkapplications.sparkoperator.k8s.io"
        ]
    );
    guest.stranger.kubectl(&["-n", "spark-operator", "get", "configmap", "theirs"]).succeeded();
    guest.stranger.kubectl(&["-n", "spark-jobs", "get", "sparkapplication", "theirs"]).succeeded();
    guest.stranger.kubectl(&["get", "namespace", "spark-jobs"]).succeeded();
    guest.guest.assert_gone();
}

/// What a user of one namespace needs there.
const ROLE: &str = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "all", "namespace": "spark-jobs"},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}"#;

#[test]
fn one_namespace_is_enough_where_the_kinds_are_defined() {
    let mut guest = Guest::new("ex-small", "theirs");
    let stranger = &guest.stranger;
    stranger.kubectl(&["create", "namespace", "spark-jobs"]).succeeded();
    stranger.kubectl(&["-n", "spark-jobs", "create", "serviceaccount", "guest"]).succeeded();
    let token = stranger.kubectl(&["-n", "spark-jobs", "create", "token", "guest"]).succeeded();
    let file = guest.guest.files().join("small");
    std::fs::copy(&guest.kubeconfig, &file).expect("copied");
    let set = |words: &[&str]| {
        let done = Command::new("kubectl").arg("--kubeconfig").arg(&file).arg("config").args(words).status();
        assert!(done.expect("kubectl runs").success());
    };
    set(&["set-credentials", "guest", "--token", token.trim()]);
    set(&["set-context", "small", "--cluster", "theirs", "--user", "guest"]);
    guest.kubeconfig = file.clone();

    let nothing = guest.up(&["--context", "small", "--yes"]);
    let nothing = nothing.failed(2);
    assert!(
        nothing.contains("this user may not do what `up` must do: ")
            && nothing.contains("create namespaces cluster-wide"),
        "{nothing}"
    );
    assert!(nothing.contains("or work in one namespace with `--namespace NAME`"), "{nothing}");
    guest.guest.assert_gone();

    let within = ["--context", "small", "--namespace", "spark-jobs", "--yes", "-o", "json"];
    let undefined = guest.up(&within).failed(2);
    assert!(undefined.contains("sparkapplications.sparkoperator.k8s.io"), "{undefined}");
    assert!(undefined.contains("kubectl apply --server-side -f manifests/platform/spark-operator/crds"), "{undefined}");
    let crds = crate::program::root().join("manifests/platform/spark-operator/crds");
    let define = |path: PathBuf| {
        let path = path.to_str().expect("a path");
        guest.stranger.kubectl(&["apply", "--server-side", "-f", path]).succeeded();
    };
    define(crds.join("sparkapplications.yaml"));
    let undefined = guest.up(&within).failed(2);
    assert!(
        undefined.contains(
            "cannot bring: scheduledsparkapplications.sparkoperator.k8s.io, sparkconnects.sparkoperator.k8s.io, workflows.argoproj.io, "
        ),
        "{undefined}"
    );
    define(crds);
    define(crate::program::root().join("manifests/platform/argo-workflows/crds"));
    let powerless = guest.up(&within).failed(2);
    assert!(powerless.contains("patch roles.rbac.authorization.k8s.io in spark-jobs"), "{powerless}");
    assert!(powerless.contains("create serviceaccounts/token in spark-jobs"), "{powerless}");
    guest.stranger.kubectl_reads(&["apply", "-f", "-"], ROLE).succeeded();
    let bind =
        ["-n", "spark-jobs", "create", "rolebinding", "guest", "--role=all", "--serviceaccount=spark-jobs:guest"];
    guest.stranger.kubectl(&bind).succeeded();

    assert_eq!(guest.up(&within).json(0)["arrival"], "new");
    assert!(guest.ours("roles").contains("role.rbac.authorization.k8s.io/spark-operator"));
    assert_eq!(guest.ours("clusterroles,crd"), "");
    let lease = guest.stranger.kubectl(&[
        "-n",
        "spark-jobs",
        "wait",
        "lease/tinderbox-platform",
        "--for=create",
        "--timeout=60s",
    ]);
    lease.succeeded();
    let status = guest.run(&["status", "-o", "json"]).json(0);
    assert_eq!(status["state"], "running");
    guest.run(&["down"]).succeeded();
    assert_eq!(guest.ours("roles,rolebindings"), "");
    guest.guest.assert_gone();
}
