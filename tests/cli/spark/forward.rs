//! `kubectl port-forward` to a pod, and questions through it or another port of this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::NAMESPACE;
use crate::machine::Timed;
use crate::program::{Cluster, PATIENCE};

/// A port of this machine that leads to one of a pod; one of kubectl's until it is dropped.
pub(super) struct Forward {
    _kubectl: Option<Timed>,
    host: &'static str,
    port: u16,
}

impl Forward {
    pub(super) fn new(cluster: &Cluster, pod: &str, port: u16) -> Self {
        let mut command = Command::new("timeout");
        command.args([PATIENCE, "kubectl", "--kubeconfig"]).arg(cluster.kubeconfig());
        command.args(["-n", NAMESPACE, "port-forward", &format!("pod/{pod}"), &format!(":{port}")]);
        let mut kubectl = Timed(command.stdout(Stdio::piped()).spawn().expect("coreutils are there"));
        let mut lines = BufReader::new(kubectl.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let line = lines.next().expect("it says where");
        // What it goes on to say must be read, or it stops.
        std::thread::spawn(move || lines.for_each(drop));
        let port =
            line.strip_prefix("Forwarding from 127.0.0.1:").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let port = port.unwrap_or_else(|| panic!("{pod}: {line:?}"));
        Self { _kubectl: Some(kubectl), host: "localhost", port }
    }

    /// A port that is there without kubectl, where it is asked for a host.
    pub(super) fn to(port: u16, host: &'static str) -> Self {
        Self { _kubectl: None, host, port }
    }

    /// What a page of JSON says; `None` while there is only an excuse.
    pub(super) fn ask(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("kubectl listens");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.host).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        let status = head.split(' ').nth(1).unwrap_or_default();
        // Spark's answer as long as the context is not complete.
        if status == "503" {
            return None;
        }
        assert_eq!(status, "200", "{answer}");
        Some(serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
    }
}
