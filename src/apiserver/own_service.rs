//! The service `kubernetes`, by which pods reach the API: the server writes it itself, and again where somebody deleted it.
//! Upstream rule: k8s.io/kubernetes `pkg/controlplane/controller/kubernetesservice`.

use serde_json::{Value, json};

use crate::ApiServer;
use crate::boot::StartError;

const NAME: &str = "kubernetes";
const NAMESPACE: &str = "default";
/// The port of the service, and the one that the server listens on inside.
const PORTS: [u16; 2] = [443, 6443];

/// Writes the service and its endpoints, where they are missing or different.
pub(crate) async fn ensure(server: &ApiServer) -> Result<(), StartError> {
    let config = server.config();
    let port = config.advertised.first().map_or(PORTS[1], std::net::SocketAddrV4::port);
    let addresses: Vec<String> = config.advertised.iter().map(|at| at.ip().to_string()).collect();
    server.ensure(("", "v1", "services"), NAMESPACE, service(config.service_range), false).await?;
    server.ensure(("", "v1", "endpoints"), NAMESPACE, endpoints(&addresses, port), true).await?;
    server.ensure(("discovery.k8s.io", "v1", "endpointslices"), NAMESPACE, slice(&addresses, port), true).await
}

fn service([a, b]: [u8; 2]) -> Value {
    let address = format!("{a}.{b}.0.1");
    json!({
        "metadata": {"name": NAME, "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "type": "ClusterIP", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": PORTS[0], "protocol": "TCP", "targetPort": PORTS[1]}],
        },
    })
}

fn endpoints(addresses: &[String], port: u16) -> Value {
    let addresses: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "metadata": {"name": NAME, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": addresses, "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    })
}

fn slice(addresses: &[String], port: u16) -> Value {
    let endpoint = |ip: &String| json!({"addresses": [ip], "conditions": {"ready": true}});
    let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
    json!({
        "metadata": {"name": NAME, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    })
}
