//! Clusters in a container engine, with an engine and a `kind` that only pretend: what is asked of them, what is said when they will not,
//! and what is left when a command is ended in the middle. Behind the pretence an embedded cluster answers as the API.

use std::path::PathBuf;
use std::process::Command;

use tinderbox_tests::engine::{Engine, Manners};

use crate::program::{Begun, Cluster, Said};

/// The node image of the usual release.
const NODE: &str = "kindest/node:v1.34.2";
/// What a `kind` does that works.
const WORKS: &str =
    r#"echo "running $name" > "$engine/containers/$name-control-plane"; echo ' ✓ Starting control-plane' >&2"#;

/// A cluster in a pretended engine.
struct Pretended {
    cluster: Cluster,
    engine: Engine,
    dir: PathBuf,
}

impl Pretended {
    fn new(purpose: &str, manners: Manners, version: &str, create: &str) -> Self {
        let cluster = Cluster::of_own_project(purpose);
        let dir = cluster.files().join("engine");
        let engine = Engine::start(&dir, manners);
        engine.add_image(NODE);
        let _ = engine.kind(version, create);
        Self { cluster, engine, dir }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.cluster.command(words);
        self.aim(&mut command);
        command
    }

    fn aim(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("DOCKER_HOST", self.engine.host());
        command.env("PATH", format!("{}:{path}", self.dir.join("bin").display()));
    }

    fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().expect("it runs").into()
    }

    fn start(&self, words: &[&str]) -> Begun {
        self.cluster.start_as(words, |command| self.aim(command))
    }

    /// An embedded cluster whose API is what `kind` seems to have made.
    fn behind(&self) -> Cluster {
        let behind = Cluster::of_own_project("behind");
        behind.run(&["up"]).succeeded();
        std::fs::copy(behind.kubeconfig(), self.dir.join("behind")).expect("copied");
        behind
    }

    /// The name of the cluster in the engine.
    fn name(&self) -> String {
        self.cluster.state()["kindName"].as_str().expect("a name").to_owned()
    }

    fn tidy(&self, text: &str) -> String {
        self.cluster.tidy(text)
    }
}

impl Drop for Pretended {
    fn drop(&mut self) {
        self.run(&["down", "--all"]);
    }
}

#[test]
fn a_life_in_an_engine() {
    let kind = Pretended::new("kind-life", Manners::default(), "v0.30.0", WORKS);
    let behind = kind.behind();
    // Somebody else's cluster, which is nobody's business here.
    kind.engine.add("other-control-plane", "other", "running");
    let plan = kind.run(&["--provider", "kind", "up", "--dry-run"]).succeeded();
    let plan =
        kind.tidy(&plan).lines().map(|line| line.split("-NAME-").next().unwrap_or(line).to_owned()).collect::<Vec<_>>();
    insta::assert_snapshot!(plan.join("\n"), @r"
    cluster NAME in DIR/home/NAME: nothing
      make DIR/home/NAME for the kubeconfig
      pull the image kindest/node:v1.34.2, where the engine does not have it
      make the cluster tinderbox
    ");

    let up = kind.run(&["--provider", "kind", "-o", "json", "up"]).json(0);
    assert_eq!((&up["provider"], &up["arrival"]), (&"kind".into(), &"new".into()));
    assert_eq!(up["server"], format!("https://127.0.0.1:{}", behind.port()));
    let (name, container) = (kind.name(), format!("{}-control-plane", kind.name()));
    assert!(name.starts_with(&format!("tinderbox-{}-", kind.cluster.name)), "{name}");
    assert_eq!(kind.engine.containers(), ["other-control-plane running other", &format!("{container} running {name}")]);
    // What the file says of its place is enough from now on.
    assert_eq!(kind.run(&["-o", "json", "up"]).json(0)["arrival"], "already");
    let status = kind.run(&["-o", "json", "status"]).json(0);
    assert_eq!((&status["state"], &status["provider"]), (&"running".into(), &"kind".into()));
    let wrong = kind.run(&["--provider", "embedded", "up"]).failed(2);
    insta::assert_snapshot!(kind.tidy(&wrong), @r"
    error: cluster NAME is in the place kind, not in embedded
    hint: choose another `--name`, or remove it with `cargo xtask down --name NAME`
    ");

    // After the engine was started again its containers have stopped.
    kind.engine.add(&container, &name, "exited");
    assert_eq!(kind.run(&["-o", "json", "status"]).json(0)["state"], "stopped");
    assert_eq!(kind.run(&["-o", "json", "up"]).json(0)["arrival"], "continued");
    assert_eq!(kind.engine.changes(), [format!("POST /containers/{container}/start")]);

    kind.run(&["down"]).succeeded();
    assert_eq!(kind.engine.containers(), ["other-control-plane running other"]);
    assert_eq!(kind.engine.changes()[1..], [format!("DELETE /containers/{container}")]);
    kind.cluster.assert_gone();
}

#[test]
fn engines_and_commands_that_will_not_do() {
    for (purpose, manners, version, create, wanted) in [
        (
            "kind-old-engine",
            Manners { api: "1.40", ..Manners::default() },
            "v0.30.0",
            WORKS,
            "error: Pretence 28.0.0 is too old: its API is 1.40, and 1.41 is the oldest that does\n\
             hint: install Docker 20.10 or newer",
        ),
        (
            "kind-small-engine",
            Manners { memory: 1 << 30, ..Manners::default() },
            "v0.30.0",
            WORKS,
            "error: Pretence may use 1024 MiB of memory, and a cluster with a Spark job takes 2048\n\
             hint: give the engine's machine more memory",
        ),
        (
            "kind-old",
            Manners::default(),
            "v0.11.1",
            WORKS,
            "is of version \"v0.11.1\", and v0.24 is the oldest that does",
        ),
        (
            "kind-port",
            Manners::default(),
            "v0.30.0",
            "echo 'ERROR: failed to create cluster: port is already allocated' >&2; exit 1",
            "hint: a port of the section `kind` or `port` in tinderbox.yaml is taken: choose another",
        ),
        (
            "kind-disk",
            Manners::default(),
            "v0.30.0",
            "echo 'ERROR: write /x: no space left on device' >&2; exit 1",
            "hint: the engine's disk is full: `docker system df` says with what",
        ),
    ] {
        let kind = Pretended::new(purpose, manners, version, create);
        let said = kind.run(&["--provider", "kind", "up"]);
        assert!(matches!(said.code, Some(1 | 3)), "{said:?}");
        assert!(kind.tidy(&said.err).contains(wanted), "{}", said.err);
        assert_eq!(kind.engine.containers(), [""; 0]);
        kind.cluster.assert_gone();
    }
}

#[test]
fn an_engine_that_is_not_there() {
    let cluster = Cluster::of_own_project("kind-none");
    let up = |host: &str| {
        let said: Said =
            cluster.command(&["--provider", "kind", "up"]).env("DOCKER_HOST", host).output().expect("it runs").into();
        cluster.tidy(&said.failed(3))
    };
    let socket = cluster.files().join("docker.sock");
    let absent = up(&format!("unix://{}", socket.display()));
    assert!(absent.contains("cannot talk with the container engine at DIR/files/docker.sock"), "{absent}");
    assert!(absent.contains("hint: see that it runs"), "{absent}");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
    let stopped = up(&format!("unix://{}", socket.display()));
    assert!(stopped.contains("no engine behind it: start it"), "{stopped}");
    let elsewhere = up("tcp://10.0.0.1:2375");
    assert!(elsewhere.contains("is not on this machine"), "{elsewhere}");
    cluster.assert_gone();
}

#[test]
fn a_node_image_that_cannot_be_had_is_named_with_its_registry() {
    let kind = Pretended::new("kind-image", Manners::default(), "v0.30.0", WORKS);
    kind.cluster.write("tinderbox.yaml", "kind: {image: registry.example/node:1}\n");
    let said = kind.run(&["--provider", "kind", "up"]).failed(3);
    insta::assert_snapshot!(kind.tidy(&said), @r#"
    starting cluster NAME
    pulling the image registry.example/node:1
    error: cannot pull the image registry.example/node:1
      because: Docker responded with status code 500: Get "https://registry.example/v2/": dial tcp: no route
    hint: it is not in the engine, and its registry does not give it: load it by `docker load`, or see that registry.example answers
    "#);
    kind.cluster.assert_gone();
}

#[test]
fn a_node_image_is_pulled_once() {
    let kind = Pretended::new("kind-pull", Manners { pulls: true, ..Manners::default() }, "v0.30.0", WORKS);
    let _behind = kind.behind();
    kind.cluster.write("tinderbox.yaml", "kind: {image: registry.example/node}\n");
    let up = || {
        let said = kind.run(&["--provider", "kind", "up"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        said.err.lines().filter(|line| line.starts_with("pulling")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        up(),
        [
            "pulling the image registry.example/node",
            "pulling the image registry.example/node: 60 of 120 MiB",
            "pulling the image registry.example/node: 120 of 120 MiB",
        ]
    );
    kind.run(&["down"]).succeeded();
    kind.engine.add_image("registry.example/node");
    assert_eq!(up(), [""; 0]);
    assert_eq!(kind.engine.changes().iter().filter(|change| change.contains("/images/create")).count(), 1);
}

#[test]
fn an_engine_that_refuses_is_told_with_its_words() {
    let manners = Manners { complains: "no space left on device", ..Manners::default() };
    let kind = Pretended::new("kind-refuses", manners, "v0.30.0", WORKS);
    let _behind = kind.behind();
    kind.run(&["--provider", "kind", "up"]).succeeded();
    let container = format!("{}-control-plane", kind.name());
    kind.engine.add(&container, &kind.name(), "exited");
    let refused = |words: &[&str]| {
        let said = kind.run(words).failed(3);
        kind.tidy(&said.replace(&kind.name(), "CLUSTER"))
    };
    insta::assert_snapshot!(refused(&["down"]), @"
    error: cannot remove the container CLUSTER-control-plane
      because: Docker responded with status code 500: no space left on device
    hint: the engine's disk is full: `docker system df` says with what
    ");
    let up = refused(&["up"]);
    assert!(up.contains("error: cannot start the container CLUSTER-control-plane\n"), "{up}");
    assert!(kind.cluster.folder().join("state.json").exists(), "it can be gone on with");
    std::fs::remove_file(kind.dir.join("containers").join(&container)).expect("removed");
    kind.run(&["down"]).succeeded();
    kind.cluster.assert_gone();
}

#[test]
fn what_is_left_is_found_and_taken_away() {
    let kind = Pretended::new("kind-left", Manners::default(), "v0.30.0", WORKS);
    let _behind = kind.behind();
    let users = kind.cluster.users_kubeconfig();
    std::fs::create_dir_all(users.parent().expect("in a folder")).expect("made");
    let before = "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\ncurrent-context: work\n";
    std::fs::write(&users, before).expect("written");
    let context = format!("tinderbox-{}", kind.cluster.name);
    let up = || {
        let report = kind.run(&["--provider", "kind", "-o", "json", "up", "--merge-kubeconfig"]).json(0);
        let note = format!("the context {context} is in {} too, until `down`", users.display());
        assert_eq!(report["notes"], serde_json::json!([note]));
        let merged = std::fs::read_to_string(&users).expect("there");
        assert!(merged.contains(&format!("- name: {context}")) && merged.contains("current-context: work"), "{merged}");
    };
    let found = || {
        let report = kind.run(&["-o", "json", "doctor"]);
        let report: serde_json::Value = serde_json::from_str(&report.out).expect("JSON");
        let all = report["findings"].as_array().expect("findings").clone();
        let of = |what: &str| all.iter().find(|one| one["what"] == what).expect("a finding")["found"].clone();
        [of("what is left in the engine"), of("your kubeconfig")]
    };
    let nothing = ["nothing without a folder", "no context of a cluster that is gone"];
    up();
    assert_eq!(found(), nothing);
    kind.run(&["down"]).succeeded();
    assert_eq!(std::fs::read_to_string(&users).expect("there"), before);

    // Somebody removes the folder by hand.
    up();
    let name = kind.name();
    std::fs::remove_dir_all(kind.cluster.home()).expect("removed");
    let left = [format!("containers: {name}-control-plane"), format!("contexts of clusters that are gone: {context}")];
    assert_eq!(found(), left.each_ref().map(String::as_str));
    kind.run(&["down", "--all"]).succeeded();
    assert_eq!(kind.engine.containers(), [""; 0]);
    assert_eq!(std::fs::read_to_string(&users).expect("there"), before);
    assert_eq!(found(), nothing);

    // Another's context of that name stays, and is told.
    std::fs::write(&users, format!("contexts: [{{name: {context}, context: {{cluster: a, user: b}}}}]\n"))
        .expect("written");
    let refused = kind.run(&["--provider", "kind", "up", "--merge-kubeconfig"]).failed(3);
    assert!(refused.contains("already that is not of this cluster"), "{refused}");
    kind.run(&["down"]).succeeded();
    assert!(std::fs::read_to_string(&users).expect("there").contains("cluster: a, user: b"));
}

#[test]
fn what_kind_is_told() {
    let kind = Pretended::new("kind-config", Manners::default(), "v0.30.0", WORKS);
    let _behind = kind.behind();
    kind.cluster
        .write("tinderbox.yaml", "kind: {ports: [{host: 18080, node: 30080}], featureGates: {A: true}}\nport: 16443\n");
    kind.run(&["--provider", "kind", "up"]).succeeded();
    let told = std::fs::read_to_string(kind.dir.join("config.yaml")).expect("kind was told");
    insta::assert_snapshot!(told, @r"
    apiVersion: kind.x-k8s.io/v1alpha4
    featureGates:
      A: true
    kind: Cluster
    networking:
      apiServerPort: 16443
    nodes:
    - extraPortMappings:
      - containerPort: 30080
        hostPort: 18080
        listenAddress: 127.0.0.1
        protocol: TCP
      role: control-plane
    ");
}

/// A `kind` that has made its container, and goes on until it is ended.
const ENDLESS: &str = r#"echo "running $name" > "$engine/containers/$name-control-plane"; echo ' • Starting control-plane ...' >&2; exec sleep 1000000"#;

/// A `kind` whose network comes to nothing when the platform is there already.
const LATE: &str = r#"
echo "running $name" > "$engine/containers/$name-control-plane"
echo ' ✓ Starting control-plane' >&2
until kubectl --kubeconfig "$engine/behind" get namespace spark-operator >/dev/null 2>&1; do sleep 0.05; done
echo 'ERROR: failed to install CNI' >&2
exit 1"#;

#[test]
fn the_platform_does_not_wait_for_the_nodes_and_leaves_nothing_without_them() {
    let mut kind = Pretended::new("kind-late", Manners::default(), "v0.30.0", LATE);
    kind.cluster.project = crate::program::root().to_owned();
    let behind = kind.behind();
    let said = kind.run(&["--provider", "kind", "up"]).failed(1);
    assert!(said.contains("because: exit status: 1; its last words:"), "{said}");
    assert!(said.contains("ERROR: failed to install CNI"), "{said}");
    let applied = behind.kubectl(&["get", "namespace", "spark-operator", "-o", "name"]);
    assert_eq!(applied.succeeded(), "namespace/spark-operator\n");
    assert_eq!(kind.engine.containers(), [""; 0]);
    kind.cluster.assert_gone();
}

#[test]
fn an_interrupted_start_leaves_nothing_in_the_engine() {
    let kind = Pretended::new("kind-stop", Manners::default(), "v0.30.0", ENDLESS);
    let mut up = kind.start(&["--provider", "kind", "up"]);
    up.wait_for("Starting control-plane");
    up.interrupt();
    up.end().failed(130);
    assert_eq!(kind.engine.containers(), [""; 0]);
    kind.cluster.assert_gone();
}

#[test]
fn a_killed_start_is_gone_on_with_or_removed() {
    let kind = Pretended::new("kind-kill", Manners::default(), "v0.30.0", ENDLESS);
    let _behind = kind.behind();
    for again in [false, true] {
        let mut up = kind.start(&["--provider", "kind", "up"]);
        up.wait_for("Starting control-plane");
        up.kill();
        drop(up.end());
        assert_eq!(kind.engine.containers().len(), 1);
        assert_eq!(kind.run(&["-o", "json", "status"]).json(0)["state"], "stopped");
        if again {
            let _ = kind.engine.kind("v0.30.0", WORKS);
            let up = kind.run(&["-o", "json", "up"]).json(0);
            assert_eq!(up["arrival"], "new");
        }
        kind.run(&["down"]).succeeded();
        assert_eq!(kind.engine.containers(), [""; 0]);
        kind.cluster.assert_gone();
    }
}

#[test]
fn a_killed_run_of_scenarios_is_taken_away_by_its_reaper() {
    let kind = Pretended::new("kind-reap", Manners::default(), "v0.30.0", ENDLESS);
    kind.cluster.write(
        "fixtures/scenarios/one.yaml",
        "submit: {app: one}\nbudget: 10s\nlogs: [{on: {kind: Pod, name: one}, matches: x}]\n",
    );
    let mut run = kind.start(&["--provider", "kind", "e2e"]);
    run.wait_for("Starting control-plane");
    run.kill();
    drop(run.end());
    while !kind.engine.containers().is_empty() || kind.cluster.home().exists() {
        std::thread::yield_now();
    }
    kind.cluster.assert_gone();
}
