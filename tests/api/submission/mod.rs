//! Native submission held to the real thing: each application of a table is submitted by Spark's own `spark-submit` and
//! by us, to the same API server, and the objects are compared field by field. Only what is drawn by lot may differ.

mod cases;
mod compare;

use std::path::Path;
use std::process::Stdio;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tinderbox_api::spark::SparkApplication;
use tinderbox_apiserver::auth::User;
use tinderbox_providers::embedded::images::{HostSpark, host_spark};
use tinderbox_spark::defaults::with_defaults;
use tinderbox_spark::submission::{Conf, Identity, arguments, bare, driver_template, template_text};
use tokio::process::Command;

use crate::wire::Served;

/// `spark-submit` processes at a time.
const TOGETHER: usize = 2;
/// Startup is all that a submission does: a JVM that does not optimise is ready sooner.
const QUICK: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto";

/// An API server, Spark, and the credentials of who submits.
struct Lab {
    served: Served,
    client: Client,
    spark: HostSpark,
    token: String,
    user: String,
}

impl Lab {
    async fn start() -> Self {
        let served = Served::start().await;
        served.out(&["create", "serviceaccount", "submitter", "-n", "default"]).await;
        let admin = ["create", "clusterrolebinding", "submitter", "--clusterrole=cluster-admin"];
        served.out(&[&admin[..], &["--serviceaccount=default:submitter"]].concat()).await;
        let token = served.out(&["create", "token", "submitter", "-n", "default"]).await.trim().to_owned();
        let spark = host_spark("apache/spark:4.0.1").await.unwrap();
        let who = Command::new("id").arg("-un").output().await.unwrap();
        let user = String::from_utf8(who.stdout).unwrap().trim().to_owned();
        let masters = User::authenticated("admin", &["system:masters"]);
        let client = Client::new(served.server.service_as(masters), "default");
        Self { served, client, spark, token, user }
    }

    /// A namespace with what its pods need.
    async fn namespace(&self, name: &str) {
        self.served.out(&["create", "namespace", name]).await;
        for account in ["default", "spark"] {
            self.served.out(&["create", "serviceaccount", account, "-n", name]).await;
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            submission: uuid_of(7),
            began: Timestamp::from_second(1_795_646_968).unwrap(),
            user: self.user.clone(),
            master: format!("k8s://{}", self.served.address),
        }
    }

    /// Runs spark-submit for an application; what it says when it fails.
    async fn spark_submit(&self, app: &SparkApplication, folder: &Path) -> Result<(), String> {
        let (spec, identity) = (with_defaults(&app.spec), self.identity());
        let conf = Conf::of(app, &spec, &identity).map_err(|refusal| refusal.to_string())?;
        let templates = folder.join(app.metadata.namespace.as_deref().unwrap());
        std::fs::create_dir_all(&templates).unwrap();
        if let Ok(made) = bare(app, &spec, &identity) {
            let driver = template_text(&driver_template(app, &spec).unwrap()).unwrap();
            let executor = &made.config_maps[0].data.as_ref().unwrap()["podspec-configmap-key"];
            std::fs::write(templates.join("driver-pod-template.yaml"), driver).unwrap();
            std::fs::write(templates.join("executor-pod-template.yaml"), executor).unwrap();
        } else {
            for role in ["driver", "executor"] {
                let empty = "spec: {containers: [{name: c}]}\n";
                std::fs::write(templates.join(format!("{role}-pod-template.yaml")), empty).unwrap();
            }
        }
        let own = format!("/tmp/spark/{}", identity.submission);
        let words = arguments(&spec, &conf).into_iter().map(|word| word.replace(&own, templates.to_str().unwrap()));
        let key = "spark.kubernetes.authenticate.submission";
        let ca = self.served.folder.path().join("ca.crt");
        let output = Command::new(self.spark.home.join("bin/spark-submit"))
            .args(["--master", &identity.master])
            .args(["--conf", &format!("{key}.caCertFile={}", ca.display())])
            .args(["--conf", &format!("{key}.oauthToken={}", self.token)])
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env("SPARK_HOME", &self.spark.home)
            .env("JAVA_HOME", &self.spark.java)
            .env("SPARK_SUBMIT_OPTS", QUICK)
            .env("SPARK_LAUNCHER_OPTS", QUICK)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// Makes the same by ourselves: the driver first, and what it owns afterwards.
    async fn submit(&self, app: &SparkApplication) {
        let made = bare(app, &with_defaults(&app.spec), &self.identity()).unwrap();
        let namespace = app.metadata.namespace.as_deref().unwrap();
        let driver = self.create(namespace, &made.pod).await;
        for map in &made.config_maps {
            self.create(namespace, &owned(map, &driver)).await;
        }
        for claim in &made.claims {
            self.create(namespace, &owned(claim, &driver)).await;
        }
        self.create(namespace, &owned(&made.service, &driver)).await;
    }

    async fn create<K>(&self, namespace: &str, object: &K) -> K
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        api.create(&PostParams::default(), object).await.unwrap()
    }

    /// Everything in a namespace, with what is drawn by lot made alike.
    async fn everything(&self, namespace: &str, folder: &Path) -> Value {
        let list = self.served.out(&["get", "pods,services,configmaps,pvc", "-n", namespace, "-o", "json"]).await;
        let own = format!("/tmp/spark/{}", uuid_of(7));
        let templates = folder.join(namespace);
        compare::alike(&list.replace(templates.to_str().unwrap(), &own), namespace)
    }
}

fn owned<K: Resource + Clone>(object: &K, driver: &Pod) -> K {
    let mut object = object.clone();
    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": driver.metadata.name, "uid": driver.metadata.uid, "controller": true}]);
    object.meta_mut().owner_references = serde_json::from_value(owner).unwrap();
    object
}

fn uuid_of(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

/// The application of a case, in its namespace.
fn application(namespace: &str, case: &cases::Case) -> SparkApplication {
    let mut app = json!({
        "metadata": {"name": "pi", "namespace": namespace, "uid": "0-1-2"},
        "spec": {
            "type": "Python", "sparkVersion": "4.0.1", "image": "own/image:1",
            "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py",
            "driver": {}, "executor": {},
        },
    });
    cases::merge(&mut app, (case.app)());
    serde_json::from_value(app).unwrap()
}

#[tokio::test]
async fn the_objects_are_those_of_spark_submit() {
    let lab = Lab::start().await;
    let folder = tempfile::tempdir().unwrap();
    let compared = futures::stream::iter(cases::ACCEPTED.iter().enumerate()).map(|(number, case)| {
        let (lab, folder) = (&lab, folder.path());
        async move {
            let [theirs, ours] = ["theirs", "ours"].map(|who| format!("{who}-{number}"));
            lab.namespace(&theirs).await;
            lab.namespace(&ours).await;
            let failure = |said: String| format!("{}: spark-submit failed: {said}", case.name);
            lab.spark_submit(&application(&theirs, case), folder).await.map_err(failure)?;
            lab.submit(&application(&ours, case)).await;
            let (wanted, have) = (lab.everything(&theirs, folder).await, lab.everything(&ours, folder).await);
            let found = compare::differences(&wanted, &have);
            if found.is_empty() { Ok(()) } else { Err(format!("{}:\n  {}", case.name, found.join("\n  "))) }
        }
    });
    let outcomes: Vec<Result<(), String>> = compared.buffer_unordered(TOGETHER).collect().await;
    let complaints: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[tokio::test]
async fn what_spark_submit_refuses_is_refused_in_its_words() {
    let lab = Lab::start().await;
    let folder = tempfile::tempdir().unwrap();
    let refused = futures::stream::iter(cases::REFUSED.iter().enumerate()).map(|(number, case)| {
        let (lab, folder) = (&lab, folder.path());
        async move {
            let app = application(&format!("refused-{number}"), case);
            lab.namespace(app.metadata.namespace.as_deref().unwrap()).await;
            let ours = bare(&app, &with_defaults(&app.spec), &lab.identity()).unwrap_err().to_string();
            match lab.spark_submit(&app, folder).await {
                Ok(()) => Err(format!("{}: spark-submit accepts it, and we say: {ours}", case.name)),
                Err(said) if said.contains(ours.split(" (").next().unwrap()) => Ok(()),
                Err(said) => Err(format!("{}: we say {ours:?}, spark-submit says:\n{said}", case.name)),
            }
        }
    });
    let outcomes: Vec<Result<(), String>> = refused.buffer_unordered(TOGETHER).collect().await;
    let complaints: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn the_kinds_that_are_compared_are_all_that_are_made() {
    // A kind that is added to what is made has to be added to what is compared.
    let app = application("n", &cases::ACCEPTED[0]);
    let identity = Identity {
        submission: uuid_of(1),
        began: Timestamp::UNIX_EPOCH,
        user: "u".to_owned(),
        master: "k8s://https://h".to_owned(),
    };
    let tinderbox_spark::submission::Objects { pod, service, config_maps, claims } =
        bare(&app, &with_defaults(&app.spec), &identity).unwrap();
    let _: (Pod, Service, Vec<ConfigMap>, Vec<PersistentVolumeClaim>) = (pod, service, config_maps, claims);
}
