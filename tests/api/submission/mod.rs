//! Native submission held to the real thing: each application of a table is submitted by Spark's own `spark-submit` and
//! by us, to the same API server, and the objects are compared field by field. Only what is drawn by lot may differ.

mod cases;
mod compare;
mod submitter;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tinderbox_api::spark::SparkApplication;
use tinderbox_apiserver::auth::User;
use tinderbox_providers::embedded::images::{HostSpark, host_spark};
use tinderbox_spark::defaults::with_defaults;
use tinderbox_spark::submission::{Conf, Identity, arguments, bare, driver_template, template_text};
use tokio::process::Command;

use submitter::Submitter;

use crate::wire::Served;

/// An API server, Spark, and the credentials of who submits.
struct Lab {
    served: Served,
    client: Client,
    spark: HostSpark,
    submitter: Submitter,
    /// Spark's current folder, with the templates that the operator would write for it.
    folder: TempDir,
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
        let folder = tempfile::tempdir().unwrap();
        let submitter = Submitter::start(&spark, folder.path());
        let who = Command::new("id").arg("-un").output().await.unwrap();
        let user = String::from_utf8(who.stdout).unwrap().trim().to_owned();
        let masters = User::authenticated("admin", &["system:masters"]);
        let client = Client::new(served.server.service_as(masters), "default");
        Self { served, client, spark, submitter, folder, token, user }
    }

    /// A namespace with what its pods need.
    async fn namespace(&self, name: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata: named(name), ..Namespace::default() };
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        for account in ["default", "spark", "from-template"] {
            self.create(name, &ServiceAccount { metadata: named(account), ..ServiceAccount::default() }).await;
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

    /// Has Spark submit an application; what it says when it fails.
    async fn spark_submit(&self, app: &SparkApplication, by_script: bool) -> Result<(), String> {
        let folder = self.folder.path();
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
        let own = [
            "--master",
            &identity.master,
            "--conf",
            &format!("{key}.caCertFile={}", ca.display()),
            "--conf",
            &format!("{key}.oauthToken={}", self.token),
        ];
        let words: Vec<String> = own.map(str::to_owned).into_iter().chain(words).collect();
        if by_script {
            submitter::script(&self.spark, folder, &words).await
        } else {
            self.submitter.submit(&words).await
        }
    }

    /// Makes the same by ourselves: the driver first, and what it owns afterwards.
    async fn submit(&self, app: &SparkApplication) -> Result<(), String> {
        let made = bare(app, &with_defaults(&app.spec), &self.identity()).map_err(|refusal| refusal.to_string())?;
        let namespace = app.metadata.namespace.as_deref().unwrap();
        let driver = self.create(namespace, &made.pod).await;
        for map in &made.config_maps {
            self.create(namespace, &owned(map, &driver)).await;
        }
        for claim in &made.claims {
            self.create(namespace, &owned(claim, &driver)).await;
        }
        self.create(namespace, &owned(&made.service, &driver)).await;
        Ok(())
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
    async fn everything(&self, namespace: &str) -> Value {
        let list = self.served.out(&["get", "pods,services,configmaps,pvc", "-n", namespace, "-o", "json"]).await;
        let own = format!("/tmp/spark/{}", uuid_of(7));
        let templates = self.folder.path().join(namespace);
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
    let mut complaints = Vec::new();
    for (number, case) in cases::ACCEPTED.iter().enumerate() {
        let [theirs, ours] = ["theirs", "ours"].map(|who| format!("{who}-{number}"));
        lab.namespace(&theirs).await;
        lab.namespace(&ours).await;
        // The first by the script that people call, the others by what it starts.
        if let Err(said) = lab.spark_submit(&application(&theirs, case), number == 0).await {
            complaints.push(format!("{}: spark-submit failed: {said}", case.name));
            continue;
        }
        if let Err(said) = lab.submit(&application(&ours, case)).await {
            complaints.push(format!("{}: we refuse it: {said}", case.name));
            continue;
        }
        let found = compare::differences(&lab.everything(&theirs).await, &lab.everything(&ours).await);
        if !found.is_empty() {
            complaints.push(format!("{}:\n  {}", case.name, found.join("\n  ")));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[tokio::test]
async fn what_spark_submit_refuses_is_refused_in_its_words() {
    let lab = Lab::start().await;
    let mut complaints = Vec::new();
    for (number, case) in cases::REFUSED.iter().enumerate() {
        let app = application(&format!("refused-{number}"), case);
        lab.namespace(app.metadata.namespace.as_deref().unwrap()).await;
        let ours = bare(&app, &with_defaults(&app.spec), &lab.identity()).unwrap_err().to_string();
        match lab.spark_submit(&app, number == 0).await {
            Ok(()) => complaints.push(format!("{}: spark-submit accepts it, and we say: {ours}", case.name)),
            Err(said) if said.contains(ours.split(" (").next().unwrap()) => (),
            Err(said) => complaints.push(format!("{}: we say {ours:?}, spark-submit says:\n{said}", case.name)),
        }
    }
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
