//! Jobs as code: what docs/jobs.md shows, run. A program of Rust, and one of Python by way of kubectl.

use std::path::Path;

use tinderbox::event::Role;

use crate::program::{program, root};

const TEXT: &str = "the quick brown fox jumps over the lazy dog";
const COUNTED: [&str; 8] = ["brown 1", "dog 1", "fox 1", "jumps 1", "lazy 1", "over 1", "quick 1", "the 2"];
/// A job that leaves a file on a claim.
const LEAVES: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: out, namespace: spark-jobs}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: leaves, namespace: spark-jobs}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      securityContext: {runAsNonRoot: true, runAsUser: 185, fsGroup: 185, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: main
          image: busybox:1.37
          command: [sh, -c, "echo left > /out/file; exit $CODE"]
          env: [{name: CODE, value: "0"}]
          volumeMounts: [{name: out, mountPath: /out}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumes: [{name: out, persistentVolumeClaim: {claimName: out}}]
"#;

/// Takes the cluster away, whatever becomes of the test.
struct Away<'a>(&'a Path);

impl Drop for Away<'_> {
    fn drop(&mut self) {
        let down = std::process::Command::new(program()).arg("down").arg("--project").arg(self.0).output();
        assert!(down.expect("it runs").status.success());
    }
}

fn counted<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    lines.into_iter().filter(|line| COUNTED.contains(line)).collect()
}

#[tokio::test]
async fn jobs_are_run_by_programs() {
    program();
    let dir = tempfile::tempdir().expect("a folder");
    let copied = std::process::Command::new("cp").arg("-a").arg(root().join("manifests")).arg(dir.path()).status();
    assert!(copied.expect("coreutils are there").success());
    let _away = Away(dir.path());

    let words = tinderbox::application("words").python_file(root().join("fixtures/jobs/words.py")).arguments([TEXT]);
    let done = words.run().project(dir.path()).await.expect("it is run");
    assert!(done.succeeded(), "{done}");
    assert_eq!(done.states("sparkapplication/words"), ["NEW", "SUBMITTED", "RUNNING", "SUCCEEDING", "COMPLETED"]);
    assert_eq!(done.states("pod/words-driver"), ["Pending", "Running", "Succeeded"]);
    let codes = |role| done.pods(role).iter().map(|pod| pod.containers[0].exit_code).collect::<Vec<_>>();
    assert_eq!((codes(Role::Driver), codes(Role::Executor).len()), (vec![Some(0)], 1));
    assert_eq!(counted(done.driver_log().lines()), COUNTED);

    let file = dir.path().join("leaves.yaml");
    std::fs::write(&file, LEAVES).expect("written");
    let leaves = |file: &Path| tinderbox::run(file.display().to_string()).project(dir.path());
    let done = leaves(&file).await.expect("it is run");
    assert!(done.succeeded(), "{done}");
    assert_eq!(done.output("spark-jobs", "out", "file").await.expect("it is there"), "left\n");
    let absent = done.output("spark-jobs", "out", "other").await.expect_err("it is not there").to_string();
    assert!(absent.starts_with("cannot read other of claim out: cat: "), "{absent}");
    std::fs::write(&file, LEAVES.replace("value: \"0\"", "value: \"3\"")).expect("written");
    let done = leaves(&file).await.expect("it is run");
    assert!(!done.succeeded());
    assert_eq!(done.states("job/leaves").last(), Some(&"Failed"));
    assert!(done.to_string().contains("container main ended with exit code 3"), "{done}");

    let kubeconfig = dir.path().join(".tinderbox/local/kubeconfig");
    let script = format!(
        "python3 {jobs}/submit.py python-words {jobs}/words.py '{TEXT}' | kubectl apply -f - >&2 && \
         kubectl -n spark-jobs wait sparkapplication/python-words \
         --for=jsonpath='{{.status.applicationState.state}}'=COMPLETED --timeout=180s >&2 && \
         kubectl -n spark-jobs logs python-words-driver",
        jobs = root().join("fixtures/jobs").display()
    );
    let said = tokio::process::Command::new("bash").args(["-c", &script]).env("KUBECONFIG", kubeconfig).output();
    let said = said.await.expect("it runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(counted(String::from_utf8_lossy(&said.stdout).lines()), COUNTED);
}
