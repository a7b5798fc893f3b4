//! The names of one submission. Spark draws them by lot; here they follow from the submission's id, so that a controller
//! that is killed half-way goes on with the same objects.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tinderbox_api::names::LABEL_MAX;
use tinderbox_api::spark::{SparkApplication, SparkApplicationSpec};
use uuid::Uuid;

/// Who submits what, as what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The submission.
    pub submission: Uuid,
    /// When it began.
    pub began: Timestamp,
    /// The user that Spark runs as unless a proxy user is given.
    pub user: String,
    /// URL of the API, as spark-submit takes it.
    pub master: String,
}

impl Identity {
    /// One that is never used: what is made with it shows what would be.
    #[must_use]
    pub fn rehearsal() -> Self {
        Self {
            submission: Uuid::nil(),
            began: Timestamp::UNIX_EPOCH,
            user: "spark".to_owned(),
            master: "k8s://https://kubernetes.default.svc:443".to_owned(),
        }
    }

    /// Spark's id of the run.
    #[must_use]
    pub fn app_id(&self) -> String {
        format!("spark-{}", self.derived("application").simple())
    }

    /// An id as Spark's `KubernetesUtils.uniqueID` makes them: three bytes by lot and 40 bits of the time, in hex.
    #[must_use]
    pub fn unique(&self, purpose: &str) -> String {
        let [one, two, three, ..] = self.derived(purpose).into_bytes();
        let time = self.began.as_millisecond() & 0xff_ffff_ffff;
        format!("{one:02x}{two:02x}{three:02x}{time:x}")
    }

    /// A uuid for one purpose.
    #[must_use]
    pub fn derived(&self, purpose: &str) -> Uuid {
        let digest = Sha256::new().chain_update(self.submission.as_bytes()).chain_update(purpose.as_bytes()).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// The beginning of the names of everything that belongs to the run.
    /// Upstream rule: `getResourceNamePrefix` in Spark's `KubernetesConf.scala`.
    #[must_use]
    pub fn prefix(&self, app_name: &str) -> String {
        let name = dashes(&format!("{app_name}-{}", self.unique("prefix")));
        let name = name.strip_prefix('-').unwrap_or(&name);
        match name.as_bytes().first() {
            Some(first) if first.is_ascii_digit() => format!("x{}", &name[1..]),
            _ => name.to_owned(),
        }
    }
}

/// The application's name as the value of a label.
/// Upstream rule: `getAppNameLabel` in Spark's `KubernetesConf.scala`.
pub(super) fn label(app_name: &str) -> String {
    let mut name = dashes(app_name);
    name.truncate(LABEL_MAX);
    let name = name.strip_prefix('-').unwrap_or(&name);
    name.strip_suffix('-').unwrap_or(name).to_owned()
}

/// Lower case letters, digits and single dashes.
fn dashes(text: &str) -> String {
    let mut made = String::new();
    for letter in text.trim().to_lowercase().chars() {
        let letter = if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' };
        if letter != '-' || !made.ends_with('-') {
            made.push(letter);
        }
    }
    made
}

/// The name of an application's driver pod.
/// Upstream rule: `GetDriverPodName` in `pkg/util/sparkapplication.go` of kubeflow/spark-operator.
#[must_use]
pub fn driver_pod_name(app: &SparkApplication) -> String {
    let said = |spec: &SparkApplicationSpec| {
        let conf = spec.spark_conf.get("spark.kubernetes.driver.pod.name").filter(|name| !name.is_empty());
        spec.driver.pod_name.clone().filter(|name| !name.is_empty()).or_else(|| conf.cloned())
    };
    said(&app.spec).unwrap_or_else(|| format!("{}-driver", app.metadata.name.as_deref().unwrap_or_default()))
}

/// `NAME-SUFFIX` in 63 letters: a longer name is cut, and told apart by a few letters of its digest.
#[must_use]
pub fn short_name(name: &str, suffix: &str) -> String {
    let whole = format!("{name}-{suffix}");
    if whole.len() <= LABEL_MAX {
        return whole;
    }
    let digest = Sha256::digest(whole.as_bytes());
    let mark: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let keep = name.len().min(LABEL_MAX - suffix.len() - 10);
    format!("{}-{mark}-{suffix}", &name[..keep])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            submission: Uuid::from_u128(7),
            began: Timestamp::from_second(1_795_646_968).unwrap(),
            user: "spark".to_owned(),
            master: "k8s://https://kubernetes.default.svc:443".to_owned(),
        }
    }

    #[test]
    fn names_follow_from_the_submission() {
        let one = identity();
        assert_eq!(one.prefix("Pi._Job"), identity().prefix("pi-job"));
        assert!(one.prefix("9lives").starts_with("xlives-"), "{}", one.prefix("9lives"));
        assert_eq!(one.unique("prefix").len(), 16);
        assert_ne!(one.unique("prefix"), one.unique("map"));
        let other = Identity { submission: Uuid::from_u128(8), ..identity() };
        assert_ne!(one.app_id(), other.app_id());
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        assert_eq!(short_name("pi", "ui-svc"), "pi-ui-svc");
        let (one, other) = (format!("{}1", "a".repeat(62)), format!("{}2", "a".repeat(62)));
        assert_eq!(short_name(&one, "ui-svc").len(), 63);
        assert_ne!(short_name(&one, "ui-svc"), short_name(&other, "ui-svc"));
        assert_eq!(label("-My App-"), "my-app");
    }
}
