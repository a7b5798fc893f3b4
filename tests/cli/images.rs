//! Images of archives and registries from the command line: loaded, run as root and as an ordinary user, removed again; killed nodes and
//! full disks in the middle of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use tinderbox_tests::oci::{self, busybox};
use tinderbox_tests::registry::{Manners, Registry};

use crate::machine;
use crate::program::{Cluster, Said, program};

/// A pod that runs an image with a shell script.
fn pod(name: &str, image: &str, script: &str) -> String {
    let main =
        json!({"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]});
    let spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [main]});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}).to_string()
}

/// A cluster whose store is its own.
struct Own(Cluster);

impl Own {
    fn new(purpose: &str) -> Self {
        Self(Cluster::of_own_project(purpose))
    }

    fn cache(&self) -> PathBuf {
        self.0.files().join("cache")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.command(words);
        command.env("XDG_CACHE_HOME", self.cache());
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().expect("it runs").into()
    }

    /// Names of what lies in a folder of the store.
    fn stored(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.cache().join("tinderbox/oci").join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Waits until nothing is left of what containers have written.
    fn wait_for_no_roots(&self) {
        while self.roots() > 0 {
            std::thread::yield_now();
        }
    }

    /// Folders in which containers write.
    fn roots(&self) -> usize {
        let pods = fs::read_dir(self.0.folder().join("pods")).into_iter().flatten().flatten();
        pods.flat_map(|pod| fs::read_dir(pod.path().join("roots")).into_iter().flatten()).count()
    }
}

#[test]
fn an_archive_becomes_pods_and_goes_again() {
    let own = Own::new("archive");
    let cluster = &own.0;
    let image = busybox(&json!({"User": "app", "Env": ["PATH=/bin"], "WorkingDir": "/home/app"}));
    fs::write(cluster.files().join("app.tar"), image.archive("team/app:1")).expect("written");
    assert_eq!(own.run(&["image", "list"]).succeeded(), "there are no images\n");
    let loaded = own.run(&["-q", "image", "load", "app.tar"]).succeeded();
    assert_eq!(loaded, format!("loaded docker.io/team/app:1 ({})\n", image.config));
    let mut load = own.command(&["-q", "image", "load", "-", "--as", "other:2"]);
    let mut load = load.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    load.stdin.take().expect("piped").write_all(&image.archive("team/app:1")).expect("it reads");
    let loaded = Said::from(load.wait_with_output().expect("it ends")).succeeded();
    assert_eq!(loaded, format!("loaded docker.io/library/other:2, docker.io/team/app:1 ({})\n", image.config));
    let list = own.run(&["image", "list"]).succeeded();
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "ID", "SIZE", "LAYERS", "CAME", "USED"]);
    assert_eq!((lines.len(), lines[1][0], lines[2][0]), (3, "docker.io/library/other:2", "docker.io/team/app:1"));
    assert_eq!(lines[2][4..], ["2", "loaded", "-"]);

    own.run(&["up"]).succeeded();
    let script = "id -un; cat /hello; test ! -e /gone && echo hidden; echo mine > mine; exec sleep 1000";
    cluster.kubectl_reads(&["create", "-f", "-"], &pod("one", "team/app:1", script)).succeeded();
    cluster.kubectl(&["wait", "pod/one", "--for=condition=Ready", "--timeout=60s"]).succeeded();
    assert_eq!(cluster.kubectl(&["logs", "one"]).succeeded(), "app\nhello from the image\nhidden\n");
    let exec = cluster.kubectl(&["exec", "one", "--", "sh", "-c", "cat /home/app/mine; id -u; pwd"]).succeeded();
    assert_eq!(exec, "mine\n1000\n/home/app\n");
    let words = ["debug", "one", "--target=main", "-c", "guest", "--image=team/app:1", "--profile=general"];
    cluster.kubectl(&[&words[..], &["--", "sh", "-c", "ps; cat /hello"]].concat()).succeeded();
    let over = "--for=jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=0";
    cluster.kubectl(&["wait", "pod/one", over, "--timeout=60s"]).succeeded();
    let seen = cluster.kubectl(&["logs", "one", "-c", "guest"]).succeeded();
    assert!(seen.contains("sleep 1000") && seen.contains("hello from the image"), "{seen}");
    let node = "jsonpath={.items[0].status.images[0].names}";
    let listed = cluster.kubectl(&["get", "nodes", "-o", node]).succeeded();
    assert!(listed.contains("docker.io/team/app:1"), "{listed}");
    assert_eq!(own.roots(), 1);

    own.run(&["image", "rm", "other:2"]).succeeded();
    assert_eq!(
        cluster.tidy(&own.run(&["image", "rm", "team/app:1"]).failed(1)),
        "error: cannot remove the image team/app:1\n  because: image team/app:1 is in use by a pod of a running cluster\n\
         hint: delete the pods that use it first"
    );
    assert_eq!(own.run(&["image", "prune"]).succeeded(), "0.0 kB are free again\n");
    cluster.kubectl(&["delete", "pod", "one", "--now"]).succeeded();
    own.wait_for_no_roots();
    let pruned = own.run(&["image", "prune"]).succeeded();
    assert!(
        pruned.starts_with("removed docker.io/team/app:1\n") && pruned.ends_with(" MB are free again\n"),
        "{pruned}"
    );
    own.run(&["down"]).succeeded();
    for folder in ["images", "parts", "layers", "layers-of-range"] {
        assert_eq!(own.stored(folder), Vec::<String>::new(), "{folder}");
    }
}

#[test]
fn wrong_use_is_told() {
    let own = Own::new("wrong");
    own.0.write("text", "no archive");
    fs::write(own.0.files().join("nameless.tar"), busybox(&json!({})).archive("latest")).expect("written");
    let told = |words: &[&str], code: i32| own.0.tidy(&own.run(&[&["-q", "image"][..], words].concat()).failed(code));
    insta::assert_snapshot!(told(&["load", "nowhere.tar"], 2), @r"
        error: cannot open nowhere.tar
          because: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(told(&["load", "text"], 1), @r"
        error: cannot load the images of text
          because: text is no image archive: failed to read entire block
        hint: make it with `docker save`, `podman save`, or another tool that writes docker or OCI archives
    ");
    insta::assert_snapshot!(told(&["load", "nameless.tar"], 2), @r"
        error: cannot load the images of nameless.tar
          because: the image in nameless.tar has no name
        hint: give it one with `--as NAME`
    ");
    insta::assert_snapshot!(told(&["rm", "nothing:1"], 2), @r"
        error: cannot remove the image nothing:1
          because: there is no image nothing:1 in the store
        hint: `cargo xtask image list` shows those that are there
    ");
}

/// What an ordinary user does with an image; `"$@"` is the program.
const LIFE: &str = r#"
"$@" -q image load app.tar
"$@" -q up
"$@" kubectl create -f pods.json
"$@" kubectl wait pod/root pod/app --for=condition=Ready --timeout=60s
for pod in root app; do
  "$@" kubectl logs $pod
  "$@" kubectl exec $pod -- sh -c 'id -u; ls -ln /hello; touch /tmp/x && echo writable; cat /etc/hostname'
done
"$@" -q down
"$@" image prune
find user cache -name 'layers*' -prune -exec ls -A {} +
"#;

#[test]
fn an_ordinary_user_runs_images_too() {
    let own = Own::new("ordinary");
    let cluster = &own.0;
    let folder = cluster.files();
    fs::write(folder.join("app.tar"), busybox(&json!({"Env": ["PATH=/bin"]})).archive("team/app:1")).expect("written");
    let script = "cat /hello; exec sleep 1000";
    let mut app: serde_json::Value = serde_json::from_str(&pod("app", "team/app:1", script)).expect("JSON");
    app["spec"]["securityContext"] = json!({"runAsUser": 1000, "runAsGroup": 1000});
    cluster.write("pods.json", &format!("{}\n{app}", pod("root", "team/app:1", script)));
    fs::create_dir(folder.join("user")).expect("made");
    // The ordinary user may not be able to reach the folder of the build.
    let copy = folder.join("xtask");
    fs::copy(program(), &copy).expect("copied");
    fs::set_permissions(folder.parent().expect("in a folder"), fs::Permissions::from_mode(0o755)).expect("set");
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    let mut command = Command::new(if is_root { "setpriv" } else { "env" });
    if is_root {
        const NOBODY: u32 = 65_534;
        for path in [folder.clone(), folder.join("user")] {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("given");
        }
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    }
    command.args(["sh", "-euc", LIFE, "sh"]).arg(&copy);
    cluster.aim(&mut command);
    command.env("TINDERBOX_HOME", folder.join("home")).env("HOME", folder.join("user"));
    command.env("XDG_CACHE_HOME", own.cache()).env_remove("KUBECONFIG");
    let said = Said::from(command.output().expect("it runs")).succeeded();
    let said: Vec<&str> =
        said.lines().filter(|line| !line.contains("condition met") && !line.contains("created")).collect();
    let hello = |owner: &str| {
        said.iter().any(|line| {
            line.starts_with("-rw-r--r--") && line.contains(&format!(" {owner} ")) && line.ends_with(" /hello")
        })
    };
    // All files are the user's, and so the container's, whoever that is.
    assert!(hello("0        0") && hello("1000     1000"), "{said:#?}");
    for line in ["hello from the image", "0", "1000", "writable", "root", "app", "removed docker.io/team/app:1"] {
        assert!(said.contains(&line), "{line}: {said:#?}");
    }
    assert!(said.last().is_some_and(|line| line.ends_with(" are free again")), "{said:#?}");
}

/// A credential helper that knows one user.
const HELPER: &str = "#!/bin/sh\nread host\necho \"{\\\"ServerURL\\\": \\\"$host\\\", \\\"Username\\\": \\\"robot\\\", \\\"Secret\\\": \\\"geheim\\\"}\"\n";

#[test]
fn dockers_own_logins_are_used() {
    let own = Own::new("logins");
    let cluster = &own.0;
    let closed = || Manners { user: Some(("robot", "geheim")), ..Manners::default() };
    let image = busybox(&json!({"Env": ["PATH=/bin"]}));
    let [by_file, by_helper, unknown] = [(); 3].map(|()| Registry::start(image.clone(), closed()));
    let config = json!({
        "auths": {by_file.host(): {"username": "robot", "password": "geheim"}, unknown.host(): {"username": "robot", "password": "wrong"}},
        "credHelpers": {by_helper.host(): "tinderbox-test"},
    });
    cluster.write("docker/config.json", &config.to_string());
    cluster.write("bin/docker-credential-tinderbox-test", HELPER);
    let helper = cluster.files().join("bin/docker-credential-tinderbox-test");
    fs::set_permissions(helper, fs::Permissions::from_mode(0o755)).expect("set");
    let path = format!("{}:{}", cluster.files().join("bin").display(), std::env::var("PATH").expect("set"));
    let mut up = own.command(&["up"]);
    Said::from(up.env("DOCKER_CONFIG", cluster.files().join("docker")).env("PATH", path).output().expect("it runs"))
        .succeeded();
    for (name, registry) in [("file", &by_file), ("helper", &by_helper), ("unknown", &unknown)] {
        cluster.kubectl_reads(&["create", "-f", "-"], &pod(name, &registry.name(), "cat /hello")).succeeded();
    }
    for name in ["file", "helper"] {
        assert_eq!(cluster.ended(&["pod", name]), "Succeeded");
    }
    let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.message}";
    cluster.watch(&["get", "pod", "unknown", "-o", &format!("{waiting}{{\"\\n\"}}")], |line| {
        line.contains("pull access denied")
    });
    own.run(&["down"]).succeeded();
}

#[test]
fn a_killed_node_goes_on_with_a_download_and_leaves_no_root() {
    let own = Own::new("resume");
    let cluster = &own.0;
    let image = busybox(&json!({"Env": ["PATH=/bin"]}));
    let registry = Registry::start(image.clone(), Manners { stops_once: true, ..Manners::default() });
    own.run(&["up"]).succeeded();
    cluster.kubectl_reads(&["create", "-f", "-"], &pod("one", &registry.name(), "exec sleep 1000")).succeeded();
    let part = own.cache().join("tinderbox/oci/parts").join(&image.layers[0]["sha256:".len()..]);
    while !registry.has_stopped() || fs::metadata(&part).map_or(0, |part| part.len()) == 0 {
        std::thread::yield_now();
    }
    machine::kill(cluster.node());
    machine::wait_for_end(cluster.node());
    own.run(&["up"]).succeeded();
    cluster.kubectl(&["wait", "pod/one", "--for=condition=Ready", "--timeout=60s"]).succeeded();
    let asked = registry.requests(&image.layers[0]);
    assert_eq!(asked.len(), 2, "{asked:?}");
    let from = asked[1].split_once("bytes=").and_then(|(_, range)| range.trim_end_matches('-').parse::<usize>().ok());
    assert!(from.is_some_and(|from| from > 0), "{asked:?}");
    assert_eq!((own.stored("parts"), own.roots()), (Vec::new(), 1));

    // The container dies with the node, and what it wrote goes with the next start.
    machine::kill(cluster.node());
    machine::wait_for_end(cluster.node());
    assert_eq!(own.roots(), 1);
    own.run(&["up"]).succeeded();
    cluster.kubectl(&["wait", "pod/one", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s"]).succeeded();
    own.wait_for_no_roots();
    own.run(&["down"]).succeeded();
}

#[test]
fn a_full_disk_is_told_and_leaves_the_store_whole() {
    let own = Own::new("full");
    let cluster = &own.0;
    let small = oci::image(&[vec![0; 1024]], &json!({}));
    let large = oci::image(&[large_layer()], &json!({}));
    fs::write(cluster.files().join("small.tar"), small.archive("small:1")).expect("written");
    fs::write(cluster.files().join("large.tar"), large.archive("large:1")).expect("written");
    fs::create_dir(own.cache()).expect("made");
    let life = r#"
mount -t tmpfs -o size=4m tmpfs "$XDG_CACHE_HOME"
"$@" -q image load small.tar
"$@" -q image load large.tar || echo "code $?"
"$@" image list
find "$XDG_CACHE_HOME" -name '*.new' -o -path '*parts/*'
"#;
    let script = format!("exec 2>&1\n{life}");
    let said = crate::refusals::in_own_namespaces(cluster, &script, &[("XDG_CACHE_HOME", &own.cache())]).succeeded();
    let said = cluster.tidy(&said);
    let (told, list) = said.split_once("code 3\n").unwrap_or_else(|| panic!("{said}"));
    assert!(
        told.contains("error: cannot load the images of large.tar\n  because: no space left for DIR/files/cache/"),
        "{told}"
    );
    assert!(told.contains("hint: free space on that disk, or set XDG_CACHE_HOME to another one"), "{told}");
    assert!(list.contains("docker.io/library/small:1") && !list.contains("large"), "{list}");
    assert_eq!(list.lines().count(), 2, "{list}");
}

/// One file of 8 MiB that packs well.
fn large_layer() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(8 << 20);
    header.set_mode(0o644);
    builder.append_data(&mut header, "large", std::io::repeat(b'x').take(8 << 20)).expect("memory");
    builder.into_inner().expect("memory")
}
