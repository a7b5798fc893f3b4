//! Dashboards into a Grafana: one that answers as Grafana's HTTP API does, with its refusals; and the one of GRAFANA_URL, where it is set.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::program::{Cluster, Said};

/// What a Grafana has, by uid: the dashboard, and how often it was saved.
type Saved = Arc<Mutex<BTreeMap<String, (Value, u64)>>>;

/// Its token, and user and password in the form of HTTP's basic authentication (`admin:pass word`).
const LOGINS: [&str; 2] = ["Bearer glsa_right", "Basic YWRtaW46cGFzcyB3b3Jk"];
/// A dashboard that came from a file of Grafana's own, which the API does not change.
const PROVISIONED: &str = "argocd";

/// Serves below `/grafana/`, until the test ends; the address, and what is saved.
fn serve() -> (String, Saved) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("{}/grafana", listener.local_addr().expect("bound"));
    let saved = Saved::default();
    let shared = Arc::clone(&saved);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let saved = Arc::clone(&shared);
            std::thread::spawn(move || while answer(&stream, &saved).is_some() {});
        }
    });
    (address, saved)
}

/// Answers one request; nothing when there is none any more.
fn answer(stream: &TcpStream, saved: &Saved) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
        .collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let known = headers.get("authorization").is_some_and(|given| LOGINS.contains(&given.as_str()));
    let (status, told) = if first != "POST /grafana/api/dashboards/db HTTP/1.1" {
        ("404 Not Found", json!({"message": "Not found"}))
    } else if !known {
        ("401 Unauthorized", json!({"message": "Invalid API key"}))
    } else {
        save(&serde_json::from_slice(&body).ok()?, saved)
    };
    let told = told.to_string();
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{told}", told.len()).ok()
}

fn save(wish: &Value, saved: &Saved) -> (&'static str, Value) {
    let dashboard = &wish["dashboard"];
    let uid = dashboard["uid"].as_str().unwrap_or_default().to_owned();
    if uid == PROVISIONED {
        return ("400 Bad Request", json!({"message": "Cannot save provisioned dashboard"}));
    }
    if !dashboard["id"].is_null() || wish["overwrite"] != true {
        return ("412 Precondition Failed", json!({"status": "version-mismatch", "message": "it has been changed"}));
    }
    let mut saved = saved.lock().expect("no test panics with it");
    let entry = saved.entry(uid.clone()).or_insert_with(|| (dashboard.clone(), 0));
    *entry = (dashboard.clone(), entry.1 + 1);
    let url = format!("/grafana/d/{uid}/slug");
    ("200 OK", json!({"id": 7, "uid": uid, "url": url, "status": "success", "version": entry.1}))
}

fn import(url: &str, token: Option<&str>) -> Said {
    let project = Cluster::new("grafana");
    let mut command: Command = project.command(&["-q", "dashboards", "import"]);
    command.env("GRAFANA_URL", url).env_remove("GRAFANA_TOKEN").env("NO_PROXY", "127.0.0.1,localhost");
    token.map(|token| command.env("GRAFANA_TOKEN", token));
    command.output().expect("the program runs").into()
}

#[test]
fn a_grafana_takes_the_dashboards_and_refusals_are_told() {
    let (address, saved) = serve();
    let said = import(&format!("http://{address}"), Some("glsa_right"));
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{said:?}");
    let told: Vec<Vec<&str>> = said
        .out
        .lines()
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect())
        .collect();
    let page = |uid: &str| format!("http://{address}/d/{uid}/slug");
    let pages = ["argo-workflow", "spark-applications", "spark-operator"].map(page);
    assert_eq!(
        told,
        [
            vec!["DASHBOARD", "STATE", "VERSION", "URL"],
            vec!["Argo Workflow", "imported", "1", &pages[0]],
            vec!["ArgoCD", "refused", "400 Bad Request: Cannot save provisioned dashboard"],
            vec!["Spark Applications", "imported", "1", &pages[1]],
            vec!["Spark Operator", "imported", "1", &pages[2]],
        ]
    );
    // Whole, but for the id, which is Grafana's; and once more over what is there, by name and password.
    let file = crate::program::root().join("manifests/platform/monitoring/dashboards/spark-operator.json");
    let mut wanted: Value = serde_json::from_slice(&std::fs::read(file).expect("the dashboard")).expect("JSON");
    wanted["id"] = Value::Null;
    assert_eq!(saved.lock().expect("no panic")["spark-operator"], (wanted, 1));
    let again = import(&format!("http://admin:pass%20word@{address}/"), None);
    assert!(again.out.contains("Spark Operator") && !again.out.contains("pass"), "{again:?}");
    assert_eq!(saved.lock().expect("no panic")["spark-operator"].1, 2);

    let stranger = import(&format!("http://admin:secret@{address}"), None).failed(1);
    assert_eq!(
        stranger,
        format!(
            "error: cannot import dashboards into http://{address}/\n  because: 401 Unauthorized: Invalid API key; GRAFANA_TOKEN has to be the token of a service account that may write dashboards\n"
        )
    );
    let nobody = import(&format!("http://{}", address.replace("grafana", "other")), Some("glsa_right")).failed(1);
    assert!(nobody.ends_with("because: there is no Grafana: 404 Not Found: Not found\n"), "{nobody}");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let silent = import(&format!("http://{free}"), None).failed(1);
    assert!(silent.contains("Connection refused"), "{silent}");
    for (url, why) in [("localhost:3000", "does not begin with http://"), ("", "no Grafana is named")] {
        let wrong = import(url, None).failed(2);
        assert!(wrong.contains(why) && wrong.contains("http://localhost:3000"), "{wrong}");
    }
}

/// The real one, where there is one.
#[test]
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn the_grafana_of_this_machine_takes_the_dashboards() {
    let Ok(url) = std::env::var("GRAFANA_URL") else {
        eprintln!("skipped: GRAFANA_URL names no Grafana");
        return;
    };
    let told = import(&url, std::env::var("GRAFANA_TOKEN").ok().as_deref()).succeeded();
    assert_eq!(told.lines().filter(|line| line.contains("imported")).count(), 4, "{told}");
}
