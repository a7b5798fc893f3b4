//! What goes on between a terminal and a pod: logs, exec, cp, port-forward.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use super::looks::described;
use super::{pod, wait_for};
use crate::program::Cluster;
use crate::terminal::Terminal;

#[test]
fn logs_follow_a_pod_to_its_end() {
    let cluster = Cluster::up("logs");
    let (go, end) = (wait_for("/tmp/go"), wait_for("/tmp/end"));
    cluster.script("talker", &format!("echo first; {go}; echo second >&2; {end}; echo third"));
    let follow = cluster.begin(&["logs", "-f", "talker"]);
    assert_eq!(follow.line(), "first");
    cluster.out(&["exec", "talker", "--", "touch", "/tmp/go"]);
    assert_eq!(follow.line(), "second");
    cluster.out(&["exec", "talker", "--", "touch", "/tmp/end"]);
    assert_eq!(follow.end(), (vec!["third".to_owned()], Some(0)));
    assert_eq!(cluster.out(&["logs", "talker", "--tail=1"]), "third\n");
    let stamped = cluster.out(&["logs", "-l", "app=talker", "--prefix", "--timestamps"]);
    let words: Vec<&str> = stamped.lines().next().expect("there are lines").split(' ').collect();
    assert_eq!((words[0], words[2]), ("[pod/talker/main]", "first"));
    assert!(words[1].starts_with("20") && words[1].ends_with('Z'), "{stamped}");
}

#[test]
fn exec_gives_a_terminal() {
    let cluster = Cluster::up("exec");
    cluster.script("shell", "sleep 1000");
    let command = cluster.kubectl_command(&["exec", "-it", "shell", "--", "sh"]);
    let mut terminal = Terminal::run(&command, 40, 100);
    // kubectl tells the size beside what is typed, and not before it.
    terminal.types(
        "until test \"$(stty size)\" = '40 100'; do sleep 0.05; done; echo \"$(tty) $(stty size)\" ; hostname\n",
    );
    terminal.shows("/dev/pts/");
    terminal.shows(" 40 100\r\n");
    terminal.shows("shell\r\n");
    terminal.resize(50, 120);
    terminal.types("until test \"$(stty size)\" = '50 120'; do sleep 0.05; done; echo re''sized\n");
    terminal.shows("resized\r\n");
    // Said by a process that is in the foreground by then: before that, the key would only reach the shell.
    terminal.types("sh -c \"echo st''arted; exec sleep 1000\"\n");
    terminal.shows("started\r\n");
    terminal.types("\u{3}");
    terminal.types("echo code $?.\n");
    terminal.shows("code 130.\r\n");
    terminal.types("exit 7\n");
    assert_eq!(terminal.end(), Some(7));
}

#[test]
fn debug_adds_a_container_that_sees_the_processes_of_another() {
    let cluster = Cluster::up("debug");
    cluster.script("shell", "exec sleep 1000");
    let to = ["debug", "-it", "shell", "--target=main", "-c", "guest", "--image=busybox", "--profile=general"];
    let command = cluster.kubectl_command(&[&to[..], &["--", "sh"]].concat());
    let mut terminal = Terminal::run(&command, 24, 80);
    terminal.types("tr '\\0' ' ' < /proc/1/cmdline; echo on $(hostname)\n");
    terminal.shows("sleep 1000 on shell\r\n");
    terminal.types("exit 3\n");
    let over = "--for=jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}=3";
    cluster.out(&["wait", "pod/shell", over, "--timeout=60s"]);
    let texts = ["Ephemeral Containers:\nguest:", "State: Terminated", "Exit Code: 3", "ContainersReady True"];
    described(&cluster, &["pod", "shell"], &texts);
    let words = ["debug", "shell", "--target=none", "--image=busybox", "--profile=general"];
    let refused = cluster.kubectl(&words);
    assert!(
        refused.err.contains("spec.ephemeralContainers[1].targetContainerName: Not found: \"none\""),
        "{refused:?}"
    );
}

#[test]
fn exec_without_a_terminal_keeps_streams_apart() {
    let cluster = Cluster::up("pipe");
    cluster.script("shell", "sleep 1000");
    let words = ["exec", "-i", "shell", "--", "sh", "-c", "tr a-z A-Z; echo error >&2; exit 3"];
    let said = cluster.kubectl_reads(&words, "input");
    assert_eq!((said.code, said.out.as_str()), (Some(3), "INPUT"));
    // kubectl may not have made its streams yet when the empty first message comes, and says so; a kube-apiserver sends one too.
    let err: Vec<&str> = said.err.lines().filter(|line| !line.contains("Unknown stream id 1, discarding")).collect();
    assert_eq!(err, ["error", "command terminated with exit code 3"]);
    let missing = cluster.kubectl(&["exec", "shell", "--", "no-such-program"]);
    assert_ne!(missing.code, Some(0));
    assert!(missing.err.contains("no-such-program"), "{missing:?}");
}

#[test]
fn cp_takes_folders_both_ways() {
    let cluster = Cluster::up("cp");
    cluster.script("box", "sleep 1000");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    fs::create_dir_all(there.join("deep/er")).expect("made");
    fs::write(there.join("deep/er/small"), "small\n").expect("written");
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    fs::write(there.join("big"), big).expect("written");

    let path = |path: &std::path::Path| path.to_str().expect("it is text").to_owned();
    cluster.out(&["cp", &path(&there), "box:/tmp/copy"]);
    let inside = cluster.out(&["exec", "box", "--", "cat", "/tmp/copy/deep/er/small"]);
    assert_eq!(inside, "small\n");
    cluster.out(&["exec", "box", "--", "sh", "-c", "echo made inside > /tmp/copy/deep/inside"]);
    fs::write(there.join("deep/inside"), "made inside\n").expect("written");
    cluster.out(&["cp", "default/box:/tmp/copy", &path(&back), "-c", "main"]);
    let differences = Command::new("diff").arg("-r").arg(&there).arg(&back).output().expect("diff is there");
    assert!(differences.status.success(), "{differences:?}");

    let one = folder.path().join("one");
    cluster.out(&["cp", "box:/tmp/copy/deep/inside", &path(&one)]);
    assert_eq!(fs::read_to_string(one).expect("it is there"), "made inside\n");
}

/// A web server that says what it is asked for, and sends the lost home.
const WEB: &str = "
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302 if self.path == '/lost' else 200)
        self.send_header('Location', '/home')
        self.end_headers()
        self.wfile.write(f'{self.command} {self.path} {self.headers[\"Authorization\"]}'.encode())
    def do_POST(self):
        told = self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(told.upper())
server = http.server.HTTPServer(('0.0.0.0', 8000), Handler)
open('/tmp/up', 'w').close()
server.serve_forever()
";

#[test]
fn proxy_leads_to_pods_and_services() {
    let cluster = Cluster::up("proxy");
    let probe = json!({"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1});
    let container = json!({"name": "main", "image": "python", "command": ["python3", "-c", WEB], "readinessProbe": probe,
        "ports": [{"containerPort": 8000}]});
    cluster.apply(&pod("web", container));
    cluster.out(&["expose", "pod", "web", "--port=80", "--target-port=8000"]);
    cluster.out(&["wait", "pod/web", "--for=condition=Ready", "--timeout=60s"]);
    cluster.out(&["wait", "endpoints/web", "--for=jsonpath={.subsets[0].addresses[0].ip}", "--timeout=60s"]);
    let core = "/api/v1/namespaces/default";
    for target in ["pods/web", "pods/web:8000", "pods/http:web:8000", "services/web", "services/web:80"] {
        let said = cluster.out(&["get", "--raw", &format!("{core}/{target}/proxy/some/page?a=b")]);
        assert_eq!(said, "GET /some/page?a=b None", "{target}");
    }
    for (target, error) in [
        ("pods/web:8001", "error trying to reach service: dial tcp 10.244."),
        ("services/web:81", "no service port 81 found for service \"web\""),
        ("services/none", "services \"none\" not found"),
    ] {
        let said = cluster.kubectl(&["get", "--raw", &format!("{core}/{target}/proxy/")]);
        assert!(said.err.contains(error), "{target}: {said:?}");
    }

    let proxy = cluster.begin(&["proxy", "--port=0"]);
    let line = proxy.line();
    let address = line.strip_prefix("Starting to serve on ").unwrap_or_else(|| panic!("{line}"));
    let way = format!("{core}/services/web:80/proxy");
    let ask = |request: String| {
        let mut connection = TcpStream::connect(address).expect("kubectl listens");
        connection.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("read");
        answer
    };
    let lost = ask(format!("GET {way}/lost HTTP/1.0\r\nHost: localhost\r\n\r\n"));
    assert!(lost.contains(" 302 ") && lost.contains(&format!("\r\nLocation: {way}/home\r\n")), "{lost}");
    let told = ask(format!("POST {way}/ HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nquiet"));
    assert!(told.contains(" 200 ") && told.ends_with("QUIET"), "{told}");
}

/// Answers each connection with what it was told, in capitals, when the other side has said all.
const SHOUT: &str = "
import socket
server = socket.create_server(('127.0.0.1', 5000))
open('/tmp/up', 'w').close()
while True:
    connection, _ = server.accept()
    told = b''.join(iter(lambda: connection.recv(65536), b''))
    connection.sendall(told.upper())
    connection.close()
";

#[test]
fn port_forward_carries_data_both_ways() {
    let cluster = Cluster::up("forward");
    let probe = json!({"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1});
    let container = json!({"name": "main", "image": "python", "command": ["python3", "-c", SHOUT], "readinessProbe": probe,
        "ports": [{"containerPort": 5000, "name": "shout"}]});
    cluster.apply(&pod("shout", container));
    cluster.out(&["expose", "pod", "shout", "--port=80", "--target-port=shout"]);
    cluster.out(&["wait", "pod/shout", "--for=condition=Ready", "--timeout=60s"]);
    let told: Vec<u8> = b"quiet words, many times\n".repeat(40_000);
    for target in [["pod/shout", ":5000"], ["service/shout", ":80"]] {
        let forward = cluster.begin(&["port-forward", target[0], target[1]]);
        let line = forward.line();
        let port = line.strip_prefix("Forwarding from 127.0.0.1:").and_then(|rest| rest.strip_suffix(" -> 5000"));
        let port: u16 = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("kubectl listens");
        connection.write_all(&told).expect("written");
        connection.shutdown(std::net::Shutdown::Write).expect("shut");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("read");
        assert!(answer == told.to_ascii_uppercase(), "{} bytes of {}", answer.len(), told.len());
        forward.until("Handling connection for");
    }
}
