//! `/etc/hosts`, `/etc/resolv.conf`, `/etc/hostname` of a pod. Pure: texts only.
//! Upstream rule: k8s.io/kubernetes `pkg/kubelet/kubelet_pods.go`, `pkg/kubelet/network/dns/dns.go`.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Pod;

/// The domain under which the cluster's names live.
pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";
const LONGEST_HOSTNAME: usize = 63;

/// The name that the pod's processes see as the machine's: `spec.hostname`, else the pod's own.
pub(crate) fn hostname(pod: &Pod) -> String {
    let spec = pod.spec.as_ref();
    let set = spec.and_then(|s| s.hostname_override.as_ref().or(s.hostname.as_ref()));
    let name = set.filter(|n| !n.is_empty()).or(pod.metadata.name.as_ref());
    let mut name = name.cloned().unwrap_or_default();
    name.truncate(LONGEST_HOSTNAME);
    name.trim_end_matches(['-', '.']).to_owned()
}

/// The pod's full name, when `spec.subdomain` gives it one.
pub(crate) fn full_name(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let subdomain = spec.subdomain.as_deref().filter(|s| !s.is_empty())?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    Some(format!("{}.{subdomain}.{namespace}.svc.{CLUSTER_DOMAIN}", hostname(pod)))
}

/// `/etc/hosts` in Kubernetes' form.
pub(crate) fn hosts(pod: &Pod, address: &str) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
    );
    let name = hostname(pod);
    match full_name(pod) {
        Some(full) => text.push_str(&format!("{address}\t{full}\t{name}\n")),
        None => text.push_str(&format!("{address}\t{name}\n")),
    }
    let aliases = pod.spec.as_ref().and_then(|s| s.host_aliases.as_deref()).unwrap_or_default();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            let names = alias.hostnames.clone().unwrap_or_default().join("\t");
            text.push_str(&format!("{}\t{names}\n", alias.ip));
        }
    }
    text
}

/// What a node knows of names: its cluster's server, and the machine's own settings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolver {
    pub(crate) cluster: Option<Ipv4Addr>,
    /// The machine's `/etc/resolv.conf`.
    pub(crate) machine: String,
}

/// `/etc/resolv.conf` for a pod.
pub(crate) fn resolv_conf(pod: &Pod, resolver: &Resolver) -> String {
    let spec = pod.spec.as_ref();
    let host_network = spec.and_then(|s| s.host_network) == Some(true);
    let policy = spec.and_then(|s| s.dns_policy.as_deref()).unwrap_or("ClusterFirst");
    let policy = match policy {
        "ClusterFirst" if host_network => "Default",
        "ClusterFirstWithHostNet" => "ClusterFirst",
        other => other,
    };
    let mut conf = match (policy, resolver.cluster) {
        ("None", _) => Conf::default(),
        ("ClusterFirst", Some(server)) => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
            Conf {
                servers: vec![server.to_string()],
                search: vec![
                    format!("{namespace}.svc.{CLUSTER_DOMAIN}"),
                    format!("svc.{CLUSTER_DOMAIN}"),
                    CLUSTER_DOMAIN.to_owned(),
                ],
                options: vec!["ndots:5".to_owned()],
            }
        }
        _ => Conf::read(&resolver.machine),
    };
    if let Some(own) = spec.and_then(|s| s.dns_config.as_ref()) {
        extend(&mut conf.servers, own.nameservers.iter().flatten().cloned());
        extend(&mut conf.search, own.searches.iter().flatten().cloned());
        for option in own.options.iter().flatten() {
            let name = option.name.as_deref().unwrap_or_default();
            conf.options.retain(|known| known.split(':').next() != Some(name));
            conf.options.push(match &option.value {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            });
        }
    }
    conf.text()
}

fn extend(list: &mut Vec<String>, more: impl Iterator<Item = String>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

#[derive(Default)]
struct Conf {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

impl Conf {
    fn read(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => conf.servers.extend(words),
                Some("search") => conf.search = words.collect(),
                Some("options") => conf.options = words.collect(),
                _ => {}
            }
        }
        conf
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.search.is_empty() {
            text.push_str(&format!("search {}\n", self.search.join(" ")));
        }
        for server in &self.servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(spec: Value) -> Pod {
        let mut spec = spec;
        spec["containers"] = json!([]);
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec})).unwrap()
    }

    #[test]
    fn hosts_file() {
        let text = hosts(&pod(json!({"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]})), "10.244.0.2");
        assert!(text.contains("\n10.244.0.2\tp\n"), "{text}");
        assert!(text.ends_with("# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"), "{text}");
        let text = hosts(&pod(json!({"hostname": "h", "subdomain": "s"})), "10.244.0.2");
        assert!(text.contains("10.244.0.2\th.s.n.svc.cluster.local\th\n"), "{text}");
    }

    #[test]
    fn long_names_are_cut() {
        let name = format!("{}-x", "a".repeat(62));
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        assert_eq!(hostname(&pod), "a".repeat(62));
    }

    #[test]
    fn resolver_policies() {
        let resolver = Resolver {
            cluster: Some(Ipv4Addr::new(10, 96, 0, 10)),
            machine: "search corp.example\nnameserver 192.0.2.1\n".into(),
        };
        let cluster =
            "search n.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
        let machine = "search corp.example\nnameserver 192.0.2.1\n";
        for (spec, text) in [
            (json!({}), cluster),
            (json!({"dnsPolicy": "Default"}), machine),
            (json!({"hostNetwork": true}), machine),
            (json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}), cluster),
            (
                json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["x"], "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]}}),
                "search x\nnameserver 1.1.1.1\noptions ndots:2 rotate\n",
            ),
        ] {
            assert_eq!(resolv_conf(&pod(spec.clone()), &resolver), text, "{spec}");
        }
    }
}
