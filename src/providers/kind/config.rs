//! What the configuration says of clusters in a container engine, and the file that kind makes of it. Pure functions.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tinderbox_api::pools::{Nodes, POOL};

/// The release of Kubernetes that is meant where none is named.
const KUBERNETES: &str = "v1.34.2";

/// The section `kind` of `tinderbox.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KindConfig {
    /// Version of Kubernetes, as `v1.34.2`: its node image is `kindest/node` of that tag.
    pub kubernetes: Option<String>,
    /// The node image, where it is another one.
    pub image: Option<String>,
    /// Ports of this machine that lead to ports of the first node.
    pub ports: Vec<PortMapping>,
    /// Folders of the engine's machine that every node sees.
    pub mounts: Vec<Mount>,
    /// For each registry the one that is asked first.
    pub registry_mirrors: BTreeMap<String, String>,
    /// Kubernetes' feature gates.
    pub feature_gates: BTreeMap<String, bool>,
}

/// A port of this machine that leads into the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortMapping {
    /// Port of 127.0.0.1.
    pub host: u16,
    /// Port of the node.
    pub node: u16,
}

/// A folder that every node sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Where it is on the engine's machine.
    pub host: PathBuf,
    /// Where nodes see it.
    pub node: PathBuf,
    /// Nodes may not write to it.
    #[serde(default)]
    pub read_only: bool,
}

impl KindConfig {
    /// The image of the nodes.
    #[must_use]
    pub fn node_image(&self) -> String {
        let version = self.kubernetes.as_deref().unwrap_or(KUBERNETES);
        self.image.clone().unwrap_or_else(|| format!("kindest/node:{version}"))
    }

    /// The file for `kind create cluster`: kind's Cluster, v1alpha4. `port` is that of the API; 0 lets kind choose.
    ///
    /// # Errors
    /// When it cannot be written as YAML.
    pub fn render(&self, nodes: &Nodes, port: u16) -> Result<String, serde_yaml::Error> {
        let mut first = self.node("control-plane");
        let ports = self.ports.iter().map(|port| {
            json!({"containerPort": port.node, "hostPort": port.host, "listenAddress": "127.0.0.1", "protocol": "TCP"})
        });
        if !self.ports.is_empty() {
            first["extraPortMappings"] = ports.collect();
        }
        let mut all = vec![first];
        for pool in &nodes.pools {
            for _ in 0..pool.min.max(1) {
                let mut node = self.node("worker");
                let mut labels = pool.labels.clone();
                labels.insert(POOL.to_owned(), pool.name.clone());
                node["labels"] = json!(labels);
                if !pool.taints.is_empty() {
                    let registration = json!({
                        "apiVersion": "kubeadm.k8s.io/v1beta3", "kind": "JoinConfiguration",
                        "nodeRegistration": {"taints": pool.taints},
                    });
                    node["kubeadmConfigPatches"] = json!([serde_yaml::to_string(&registration)?]);
                }
                all.push(node);
            }
        }
        let mut cluster = json!({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": all});
        if port != 0 {
            cluster["networking"] = json!({"apiServerPort": port});
        }
        if !self.feature_gates.is_empty() {
            cluster["featureGates"] = json!(self.feature_gates);
        }
        if !self.registry_mirrors.is_empty() {
            let mirrors = self.registry_mirrors.iter().map(|(registry, mirror)| {
                format!("[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"{registry}\"]\n  endpoint = [\"{mirror}\"]\n")
            });
            cluster["containerdConfigPatches"] = json!([mirrors.collect::<String>()]);
        }
        serde_yaml::to_string(&cluster)
    }

    fn node(&self, role: &str) -> Value {
        let mut node = json!({"role": role});
        if !self.mounts.is_empty() {
            let mounts = self
                .mounts
                .iter()
                .map(|mount| json!({"hostPath": mount.host, "containerPath": mount.node, "readOnly": mount.read_only}));
            node["extraMounts"] = mounts.collect();
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_section_there_is_one_node_of_the_usual_release() {
        let config = KindConfig::default();
        assert_eq!(config.node_image(), "kindest/node:v1.34.2");
        assert_eq!(
            config.render(&Nodes::default(), 0).expect("YAML"),
            "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\nnodes:\n- role: control-plane\n"
        );
    }

    #[test]
    fn everything_that_can_be_said() {
        let config: KindConfig = serde_yaml::from_str(
            "kubernetes: v1.33.1\nports: [{host: 8080, node: 30080}]\nmounts: [{host: /data, node: /mnt/data, readOnly: true}]\n\
             registryMirrors: {registry.example: 'http://mirror.example:5000'}\nfeatureGates: {SomeGate: true}\n",
        )
        .expect("a section");
        let nodes: Nodes = serde_yaml::from_str(
            "pools: [{name: spark, labels: {disk: fast}, taints: [{key: dedicated, value: spark, effect: NoSchedule}], min: 2, max: 2}]",
        )
        .expect("pools");
        assert_eq!(config.node_image(), "kindest/node:v1.33.1");
        insta::assert_snapshot!(config.render(&nodes, 6550).expect("YAML"));
    }

    #[test]
    fn unknown_words_are_refused() {
        let error = serde_yaml::from_str::<KindConfig>("port: 1").expect_err("unknown");
        assert!(error.to_string().contains("unknown field `port`"), "{error}");
    }
}
