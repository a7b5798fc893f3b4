//! What lies on a volume at the end of a run. It is read as anybody would read it who only has a cluster: by a pod that mounts the
//! claim. So it works in every place.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use serde::Deserialize;
use serde_json::json;
use tinderbox_client::wait;

use crate::cluster::Cluster;
use crate::error::Error;

/// The image of the reading pod, where nobody who mounted the claim was seen: a shell and the usual small tools.
pub(crate) const IMAGE: &str = "busybox:1.37";
/// Most columns and rows that a comparison tells apart.
const DIFFERENCES: usize = 5;

/// A file, or several, on a claim.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Output {
    /// Name of the PersistentVolumeClaim.
    pub claim: String,
    /// Path on it; with `check: parquet`, a pattern of the shell.
    pub file: String,
    /// How many rows a CSV file has, its header not counted.
    pub rows: Option<usize>,
    /// The header of a CSV file.
    pub columns: Option<Vec<String>>,
    /// A file that it must equal, row by row, relative to the scenario's file.
    pub golden: Option<PathBuf>,
    /// A check by name.
    pub check: Option<Named>,
}

/// A check by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// There is at least one file, and each begins and ends as Parquet files do.
    Parquet,
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on claim {}", self.file, self.claim)
    }
}

impl Output {
    /// Reads the file, in a pod of `image`, and says what is wrong with it; nothing when all is right.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn verify(
        &self,
        cluster: &Cluster,
        (namespace, image): (&str, &str),
        scenario: &Path,
        deadline: Instant,
    ) -> Result<Option<String>, Error> {
        let script = match self.check {
            None => format!("cat -- {}", quoted(&self.file)),
            // Unquoted, as the pattern is meant to be expanded; it comes from the scenario's author.
            Some(Named::Parquet) => format!(
                "for f in {}; do [ \"$(head -c4 \"$f\")\" = PAR1 ] && [ \"$(tail -c4 \"$f\")\" = PAR1 ] && echo \"good $f\" || echo \"bad $f\"; done",
                self.file
            ),
        };
        let (code, text) = read(cluster, (namespace, image), &self.claim, &script, deadline).await?;
        if code != 0 {
            return Ok(Some(text.trim().to_owned()));
        }
        if self.check.is_some() {
            return Ok(text
                .lines()
                .find(|line| !line.starts_with("good "))
                .map(|line| format!("{line}: not a Parquet file")));
        }
        let golden = match &self.golden {
            None => None,
            Some(golden) => {
                let path = scenario.parent().unwrap_or(Path::new(".")).join(golden);
                Some(fs::read_to_string(&path).map_err(Error::file("read", path))?)
            }
        };
        Ok(self.compare(&text, golden.as_deref()))
    }

    fn compare(&self, text: &str, golden: Option<&str>) -> Option<String> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        if let Some(columns) = &self.columns
            && header != columns.join(",")
        {
            return Some(format!("its columns are {header}"));
        }
        let rows = lines.count();
        if let Some(wanted) = self.rows.filter(|wanted| *wanted != rows) {
            return Some(format!("it has {rows} rows and not {wanted}"));
        }
        let golden = golden?;
        let mut different = Vec::new();
        let (mut ours, mut theirs) = (text.lines(), golden.lines());
        for number in 1.. {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (is, should) if is == should => {}
                (is, should) => different.push(format!(
                    "line {number} is {} and should be {}",
                    is.unwrap_or("missing"),
                    should.unwrap_or("absent")
                )),
            }
        }
        if different.is_empty() {
            return None;
        }
        let more = different.len().saturating_sub(DIFFERENCES);
        different.truncate(DIFFERENCES);
        let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
        Some(format!("{}{rest}", different.join("; ")))
    }
}

/// The content of a file.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn content(
    cluster: &Cluster,
    place: (&str, &str),
    claim: &str,
    file: &str,
    deadline: Instant,
) -> Result<String, Error> {
    match read(cluster, place, claim, &format!("cat -- {}", quoted(file)), deadline).await? {
        (0, text) => Ok(text),
        (_, said) => Err(Error::Internal(format!("cannot read {file} of claim {claim}: {}", said.trim()))),
    }
}

/// As one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Runs a script in a pod that mounts the claim; its exit code and all it wrote.
async fn read(
    cluster: &Cluster,
    (namespace, image): (&str, &str),
    claim: &str,
    script: &str,
    deadline: Instant,
) -> Result<(i32, String), Error> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "read-output-", "labels": {"app.kubernetes.io/managed-by": "tinderbox"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 185, "runAsGroup": 185, "fsGroup": 185, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "read",
                "image": image,
                "command": ["sh", "-c", script],
                "workingDir": "/claim",
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "claim", "mountPath": "/claim", "readOnly": true}],
            }],
            "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim, "readOnly": true}}],
        },
    }))
    .map_err(|error| Error::Internal(format!("the reading pod has a wrong form: {error}")))?;
    let made =
        pods.create(&PostParams::default(), &pod).await.map_err(Error::api("start a pod that reads the output"))?;
    let name = made.name_any();
    let outcome = async {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(5));
        let ended = wait::object(pods.clone(), &name, "the pod that reads the output", left, |pod| {
            let phase = pod.and_then(|pod| pod.status.as_ref()).and_then(|status| status.phase.as_deref());
            pod.is_none() || matches!(phase, Some("Succeeded" | "Failed"))
        })
        .await?;
        let code = ended
            .and_then(|pod| pod.status?.container_statuses?.into_iter().next()?.state?.terminated)
            .map_or(-1, |ended| ended.exit_code);
        let text = pods.logs(&name, &LogParams::default()).await.map_err(Error::api("read the output"))?;
        Ok((code, text))
    }
    .await;
    // Kept for nobody: the answer is here, or the failure is told.
    let removed = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
    if let (Err(error), Ok(_)) = (removed, &outcome) {
        return Err(Error::api("remove the pod that read the output")(error));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        Output {
            claim: "c".into(),
            file: "f".into(),
            rows: Some(2),
            columns: Some(vec!["a".into(), "b".into()]),
            golden: None,
            check: None,
        }
    }

    #[test]
    fn tells_what_differs() {
        let good = "a,b\n1,2\n3,4\n";
        assert_eq!(output().compare(good, Some(good)), None);
        assert_eq!(output().compare("a,c\n", None).as_deref(), Some("its columns are a,c"));
        assert_eq!(output().compare("a,b\n1,2\n", None).as_deref(), Some("it has 1 rows and not 2"));
        assert_eq!(output().compare("a,b\n1,2\n3,5\n", Some(good)).as_deref(), Some("line 3 is 3,5 and should be 3,4"));
        assert_eq!(output().compare(good, Some("a,b\n1,2\n")).as_deref(), Some("line 3 is 3,4 and should be absent"));
    }
}
