//! What people put beside Spark, on volumes that outlive their pods: PostgreSQL of Debian's package, and an object store that
//! speaks S3, each asked by its own clients from another pod.

use serde_json::{Value, json};

use crate::program::{Cluster, root};

/// The official image's contract is in the entrypoint; `postgresql` is whatever version this machine's Debian has.
fn images() -> Value {
    let here = root().join("fixtures/images/postgres/entrypoint.sh");
    let store = root().join("tests/cli/data/client.py");
    let client = [
        "boto3==1.44.8",
        "botocore==1.44.8",
        "jmespath==1.1.0",
        "python-dateutil==2.9.0.post0",
        "s3transfer==0.19.3",
        "six==1.17.0",
        "urllib3==2.8.0",
    ];
    json!({"images": [
        {"name": "postgres:debian", "from": "debian", "packages": ["postgresql"],
            "user": {"name": "postgres", "id": 999, "home": "/var/lib/postgresql"},
            "folders": ["/run/postgresql", "/var/lib/postgresql/data"],
            "files": [{"source": here, "target": "/usr/local/bin/docker-entrypoint.sh"}],
            "entrypoint": ["docker-entrypoint.sh"], "command": ["postgres"]},
        {"name": "store:1", "from": "python:3", "pip": ["localbucket==1.2.1"], "user": {"name": "store", "id": 1000},
            "entrypoint": ["python3", "-m", "localbucket", "/data", "--host", "0.0.0.0"]},
        {"name": "store-client:1", "from": "python:3", "pip": client,
            "files": [{"source": store, "target": "/client.py"}], "entrypoint": ["python3", "/client.py"]},
        {"name": "hello:1", "from": "debian", "packages": ["hello"], "command": ["hello", "--greeting", "fetched and unpacked"]},
    ]})
}

/// A StatefulSet of one pod with a volume at `/data`, and its Service.
fn kept(name: &str, container: Value, port: u16) -> Value {
    let mut main = json!({"name": "main", "ports": [{"containerPort": port}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    main.as_object_mut().expect("an object").extend(container.as_object().cloned().expect("an object"));
    let labels = json!({"app": name});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": {
        "serviceName": name, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [main]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": port}]}});
    json!({"apiVersion": "v1", "kind": "List", "items": [service, set]})
}

fn postgres() -> Value {
    let secret = |key: &str| json!({"secretKeyRef": {"name": "postgres", "key": key}});
    kept(
        "postgres",
        json!({"image": "postgres:debian",
            "env": [{"name": "PGDATA", "value": "/data/pgdata"}, {"name": "POSTGRES_DB", "value": "jobs"},
                {"name": "POSTGRES_PASSWORD", "valueFrom": secret("password")}],
            "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1}}),
        5432,
    )
}

fn store() -> Value {
    let probe = json!({"tcpSocket": {"port": 9000}, "periodSeconds": 1});
    kept("store", json!({"image": "store:1", "readinessProbe": probe}), 9000)
}

/// A pod that runs once with these arguments; what it said.
fn once(cluster: &Cluster, name: &str, image: &str, args: &[&str]) -> String {
    let password = json!({"secretKeyRef": {"name": "postgres", "key": "password"}});
    let container =
        json!({"name": "main", "image": image, "args": args, "env": [{"name": "PGPASSWORD", "valueFrom": password}]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]}});
    cluster.kubectl_reads(&["create", "-f", "-"], &pod.to_string()).succeeded();
    let phase = cluster.ended(&["pod", name]);
    let said = cluster.kubectl(&["logs", name]).succeeded();
    assert_eq!(phase, "Succeeded", "{said}\n{}", cluster.kubectl(&["get", "pods,events"]).out);
    said
}

/// Takes the pod away without a chance to say goodbye, and waits for the one that comes after it.
fn replace(cluster: &Cluster, pod: &str) {
    let uid = || cluster.kubectl(&["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]).succeeded();
    let before = uid();
    cluster.kubectl(&["delete", "pod", pod, "--grace-period=0", "--force"]).succeeded();
    ready(cluster, pod);
    assert_ne!(uid(), before);
}

/// Waits until a pod of this name is ready, whether it is there yet or not.
fn ready(cluster: &Cluster, pod: &str) {
    let columns = "custom-columns=NAME:.metadata.name,GOING:.metadata.deletionTimestamp,READY:.status.conditions[?(@.type=='Ready')].status";
    cluster.watch(&["get", "pods", "--no-headers", "-o", columns], |line| {
        line.split_whitespace().eq([pod, "<none>", "True"])
    });
}

#[test]
fn a_database_and_an_object_store_keep_what_was_written() {
    let cluster = Cluster::of_own_project("data");
    cluster.write("tinderbox.yaml", &images().to_string());
    cluster.run(&["up"]).succeeded();
    cluster.kubectl(&["create", "secret", "generic", "postgres", "--from-literal=password=it's secret"]).succeeded();
    for objects in [postgres(), store()] {
        cluster.kubectl_reads(&["create", "-f", "-"], &objects.to_string()).succeeded();
    }
    // A package that no machine has from the start.
    assert_eq!(once(&cluster, "hello", "hello:1", &[]), "fetched and unpacked\n");

    ready(&cluster, "postgres-0");
    let sql = |name: &str, text: &str| {
        once(
            &cluster,
            name,
            "postgres:debian",
            &["psql", "-h", "postgres", "-U", "postgres", "-d", "jobs", "-Atc", text],
        )
    };
    let write = "create table runs(id int primary key, app text); \
                 insert into runs values (1, 'pi'), (2, 'flights'); select count(*) from runs";
    assert_eq!(sql("sql-write", write), "CREATE TABLE\nINSERT 0 2\n2\n");
    ready(&cluster, "store-0");
    let object = |name: &str, act: &str| once(&cluster, name, "store-client:1", &[act, "http://store:9000"]);
    assert_eq!(object("s3-write", "write"), "wrote 3 objects\n");

    replace(&cluster, "postgres-0");
    replace(&cluster, "store-0");
    assert_eq!(
        sql("sql-read", "insert into runs values (3, 'hello'); select id, app from runs order by id"),
        "INSERT 0 1\n1|pi\n2|flights\n3|hello\n"
    );
    assert_eq!(object("s3-read", "read"), "a/large 6000000\na/small hello\nb ümlaut\n");
    // The password is asked for.
    let refused = cluster.kubectl(&[
        "exec",
        "postgres-0",
        "--",
        "env",
        "PGPASSWORD=wrong",
        "sh",
        "-c",
        "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH psql -h postgres -U postgres -c 'select 1'",
    ]);
    assert!(refused.err.contains("password authentication failed for user \"postgres\""), "{refused:?}");
}
