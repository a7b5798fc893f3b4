//! What kubectl does against the API server alone: nothing runs, so that everything here is about objects.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::wire::Served;

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"#;

/// Lines of a table as lists of words.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

async fn json(served: &Served, words: &[&str]) -> Value {
    serde_json::from_str(&served.out(&[words, &["-o", "json"]].concat()).await).unwrap()
}

#[tokio::test]
async fn reads() {
    let served = Served::start().await;
    let namespaces = served.out(&["get", "namespaces"]).await;
    let rows = rows(&namespaces);
    assert_eq!(rows[0], ["NAME", "STATUS", "AGE"]);
    assert_eq!(rows[1][..2], ["default", "Active"]);
    assert_eq!(rows.len(), 5);
    let kinds = served.out(&["api-resources"]).await;
    for kind in ["pods", "deployments", "cronjobs", "customresourcedefinitions", "subjectaccessreviews"] {
        assert!(kinds.contains(kind), "{kind}");
    }
    assert!(served.out(&["version"]).await.contains("Server Version: v1.34.2"));
    assert!(served.out(&["get", "--raw", "/version"]).await.contains("\n  \"gitVersion\": \"v1.34.2\",\n"));
    let explained = served.out(&["explain", "deployment.spec.strategy.rollingUpdate"]).await;
    assert!(explained.contains("maxSurge") && explained.contains("<IntOrString>"), "{explained}");
    let service = served.out(&["describe", "service", "kubernetes"]).await;
    assert!(service.contains("10.96.0.1") && service.contains("10.244.0.1:6443"), "{service}");
    assert_eq!(served.out(&["get", "--raw", "/readyz"]).await, "ok");
    assert!(served.out(&["get", "--raw", "/metrics"]).await.contains("apiserver_request_total"));
    assert!(served.out(&["cluster-info"]).await.contains(&served.address));
}

#[tokio::test]
async fn applies_diffs_patches_and_scales() {
    let served = Served::start().await;
    assert_eq!(served.apply(WEB).await, "deployment.apps/web created\nservice/web created\n");
    assert_eq!(served.apply(WEB).await, "deployment.apps/web unchanged\nservice/web unchanged\n");
    let same = served.kubectl_with(&["diff", "-f", "-"], WEB).await;
    assert!(same.ok && same.out.is_empty(), "{same:?}");
    let more = WEB.replace("replicas: 2", "replicas: 3");
    let differs = served.kubectl_with(&["diff", "-f", "-"], &more).await;
    assert!(!differs.ok && differs.out.contains("+  replicas: 3"), "{differs:?}");
    assert!(served.apply(&more).await.starts_with("deployment.apps/web configured"));

    served.out(&["scale", "deployment", "web", "--replicas=5"]).await;
    let wide = served.out(&["get", "deployment", "web", "-o", "wide"]).await;
    assert_eq!(rows(&wide)[0][..5], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert_eq!(rows(&wide)[1][..4], ["web", "0/5", "0", "0"]);
    assert_eq!(rows(&wide)[1][5..], ["c", "nginx", "app=web"]);
    served.out(&["set", "image", "deployment/web", "c=nginx:2"]).await;
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"d","image":"e"}]}}}}"#;
    served.out(&["patch", "deployment", "web", "-p", strategic]).await;
    let ops = r#"[{"op":"replace","path":"/spec/replicas","value":1}]"#;
    served.out(&["patch", "deployment", "web", "--type=json", "-p", ops]).await;
    served.out(&["patch", "deployment", "web", "--type=merge", "-p", r#"{"metadata":{"labels":{"x":"y"}}}"#]).await;
    served.out(&["label", "deployment", "web", "a=b"]).await;
    served.out(&["annotate", "deployment", "web", "a=b"]).await;
    let web = json(&served, &["get", "deployment", "web"]).await;
    assert_eq!(web["spec"]["replicas"], 1);
    assert_eq!(web["metadata"]["labels"], serde_json::json!({"app": "web", "x": "y", "a": "b"}));
    let images: Vec<&str> = web["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["image"].as_str().unwrap())
        .collect();
    assert_eq!(images, ["e", "nginx:2"]);
    assert_eq!(web["metadata"]["generation"], 6);
}

#[tokio::test]
async fn applies_on_the_server_and_names_conflicts() {
    let served = Served::start().await;
    let apply = |manager: &'static str, force: bool| {
        let mut words = vec!["apply", "--server-side", "--field-manager", manager, "-f", "-"];
        if force {
            words.push("--force-conflicts");
        }
        words
    };
    let said = served.kubectl_with(&apply("one", false), WEB).await;
    assert!(said.ok, "{said:?}");
    let more = WEB.replace("replicas: 2", "replicas: 3");
    let refused = served.kubectl_with(&apply("two", false), &more).await;
    assert!(!refused.ok && refused.err.contains("conflict with \"one\": .spec.replicas"), "{refused:?}");
    let forced = served.kubectl_with(&apply("two", true), &more).await;
    assert!(forced.ok, "{forced:?}");
    let web = json(&served, &["get", "deployment", "web", "--show-managed-fields"]).await;
    let managers: Vec<&str> = web["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["manager"].as_str().unwrap())
        .collect();
    assert!(managers.contains(&"one") && managers.contains(&"two"), "{managers:?}");
}

#[tokio::test]
async fn creates_each_kind_that_it_has_a_command_for() {
    let served = Served::start().await;
    for words in [
        "create namespace n",
        "create configmap c --from-literal=a=b",
        "create secret generic s --from-literal=a=b",
        "create serviceaccount x",
        "create role r --verb=get --resource=pods",
        "create rolebinding rb --role=r --serviceaccount=default:x",
        "create clusterrole cr --verb=list --resource=nodes",
        "create clusterrolebinding crb --clusterrole=view --user=jane",
        "create deployment d --image=nginx --replicas=0",
        "create job j --image=busybox -- true",
        "create cronjob cj --image=busybox --schedule=*/5_*_*_*_* -- true",
        "create service nodeport np --tcp=80:8080",
        "create service externalname en --external-name=example.com",
        "create quota q --hard=pods=3",
        "create poddisruptionbudget p --selector=a=b --min-available=1",
        "create priorityclass pc --value=3",
        "create ingress i --rule=a.example/=s:80",
        "autoscale deployment d --max=3",
        "run pod --image=busybox -- sleep 1",
        "expose deployment d --port=80 --name=exposed",
    ] {
        let words: Vec<String> = words.split(' ').map(|word| word.replace('_', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        served.out(&words).await;
    }
    assert_eq!(json(&served, &["get", "deployment", "d"]).await["spec"]["replicas"], 0);
    let secret = json(&served, &["get", "secret", "s"]).await;
    assert_eq!((&secret["data"]["a"], &secret["type"]), (&"Yg==".into(), &"Opaque".into()));
    let job = json(&served, &["get", "job", "j"]).await;
    let uid = job["metadata"]["uid"].as_str().unwrap();
    assert_eq!(job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], uid);
    let service = json(&served, &["get", "service", "np"]).await;
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    assert!((30000..=32767).contains(&port), "{port}");
    let external = served.out(&["get", "service", "en"]).await;
    assert_eq!(rows(&external)[1][..4], ["en", "ExternalName", "<none>", "example.com"]);
    let all = served.out(&["get", "all,pdb,quota,ing,hpa,sa,cm,roles,rolebindings,endpointslices", "-o", "wide"]).await;
    assert!(all.contains("rolebinding.rbac.authorization.k8s.io/rb") && all.contains("default/x"), "{all}");
    let pod = json(&served, &["get", "pod", "pod"]).await;
    let mounts = &pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"];
    assert_eq!(mounts, "/var/run/secrets/kubernetes.io/serviceaccount");
    let dry = served.out(&["create", "configmap", "dry", "--dry-run=server", "-o", "name"]).await;
    assert_eq!(dry, "configmap/dry\n");
    assert!(!served.kubectl(&["get", "configmap", "dry"]).await.ok);
}

#[tokio::test]
async fn holds_to_rights() {
    let served = Served::start().await;
    let spark = "--as=system:serviceaccount:default:spark";
    served.out(&["create", "serviceaccount", "spark"]).await;
    assert_eq!(served.out(&["auth", "can-i", "create", "pods"]).await, "yes\n");
    let no = served.kubectl(&["auth", "can-i", "create", "pods", spark]).await;
    assert_eq!((no.ok, no.out.as_str()), (false, "no\n"));
    let refused = served.kubectl(&["run", "p", "--image=i", spark]).await;
    assert_eq!(
        refused.err,
        "Error from server (Forbidden): pods is forbidden: User \"system:serviceaccount:default:spark\" cannot create resource \"pods\" in API group \"\" in the namespace \"default\"\n"
    );
    served.out(&["create", "role", "r", "--verb=create,get", "--resource=pods"]).await;
    served.out(&["create", "rolebinding", "rb", "--role=r", "--serviceaccount=default:spark"]).await;
    assert_eq!(served.out(&["auth", "can-i", "create", "pods", spark]).await, "yes\n");
    served.out(&["run", "p", "--image=i", spark]).await;
    let listed = served.out(&["auth", "can-i", "--list", spark]).await;
    assert!(listed.contains("pods") && listed.contains("[create get]"), "{listed}");
    assert!(served.out(&["auth", "whoami"]).await.contains("kubernetes-admin"));
    let all = served.out(&["auth", "can-i", "--list"]).await;
    assert_eq!(all.lines().filter(|line| line.trim_start().starts_with("[*]")).count(), 1, "{all}");

    let token = served.out(&["create", "token", "spark"]).await;
    let kubeconfig = served.folder.path().join("token-config");
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": served.address, "certificate-authority": served.folder.path().join("ca.crt")}}],
        "users": [{"name": "u", "user": {"token": token.trim()}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    served.out(&[&kubeconfig, "get", "pod", "p"]).await;
    let refused = served.kubectl(&[&kubeconfig, "get", "pods"]).await;
    assert!(refused.err.contains("cannot list resource \"pods\""), "{refused:?}");
    served.out(&["delete", "serviceaccount", "spark"]).await;
    let gone = served.kubectl(&[&kubeconfig, "get", "pod", "p"]).await;
    assert!(gone.err.contains("Unauthorized"), "{gone:?}");
}

#[tokio::test]
async fn watches_and_waits() {
    let served = Served::start().await;
    served.out(&["create", "configmap", "a", "--from-literal=k=1"]).await;
    let mut child = served.command(&["get", "configmaps", "-w"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(next().await.starts_with("NAME"));
    assert!(next().await.starts_with("a "));
    served.out(&["create", "configmap", "b"]).await;
    assert!(next().await.starts_with("b "));
    child.kill().await.unwrap();
    served.out(&["wait", "--for=jsonpath={.data.k}=1", "configmap/a", "--timeout=20s"]).await;
    let mut waiting = served.command(&["wait", "--for=delete", "configmap/a", "--timeout=20s"]).spawn().unwrap();
    served.out(&["delete", "configmap", "a"]).await;
    assert!(waiting.wait().await.unwrap().success());
}

#[tokio::test]
async fn says_what_is_wrong() {
    let served = Served::start().await;
    let pod = |more: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: i{more}}}]}}\n"
        )
    };
    for (words, input, error) in [
        (vec!["get", "pod", "none"], String::new(), "Error from server (NotFound): pods \"none\" not found"),
        (vec!["get", "nonsense"], String::new(), "the server doesn't have a resource type \"nonsense\""),
        (vec!["create", "configmap", "Bad_Name"], String::new(), "a lowercase RFC 1123 subdomain must consist of"),
        (vec!["create", "configmap", "x", "-n", "gone"], String::new(), "namespaces \"gone\" not found"),
        (vec!["delete", "namespace", "default"], String::new(), "this namespace may not be deleted"),
        (
            vec![
                "patch",
                "namespace",
                "default",
                "--type=json",
                "-p",
                r#"[{"op":"remove","path":"/metadata/labels/x"}]"#,
            ],
            String::new(),
            r#"The request is invalid: patch: {"op":"remove","path":"/metadata/labels/x"}: path is invalid"#,
        ),
        (vec!["get", "pods", "--field-selector=a=b"], String::new(), "field label not supported: a"),
        (vec!["apply", "-f", "-"], pod(", foo: 1"), "unknown field \"spec.containers[0].foo\""),
        (vec!["apply", "-f", "-"], pod(", ports: [{containerPort: x}]"), "cannot unmarshal string"),
        (
            vec!["apply", "-f", "-"],
            pod(", ports: [{containerPort: 70000}]"),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000",
        ),
        (
            vec!["apply", "-f", "-"],
            "apiVersion: example.com/v1\nkind: X\nmetadata: {name: x}\n".to_owned(),
            "no matches for kind \"X\" in version \"example.com/v1\"",
        ),
    ] {
        let said = served.kubectl_with(&words, &input).await;
        assert!(!said.ok && said.err.contains(error), "{words:?} {input}: {said:?}");
    }
}

#[tokio::test]
async fn deletes_with_what_is_held_by_finalizers() {
    let served = Served::start().await;
    served.apply(WEB).await;
    served.out(&["delete", "deployment", "web", "--cascade=foreground", "--wait=false"]).await;
    let web = json(&served, &["get", "deployment", "web"]).await;
    assert_eq!(web["metadata"]["finalizers"], serde_json::json!(["foregroundDeletion"]));
    assert!(web["metadata"]["deletionTimestamp"].is_string());
    served.out(&["patch", "deployment", "web", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#]).await;
    assert!(!served.kubectl(&["get", "deployment", "web"]).await.ok);
    served.out(&["run", "p", "--image=i"]).await;
    served.out(&["delete", "pod", "--all"]).await;
    assert!(!served.kubectl(&["get", "pod", "p"]).await.ok);
    served.out(&["delete", "service", "web", "--ignore-not-found"]).await;
}

#[tokio::test]
async fn requests_for_certificates_say_who_asks_and_what_became_of_them() {
    let served = Served::start().await;
    let request = serde_json::json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "jane"},
        "spec": {"request": "Y3Ny", "signerName": "example.com/own", "usages": ["client auth"], "expirationSeconds": 86400,
            "username": "somebody-else"},
    });
    served.apply(&request.to_string()).await;
    let pending = served.out(&["get", "csr"]).await;
    let titles = ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"];
    assert_eq!(rows(&pending)[0], titles);
    assert_eq!(rows(&pending)[1][2..], ["example.com/own", "kubernetes-admin", "24h", "Pending"]);
    served.out(&["certificate", "deny", "jane"]).await;
    assert_eq!(rows(&served.out(&["get", "csr", "jane"]).await)[1][5], "Denied");
}
