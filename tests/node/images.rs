//! Images of registries in pods: what is pulled when, as whom it runs, and what is told when it cannot be had.

use base64::Engine as _;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::api::Api;
use serde_json::{Value, json};
use tinderbox_api::streams::{ExecOptions, PodStreams};
use tinderbox_kubelet::image::oci::Store;
use tinderbox_kubelet::sandbox::HostIds;
use tinderbox_tests::oci::{self, busybox};
use tinderbox_tests::registry::{Manners, Registry};
use tokio::io::AsyncReadExt;

use crate::cluster::{Cluster, NODE, container};

/// What the image runs by itself.
fn run() -> Value {
    json!({"User": "app", "WorkingDir": "/home/app", "Env": ["PATH=/bin", "GREETING=hi"], "Entrypoint": ["sh", "-c"],
        "Cmd": ["id; pwd; echo $GREETING $HOME; cat /hello; test ! -e /gone && echo hidden"], "StopSignal": "SIGUSR1"})
}

fn pod(image: &str, more: &Value) -> Value {
    let mut main = json!({"name": "main", "image": image});
    main.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    json!({"restartPolicy": "Never", "containers": [main]})
}

/// Reasons and messages of what was said of a pod, in order, once `last` is among them: events come after the status.
async fn said(cluster: &Cluster, pod: &Pod, last: &str) -> Vec<String> {
    let (reason, message) = last.split_once(": ").unwrap();
    cluster
        .until_told(pod, last, |event| {
            event.reason.as_deref() == Some(reason)
                && event.message.as_deref().is_some_and(|text| text.starts_with(message))
        })
        .await;
    let mut events = cluster.events(pod).await;
    events.sort_by_key(|event| event.metadata.name.clone());
    let text = |event: &k8s_openapi::api::core::v1::Event| {
        format!("{}: {}", event.reason.as_deref().unwrap_or_default(), event.message.as_deref().unwrap_or_default())
    };
    events.iter().map(text).collect()
}

/// The message of a container that waits for its image.
async fn refused(cluster: &Cluster, pod: &Pod, reason: &str) -> String {
    let is_waiting = |pod: &Pod| container(pod, "main")["state"]["waiting"]["reason"] == reason;
    let pod = cluster.until(pod, reason, is_waiting).await;
    container(&pod, "main")["state"]["waiting"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_image_runs_with_its_own_root_user_and_command() {
    let cluster = Cluster::start().await;
    let image = busybox(&run()).in_index();
    let registry = Registry::start(image.clone(), Manners::default());
    let name = registry.name();
    let first = cluster.pod("first", pod(&name, &json!({}))).await;
    let first = cluster.until_phase(&first, "Succeeded").await;
    let groups = if is_ordinary() { "" } else { " groups=1000(app)" };
    let printed = cluster.logs(&first, "main").await.unwrap().replace(groups, "");
    let hello = "hello from the image\nhidden\n";
    assert_eq!(printed, format!("uid=1000(app) gid=1000(app)\n/home/app\nhi /home/app\n{hello}"));
    let status = container(&first, "main");
    let by_digest = format!("{}/team/app@{}", registry.host(), image.manifest);
    assert_eq!((status["image"].as_str(), status["imageID"].as_str()), (Some(name.as_str()), Some(by_digest.as_str())));
    let said = said(&cluster, &first, "Started: ").await;
    let pulled = said.iter().find(|text| text.starts_with("Pulled: ")).unwrap();
    assert_eq!(said[0], format!("Pulling: Pulling image \"{name}\""));
    assert!(pulled.starts_with(&format!("Pulled: Successfully pulled image \"{name}\" in ")), "{pulled}");
    assert!(pulled.ends_with(&format!(" including waiting). Image size: {} bytes.", image.size())), "{pulled}");

    // Twice more: once it is here, once it must be asked for.
    let asked = registry.requests("").len();
    let second = cluster.pod("second", pod(&by_digest, &json!({"args": ["echo by digest"]}))).await;
    let second = cluster.until_phase(&second, "Succeeded").await;
    assert_eq!(cluster.logs(&second, "main").await.unwrap(), "by digest\n");
    assert_eq!(registry.requests("").len(), asked);
    let newer = oci::busybox(&json!({"Entrypoint": ["sh", "-c"], "Cmd": ["echo newer"]}));
    registry.serve(newer);
    let kept = cluster.pod("kept", pod(&name, &json!({"args": ["echo kept"]}))).await;
    cluster.until_phase(&kept, "Succeeded").await;
    assert_eq!(registry.requests("").len(), asked);
    let third = cluster.pod("third", pod(&name, &json!({"imagePullPolicy": "Always"}))).await;
    let third = cluster.until_phase(&third, "Succeeded").await;
    assert_eq!(cluster.logs(&third, "main").await.unwrap(), "newer\n");
    // The layers are the same: only manifest and config came again.
    assert_eq!(registry.requests("/blobs/").len(), 4);

    let nodes: Api<Node> = Api::all(cluster.client.clone());
    let wanted = name.clone();
    let lists = move |node: Option<&Node>| {
        let images = node.and_then(|node| node.status.as_ref()?.images.as_ref());
        images.into_iter().flatten().any(|image| {
            image.names.iter().flatten().any(|known| *known == wanted)
                && image.size_bytes.is_some_and(|size| size > 100_000)
        })
    };
    let waiting = kube::runtime::wait::await_condition(nodes, NODE, lists);
    tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.expect("the node lists it").unwrap();

    // What containers have written is gone with them.
    let left = || {
        let roots = std::fs::read_dir(cluster.state_dir().join("pods")).unwrap().flatten();
        roots.flat_map(|pod| std::fs::read_dir(pod.path().join("roots")).into_iter().flatten().flatten()).count()
    };
    while left() > 0 {
        tokio::task::yield_now().await;
    }
    cluster.stop().await;
}

fn is_ordinary() -> bool {
    matches!(HostIds::of_this_process(), HostIds::Single { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_all_that_others_have() {
    let cluster = Cluster::start().await;
    let registry = Registry::start(busybox(&run()), Manners::default());
    let script = "trap 'echo asked; exit 0' USR1; echo ready; while :; do sleep 0.05; done";
    let more = json!({
        "args": [script],
        "securityContext": {"readOnlyRootFilesystem": true, "runAsUser": 0},
        "readinessProbe": {"exec": {"command": ["cat", "/hello"]}, "periodSeconds": 1},
        "volumeMounts": [{"name": "v", "mountPath": "/home/app/volume"}],
    });
    let mut spec = pod(&registry.name(), &more);
    spec["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    let made = cluster.pod("all", spec).await;
    let is_ready = |pod: &Pod| container(pod, "main")["ready"] == true;
    cluster.until(&made, "ready", is_ready).await;
    let script = "cat /etc/hostname; grep -c all$ /etc/hosts; grep nameserver /etc/resolv.conf; id -u; hostname; \
                  echo x > /home/app/volume/x && echo volume; touch /x 2>/dev/null || echo closed; ls /dev/null /proc/self/status";
    let options = ExecOptions {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        stdout: true,
        ..ExecOptions::default()
    };
    let session = cluster.kubelet().exec(cluster.reference(&made, "main"), options).await.unwrap();
    let mut printed = String::new();
    session.stdout.unwrap().read_to_string(&mut printed).await.unwrap();
    assert_eq!(printed, "all\n1\nnameserver 10.96.0.10\n0\nall\nvolume\nclosed\n/dev/null\n/proc/self/status\n");
    // The image's own stop signal ends it, long before the grace is over.
    let since = std::time::Instant::now();
    cluster.delete(&made, Some(300)).await;
    cluster.until_gone(&made).await;
    assert!(since.elapsed().as_secs() < 60);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_an_image_are_checked() {
    let cluster = Cluster::start().await;
    let registry = Registry::start(busybox(&run()), Manners::default());
    let named = cluster.pod("named", pod(&registry.name(), &json!({"securityContext": {"runAsNonRoot": true}}))).await;
    let message = refused(&cluster, &named, "CreateContainerConfigError").await;
    let why = "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: \"named_default(";
    assert!(message.starts_with(why), "{message}");
    let more = json!({"args": ["id -u"], "securityContext": {"runAsNonRoot": true, "runAsUser": 1000}});
    let numbered = cluster.pod("numbered", pod(&registry.name(), &more)).await;
    let numbered = cluster.until_phase(&numbered, "Succeeded").await;
    assert_eq!(cluster.logs(&numbered, "main").await.unwrap(), "1000\n");
    let ghost = Registry::start(busybox(&json!({"User": "ghost", "Cmd": ["true"]})), Manners::default());
    let unknown = cluster.pod("unknown", pod(&ghost.name(), &json!({}))).await;
    let message = refused(&cluster, &unknown, "CreateContainerConfigError").await;
    assert_eq!(message, "unable to find user ghost: no matching entries in passwd file");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_open_a_closed_registry() {
    let cluster = Cluster::start().await;
    let manners = Manners { user: Some(("robot", "geheim")), ..Manners::default() };
    let registry = Registry::start(busybox(&run()), manners);
    let name = registry.name();
    let closed = cluster.pod("closed", pod(&name, &json!({}))).await;
    let message = refused(&cluster, &closed, "ErrImagePull").await;
    let why = format!(
        "failed to pull and unpack image {name:?}: pull access denied, repository {}/team/app does not exist or may require \
         authorization: the registry answered 401",
        registry.host()
    );
    assert!(message.starts_with(&why), "{message}");
    assert!(message.contains("imagePullSecrets"), "{message}");

    let auth = base64::prelude::BASE64_STANDARD.encode("robot:geheim");
    let config = json!({"auths": {registry.host(): {"auth": auth}}}).to_string();
    let secret = json!({"metadata": {"name": "key"}, "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64::prelude::BASE64_STANDARD.encode(config)}});
    cluster.create::<Secret>(secret).await;
    let mut spec = pod(&name, &json!({}));
    spec["imagePullSecrets"] = json!([{"name": "nowhere"}, {"name": "key"}]);
    let opened = cluster.pod("opened", spec).await;
    cluster.until_phase(&opened, "Succeeded").await;
    let event = cluster.until_event(&opened, "FailedToRetrieveImagePullSecret").await;
    let text = "Unable to retrieve some image pull secrets (nowhere); attempting to pull the image may not succeed.";
    assert_eq!(event.message.as_deref(), Some(text));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_gone_on_with_and_a_wrong_layer_refused() {
    let cluster = Cluster::start().await;
    let image = busybox(&run());
    let manners = Manners { breaks_after: Some(300_000), ..Manners::default() };
    let breaking = Registry::start(image.clone(), manners);
    let made = cluster.pod("broken", pod(&breaking.name(), &json!({}))).await;
    cluster.until_phase(&made, "Succeeded").await;
    let size = image.blobs[&image.layers[0]].len();
    let wanted: Vec<String> = (1..=(size - 1) / 300_000).map(|part| format!(" bytes={}-", part * 300_000)).collect();
    let asked = breaking.requests(&image.layers[0]);
    assert_eq!(asked.len(), wanted.len() + 1, "{asked:?}");
    for (request, range) in asked[1..].iter().zip(wanted) {
        assert!(request.ends_with(&range), "{asked:?}");
    }

    // Other layers, or those that are here would do.
    let other = oci::image(&[vec![1; 10_240]], &json!({"Cmd": ["true"]}));
    let lying = Registry::start(other.clone(), Manners { lies: true, ..Manners::default() });
    let made = cluster.pod("lied-to", pod(&lying.name(), &json!({}))).await;
    let message = refused(&cluster, &made, "ErrImagePull").await;
    let why = format!("blob {} has the wrong digest: expected {}, got sha256:", other.layers[0], other.layers[0]);
    assert!(message.contains(&why), "{message}");
    let layer = other.layers[0].split_once(':').unwrap().1;
    assert!(!cluster.state_dir().join("cache/oci/parts").join(layer).exists());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pods_fetch_an_image_once() {
    let cluster = Cluster::start().await;
    let image = busybox(&run());
    let registry = Registry::start(image.clone(), Manners::default());
    let mut pods = Vec::new();
    for number in 0..5 {
        pods.push(cluster.pod(&format!("p{number}"), pod(&registry.name(), &json!({}))).await);
    }
    for made in &pods {
        cluster.until_phase(made, "Succeeded").await;
    }
    for layer in &image.layers {
        assert_eq!(registry.requests(layer).len(), 1);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_told_in_kubernetes_words() {
    let cluster = Cluster::start().await;
    let registry = Registry::start(busybox(&run()), Manners::default());
    let missing = format!("{}/team/app:missing", registry.host());
    for (name, image, policy, reason, begin, holds) in [
        (
            "silent",
            "localhost:1/team/app:1",
            "IfNotPresent",
            "ErrImagePull",
            "failed to pull and unpack image \"localhost:1/team/app:1\": registry localhost:1 does not answer: Connection refused",
            "`cargo xtask image load FILE`, or describe it under images: in tinderbox.yaml, or see that its registry has it",
        ),
        (
            "missing",
            &missing,
            "IfNotPresent",
            "ErrImagePull",
            "failed to pull and unpack image",
            "manifest missing: not found in registry",
        ),
        (
            "never",
            "localhost:1/team/app:1",
            "Never",
            "ErrImageNeverPull",
            "Container image \"localhost:1/team/app:1\" is not present with pull policy of Never",
            "image load",
        ),
        ("wrong", "Not/A/Name", "IfNotPresent", "InvalidImageName", "could not read the image name \"Not/A/Name\"", ""),
    ] {
        let made = cluster.pod(name, pod(image, &json!({"imagePullPolicy": policy}))).await;
        let message = refused(&cluster, &made, reason).await;
        assert!(message.starts_with(begin) && message.contains(holds), "{message}");
        let said = said(&cluster, &made, &format!("Failed: Error: {reason}")).await;
        let failed = said.iter().any(|text| text.starts_with(&format!("Failed: Failed to pull image \"{image}\": ")));
        assert_eq!(failed, reason == "ErrImagePull", "{said:?}");
        let never = format!("ErrImageNeverPull: Container image \"{image}\" is not present with pull policy of Never");
        assert_eq!(said.contains(&never), reason == "ErrImageNeverPull", "{said:?}");
    }
    // What was loaded is not used under a policy that asks the registry, and the way out is told.
    let archive = cluster.state_dir().join("app.tar");
    std::fs::write(&archive, busybox(&run()).archive("localhost:1/loaded:latest")).unwrap();
    let store = Store::new(&cluster.state_dir().join("cache"), HostIds::of_this_process());
    store.load(Some(&archive), None).await.unwrap();
    let made = cluster.pod("loaded", pod("localhost:1/loaded", &json!({}))).await;
    let message = refused(&cluster, &made, "ErrImagePull").await;
    assert!(message.ends_with("imagePullPolicy IfNotPresent uses it without asking the registry)"), "{message}");
    let made = cluster.pod("present", pod("localhost:1/loaded", &json!({"imagePullPolicy": "IfNotPresent"}))).await;
    cluster.until_phase(&made, "Succeeded").await;
    // A native image needs no registry, whatever the policy.
    for policy in ["Always", "Never"] {
        let name = policy.to_lowercase();
        let made = cluster
            .pod(&format!("native-{name}"), pod("busybox", &json!({"command": ["true"], "imagePullPolicy": policy})))
            .await;
        cluster.until_phase(&made, "Succeeded").await;
    }
    cluster.stop().await;
}
